/** The workers of an agent: one share of a swarm of many machines, held as ordered and reported as if one member held it. */
import { SwarmError } from '../../foundation/errors.ts';
import { merge_snapshots, type Dead } from '../../metrics/merge-snapshots.ts';
import type { Snapshot } from '../../metrics/snapshot.ts';
import type { WorkerSummary } from '../../metrics/summary.ts';
import type { HookResult } from '../plan/account.ts';
import { ids_within, index_within } from '../plan/id-map.ts';
import type { IdRange, Orders } from '../plan/orders.ts';
import { to_machine_ms } from '../plan/permit.ts';
import type { MemberId, RunSpec } from '../plan/run-spec.ts';
import { MAX_TRACE_LINES } from '../plan/traces.ts';
import { Squad, type SquadOptions } from './squad.ts';

/** Orders that wait to be applied; beyond it the oldest is forgotten, and is applied with the next one. */
const MAX_PENDING = 64;
/** of each worker: the first may have been anything */
const DEATHS_AT_LOADING = 2;

/** What an agent is ordered, absolute; the newest revision wins. */
export interface SquadOrder {
  /** > 0 */
  readonly revision: number;
  readonly phase: Orders['phase'];
  /**
   * With `shared`; connect_per_s is this agent's part; which worker runs a hook is the squad's affair. Servers, sources, script and module
   * are those that the squad was made with.
   */
  readonly run: RunSpec;
  /** planned now */
  readonly clients: number;
  /** at the end of a ramp: ids and workers are made ready for it */
  readonly target: number;
  /** all ids this agent owns; grows only, as `Ids.of` does */
  readonly ids: readonly IdRange[];
  readonly graceful: boolean;
  readonly retry_fatal: number;
  /** one of the workers shall run the module's hook; that happens once */
  readonly setup: boolean;
  readonly teardown: boolean;
  /** clients whose bytes somebody wants to see, by token; until: ms of this process' clock */
  readonly traces: readonly { readonly token: string; readonly client: number; readonly until: number }[];
}

/** What a trace has shown so far: the newest lines, at most 200. */
export interface TraceLines {
  readonly token: string;
  readonly lines: readonly string[];
  /** lines before the first of these */
  readonly before: number;
  /** no more will come */
  readonly is_over: boolean;
}

/** What an agent reports. */
export interface SquadAccount {
  /** the newest order that all workers that are up have applied, 0 before the first */
  readonly applied: number;
  readonly capacity: number;
  readonly capacity_why: string;
  /**
   * So many ids its workers were dealt. More than it ever had clients when workers were given up or come anew: clients wait for ids until
   * it owns as many.
   */
  readonly ids_wanted: number;
  /** of the living, with the peaks of them all together */
  readonly snapshot: Snapshot;
  readonly dead: Dead;
  readonly workers: readonly WorkerSummary[];
  /** of those in the newest order */
  readonly traces: readonly TraceLines[];
  readonly setup: HookResult | null;
  readonly teardown: HookResult | null;
  readonly live: number;
  readonly open: number;
  /** the most its workers could be running now */
  readonly may: number;
  /** workers that did not answer when everything was to end, and were killed */
  readonly killed_at_end: readonly MemberId[];
}

export class OrderedSquad {
  readonly #squad: Squad;
  readonly #hub: SquadOptions['hub'];
  readonly #clock: SquadOptions['clock'];
  #on_change: () => void = () => {};
  /** the newest order taken, and the newest that was applied */
  #ordered = 0;
  #applied = 0;
  /** orders not applied yet, each with the revision of its plan */
  readonly #pending: { readonly order: number; readonly orders: number }[] = [];
  readonly #hooks: Record<'setup' | 'teardown', HookResult | 'running' | null> = { setup: null, teardown: null };
  readonly #traces = new Map<string, SquadTrace>();
  #is_closed = false;

