/** All clients of one process: a population for each group, and what these share. */
import type { Client } from '../client/runner.ts';
import { Secure } from '../client/secure.ts';
import { shared_reads } from '../client/socket.ts';
import type { TenureAccount } from '../plan/account.ts';
import { clients_of, type MemberOrders, type Orders } from '../plan/orders.ts';
import { Permit } from '../plan/permit.ts';
import { ConnectTurns } from './connect-turns.ts';
import { Population, type PopulationOptions } from './population.ts';
import { SlotTurns } from './slot-turns.ts';

/** ms: a little longer than a closed connection lingers */
const CLOSED_WITHIN_MS = 1100;

/** What all populations of a process share. */
type SharedByPopulations = Pick<
  PopulationOptions,
  'permit' | 'turns' | 'slot_turns' | 'secure' | 'reads' | 'has_room' | 'emptied'
>;

/** What each group has of its own. */
type OwnOfPopulation = Pick<PopulationOptions, 'recorder' | 'endpoints' | 'module' | 'shared'>;

interface PopulationsOptions extends Omit<
  PopulationOptions,
  keyof SharedByPopulations | keyof OwnOfPopulation | 'group'
> {
  /** ms of this process' clock at run time 0 */
  readonly zero_ms: number;
  /** most sockets this process can hold */
  readonly capacity: () => number;
  /** the last client of all is gone */
  readonly emptied: () => void;
  /** the permit ran out: all clients were taken away, and no new ones come */
  readonly expired: () => void;
}

export class Populations {
  readonly permit = new Permit(() => void this.#expire());
  readonly #options: PopulationsOptions;
  readonly #turns: ConnectTurns;
  readonly #slot_turns: SlotTurns;
  readonly #shared: SharedByPopulations;
  /** by group */
  readonly #all = new Map<string, Population>();
  /** clients that it shall hold, without those that arrive */
  #ordered = 0;

  constructor(options: PopulationsOptions) {
    const { run, zero_ms, capacity, emptied } = options;
    this.#options = options;
    this.#turns = new ConnectTurns({
      permit: this.permit,
      connect_timeout_ms: run.how.connect_timeout_ms,
      connecting: () => this.#sum((population) => population.connecting),
      room: () => capacity() - this.#sockets,
    });
    this.#slot_turns = new SlotTurns(this.permit, zero_ms);
    this.#shared = {
      permit: this.permit,
      turns: this.#turns,
      slot_turns: this.#slot_turns,
      secure: new Secure(run.where.tls),
      reads: shared_reads(run.where.connection_limits?.down_bytes_per_s ?? null),
      // what was ordered and is yet to come has its room
      has_room: () => Math.max(this.live, this.#ordered + this.#sum(({ arrived }) => arrived)) < capacity(),
      emptied: () => {
        if (this.live === 0) emptied();
      },
    };
  }

  has(group: string): boolean {
    return this.#all.has(group);
  }

  /** From now on the orders for this group are carried out. */
  add(group: string, own: OwnOfPopulation): void {
    this.#all.set(group, new Population({ ...this.#options, ...this.#shared, ...own, group }));
  }

  /** ms of this process' clock at run time 0: of many machines, each learns it better as time passes */
  set zero_ms(ms: number) {
    this.#slot_turns.zero_ms = ms;
  }

  get live(): number {
    return this.#sum((population) => population.live);
  }

  /** Counts all slots that are due by now. Returns how far it is with each stretch of them. */
  count_slots(): readonly TenureAccount[] {
    this.#slot_turns.make();
    return [...this.#all.values()].flatMap(({ tenures }) => tenures);
  }

  client(id: number): Client | undefined {
    for (const population of this.#all.values()) {
      const found = population.client(id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Carries out this member's orders. A group that they do not name holds nothing. Resolves when done; it must not be
   * called again before.
   */
  async apply(groups: MemberOrders['groups'], phase: Orders['phase']): Promise<void> {
    if (this.permit.is_over) return;
    const per_s = Object.values(groups).reduce((all, { connect_per_s }) => all + connect_per_s, 0);
    const parts = Math.max(1, ...Object.values(groups).map(({ rate_parts }) => rate_parts));
    this.#turns.set_rate(per_s, parts);
    this.#ordered = clients_of({ groups });
    await Promise.all([...this.#all].map(([group, population]) => population.apply(groups[group] ?? null, phase)));
    this.#turns.go_on();
  }

  /** Fatal clients start anew, each when its turn to connect comes. */
  retry_fatal(): void {
    for (const population of this.#all.values()) population.retry_fatal();
  }

  /** Resolves when all sockets have sent what they had and closed, or were destroyed; after 1.1 s in any case. */
  async sockets_closed(): Promise<void> {
    for (let waited = 0; this.#sockets > 0 && waited < CLOSED_WITHIN_MS; waited += 10)
      await new Promise((done) => setTimeout(done, 10));
  }

  /** Ends its own timers. Clients must be gone by then. */
  close(): void {
    this.#turns.close();
    this.#slot_turns.close();
    for (const population of this.#all.values()) population.close();
  }

  get #sockets(): number {
    return this.#sum((population) => population.sockets);
  }

  #sum(of: (population: Population) => number): number {
    let all = 0;
    for (const population of this.#all.values()) all += of(population);
    return all;
  }

  async #expire(): Promise<void> {
    await Promise.all([...this.#all.values()].map((population) => population.expire()));
    this.#options.expired();
  }
}
