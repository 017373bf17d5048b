/** The workers of a simulated agent: they hold what they are ordered a moment later, count while they hold, and say what they may be running. */
import type { Crew } from '../../../src/machines/agent/holding.ts';
import { bury, merge_actions, merge_snapshots, NO_DEAD, type Dead } from '../../../src/metrics/merge-snapshots.ts';
import type { GroupSnapshot, Snapshot } from '../../../src/metrics/snapshot.ts';
import type { HookResult } from '../../../src/swarm/plan/account.ts';
import type { SquadAccount, SquadOrder } from '../../../src/swarm/squad/ordered-squad.ts';
import { map_groups } from '../../../src/metrics/groups.ts';
import { NOTHING, of_main } from '../../metrics/one-group.ts';
import type { CrewSlots } from './crew-slots.ts';
import type { Process } from './process.ts';

/** ms from an order to its being carried out: anything up to that */
export const WITHIN_MS = 300;
/** each client counts one reply so often */
export const REPLY_MS = 100;

const EMPTY = merge_snapshots([]);

export interface CrewOptions {
  readonly process: Process;
  readonly agent: string;
  /** of the agent now */
  readonly incarnation: () => string;
  readonly capacity: number;
  /** null: no action has a rate */
  readonly slots: CrewSlots | null;
  /** it holds another number of clients now; `before`: by group */
  readonly changed: (crew: FakeCrew, before: Readonly<Record<string, number>>) => void;
}

