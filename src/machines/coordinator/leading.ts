/**
 * Leading a swarm of many machines: whoever holds the lease writes the plan, from the first of a run to its end. All
 * coordinators try to, but those that only look.
 */
import type { Clock } from '../../foundation/clock.ts';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { Refused } from '../../foundation/shape.ts';
import { map_groups } from '../../metrics/groups.ts';
import { read_summary } from '../../metrics/read-summary.ts';
import type { Summary } from '../../metrics/summary.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { NamedSharing } from '../../swarm/plan/intent.ts';
import { groups_in_run } from '../../swarm/plan/rated-actions.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { Waits } from '../../swarm/squad/waits.ts';
import { read_parts, remove_old_runs, store_bundle, write_parts } from '../store/bundles.ts';
import {
  reassign_ms_of,
  plan_text,
  to_text,
  type Bundle,
  type Desired,
  type RunHeader,
  type SwarmPlan,
} from '../store/documents.ts';
import type { LeaseKeeper } from '../store/lease.ts';
import { LEADERS } from '../store/refusals.ts';
import type { Entry, Store } from '../store/store.ts';
import { decided, first_desired } from './desired.ts';
import { first_plan, known_of, Leader, plan_from_memory } from './leader.ts';
import { LoadWait } from './load-wait.ts';
import type { PlayedRun } from './picture.ts';
import type { Showing } from './showing.ts';
import { DESIRED, PLAN, type View } from './view.ts';

/** How often a coordinator looks whether there is anything to do. */
export const TURN_MS = 100;
/** between two tries of a write that the engine did not take: one that is away says so at once */
export const WRITE_AGAIN_MS = 200;
/** without news the leader thinks again after so long: silence and deadlines are no news */
const THINK_MS = 500;
/** after the engine was found without its memory: not all agents are connected to it again at the same moment */
const NUDGES_MS = [0, 250, 500, 750];
const LEASE_TURNS = 20;

/** What {@link Leading} needs of its process. */
export interface LeadingOptions {
  readonly store: Store;
  readonly timers: Clock;
  /** of this process, never used before */
  readonly id: string;
  readonly lease_ms: number;
  readonly gather_ms: number;
  /** it never leads: its credentials would not let it */
  readonly only_looks: boolean;
  readonly on_note: (worker: string, note: Note) => void;
}

/** How a run ended. */
export interface RunEnd {
  readonly summary: Summary;
  /** agents, and workers of agents (`agent/w1`) */
  readonly unconfirmed: readonly MemberId[];
  /** agents that may hold connections yet */
  readonly unsure: readonly MemberId[];
  readonly failed: string | null;
}

/** Renews the lease by itself; the plan is written in {@link Leading.turn}. */
export class Leading {
  readonly ended: Promise<RunEnd>;
  readonly #options: LeadingOptions;
  readonly #lease: LeaseKeeper;
  readonly #view: View;
  readonly #waits: Waits;
  readonly #showing: Showing;
  readonly #stop: () => void;
  /** set once */
  #played: PlayedRun | null = null;
  #leader: { readonly term: number; readonly leader: Leader } | null = null;
  #wait: LoadWait | null = null;
  /** what was known when there was nothing to change, and when */
  #thought = { news: -1, at: -Infinity };
  #planned_at = -Infinity;
  #is_lease_turn = false;
  #lease_turn_at = -Infinity;
  /** it means to begin a run */
  #is_candidate = false;
  #is_over = false;
  #is_closed = false;
  #resolve_ended: (end: RunEnd) => void = () => {};

