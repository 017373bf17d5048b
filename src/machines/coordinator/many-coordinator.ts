/**
 * A coordinator of a swarm of many machines. Any number may run: each shows the swarm and takes commands, one of them
 * leads and writes the plan. What it is asked for goes into `desired` first, so that a leader's death loses no command.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../foundation/clock.ts';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { Refused } from '../../foundation/shape.ts';
import type { Command, Reply } from '../../grammar/command.ts';
import { read_summary } from '../../metrics/read-summary.ts';
import type { Summary } from '../../metrics/summary.ts';
import { Watchers } from '../../swarm/control/watchers.ts';
import type { Note } from '../../swarm/plan/account.ts';
import { err, ok } from '../../swarm/plan/answers.ts';
import type { Control } from '../../swarm/plan/control.ts';
import { index_within } from '../../swarm/plan/id-map.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { MAX_TRACE_S } from '../../swarm/plan/traces.ts';
import { HOOK_WITHIN_MS } from '../../swarm/squad/squad.ts';
import { Waits } from '../../swarm/squad/waits.ts';
import { read_parts, store_bundle, write_parts } from '../store/bundles.ts';
import {
  LATENCIES,
  plan_name,
  reassign_ms_of,
  RESULTS,
  to_text,
  type Bundle,
  type Desired,
  type RunHeader,
  type SwarmPlan,
  type TraceOrder,
} from '../store/documents.ts';
import { LeaseKeeper } from '../store/lease.ts';
import { LEADERS, Refusals } from '../store/refusals.ts';
import type { Entry, Store } from '../store/store.ts';
import {
  carry_out,
  first_desired,
  has_applied,
  set_trace,
  TRACE_LINES_WITHIN_MS,
  type Asking,
  type Facts,
} from './desired.ts';
import { first_plan, known_of, Leader, STOP_WITHIN_MS } from './leader.ts';
import { Picture } from './picture.ts';
import { DESIRED, PLAN, View } from './view.ts';

const TURN_MS = 100;
const WATCH_MS = 1000;
/** without news the leader thinks again after so long: silence and deadlines are no news */
const THINK_MS = 500;
const ACK_WITHIN_MS = 2000;
/** from then on the answer is that nobody knows */
const WRITE_WITHIN_MS = 10_000;
/** between two tries of a write that the engine did not take: one that is away says so at once */
const WRITE_AGAIN_MS = 200;
/** after the engine was found without its memory: not all agents are connected to it again at the same moment */
const NUDGES_MS = [0, 250, 500, 750];
const LEASE_TURNS = 20;
/** runs whose final summary stays */
const MAX_SUMMARIES = 50;
/** more plans than any coordinator can have missed */
const MISSED_PLANS = 1_000_000;

export interface ManyCoordinatorOptions {
  readonly store: Store;
  readonly timers: Clock;
  /** of this process, never used before */
  readonly id: string;
  readonly host: string;
  /** where its console listens, for people */
  readonly console: () => string;
  readonly lease_ms: number;
  readonly gather_ms: number;
  /** it changes nothing and never leads: its credentials would not let it */
  readonly only_looks: boolean;
  readonly max_connections: number | null;
  readonly max_connect_per_s: number | null;
  readonly versions: Summary['run']['versions'];
  readonly on_note: (worker: string, note: Note) => void;
}

export interface RunEnd {
  readonly summary: Summary;
  /** agents, and workers of agents (`agent/w1`) */
  readonly unconfirmed: readonly MemberId[];
  /** agents that may hold connections yet */
  readonly unsure: readonly MemberId[];
  readonly failed: string | null;
}

type Change = (desired: Desired, asking: Asking) => { readonly desired: Desired | null; readonly reply: Reply };

interface Tracing {
  readonly client: number;
  readonly on_line: (line: string | null) => void;
  /** ms of run time */
  readonly until_ms: number;
  /** lines shown of each incarnation */
  readonly seen: Map<string, number>;
  readonly end: () => void;
}

