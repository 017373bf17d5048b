/**
 * The slots of a simulated agent with a rated action, in workers that hear of orders late and tell late how far they
 * are. Each slot that is planned is told to whoever counts them.
 */
import { part_of, WHOLE } from '../../../src/swarm/plan/segment.ts';
import type { SlotSnapshot } from '../../../src/metrics/snapshot.ts';
import { NO_SLOTS } from '../../../src/metrics/slots.ts';
import { SlotQueue } from '../../../src/swarm/load/slot-queue.ts';
import type { RateOrders } from '../../../src/swarm/plan/orders.ts';
import { from_machine_ms } from '../../../src/swarm/plan/permit.ts';
import type { SlotsOrder, SquadAccount } from '../../../src/swarm/squad/ordered-squad.ts';
import { RateGrants } from '../../../src/swarm/squad/rate-grants.ts';
import type { Process } from './process.ts';

const TICK_MS = 50;
/** ms: orders take up to so long from the agent to a worker, accounts the other way */
const WITHIN_MS = 60;
/** ms of run time that a crew's clock is off by, either way */
export const OFF_MS = 50;
const WAITS_US = 2e6;

interface SlotWorker {
  readonly id: string;
  readonly queue: SlotQueue;
  readonly counts: { planned: number; waiting: number; dropped: Record<keyof SlotSnapshot['dropped'], number> };
  started: number;
  /** by tenure: the next slot that was not seen */
  readonly seen: Map<number, number>;
  orders: RateOrders;
  taken: number;
}

export interface CrewSlotsOptions {
  readonly process: Process;
  readonly workers: number;
  /** of the only rated action */
  readonly key: string;
  /** a slot was planned */
  readonly made: (slot: number) => void;
}

export class CrewSlots {
  readonly #options: CrewSlotsOptions;
  readonly #grants = new RateGrants(WHOLE);
  readonly #workers: readonly SlotWorker[];
  readonly #off_ms: number;
  readonly #stop: () => void;
  #order: SlotsOrder | null = null;
  /** ms of the process' clock */
  permitted_until = Infinity;
  #sent = 0;
  #ordered = '';
  #ticks = 0;

  constructor(options: CrewSlotsOptions) {
    this.#options = options;
    const { process } = options;
    this.#off_ms = process.random.real(-OFF_MS, OFF_MS);
    this.#workers = Array.from({ length: options.workers }, (_, i): SlotWorker => {
      const counts = { planned: 0, waiting: 0, dropped: { ...NO_SLOTS.dropped } };
      const queue = new SlotQueue(counts, WAITS_US, null);
      const orders = { pieces: [], tenures: [] };
      return { id: `w${i}`, queue, counts, started: 0, seen: new Map(), orders, taken: 0 };
    });
    this.#grants.stretches = () => this.#order?.stretches[options.key] ?? [];
    this.#stop = process.clock.every(TICK_MS, () => this.#tick());
  }

  follow(order: SlotsOrder | null): void {
    this.#order = order;
    this.#deal();
  }

  close(): void {
    this.#stop();
  }

  get slots(): SlotSnapshot & { readonly started: number } {
    const sum = (of: (one: SlotWorker) => number): number => this.#workers.reduce((all, one) => all + of(one), 0);
    const dropped = { ...NO_SLOTS.dropped };
    for (const { counts } of this.#workers)
      for (const why of Object.keys(dropped) as (keyof typeof dropped)[]) dropped[why] += counts.dropped[why];
    return {
      planned: sum(({ counts }) => counts.planned),
      waiting: sum(({ counts }) => counts.waiting),
      started: sum(({ started }) => started),
      dropped,
      tardy: 0,
      late: NO_SLOTS.late,
    };
  }

  get account(): SquadAccount['slots'] {
    const { key } = this.#options;
    return Object.fromEntries(this.#grants.accounts().map(({ stretches, ended }) => [key, { stretches, ended }]));
  }

  get #run_ms(): number {
    const { clock } = this.#options.process;
    return clock.now() - from_machine_ms(this.#order!.zero_ms) + this.#off_ms;
  }

  #deal(): void {
    const parts = this.#workers.map(({ id }) => ({ id, weight: 1 }));
    if (this.#order === null) this.#grants.deal([], () => parts, 0);
    else this.#grants.deal(this.#order.rates, () => parts, this.#run_ms);
    const all = this.#workers.map(({ id }) => this.#grants.of(0, id)?.[0] ?? { pieces: [], tenures: [] });
    const text = JSON.stringify(all);
    if (text === this.#ordered) return;
    this.#ordered = text;
    const number = ++this.#sent;
    for (const [i, worker] of this.#workers.entries()) {
      const { clock, random } = this.#options.process;
      void clock.sleep(random.int(0, WITHIN_MS)).then(() => {
        if (number <= worker.taken) return;
        worker.taken = number;
        worker.orders = all[i]!;
        worker.queue.follow(all[i]!);
        this.#see(worker);
      });
    }
  }

  #tick(): void {
    if (this.#order === null || this.#options.process.clock.now() > this.permitted_until) return;
    const { random, clock } = this.#options.process;
    this.#ticks++;
    for (const worker of this.#workers) {
      worker.queue.make(this.#run_ms * 1000);
      this.#see(worker);
      if (random.chance(0.8)) while (worker.queue.take() < Infinity) worker.started++;
      if (!random.chance(0.3)) continue;
      const accounts = worker.queue.accounts();
      void clock.sleep(random.int(0, WITHIN_MS)).then(() => {
        if (this.#grants.heard(worker.id, accounts)) this.#deal();
      });
    }
    if (this.#ticks % 20 === 0) this.#deal();
  }

  /** Which slots were planned since the last look. */
  #see({ orders, queue, seen }: SlotWorker): void {
    for (const { id, at, closed } of queue.accounts()) {
      const tenure = orders.tenures.find((one) => one.id === id)!;
      const next = seen.get(id) ?? tenure.first;
      const last = Math.min(at, closed ?? Infinity, tenure.last ?? Infinity);
      for (let slot = next; slot <= last; slot++)
        if (part_of(tenure, slot) > part_of(tenure, slot - 1)) this.#options.made(slot);
      seen.set(id, Math.max(next, last + 1));
    }
  }
}
