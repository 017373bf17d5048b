/** The coordinator: has all members follow what the operators want, and makes the summary of their accounts. */
import type { Clock } from '../../foundation/clock.ts';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { MAX_TRACES, MAX_TRACE_S, type Command, type Followers, type Reply } from '../../grammar/command.ts';
import { line_of } from '../../grammar/sentences.ts';
import { action_names, type ActionName } from '../../metrics/counted.ts';
import type { Events } from '../../metrics/events.ts';
import { sum_of } from '../../metrics/merge-snapshots.ts';
import { reached_in } from '../../metrics/reached.ts';
import type { Series } from '../../metrics/series.ts';
import type { Bound, LoadSummary, Summary } from '../../metrics/summary.ts';
import { totals_of, type Totals } from '../../metrics/totals.ts';
import { carry_out, type Facts, type Room } from '../plan/carry-out.ts';
import type { Control } from '../plan/control.ts';
import { HOOK_WITHIN_MS, is_stuck, SILENT_AT_END_MS, STOP_WITHIN_MS } from '../plan/deadlines.ts';
import { first_intent, is_ending, type Intent, type NamedSharing, type Wanted } from '../plan/intent.ts';
import { advance, awaited, give_up, judge_wait, load_summary, pass, step_of, steps_begun } from '../plan/load-play.ts';
import { to_machine_ms } from '../plan/permit.ts';
import { groups_in_run, rates_now } from '../plan/rated-actions.ts';
import { measured_groups, type MemberId } from '../plan/run-spec.ts';
import type { Traces } from '../plan/traces.ts';
import { wanted_of } from '../plan/wanted.ts';
import type { Member, Members } from '../squad/members.ts';
import type { Planner } from '../squad/planner.ts';
import { Squad, type SquadOptions } from '../squad/squad.ts';
import type { Waits } from '../squad/waits.ts';
import type { Footprint } from './bounds.ts';
import { Chronicle, NOT_TOLD_MS } from './chronicle.ts';
import { SummaryMaker, type Known } from './summary-maker.ts';
import { Watchers } from './watchers.ts';

const WATCH_MS = 1000;
/** how late a step of a load begins at most, but for a busy machine */
const STEP_MS = 50;

export interface CoordinatorOptions extends SquadOptions {
  /** the option that makes it more members */
  readonly more_by: Room['more_by'];
  /** of the whole swarm, whatever segment this process plays */
  readonly connect_per_s: number;
  /** --max-connect-rate: no `rate` command can exceed it */
  readonly max_connect_per_s: number | null;
  readonly about: Pick<Summary['run'], 'script_sha256' | 'servers' | 'versions'>;
  readonly open_files: Pick<Summary['limits'], 'open_files_per_process' | 'reserved_files'>;
  /** what bounds the number of connections, the tightest first; called for each summary and each new target */
  readonly bounds: (now: Footprint) => readonly Bound[];
  /** does the module export `teardown`? */
  readonly has_teardown: boolean;
}

/** How the run ended. */
export interface Ended {
  readonly summary: Summary;
  /** members that did not confirm the end of their last client */
  readonly unconfirmed: readonly MemberId[];
  /** why the module's teardown failed; null: it did not fail */
  readonly teardown_failed: string | null;
  /** true: nobody asked for the end, every worker was given up */
  readonly given_up: boolean;
}

export class Coordinator implements Control {
  /** Resolves once: after `stop`, or by itself when every worker was given up. */
  readonly ended: Promise<Ended>;

  readonly #options: CoordinatorOptions;
  readonly #clock: Clock;
  readonly #squad: Squad;
  readonly #members: Members;
  readonly #planner: Planner;
  readonly #traces: Traces;
  readonly #waits: Waits;
  readonly #watchers: Watchers;
  readonly #chronicle: Chronicle;
  readonly #actions: readonly ActionName[];
  readonly #groups: readonly NamedSharing[];
  readonly #started: { readonly now: number; readonly wall: number };
  readonly #stop_ticking: () => void;
  readonly #summaries: SummaryMaker;
  #intent: Intent;
  /** while a load plays; null: none does */
  #stop_stepping: (() => void) | null = null;
  #is_ending = false;
  #final: Summary | null = null;
  #resolve_ended: (ended: Ended) => void = () => {};

