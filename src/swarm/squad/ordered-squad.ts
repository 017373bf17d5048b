/** The workers of an agent: they hold one share of a swarm of many machines, and their accounts add up to one. */
import { SwarmError } from '../../foundation/errors.ts';
import { action_names, type ActionName } from '../../metrics/counted.ts';
import { map_groups } from '../../metrics/groups.ts';
import { merge_snapshots, type Dead } from '../../metrics/merge-snapshots.ts';
import type { ErrorKind, GroupSnapshot, Snapshot } from '../../metrics/snapshot.ts';
import type { WorkerSummary } from '../../metrics/summary.ts';
import type { HookResult } from '../plan/account.ts';
import type { WantedRates } from '../plan/intent.ts';
import { ids_within, place_within } from '../plan/id-map.ts';
import type { IdRange, Orders, TenureOrders } from '../plan/orders.ts';
import { to_machine_ms } from '../plan/permit.ts';
import { rate_key } from '../plan/rated-actions.ts';
import { measured_groups, type LiveSpec, type MemberId } from '../plan/run-spec.ts';
import { MAX_TRACE_LINES } from '../plan/traces.ts';
import type { StretchesAccount } from './rate-grants.ts';
import { Squad, type SquadOptions } from './squad.ts';

const NOTHING_ORDERED: GroupOrder = { clients: 0, target: 0, ids: [] };
/** Most orders that wait to be applied. Beyond it the oldest is forgotten, and counts as applied with the next one. */
const MAX_PENDING = 64;
/** deaths of each worker: the first may have had any cause */
const DEATHS_AT_LOADING = 2;

/** What an agent orders of a group. */
export interface GroupOrder {
  /** planned now, in clients */
  readonly clients: number;
  /** clients at the end of the ramp: ids and workers are made ready for them */
  readonly target: number;
  /** indices of all clients that are this agent's own, see Numbering; only grows, as `Ids.of` does */
  readonly ids: readonly IdRange[];
}

/** When slots are due, and which of them are this agent's own. */
export interface SlotsOrder {
  readonly rates: WantedRates;
  /** by {@link rate_key} */
  readonly stretches: Readonly<Record<string, readonly TenureOrders[]>>;
  /** ms of the machine's clock at run time 0 */
  readonly zero_ms: number;
}

/** What an agent orders of its workers. Absolute: the newest revision wins. */
export interface SquadOrder {
  /** > 0 */
  readonly revision: number;
  readonly phase: Orders['phase'];
  /** this agent's part */
  readonly connect_per_s: number;
  readonly shared: LiveSpec['shared'];
  /** by name; of a group that it does not name this agent holds nothing */
  readonly groups: Readonly<Record<string, GroupOrder>>;
  /** null: no action has a rate */
  readonly slots: SlotsOrder | null;
  readonly graceful: boolean;
  readonly retry_fatal: number;
  /** a worker, which the squad chooses, shall run the module's hook, once */
  readonly setup: boolean;
  readonly teardown: boolean;
  /** clients whose bytes are traced, by token, also those of other agents; until: ms of this process' clock */
  readonly traces: readonly { readonly token: string; readonly client: number; readonly until: number }[];
}

/** The newest lines of a trace, at most 200. */
export interface TraceLines {
  readonly token: string;
  readonly lines: readonly string[];
  /** number of lines before the first of these */
  readonly before: number;
  /** no more will come */
  readonly is_over: boolean;
}

/** What the workers of an agent measured, as one. */
export interface SquadAccount {
  /** the newest order applied by all workers that are up; 0 before the first */
  readonly applied: number;
  readonly capacity: number;
  readonly capacity_why: string;
  /**
   * By group, as the next: number of ids its workers were dealt. When workers were given up or are new, it is more than
   * there ever were clients; clients wait until the agent owns as many ids.
   */
  readonly ids_wanted: Readonly<Record<string, number>>;
  /** of rates that have begun, by {@link rate_key} */
  readonly slots: Readonly<Record<string, Pick<StretchesAccount, 'stretches' | 'ended'>>>;
  /** most clients that its workers could be running now */
  readonly may: Readonly<Record<string, number>>;
  /** of all groups of the run; always the same list */
  readonly actions: readonly ActionName[];
  /** of the living workers, with the peaks that they had together in each group */
  readonly snapshot: Snapshot;
  readonly dead: Dead;
  readonly workers: readonly WorkerSummary[];
  /** of the traces in the newest order */
  readonly traces: readonly TraceLines[];
  readonly setup: HookResult | null;
  readonly teardown: HookResult | null;
  readonly live: number;
  readonly open: number;
  /** workers killed because they did not answer at the end */
  readonly killed_at_end: readonly MemberId[];
}