interface Answered {
  readonly reply: Reply;
  /** null: it changed nothing */
  readonly asking: Asking | null;
  /** of `desired` with it */
  readonly seq: number;
}

export class ManyCoordinator implements Control {
  readonly ended: Promise<RunEnd>;
  readonly #options: ManyCoordinatorOptions;
  readonly #timers: Clock;
  readonly #lease: LeaseKeeper;
  readonly #view: View;
  readonly #waits: Waits;
  readonly #watchers: Watchers;
  readonly #stops: (() => void)[] = [];
  readonly #notes_shown = new Map<string, number>();
  /** count of results when they were looked through last */
  #results_shown = -1;
  /** those asked for here, by token */
  readonly #traces = new Map<string, Tracing>();
  #bundle: Bundle | null = null;
  /** the run that this process plays; set once */
  #run: RunHeader | null = null;
  #leader: { readonly term: number; readonly leader: Leader } | null = null;
  /** what was known when there was nothing to change, and when */
  #thought = { news: -1, at: -Infinity };
  #seq = 0;
  #last_command: Promise<unknown> = Promise.resolve();
  #picture: Picture | null = null;
  #is_leading_turn = false;
  #planned_at = -Infinity;
  #is_lease_turn = false;
  #lease_turn_at = -Infinity;
  /** it means to begin a run */
  #is_candidate = false;
  #is_closed = false;
  #away_since: number | null = null;
  #final: Summary | null = null;
  #resolve_ended: (end: RunEnd) => void = () => {};