  constructor(options: LeadingOptions, lease: LeaseKeeper, view: View, waits: Waits, showing: Showing) {
    this.#options = options;
    this.#lease = lease;
    this.#view = view;
    this.#waits = waits;
    this.#showing = showing;
    this.ended = new Promise((resolve) => (this.#resolve_ended = resolve));
    const turn_ms = Math.min(TURN_MS, options.lease_ms / LEASE_TURNS);
    this.#stop = options.timers.every(turn_ms, () => void this.#lease_turn());
  }

  /** of whoever leads, as far as is known; null: nobody does */
  get host(): string | null {
    return this.#lease.current?.host ?? null;
  }

  /** This process does. */
  get leads(): boolean {
    return this.#lease.holds;
  }

  /** The run has ended. */
  get is_over(): boolean {
    return this.#is_over;
  }

  /** There is a command that the plan does not follow yet, and it came alone: it need not wait for the next turn. */
  get is_due(): boolean {
    const [plan, desired] = [this.#view.plan?.doc, this.#view.desired?.doc];
    const is_behind = plan !== undefined && desired !== undefined && plan.desired < desired.seq;
    return is_behind && this.#lease.holds && this.#options.timers.now() - this.#planned_at >= TURN_MS / 2;
  }

  /** From now on it leads when nobody else does. */
  play(played: PlayedRun): void {
    this.#played = played;
  }

  /**
   * Writes the first plan of a new run.
   * @throws SwarmError `run_exists` when one is going on, `engine_lost` when its plan cannot be written
   */
  async start(
    run: RunHeader,
    groups: readonly NamedSharing[],
    connect_per_s: number,
    is_paused: boolean,
    within_ms: number,
  ): Promise<void> {
    const { store, timers, id } = this.#options;
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
    if (!this.#lease.holds) throw new SwarmError('engine_lost', { reason: 'it could not become the leader in time' });
    await read(PLAN);
    await read(DESIRED);
    if (others()) refuse(others()!);
    const old = this.#view.plan;
    await this.#patiently(deadline, () => remove_old_runs(store, run));
    const desired = first_desired(run.id, connect_per_s, is_paused);
    const epoch = `${id}-epoch`;
    const plan = first_plan(run, desired, this.#lease.term, epoch, old?.doc ?? null, groups);
    const { desired: before, spoiled } = this.#view;
    const desired_revision = spoiled.desired || (before?.revision ?? 0);
    const plan_revision = spoiled.plan || (old?.revision ?? 0);
    await this.#patiently(deadline, () => this.#write_first(DESIRED, desired, desired_revision));
    await this.#patiently(deadline, () => this.#write_first(PLAN, plan, plan_revision));
    this.#view.begin();
  }

  /** Writes the next plan if this process leads, and sees whether the run has ended. */
  async turn(): Promise<void> {
    if (this.#played === null) return;
    await this.#lead(this.#played);
    await this.#see_end(this.#played);
  }

  /** Another coordinator may lead at once. */
  async close(): Promise<void> {
    this.#is_closed = true;
    this.#stop();
    await this.#lease.release();
  }

  async #lease_turn(): Promise<void> {
    const now = this.#options.timers.now();
    const is_due = now - this.#lease_turn_at >= this.#options.lease_ms / LEASE_TURNS;
    if (this.#is_lease_turn || (this.#lease.is_there && !is_due)) return;
    this.#is_lease_turn = true;
    this.#lease_turn_at = now;
    try {
      const is_playing = this.#played !== null && !this.#is_over;
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

  async #lead({ run, bundle, picture }: PlayedRun): Promise<void> {
    const { store, timers, gather_ms, on_note } = this.#options;
    const { term } = this.#lease;
    const [plan, desired, run_ms] = [this.#view.plan, this.#view.desired, this.#view.run_ms];
    if (term === 0 || !plan || !desired || run_ms === null || plan.doc.run.id !== run.id) return;
    const { is_wiped, spoiled } = this.#view;
    if (is_wiped || spoiled.plan || spoiled.desired) return await this.#seed(plan.doc, bundle, term);
    if (this.#leader?.term !== term) {
      // what dead agents measured is told by nobody again
      await this.#view.read_results();
      const { has_setup, has_teardown } = bundle;
      const { drain_timeout_ms } = bundle.run.how;
      const groups = groups_in_run(bundle.run.what);
      this.#thought = { news: -1, at: -Infinity };
      const options = { term, gather_ms, groups, bundle: { has_setup, has_teardown, drain_timeout_ms } };
      const leader = new Leader(options);
      this.#leader = { term, leader };
      this.#wait = new LoadWait(groups);
      on_note('coordinator', { level: 'info', text: `this coordinator leads (term ${term})` });
    }
    const now = timers.now();
    const why = this.#wait!.judge(desired.doc, run_ms, now, () => picture.reached());
    if (why !== null && plan.doc.stage === 'open')
      return await this.#decide(decided(desired.doc, why, groups_in_run(bundle.run.what), run_ms), desired.revision);
    const { news } = this.#view;
    if (news === this.#thought.news && now - this.#thought.at < THINK_MS && !this.#is_someone_due(plan.doc)) return;
    const next = this.#leader.leader.next(plan.doc, {
      desired: desired.doc,
      agents: known_of(this.#view.members, now),
      results: (agent, incarnation) => this.#view.results_of(agent, incarnation),
      silent_ms: (agent, incarnation) => this.#view.silent_ms(agent, incarnation),
      now,
      run_ms,
      wall_ms: timers.wall(),
    });
    if (!next) return void (this.#thought = { news, at: now });
    if (next.stage === 'ended') {
      await this.#view.read_results();
      const summary = this.#showing.checked(picture.summary({ final: true, histograms: true }, next));
      await write_parts(store, `summary.${run.id}`, to_text(summary));
    }
    // what was decided counts only while nobody else can lead
    if (this.#lease.term !== term) return;
    await this.#write_plan(next, plan.revision);
  }

  /** A wait of the load is over, or cannot be met. If that cannot be written now, it is tried again. */
  async #decide(next: Desired, revision: number): Promise<void> {
    const { store } = this.#options;
    const text = to_text(next);
    const written = await store.put(DESIRED, text, revision);
    if (written.outcome === 'done') this.#view.wrote(DESIRED, text, written.revision);
    else await this.#view.read(DESIRED).catch(() => null);
  }

  /** A member has been silent for so long that its share goes to others. */
  #is_someone_due({ members, run }: SwarmPlan): boolean {
    const reassign_ms = reassign_ms_of(run);
    return Object.entries(members).some(
      ([id, { incarnation }]) => this.#view.silent_ms(id, incarnation) >= reassign_ms,
    );
  }

  async #write_plan(next: SwarmPlan, revision: number): Promise<void> {
    const { store, timers } = this.#options;
    this.#planned_at = timers.now();
    const text = plan_text(next);
    const written = await store.put(PLAN, text, revision);
    if (written.outcome === 'done') {
      this.#view.wrote(PLAN, text, written.revision);
      this.#tell_agents(next);
    } else {
      // refused or unknown: what is there decides, the next turn goes on from it
      await this.#view.read(PLAN).catch(() => null);
      store.nudge(null);
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
      const slots = map_groups(plan.slots, (all) => {
        const held = all.held.filter(({ owner }) => owner === id);
        return { ...all, held, free: [], layout: [], ended: {} };
      });
      const own: SwarmPlan = { ...plan, shared, members: { [id]: entry }, departed, ids: {}, slots, unconfirmed: [] };
      store.nudge(id, plan_text(own));
    }
    // who has no part looks by itself
    for (const id of this.#view.members.keys()) if (!(id in plan.members)) store.nudge(id);
  }

  /** The engine lost its memory, or somebody wrote there what nobody can read: this process knows what was there. */
  async #seed(plan: SwarmPlan, bundle: Bundle, term: number): Promise<void> {
    const { store, id, on_note } = this.#options;
    const desired = this.#view.desired!;
    const { is_wiped, members } = this.#view;
    const lost = is_wiped
      ? 'the engine lost what it had stored'
      : 'the stored plan or target was overwritten with something that cannot be read';
    on_note('coordinator', { level: 'warn', text: `${lost}: written anew` });
    const anew = plan_from_memory(plan, {
      epoch: `${id}-${term}-${plan.revision}`,
      term,
      run_ms: this.#view.run_ms ?? plan.run_ms,
      accepted: [...members.values()].map(({ doc }) => doc.accepted),
      place_of: (agent, incarnation) => this.#view.place_of(agent, incarnation),
    });
    await store_bundle(store, anew.run, bundle);
    for (const { key, text } of this.#view.left_results()) await store.put(key, text, 0);
    const wrote = await store.put(DESIRED, desired.text, this.#view.spoiled.desired);
    if (wrote.outcome === 'unknown') return;
    if (wrote.outcome === 'done') this.#view.wrote(DESIRED, desired.text, wrote.revision);
    else await this.#view.read(DESIRED);
    if (this.#lease.term !== term) return;
    const text = plan_text(anew);
    const written = await store.put(PLAN, text, is_wiped ? 0 : this.#view.spoiled.plan || this.#view.plan!.revision);
    if (written.outcome === 'unknown') return;
    if (written.outcome === 'done') this.#view.wrote(PLAN, text, written.revision);
    else await this.#view.read(PLAN);
    this.#view.restored();
    store.nudge(null);
  }

  async #see_end({ run, picture }: PlayedRun): Promise<void> {
    const plan = this.#view.plan?.doc;
    if (this.#is_over || plan?.run.id !== run.id || plan.stage !== 'ended') return;
    const text = await read_parts(this.#options.store, `summary.${run.id}`);
    const stored = text === null ? null : read_summary(text);
    if (stored instanceof Refused) this.#view.refusals.note(LEADERS, 'the final summary', stored.why);
    const is_there = stored !== null && !(stored instanceof Refused);
    this.#is_over = true;
    const summary = is_there ? stored : picture.summary({ final: true, histograms: true });
    this.#showing.finish(summary);
    const unsure = [...new Set(picture.unsure().map(({ agent }) => agent))];
    const unconfirmed = [...plan.unconfirmed, ...picture.killed_at_end(plan)];
    this.#resolve_ended({ summary, unconfirmed, unsure, failed: plan.failed });
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
        const is_over = this.#is_closed || this.#options.timers.now() >= deadline;
        if (is_over) throw new SwarmError('engine_lost', { reason: reason_of(error) }, error);
        await this.#waits.until(() => false, WRITE_AGAIN_MS);
      }
    }
  }
}