  constructor(options: CoordinatorOptions) {
    const { clock } = options;
    this.#options = options;
    this.#watchers = new Watchers(options.on_note);
    this.#chronicle = new Chronicle({ wall: () => clock.wall(), on_note: options.on_note }, 'worker');
    const measured = measured_groups(options.run.what.groups);
    this.#actions = action_names(measured);
    this.#groups = groups_in_run(options.run.what);
    this.#clock = clock;
    this.#started = { now: clock.now(), wall: clock.wall() };
    this.ended = new Promise((resolve) => (this.#resolve_ended = resolve));
    this.#squad = new Squad(options);
    this.#members = this.#squad.members;
    this.#planner = this.#squad.planner;
    this.#traces = this.#squad.traces;
    this.#waits = this.#squad.waits;
    this.#planner.live = { ...this.#planner.live, zero_ms: to_machine_ms(this.#started.now) };
    this.#intent = first_intent(options.connect_per_s);
    this.#want(this.#intent);
    const { run, machine, about } = options;
    this.#summaries = new SummaryMaker(
      {
        id: run.id,
        seed: run.what.seed,
        segment: machine.segment.text,
        module_sha256: run.what.module_sha256,
        ...about,
        started: new Date(this.#started.wall).toISOString(),
      },
      measured,
    );
    this.#squad.listen(() => this.#end_if_given_up());
    this.#stop_ticking = clock.every(WATCH_MS, () => {
      this.#notify(this.#beat());
    });
  }

  get series(): Series {
    return this.#chronicle.series;
  }

  get events(): Events {
    return this.#chronicle.events;
  }

  /**
   * Resolves when every member has said hello.
   * @throws SwarmError `workers_missing` after `within_ms`, or as soon as all are given up
   */
  async ready(within_ms: number): Promise<void> {
    await this.#squad.ready(within_ms);
  }

  /**
   * Has the module's `setup` run in one member, 60 s at most, and gives its result to all.
   * @throws SwarmError `setup_failed`
   */
  async setup(): Promise<void> {
    const result = await this.#squad.run_hook('setup');
    if (!result.ok) throw new SwarmError('setup_failed', { reason: result.reason });
    this.#planner.live = { ...this.#planner.live, shared: { value: result.value } };
    this.#planner.replan(true);
  }