export class FakeCrew implements Crew {
  readonly process: Process;
  readonly agent: string;
  /** of the agent when the first order came */
  incarnation = '';
  /** clients that it truly holds, by group */
  held: Readonly<Record<string, number>> = {};
  is_closed = false;
  readonly #options: CrewOptions;
  readonly #pending: SquadOrder[] = [];
  #order: SquadOrder | null = null;
  #on_change: () => void = () => {};
  readonly #hooks: Record<'setup' | 'teardown', HookResult | 'running' | null> = { setup: null, teardown: null };
  #peak = 0;
  #created = 0;
  readonly #killed = { decr: 0, stop: 0 };
  /** by group */
  #most: Readonly<Record<string, number>> = {};
  #ok = 0;
  #counted_to: number;
  #dead: Dead = NO_DEAD;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.process = options.process;
    this.agent = options.agent;
    this.#counted_to = this.#tick;
  }

  /** Its clients live in the process of the agent: they freeze and wake with it. */
  permit(until: number): void {
    const { slots } = this.#options;
    if (slots && slots.permitted_until >= this.process.clock.now()) slots.permitted_until = until;
  }
  refresh(): void {}

  /** clients that it truly holds */
  get live(): number {
    return sum_of(this.held);
  }

  /** replies counted so far */
  get ok(): number {
    this.#count();
    return this.#ok;
  }

  on_change(f: () => void): void {
    this.#on_change = f;
  }

  order(order: SquadOrder): void {
    const newest = this.#pending.at(-1) ?? this.#order;
    if (this.is_closed || (newest && order.revision <= newest.revision)) return;
    this.incarnation ||= this.#options.incarnation();
    this.#pending.push(order);
    this.#options.slots?.follow(order.slots);
    const { clock, random } = this.process;
    void clock.sleep(random.int(0, WITHIN_MS)).then(() => this.#apply(order));
    if (order.setup) this.#start_hook('setup');
    if (order.teardown) this.#start_hook('teardown');
  }

  account(): SquadAccount {
    const { capacity } = this.#options;
    return {
      applied: this.#order?.revision ?? 0,
      capacity: this.is_closed ? 0 : capacity,
      capacity_why: 'as it was made',
      ids_wanted: this.#most,
      slots: this.is_closed ? {} : (this.#options.slots?.account ?? {}),
      actions: [],
      snapshot: this.is_closed ? EMPTY : this.#snapshot(),
      dead: this.#dead,
      workers: [],
      traces: [],
      setup: this.#result('setup'),
      teardown: this.#result('teardown'),
      live: this.live,
      open: this.live,
      may: this.may,
      killed_at_end: [],
    };
  }

  /** by group the most it could be running: what it holds, and what every order from the one in force on allows */
  get may(): Record<string, number> {
    if (this.is_closed) return {};
    const orders = [...(this.#order ? [this.#order] : []), ...this.#pending];
    const names = new Set([...Object.keys(this.held), ...orders.flatMap(({ groups }) => Object.keys(groups))]);
    const most = (group: string): number =>
      Math.max(
        this.held[group] ?? 0,
        ...orders.map(({ groups }) => Math.min(groups[group]?.clients ?? 0, this.#options.capacity)),
      );
    return Object.fromEntries([...names].map((group) => [group, most(group)]));
  }

  async close(): Promise<unknown> {
    if (this.is_closed) return [];
    await this.process.clock.sleep(this.process.random.int(0, WITHIN_MS));
    if (this.is_closed) return [];
    this.#options.slots?.close();
    const last = this.#snapshot();
    const at = new Date(this.process.clock.wall()).toISOString();
    const lost = { worker: this.agent, incarnation: this.incarnation, at, silent_ms: 0 };
    this.#dead = bury(this.#dead, last, this.live > 0 ? lost : null);
    this.is_closed = true;
    this.#pending.length = 0;
    this.#hold({}, null);
    return [];
  }

  /** Its process is dead, and what it held with it. */
  crash(): void {
    this.#count();
    this.is_closed = true;
    this.#options.slots?.close();
    this.#hold({}, null);
  }

  /** What passed while the process was frozen does not count. Call before it freezes and when it wakes. */
  settle(is_waking: boolean): void {
    if (is_waking) this.#counted_to = this.#tick;
    else this.#count();
  }

  get #tick(): number {
    return Math.floor(this.process.clock.now() / REPLY_MS);
  }

  #count(): void {
    const tick = this.#tick;
    if (this.process.alive && !this.process.asleep) this.#ok += this.live * (tick - this.#counted_to);
    this.#counted_to = tick;
  }

  #apply(order: SquadOrder): void {
    if (this.is_closed || (this.#order && order.revision < this.#order.revision)) return;
    this.#order = order;
    while (this.#pending.length > 0 && this.#pending[0]!.revision <= order.revision) this.#pending.shift();
    const is_ending = order.phase === 'drain' || order.phase === 'stop';
    let room = is_ending ? 0 : this.#options.capacity;
    const wanted = map_groups(order.groups, ({ clients, ids }) => {
      const owned = ids.reduce((all, [first, last, step]) => all + (last - first) / step + 1, 0);
      const held = Math.min(clients, owned, room);
      room -= held;
      return held;
    });
    this.#hold(wanted, is_ending ? 'stop' : 'decr');
    this.#on_change();
  }

  #hold(held: Readonly<Record<string, number>>, how: 'decr' | 'stop' | null): void {
    this.#count();
    const before = this.held;
    const names = [...new Set([...Object.keys(before), ...Object.keys(held)])];
    const changes = names.map((group) => (held[group] ?? 0) - (before[group] ?? 0));
    for (const change of changes)
      if (change > 0) this.#created += change;
      else if (how) this.#killed[how] -= change;
    this.held = held;
    this.#most = Object.fromEntries(names.map((group) => [group, Math.max(this.#most[group] ?? 0, held[group] ?? 0)]));
    this.#peak = Math.max(this.#peak, this.live);
    if (changes.some((change) => change !== 0)) this.#options.changed(this, before);
  }

  #snapshot(): Snapshot {
    const { live, ok } = this;
    return of_main({
      clients: {
        ...NOTHING.clients,
        created: this.#created,
        killed: { ...this.#killed },
        peak: this.#peak,
        states: { ...NOTHING.clients.states, standby: live },
      },
      connections: {
        ...NOTHING.connections,
        attempted: this.#created,
        established: this.#created,
        open: live,
        open_peak: this.#peak,
        closed: { ...NOTHING.connections.closed, ...this.#killed },
      },
      endpoints: {
        '127.0.0.1:1': {
          attempted: this.#created,
          connecting: 0,
          established: this.#created,
          open: live,
          closed: this.#killed.decr + this.#killed.stop,
          failed: 0,
          cancelled: 0,
          lost: 0,
          lost_connecting: 0,
        },
      },
      requests: { ...NOTHING.requests, sent: ok, ok },
      ...this.#actions(),
    });
  }

  #actions(): Partial<GroupSnapshot> {
    if (this.#options.slots === null) return {};
    const { started, ...slots } = this.#options.slots.slots;
    return { actions: [{ ...merge_actions([]), started, ok: started, slots }] };
  }

  #start_hook(hook: 'setup' | 'teardown'): void {
    if (this.#hooks[hook] !== null) return;
    this.#hooks[hook] = 'running';
    void this.process.clock.sleep(this.process.random.int(10, 500)).then(() => {
      this.#hooks[hook] = { ok: true, value: 1 };
      this.#on_change();
    });
  }

  #result(hook: 'setup' | 'teardown'): HookResult | null {
    const result = this.#hooks[hook];
    return result === 'running' ? null : result;
  }
}

export const sum_of = (clients: Readonly<Record<string, number>>): number =>
  Object.values(clients).reduce((all, one) => all + one, 0);