export class OrderedSquad {
  readonly #squad: Squad;
  readonly #hub: SquadOptions['hub'];
  readonly #clock: SquadOptions['clock'];
  readonly #actions: readonly ActionName[];
  #on_change: () => void = () => {};
  /** revisions of the newest order taken, and of the newest applied */
  #ordered = 0;
  #applied = 0;
  /** orders not applied yet: an order's revision, with the revision of what the workers were ordered for it */
  readonly #pending: { readonly order: number; readonly orders: number }[] = [];
  readonly #hooks: Record<'setup' | 'teardown', HookResult | 'running' | null> = { setup: null, teardown: null };
  readonly #traces = new Map<string, SquadTrace>();
  /** what was added up last, of these accounts: an agent asks several times a second, for what changes once */
  #merged: { readonly of: readonly Snapshot[]; readonly snapshot: Snapshot } = {
    of: [],
    snapshot: merge_snapshots([]),
  };
  #is_closed = false;

  constructor(options: SquadOptions) {
    this.#clock = options.clock;
    this.#hub = options.hub;
    this.#actions = action_names(measured_groups(options.run.what.groups));
    // nothing connects before the first order
    this.#squad = new Squad(options);
    this.#squad.listen((event) => {
      const is_applied = this.#look();
      if (is_applied || event === 'death') this.#changed();
    });
  }

  /** Calls `f` when an order was applied, a worker died or a hook ended, until `close`. */
  on_change(f: () => void): void {
    this.#on_change = f;
  }

  /**
   * Resolves when the workers have said hello and one has loaded the module.
   * @throws SwarmError `workers_missing` after `within_ms`, or as soon as all are given up or keep dying of the module
   */
  async ready(within_ms: number): Promise<void> {
    const start = this.#clock.now();
    await this.#squad.ready(within_ms, () => this.#is_dying);
    await this.#load(start + within_ms - this.#clock.now());
  }

  /** Waits until one worker has loaded the module. Throws when that takes too long, or after two deaths per worker. */
  async #load(within_ms: number): Promise<void> {
    const { planner, members, waits } = this.#squad;
    const { length } = members.shown;
    planner.replan(true);
    const { revision } = planner;
    const has_loaded = (): boolean => members.up.some((member) => member.wanted && member.has_applied(revision));
    const is_hopeless = (): boolean => this.#is_closed || this.#squad.is_all_out || this.#is_dying;
    await waits.until(() => has_loaded() || is_hopeless(), within_ms);
    if (has_loaded()) return;
    const reason = this.#died?.last ?? 'no worker has loaded the module in time';
    throw new SwarmError('workers_missing', { reason: `none of ${length} can load the module: ${reason}` });
  }

  get #died(): ErrorKind | undefined {
    return this.#squad.members.dead.snapshot.errors['worker_died'];
  }

  /** Its workers keep dying, whether they were ever up at the same time or not. */
  get #is_dying(): boolean {
    const deaths = this.#died?.count ?? 0;
    return deaths > 0 && deaths >= DEATHS_AT_LOADING * this.#squad.members.shown.length;
  }

  /** Carries out an order, unless it or a newer one came before. */
  order(order: SquadOrder): void {
    if (order.revision <= this.#ordered || this.#is_closed) return;
    this.#ordered = order.revision;
    const { planner } = this.#squad;
    const { slots } = order;
    planner.live = { ...planner.live, shared: order.shared, ...(slots && { zero_ms: slots.zero_ms }) };
    planner.stretches = (group, action) =>
      slots?.stretches[rate_key(planner.run.what.groups[group]!.name, action)] ?? [];
    const groups = planner.run.what.groups.map(({ name }) => order.groups[name] ?? NOTHING_ORDERED);
    planner.to_indices = (group, dealt) => ids_within(dealt, groups[group]!.ids);
    const { phase, graceful, retry_fatal, connect_per_s } = order;
    const aims = groups.map(({ clients, target }) => ({ planned: clients, target }));
    const wanted = {
      phase,
      groups: aims,
      graceful,
      retry_fatal,
      connect_per_s,
      rates: (slots?.rates ?? []).slice(0, groups.length),
    };
    planner.follow(() => wanted, this.#clock.now());
    this.#squad.grow();
    planner.replan(true);
    if (this.#follow_traces(order)) planner.replan(true);
    this.#squad.waits.poke();
    this.#pending.push({ order: order.revision, orders: planner.revision });
    if (this.#pending.length > MAX_PENDING) this.#pending.shift();
    if (order.setup) this.#start_hook('setup');
    if (order.teardown) this.#start_hook('teardown');
    if (this.#look()) this.#changed();
  }

  /** Lets the workers go on without word until then, ms of this process' clock, see Permit. */
  permit(until: number): void {
    this.#hub.permit?.(to_machine_ms(until));
  }

  /** Has the workers send their accounts now. */
  refresh(): void {
    this.#hub.refresh?.();
  }

  account(): SquadAccount {
    const { members, planner, room } = this.#squad;
    const { dead, shown, up } = members;
    const merged = this.#merge(members.snapshots);
    const with_peaks = (group: GroupSnapshot, name: string): GroupSnapshot => {
      const { live: peak, open: open_peak } = members.peaks_of(name);
      return { ...group, clients: { ...group.clients, peak }, connections: { ...group.connections, open_peak } };
    };
    const now = this.#clock.now();
    return {
      applied: this.#applied,
      capacity: room.capacity,
      capacity_why: room.why,
      ids_wanted: this.#by_group((group) => planner.dealt[group]!),
      slots: Object.fromEntries(
        planner.slots.map(({ group, action, stretches, ended }) => [
          rate_key(planner.run.what.groups[group]!.name, action),
          { stretches, ended },
        ]),
      ),
      may: this.#by_group((group) => members.all.reduce((all, { parts }) => all + parts[group]!.outstanding.may, 0)),
      actions: this.#actions,
      snapshot: { ...merged, groups: map_groups(merged.groups, with_peaks) },
      dead,
      workers: shown.map((member) => member.summary(now)),
      traces: [...this.#traces].map(([token, { lines, before, is_over }]) => ({
        token,
        lines: [...lines],
        before,
        is_over,
      })),
      setup: this.#result('setup'),
      teardown: this.#result('teardown'),
      live: up.reduce((all, { live }) => all + live, 0),
      open: up.reduce((all, { open }) => all + open, 0),
      killed_at_end: this.#squad.killed_at_end,
    };
  }

  #by_group(count: (group: number) => number): Record<string, number> {
    const { groups } = this.#squad.planner.run.what;
    return Object.fromEntries(groups.map(({ name }, group) => [name, count(group)]));
  }

  #merge(of: readonly Snapshot[]): Snapshot {
    const is_known = of.length === this.#merged.of.length && of.every((one, i) => one === this.#merged.of[i]);
    if (!is_known) this.#merged = { of, snapshot: merge_snapshots(of) };
    return this.#merged.snapshot;
  }

  /** Ends the workers, see {@link Squad.close}. Accounts then show no gauges, the losses, every order as applied. */
  async close(deadline_ms: number): Promise<MemberId[]> {
    this.#is_closed = true;
    const late = await this.#squad.close(deadline_ms);
    this.#look();
    return late;
  }

  /**
   * Starts and ends traces of clients that are this agent's own; the worker that has one at the start traces it. False:
   * nothing changed.
   */
  #follow_traces({ traces: all, groups }: SquadOrder): boolean {
    const { traces } = this.#squad;
    const wanted = all.filter(({ client }) => this.#dealt(client, groups) !== null);
    const before = [...this.#traces.keys()].join();
    for (const [token, { end }] of this.#traces) {
      if (wanted.some((trace) => trace.token === token)) continue;
      end();
      this.#traces.delete(token);
    }
    for (const { token, client, until } of wanted) {
      if (this.#traces.has(token)) continue;
      const lines: string[] = [];
      const trace: SquadTrace = { lines, before: 0, is_over: false, end: () => {} };
      const say = (line: string): void => {
        lines.push(line);
        if (lines.length <= MAX_TRACE_LINES) return;
        lines.shift();
        trace.before++;
      };
      this.#traces.set(token, trace);
      const { group, index } = this.#dealt(client, groups)!;
      const member = this.#squad.planner.owner_of(group, index);
      if (member === null) {
        say(`no client ${client} lives now`);
        trace.is_over = true;
        continue;
      }
      const local = traces.start(member, client, until, (line) => {
        if (line === null) trace.is_over = true;
        else say(line);
      });
      trace.end = () => traces.end(local);
    }
    return [...this.#traces.keys()].join() !== before;
  }

  /** What number of its group stands for a client, by its id in the whole swarm; null: it is not this agent's. */
  #dealt(client: number, orders: SquadOrder['groups']): ReturnType<typeof place_within> {
    return place_within(client, this.#squad.planner.run.what.groups, orders);
  }

  #start_hook(hook: 'setup' | 'teardown'): void {
    if (this.#hooks[hook] !== null) return;
    this.#hooks[hook] = 'running';
    void this.#squad.run_hook(hook).then((result) => {
      this.#hooks[hook] = result;
      this.#changed();
    });
  }

  #result(hook: 'setup' | 'teardown'): HookResult | null {
    const result = this.#hooks[hook];
    return result === 'running' ? null : result;
  }

  /** Whether an order was applied since the last call. A worker that comes up later gets the newest order only. */
  #look(): boolean {
    const up = this.#squad.members.up.filter((member) => member.wanted);
    const slowest = Math.min(...up.map((member) => member.account!.revision));
    const before = this.#applied;
    while (this.#pending.length > 0 && this.#pending[0]!.orders <= slowest)
      this.#applied = this.#pending.shift()!.order;
    return this.#applied > before;
  }

  #changed(): void {
    if (!this.#is_closed) this.#on_change();
  }
}

interface SquadTrace {
  readonly lines: string[];
  before: number;
  is_over: boolean;
  end: () => void;
}