  async apply(command: Command, by: string): Promise<Reply> {
    try {
      this.#play(advance(this.#intent, this.#groups, this.#run_ms));
      const { intent, reply } = carry_out(this.#intent, command, this.#facts());
      if (!reply.ok) return reply;
      this.#chronicle.commanded(line_of(command), by);
      this.#play(intent);
      const starting = 'target' in reply ? this.#members.all.filter((member) => member.is_starting).length : 0;
      const followers = await this.#followed(intent);
      return { ...reply, followers: { ...followers, starting } };
    } catch (error) {
      return { ok: false, code: 'internal', reason: reason_of(error) };
    }
  }

  watch(listener: (summary: Summary) => void): () => void {
    return this.#watchers.add(listener);
  }

  summary(histograms = false): Summary {
    return this.#final ?? this.#summaries.make(this.#known(), { histograms });
  }

  /** Where its load is; null: none was begun. */
  load(): LoadSummary | null {
    return load_summary(this.#intent, this.#run_ms);
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.#summaries.next_interval(this.#known());
  }

  async trace(
    id: number,
    for_seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const owner = this.#planner.owner(id);
    const member = owner === null ? undefined : this.#members.get(owner);
    if (!member) return { ok: false, code: 'no_such_client', client: id, down: null };
    if (this.#planner.is_ending) return { ok: false, code: 'stopping', has_ended: false };
    if (!member.account) return { ok: false, code: 'no_such_client', client: id, down: member.id };
    if (this.#traces.is_full) return { ok: false, code: 'too_many', of: 'traces', most: MAX_TRACES };
    const ends_at = this.#clock.now() + Math.min(for_seconds, MAX_TRACE_S) * 1000;
    const token = this.#traces.start(member.id, id, ends_at, on_line);
    this.#planner.replan(true);
    const followers = await this.#squad.acknowledged(member);
    const stop = (): void => {
      this.#traces.end(token);
      this.#planner.replan(false);
    };
    return { ok: true, op: 'trace', client: id, member: member.id, followers, stop };
  }

  /** What the members shall do from now on, as a command or a step of a load says. */
  #play(intent: Intent): void {
    const before = this.#intent;
    if (intent === before) return;
    for (const text of steps_begun(before, intent)) this.#chronicle.commanded(text, 'the load');
    this.#want(intent);
    this.#squad.grow();
    this.#planner.replan(true);
    if (is_ending(intent)) this.#begin_end(false);
    const plays = step_of(intent) !== null && !is_ending(intent);
    if (plays) this.#stop_stepping ??= this.#clock.every(STEP_MS, () => this.#step());
    else this.#stop_stepping?.();
    if (!plays) this.#stop_stepping = null;
    // of the load: of a command its answer waits for the followers
    if (intent.mark !== before.mark) void this.#followed(intent);
  }

  /** Goes on with the load, if a step is over or a wait is decided. */
  #step(): void {
    const groups = this.#groups;
    const run_ms = this.#run_ms;
    this.#play(advance(this.#intent, groups, run_ms));
    if (awaited(this.#intent) === null) return;
    const why = judge_wait(this.#intent, groups, run_ms, reached_in(this.#members.snapshots));
    if (why === '') this.#play(pass(this.#intent, groups, run_ms));
    else if (why !== null) this.#play(give_up(this.#intent, why, groups, run_ms));
  }

  /** Waits for those that acknowledge, 2 s at most; a mark counts from then: until then members have not told all. */
  async #followed(intent: Intent): Promise<Followers> {
    const followers = await this.#squad.acknowledged();
    const mark = intent.mark && { ...intent.mark, at_ms: this.#clock.wall() };
    this.#summaries.mark(mark, this.#run_ms, () => this.#totals());
    this.#notify();
    return followers;
  }

  /** From now on the members shall do this. The caller replans. */
  #want(intent: Intent): void {
    this.#intent = intent;
    const { segment } = this.#planner.machine;
    const wanted = (now: number): Wanted => wanted_of(intent, this.#groups, segment, now - this.#started.now);
    this.#planner.follow(wanted, this.#clock.now());
  }

  #facts(): Facts {
    const { run, machine } = this.#planner;
    return {
      run_ms: this.#run_ms,
      wall_ms: this.#clock.wall(),
      room: this.#room(),
      segment: machine.segment,
      groups: this.#groups,
      max_connect_per_s: this.#options.max_connect_per_s,
      fatal: this.#members.snapshots.reduce((all, one) => all + sum_of(one, ({ clients }) => clients.states.fatal), 0),
      stop_ms: run.how.drain_timeout_ms + SILENT_AT_END_MS,
      teardown_ms: this.#has_teardown ? HOOK_WITHIN_MS : null,
      agents: null,
    };
  }

  /** False also before `setup`: a module that was not set up is not torn down. */
  get #has_teardown(): boolean {
    return this.#planner.live.shared !== null && this.#options.has_teardown;
  }

  #end_if_given_up(): void {
    if (!this.#squad.is_all_out || this.#planner.is_ending) return;
    this.#want({ ...this.#intent, phase: 'stop' });
    this.#begin_end(true);
  }

  #begin_end(given_up: boolean): void {
    if (this.#is_ending) return;
    this.#is_ending = true;
    void this.#end(given_up);
  }

  /** The stages of the end, each with its deadline. The orders of the first stage are already published. */
  async #end(given_up: boolean): Promise<void> {
    const planner = this.#planner;
    // the revision of this phase: later ones, because a member died, change nothing for the others
    let { revision } = planner;
    const busy = (): readonly Member[] =>
      this.#members.up.filter((member) => member.live > 0 || member.open > 0 || !member.has_applied(revision));
    await this.#waits.until(() => planner.phase === 'stop' || busy().length === 0, planner.run.how.drain_timeout_ms);
    this.#want({ ...this.#intent, phase: 'stop' });
    planner.replan(true);
    ({ revision } = planner);
    await this.#while_fewer(() => busy().length === 0);
    const unconfirmed = busy();
    const teardown = this.#has_teardown ? await this.#squad.run_hook('teardown') : null;
    this.#squad.write_off(unconfirmed);
    this.#squad.lose_unmade();
    this.#squad.finish();
    this.#stop_ticking();
    this.#stop_stepping?.();
    const totals = this.#beat();
    const final = this.#summaries.make(this.#known(totals), { final: true, histograms: true });
    this.#final = this.#chronicle.checked(final, totals);
    this.#notify();
    const teardown_failed = teardown && !teardown.ok ? teardown.reason : null;
    this.#resolve_ended({
      summary: this.#final,
      unconfirmed: [...new Set([...this.#squad.killed_at_end, ...unconfirmed.map((member) => member.id)])],
      teardown_failed,
      given_up,
    });
  }

  /** Waits until `is_over`, while clients keep ending. */
  async #while_fewer(is_over: () => boolean): Promise<void> {
    const left = (): number => this.#members.up.reduce((all, { live, open }) => all + live + open, 0);
    const start = this.#clock.now();
    for (let before = Infinity, now = left(); now < before && !is_stuck(0, this.#clock.now() - start); now = left()) {
      before = now;
      if (await this.#waits.until(is_over, STOP_WITHIN_MS)) return;
    }
  }

  #room(): Room {
    return { ...this.#squad.room, more_by: this.#options.more_by, bounds: this.#bounds() };
  }

  #bounds(): readonly Bound[] {
    const { up } = this.#members;
    const rss_bytes = up.reduce((all, { account }) => all + account!.snapshot.generator.rss_bytes, 0);
    return this.#options.bounds({ open: up.reduce((all, { open }) => all + open, 0), rss_bytes, workers: up.length });
  }

  /** What happened since the last one. Returns everything measured until now. */
  #beat(): Totals {
    const now = this.#clock.now();
    const { up, shown } = this.#members;
    const totals = this.#totals();
    const beat = {
      run_ms: this.#run_ms,
      totals,
      actions: this.#actions,
      members: up.map((member) => {
        const { cpu, lag_p99_ms } = member.account!.snapshot.generator;
        return { id: member.id, open: member.open, cpu, lag_p99_ms };
      }),
      not_told: up.filter(({ heard_at }) => now - heard_at >= NOT_TOLD_MS).map(({ id }) => id),
    };
    this.#chronicle.beat(beat, new Map(shown.map((member) => [member.id, member.state(now)])));
    return totals;
  }

  #totals(): Totals {
    return totals_of(this.#members.snapshots, this.#members.dead);
  }

  get #run_ms(): number {
    return this.#clock.now() - this.#started.now;
  }

  /** `totals`: everything measured until now, if it was just added up. */
  #notify(totals?: Totals): void {
    this.#watchers.notify(() => this.#final ?? this.#summaries.make(this.#known(totals)));
  }

  /** `totals`: everything measured until now, if it was just added up. */
  #known(totals = this.#totals()): Known {
    const { phase, target, planned, connect_per_s } = this.#planner;
    const { shown, snapshots, dead, peaks } = this.#members;
    const now = this.#clock.now();
    const { capacity, why, bounds } = this.#room();
    return {
      run_ms: this.#run_ms,
      phase,
      target,
      planned,
      load: load_summary(this.#intent, this.#run_ms),
      rates: rates_now(this.#intent.rates, this.#planner.machine.segment, this.#run_ms),
      saturated_seconds: this.#chronicle.series.saturated_s,
      connect_per_s,
      workers: shown.map((member) => member.summary(now)),
      limits: { capacity, why, bounds, ...this.#options.open_files },
      live: peaks.live,
      open: peaks.open,
      members: snapshots,
      dead,
      totals,
    };
  }
}