  constructor(options: ManyCoordinatorOptions) {
    this.#options = options;
    const { store, timers, id, host, lease_ms: ttl_ms } = options;
    this.#timers = timers;
    this.#waits = new Waits(() => timers.now());
    this.#watchers = new Watchers(options.on_note);
    const about = () => ({
      console: options.console(),
      host,
      run: this.#view.plan?.doc.run.id ?? null,
      run_ms: this.#view.run_ms,
      plan: this.#view.plan && plan_name(this.#view.plan.doc),
    });
    const knows_newest = (since: number): boolean | null => this.#knows_newest(since);
    this.#lease = new LeaseKeeper({ store, timers, id, ttl_ms, margin_ms: ttl_ms / 10, about, knows_newest });
    const changed = (): void => {
      this.#waits.poke();
      this.#follow();
    };
    const refusals = new Refusals((author, text) =>
      options.on_note(author === LEADERS ? 'coordinator' : author, { level: 'warn', text }),
    );
    this.#view = new View(store, timers, this.#lease, changed, refusals);
    this.ended = new Promise((resolve) => (this.#resolve_ended = resolve));
    this.#stops.push(timers.every(Math.min(TURN_MS, ttl_ms / LEASE_TURNS), () => void this.#lease_turn()));
    this.#stops.push(timers.every(TURN_MS, () => void this.#turn()));
    this.#stops.push(timers.every(WATCH_MS, () => this.#notify()));
  }

  /** this process leads */
  get leads(): boolean {
    return this.#lease.holds;
  }

  /**
   * The run of the store, once known: the plan of the moment.
   * @throws SwarmError `no_run` within `within_ms`, `bad_document` when what is stored cannot be read
   */
  async attach(within_ms: number): Promise<SwarmPlan> {
    const found = await this.#waits.until(() => this.#view.plan !== null && this.#view.desired !== null, within_ms);
    const plan = this.#view.plan?.doc;
    const refused = this.#view.refusals.of(LEADERS);
    if (!found && refused !== null) throw new SwarmError('bad_document', { what: refused });
    if (!found || !plan || plan.stage === 'ended') throw new SwarmError('no_run', {});
    return plan;
  }

  /** What it plays, read and checked by the caller. From now on it leads when nobody else does. */
  play(run: RunHeader, bundle: Bundle): void {
    this.#run = run;
    this.#bundle = bundle;
    this.#picture = new Picture(this.#view, this.#timers, this.#options.versions, run.id, bundle);
  }

  /**
   * Begins a new run.
   * @throws SwarmError `run_exists` when one is going on, `engine_lost` when its plan cannot be written
   */
  async start(run: RunHeader, bundle: Bundle, is_paused: boolean, within_ms: number): Promise<void> {
    const { timers } = this.#options;
    const deadline = timers.now() + within_ms;
    const refuse = (plan: SwarmPlan): never => {
      throw new SwarmError('run_exists', { run: plan.run.id, console: this.#lease.current?.console ?? 'unknown' });
    };
    // nobody asks again later: one answer that is late must not end it
    const read = (key: string): Promise<Entry | null> => this.#patiently(deadline, () => this.#view.read(key));
    await read(PLAN);
    this.#is_candidate = true;
    const others = (): SwarmPlan | null => {
      const plan = this.#view.plan?.doc;
      return plan && plan.stage !== 'ended' ? plan : null;
    };
    await this.#waits.until(() => this.#lease.holds || others() !== null, deadline - timers.now());
    if (others()) refuse(others()!);
    if (!this.#lease.holds) throw new SwarmError('engine_lost', { reason: 'no lease could be had' });
    await read(PLAN);
    await read(DESIRED);
    if (others()) refuse(others()!);
    const old = this.#view.plan;
    await this.#patiently(deadline, () => this.#clean(run));
    const desired = first_desired(run.id, bundle.run.connect_per_s, is_paused);
    const plan = first_plan(run, desired, this.#lease.term, `${this.#options.id}-epoch`, old?.doc ?? null);
    const { desired: before, spoiled } = this.#view;
    const desired_revision = spoiled.desired || (before?.revision ?? 0);
    const plan_revision = spoiled.plan || (old?.revision ?? 0);
    await this.#patiently(deadline, () => this.#write_first(DESIRED, desired, desired_revision));
    await this.#patiently(deadline, () => this.#write_first(PLAN, plan, plan_revision));
    this.#view.begin();
    this.play(run, bundle);
    this.#options.store.nudge(null);
  }

  /** Resolves when consoles may steer, or at the deadline: then they are told that the swarm is not ready. */
  async open(within_ms: number): Promise<void> {
    const stage = (): string => this.#view.plan?.doc.stage ?? 'gather';
    await this.#waits.until(() => stage() !== 'gather' && stage() !== 'setup', within_ms);
  }

  async apply(command: Command): Promise<Reply> {
    return await this.#apply((desired, asking) => carry_out(desired, command, asking, this.#facts()), command.op);
  }

  /** One command after the other. */
  async #apply(change: Change, op: Command['op'] | 'trace'): Promise<Reply> {
    if (this.#options.only_looks)
      return err('read_only', `the credentials of this console are for looking only: ${op} needs those of a leader`);
    const before = this.#last_command;
    const answered = (async (): Promise<Answered> => {
      await before;
      return await this.#carry_out(change, op);
    })().catch((error: unknown) => ({ reply: err('internal', reason_of(error)), asking: null, seq: 0 }));
    this.#last_command = answered;
    const { reply, asking, seq } = await answered;
    if (!reply.ok || asking === null) return reply;
    const late = await this.#acknowledged(seq);
    this.#notify();
    const desired = this.#view.desired?.doc;
    if (desired && !has_applied(desired, asking))
      return err('unknown', 'the engine lost it with its memory: look at the target, and ask again');
    return ok(`${reply.text}${late}`);
  }

  watch(listener: (summary: Summary) => void): () => void {
    return this.#watchers.add(listener);
  }

  summary(histograms = false): Summary {
    return this.#final ?? this.#picture!.summary({ histograms });
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.#picture!.next_interval();
  }

  async trace(
    id: number,
    for_seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const owner = (): string | undefined =>
      Object.entries(this.#view.plan?.doc.members ?? {}).find(([, { ids }]) => index_within(id, ids) !== null)?.[0];
    if (owner() === undefined && !this.#options.only_looks) return err('no_such_client', `no client has the id ${id}`);
    const token = randomBytes(8).toString('hex');
    const until_ms = (this.#view.run_ms ?? 0) + Math.min(for_seconds, MAX_TRACE_S) * 1000;
    const change = (trace: TraceOrder | null): Promise<Reply> =>
      this.#apply((desired, asking) => set_trace(desired, token, trace, asking), 'trace');
    const end = (): void => {
      if (this.#traces.delete(token)) on_line(null);
    };
    this.#traces.set(token, { client: id, on_line, until_ms, seen: new Map(), end });
    const reply = await change({ token, client: id, until_ms });
    if (!reply.ok) {
      this.#traces.delete(token);
      return reply;
    }
    const stop = (): void => {
      end();
      void change(null);
    };
    return { ...ok(`trace of client ${id} in ${owner() ?? 'no agent'}${reply.text}`), stop };
  }

  /** Ends this process' part; another coordinator may lead at once. */
  async close(): Promise<void> {
    if (this.#is_closed) return;
    this.#is_closed = true;
    for (const stop of this.#stops) stop();
    this.#view.close();
    await this.#lease.release();
  }

  async #lease_turn(): Promise<void> {
    const now = this.#timers.now();
    const is_due = now - this.#lease_turn_at >= this.#options.lease_ms / LEASE_TURNS;
    if (this.#is_lease_turn || (this.#lease.is_there && !is_due)) return;
    this.#is_lease_turn = true;
    this.#lease_turn_at = now;
    try {
      const is_playing = this.#run !== null && this.#final === null;
      const { losses } = this.#lease;
      await this.#lease.turn(this.#is_candidate || (is_playing && !this.#options.only_looks));
      if (this.#lease.losses > losses) this.#hear_of_loss();
    } finally {
      this.#is_lease_turn = false;
      this.#waits.poke();
    }
  }

  /** The engine lost its memory: agents shall say at once what they hold, and until when the engine answered them. */
  #hear_of_loss(): void {
    this.#view.hurry();
    for (const wait_ms of NUDGES_MS)
      void this.#waits.until(() => this.#is_closed, wait_ms).then(() => this.#options.store.nudge(null));
  }

  /**
   * See {@link LeaseOptions.knows_newest}: agents of a later plan than this process knows were told it by another
   * leader.
   */
  #knows_newest(since: number): boolean | null {
    const plan = this.#view.plan?.doc;
    if (!plan) return null;
    const heard = [...this.#view.members].filter(([, { heard_at }]) => heard_at >= since);
    if (heard.some(([, { doc }]) => doc.ready === plan.run.id && doc.accepted > plan.revision)) return false;
    return Object.keys(plan.members).every((id) => heard.some(([other]) => other === id)) ? true : null;
  }

  async #turn(): Promise<void> {
    if (this.#is_leading_turn || this.#is_closed) return;
    this.#is_leading_turn = true;
    try {
      this.#say_away(await this.#view.look());
      this.#show_notes();
      this.#show_traces();
      if (this.#run !== null) {
        await this.#lead();
        await this.#see_end();
      }
    } catch (error) {
      this.#options.on_note('coordinator', { level: 'error', text: reason_of(error) });
    } finally {
      this.#is_leading_turn = false;
      this.#waits.poke();
    }
  }

  /** A command need not wait for the next turn, if it came alone. */
  #follow(): void {
    const [plan, desired] = [this.#view.plan?.doc, this.#view.desired?.doc];
    const is_behind = plan !== undefined && desired !== undefined && plan.desired < desired.seq;
    if (is_behind && this.leads && this.#timers.now() - this.#planned_at >= TURN_MS / 2) void this.#turn();
  }

  async #lead(): Promise<void> {
    const { term } = this.#lease;
    const [plan, desired, run_ms] = [this.#view.plan, this.#view.desired, this.#view.run_ms];
    if (term === 0 || !plan || !desired || run_ms === null || plan.doc.run.id !== this.#run!.id) return;
    const { is_wiped, spoiled } = this.#view;
    if (is_wiped || spoiled.plan || spoiled.desired) return await this.#seed(plan.doc, term);
    if (this.#leader?.term !== term) {
      // what dead agents measured is told by nobody again
      await this.#view.read_results();
      const { gather_ms } = this.#options;
      const { has_setup, has_teardown, run } = this.#bundle!;
      const bundle = { has_setup, has_teardown, drain_timeout_ms: run.drain_timeout_ms };
      this.#thought = { news: -1, at: -Infinity };
      this.#leader = { term, leader: new Leader({ term, gather_ms, bundle }) };
      this.#options.on_note('coordinator', { level: 'info', text: `this coordinator leads (term ${term})` });
    }
    const now = this.#timers.now();
    const { news } = this.#view;
    if (news === this.#thought.news && now - this.#thought.at < THINK_MS && !this.#is_someone_due(plan.doc)) return;
    const next = this.#leader.leader.next(plan.doc, {
      desired: desired.doc,
      agents: known_of(this.#view.members, now),
      results: (agent, incarnation) => this.#view.results_of(agent, incarnation),
      silent_ms: (agent, incarnation) => this.#view.silent_ms(agent, incarnation),
      now,
      run_ms,
      wall_ms: this.#timers.wall(),
    });
    if (!next) return void (this.#thought = { news, at: now });
    if (next.stage === 'ended') {
      await this.#view.read_results();
      await this.#store_summary(next);
    }
    // what was decided counts only while nobody else can lead
    if (this.#lease.term !== term) return;
    await this.#write_plan(next, plan.revision);
  }

  /** A member has been silent for so long that its share goes to others. */
  #is_someone_due({ members, run }: SwarmPlan): boolean {
    const reassign_ms = reassign_ms_of(run);
    return Object.entries(members).some(
      ([id, { incarnation }]) => this.#view.silent_ms(id, incarnation) >= reassign_ms,
    );
  }

  async #write_plan(next: SwarmPlan, revision: number): Promise<void> {
    this.#planned_at = this.#timers.now();
    const text = to_text(next);
    const written = await this.#options.store.put(PLAN, text, revision);
    if (written.outcome === 'done') {
      this.#view.wrote(PLAN, text, written.revision);
      this.#tell_agents(next);
    } else {
      // refused or unknown: what is there decides, the next turn goes on from it
      await this.#view.read(PLAN).catch(() => null);
      this.#options.store.nudge(null);
    }
  }

  /**
   * To each its own part of a plan that is stored: hundreds that all read all of it would keep the engine busy for a
   * second.
   */
  #tell_agents(plan: SwarmPlan): void {
    const { store } = this.#options;
    const value = plan.shared?.value;
    const shared = plan.shared && { value: value === undefined ? undefined : JSON.parse(to_text(value)) };
    for (const [id, entry] of Object.entries(plan.members)) {
      const departed = plan.departed.filter(({ agent }) => agent === id);
      const own: SwarmPlan = { ...plan, shared, members: { [id]: entry }, departed, free_ids: [], unconfirmed: [] };
      store.nudge(id, JSON.stringify(own));
    }
    // who has no part looks by itself
    for (const id of this.#view.members.keys()) if (!(id in plan.members)) store.nudge(id);
  }

  /** The engine lost its memory, or somebody wrote there what nobody can read: this process knows what was there. */
  async #seed(plan: SwarmPlan, term: number): Promise<void> {
    const desired = this.#view.desired!;
    const { is_wiped, spoiled } = this.#view;
    const lost = is_wiped ? 'the engine lost what it had stored' : 'somebody wrote over it what cannot be read';
    this.#options.on_note('coordinator', { level: 'warn', text: `${lost}: written anew` });
    const epoch = `${this.#options.id}-${term}-${plan.revision}`;
    // agents may know later plans than this process: none may take this one for an old one, and all must say what they
    // hold
    const accepted = [...this.#view.members.values()].map(({ doc }) => doc.accepted);
    const revision = Math.max(plan.revision, ...accepted) + MISSED_PLANS;
    const members = Object.fromEntries(
      Object.entries(plan.members).map(([id, entry]) => {
        // what one that is dead said of itself is lost: its next incarnation must find it here
        const place = this.#view.place_of(id, entry.incarnation);
        return [id, { ...entry, since: revision, ...(place && { place }) }];
      }),
    );
    const run_ms = this.#view.run_ms ?? plan.run_ms;
    const anew: SwarmPlan = { ...plan, epoch, term, revision, seeded: revision, run_ms, members };
    const { store } = this.#options;
    await store_bundle(store, anew.run, this.#bundle!);
    for (const { key, text } of this.#view.left_results()) await store.put(key, text, 0);
    const wrote = await store.put(DESIRED, desired.text, spoiled.desired);
    if (wrote.outcome === 'unknown') return;
    if (wrote.outcome === 'done') this.#view.wrote(DESIRED, desired.text, wrote.revision);
    else await this.#view.read(DESIRED);
    if (this.#lease.term !== term) return;
    const text = to_text(anew);
    const written = await store.put(PLAN, text, is_wiped ? 0 : spoiled.plan || this.#view.plan!.revision);
    if (written.outcome === 'unknown') return;
    if (written.outcome === 'done') this.#view.wrote(PLAN, text, written.revision);
    else await this.#view.read(PLAN);
    this.#view.is_wiped = false;
    store.nudge(null);
  }

  /** Removes what earlier runs left, but for the newest summaries. */
  async #clean(run: RunHeader): Promise<void> {
    const { store } = this.#options;
    const keys = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key);
    const summaries = await keys('summary.');
    const runs = [...new Set(summaries.map((key) => key.split('.')[1]!))].sort().slice(0, -MAX_SUMMARIES);
    const old = summaries.filter((key) => runs.includes(key.split('.')[1]!));
    const bundles = (await keys('bundle.')).filter((key) => !key.startsWith(`bundle.${run.bundle_sha256}.`));
    for (const key of [...old, ...bundles, ...(await keys(RESULTS)), ...(await keys(LATENCIES))])
      await store.remove(key);
  }

  async #write_first(key: string, document: unknown, revision: number): Promise<void> {
    const text = to_text(document);
    const written = await this.#options.store.put(key, text, revision);
    if (written.outcome === 'done') return this.#view.wrote(key, text, written.revision);
    const entry = await this.#view.read(key).catch(() => null);
    if (entry?.text === text) return;
    if (written.outcome === 'unknown') throw new Error(written.reason);
    throw new SwarmError('engine_lost', { reason: `somebody else wrote ${key}` });
  }

  /** Asks again whoever did not answer, until the deadline. @throws SwarmError `engine_lost` */
  async #patiently<T>(deadline: number, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof SwarmError) throw error;
        const is_over = this.#is_closed || this.#timers.now() >= deadline;
        if (is_over) throw new SwarmError('engine_lost', { reason: reason_of(error) }, error);
        await this.#waits.until(() => false, WRITE_AGAIN_MS);
      }
    }
  }

  async #carry_out(change: Change, op: Command['op'] | 'trace'): Promise<Answered> {
    const { store } = this.#options;
    const stage = this.#view.plan?.doc.stage;
    if (this.#final) return { reply: err('stopping', 'the swarm has ended'), asking: null, seq: 0 };
    if (stage === 'gather' && op !== 'stop')
      return { reply: err('not_ready', 'the swarm is not ready: it waits for its agents'), asking: null, seq: 0 };
    const asking: Asking = {
      session: this.#options.id,
      seq: ++this.#seq,
      run_ms: this.#view.run_ms ?? 0,
      wall_ms: this.#timers.wall(),
    };
    const deadline = this.#timers.now() + WRITE_WITHIN_MS;
    let tried = null as { reply: Reply; text: string; seq: number; revision: number } | null;
    while (this.#timers.now() < deadline && !this.#is_closed) {
      // another console was first, nobody knows, or the engine lost its memory and counts revisions anew: what is
      // stored now says
      // or somebody wrote there what cannot be read, and the leader has yet to write it anew
      if (!(await this.#view.read(DESIRED).catch(() => null)) || this.#view.spoiled.desired > 0) {
        await this.#waits.until(() => false, WRITE_AGAIN_MS);
        continue;
      }
      const desired = this.#view.desired;
      if (!desired) break;
      if (tried && has_applied(desired.doc, asking)) return { reply: tried.reply, asking, seq: desired.doc.seq };
      // the same again while nothing is known to have come between: the first one may be on its way yet
      if (tried?.revision !== desired.revision) {
        const { desired: next, reply } = change(desired.doc, asking);
        if (!next) return { reply, asking: null, seq: 0 };
        tried = { reply, text: to_text(next), seq: next.seq, revision: desired.revision };
      }
      const written = await store.put(DESIRED, tried.text, tried.revision);
      if (written.outcome === 'done') {
        this.#view.wrote(DESIRED, tried.text, written.revision);
        this.#follow();
        return { reply: tried.reply, asking, seq: tried.seq };
      }
      if (written.outcome === 'unknown') await this.#waits.until(() => false, WRITE_AGAIN_MS);
    }
    const away =
      this.#away_since === null ? '' : ` for ${Math.round((this.#timers.now() - this.#away_since) / 1000)} s`;
    const reply = tried
      ? err(
          'unknown',
          `the engine does not answer${away}: not known whether it was applied, look at the target when it is back`,
        )
      : err('engine_away', `the engine does not answer${away}: nothing was changed, try again when it is back`);
    return { reply, asking: null, seq: 0 };
  }

  /** Waits until all agents applied what became of `desired` number `seq`, 2 s at most; says who did not. */
  async #acknowledged(seq: number): Promise<string> {
    const planned = (): SwarmPlan | null => {
      const plan = this.#view.plan?.doc;
      return plan && plan.desired >= seq ? plan : null;
    };
    const start = this.#timers.now();
    let revision: number | null = null;
    const is_late = (id: string): boolean =>
      this.#picture!.answers(id) && this.#view.members.get(id)!.doc.applied < revision!;
    /** asked at each word of each agent: who was in time once is not looked at again */
    let open: string[] = [];
    const is_done = (): boolean => {
      const plan = planned();
      if (!plan) return false;
      if (revision === null) open = Object.keys(plan.members);
      revision ??= plan.revision;
      while (open.length > 0 && !is_late(open.at(-1)!)) open.pop();
      return open.length === 0;
    };
    await this.#waits.until(is_done, ACK_WITHIN_MS);
    const plan = planned();
    const leader = this.#lease.current;
    if (!plan) return `, not planned yet: ${leader ? `the leader (${leader.host}) is silent` : 'nobody leads'}`;
    const all = Object.keys(plan.members);
    if (all.length === 0) return ', but no agent is here';
    const missing = all.filter((id) => is_late(id) || !this.#picture!.answers(id));
    if (missing.length === 0) return '';
    const named = missing.slice(0, 5).map((id) => {
      const silent_s = Math.round((this.#timers.now() - (this.#view.members.get(id)?.heard_at ?? start)) / 1000);
      return silent_s < 2 ? `${id} is at it` : `${id} silent ${silent_s} s`;
    });
    if (missing.length > 5) named.push(`and ${missing.length - 5} more`);
    return `, ${all.length - missing.length} of ${all.length} agents acknowledged (${named.join(', ')})`;
  }

  #facts(): Facts {
    const { members } = this.#view;
    const { max_connections, max_connect_per_s } = this.#options;
    const { has_teardown } = this.#bundle!;
    const run = this.#run?.id ?? '';
    const here = [...members].filter(([id, { doc }]) => doc.ready === run && this.#picture!.health(id) !== 'lost');
    const fatal = here.reduce((all, [, { doc }]) => all + doc.states.fatal, 0);
    return {
      capacity: here.reduce((all, [, { doc }]) => all + doc.capacity, 0),
      agents: here.map(([id]) => id),
      // the one that holds the share, if another one has come that cannot say whether that is dead
      incarnation: (agent) =>
        this.#view.plan?.doc.members[agent]?.incarnation ?? members.get(agent)?.doc.incarnation ?? null,
      has_label: (label) => here.some(([, { doc }]) => doc.labels.includes(label)),
      fatal,
      stop_ms: this.#bundle!.run.drain_timeout_ms + STOP_WITHIN_MS,
      teardown_ms: has_teardown && this.#view.plan?.doc.shared ? HOOK_WITHIN_MS : null,
      max_connections,
      max_connect_per_s,
    };
  }

  async #see_end(): Promise<void> {
    const plan = this.#view.plan?.doc;
    if (this.#final || plan?.run.id !== this.#run!.id || plan.stage !== 'ended') return;
    const text = await read_parts(this.#options.store, `summary.${plan.run.id}`);
    const stored = text === null ? null : read_summary(text);
    if (stored instanceof Refused) this.#view.refusals.note(LEADERS, 'the final summary', stored.why);
    const is_there = stored !== null && !(stored instanceof Refused);
    this.#final = is_there ? stored : this.#picture!.summary({ final: true, histograms: true });
    this.#notify();
    const unsure = [...new Set(this.#picture!.unsure().map(({ agent }) => agent))];
    const unconfirmed = [...plan.unconfirmed, ...this.#picture!.killed_at_end(plan)];
    this.#resolve_ended({ summary: this.#final, unconfirmed, unsure, failed: plan.failed });
  }

  async #store_summary(plan: SwarmPlan): Promise<void> {
    const summary = this.#picture!.summary({ final: true, histograms: true }, plan);
    await write_parts(this.#options.store, `summary.${plan.run.id}`, to_text(summary));
  }

  #say_away(answered: boolean): void {
    const now = this.#timers.now();
    if (answered && this.#away_since !== null) {
      const seconds = Math.round((now - this.#away_since) / 1000);
      this.#options.on_note('engine', { level: 'info', text: `the engine answers again, after ${seconds} s` });
      this.#away_since = null;
    } else if (!answered && this.#away_since === null) {
      this.#away_since = this.#view.answered_at ?? now;
      const at = new Date(this.#timers.wall() - (now - this.#away_since)).toISOString();
      this.#options.on_note('engine', {
        level: 'warn',
        text: `the engine does not answer since ${at}: the load goes on as it is`,
      });
    }
  }

  #show_notes(): void {
    if (this.#view.heard_results === this.#results_shown) return;
    this.#results_shown = this.#view.heard_results;
    for (const { agent, incarnation, results } of this.#view.results(this.#run?.id ?? '')) {
      const key = `${agent}.${incarnation}`;
      const shown = this.#notes_shown.get(key) ?? 0;
      for (const note of results.notes) if (note.n > shown) this.#options.on_note(`${agent}/${note.worker}`, note);
      const last = results.notes.at(-1)?.n ?? 0;
      if (last > shown) this.#notes_shown.set(key, last);
    }
  }

  /** What agents told of the traces that were asked for here; a while after its time each ends. */
  #show_traces(): void {
    if (this.#traces.size === 0) return;
    for (const { agent, incarnation, results } of this.#view.results(this.#run?.id ?? '')) {
      for (const { token, lines, before, is_over } of results.traces) {
        const trace = this.#traces.get(token);
        // the tokens of all are known to all agents
        const { ids = [] } = this.#view.plan?.doc.members[agent] ?? {};
        if (!trace || index_within(trace.client, ids) === null) continue;
        const seen = trace.seen.get(`${agent}.${incarnation}`) ?? 0;
        if (before > seen) trace.on_line(`${before - seen} lines were not kept`);
        for (const line of lines.slice(Math.max(0, seen - before))) trace.on_line(line);
        trace.seen.set(`${agent}.${incarnation}`, before + lines.length);
        if (is_over) trace.end();
      }
    }
    const over_ms = (this.#view.run_ms ?? Infinity) - TRACE_LINES_WITHIN_MS;
    for (const { until_ms, end } of [...this.#traces.values()]) if (this.#final || until_ms <= over_ms) end();
  }

  #notify(): void {
    if (!this.#bundle || !this.#view.plan) return;
    this.#picture!.sample();
    this.#watchers.notify(() => this.summary());
  }
}