  constructor(options: SquadOptions) {
    this.#clock = options.clock;
    this.#hub = options.hub;
    this.#squad = new Squad(options);
    this.#squad.listen((event) => {
      const is_applied = this.#look();
      if (is_applied || event === 'death') this.#changed();
    });
  }

  /** `f` is called when an order became applied, a worker died or a hook ended; not any more once it closes. */
  on_change(f: () => void): void {
    this.#on_change = f;
  }

  /**
   * Resolves when the workers have said hello, and the module can be loaded.
   * @throws SwarmError `workers_missing` after `within_ms`, or as soon as all are given up or keep dying of the module
   */
  async ready(within_ms: number): Promise<void> {
    const start = this.#clock.now();
    await this.#squad.ready(within_ms);
    await this.#load(start + within_ms - this.#clock.now());
  }

  /** Whether the module can be loaded on this machine: one worker that has done so is enough, all that died of it twice are as well. */
  async #load(within_ms: number): Promise<void> {
    const { planner, members, waits } = this.#squad;
    const { length } = members.shown;
    planner.replan(true);
    const { revision } = planner;
    const has_loaded = (): boolean => members.up.some((member) => member.wanted && member.has_applied(revision));
    const died = () => members.dead.snapshot.errors['worker_died'];
    const is_hopeless = (): boolean =>
      this.#is_closed || this.#squad.is_all_out || (died()?.count ?? 0) >= DEATHS_AT_LOADING * length;
    await waits.until(() => has_loaded() || is_hopeless(), within_ms);
    if (has_loaded()) return;
    const reason = died()?.last ?? 'no worker has loaded the module in time';
    throw new SwarmError('workers_missing', { reason: `none of ${length} can load the module: ${reason}` });
  }

  /** Carries out an order, unless it or a newer one came before. */
  order(order: SquadOrder): void {
    if (order.revision <= this.#ordered || this.#is_closed) return;
    this.#ordered = order.revision;
    const { planner } = this.#squad;
    const { setup_by, teardown_by } = planner.run;
    planner.run = { ...order.run, setup_by, teardown_by };
    planner.phase = order.phase;
    planner.graceful = order.graceful;
    planner.retry_fatal(order.retry_fatal);
    planner.to_ids = (dealt) => ids_within(dealt, order.ids);
    planner.hold(order.clients, order.target);
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

  /** Lets the workers go on by themselves until then, ms of this process' clock, see Permit. */
  permit(until: number): void {
    this.#hub.permit?.(to_machine_ms(until));
  }

  /** Has the workers report now. */
  refresh(): void {
    this.#hub.refresh?.();
  }

  account(): SquadAccount {
    const { members, planner, room } = this.#squad;
    const { snapshots, dead, peaks, shown, up } = members;
    const merged = merge_snapshots(snapshots);
    const now = this.#clock.now();
    return {
      applied: this.#applied,
      capacity: room.capacity,
      capacity_why: room.why,
      ids_wanted: planner.ids.highest,
      snapshot: {
        ...merged,
        clients: { ...merged.clients, peak: peaks.live },
        connections: { ...merged.connections, open_peak: peaks.open },
      },
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
      may: members.all.reduce((all, { outstanding }) => all + outstanding.may, 0),
      killed_at_end: this.#squad.killed_at_end,
    };
  }

  /** Ends the workers, see {@link Squad.close}. A report after it shows no gauges, what was lost, and every order as applied. */
  async close(deadline_ms: number): Promise<MemberId[]> {
    this.#is_closed = true;
    const late = await this.#squad.close(deadline_ms);
    this.#look();
    return late;
  }

  /** A client is traced by the worker that has its id at that moment. False: nothing changed. */
  #follow_traces({ traces: wanted, ids }: SquadOrder): boolean {
    const { traces, planner } = this.#squad;
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
      const index = index_within(client, ids);
      const member = index === null ? null : planner.owner(index);
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

  /** Has an order been applied since the last look? A process that comes up later follows the newest, and takes nothing back. */
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
