/** The coordinator: turns commands into the plan all members follow, and their reports into the summary. */
import { SwarmError, reason_of } from '../foundation/errors.ts';
import { to_summary, totals_of, type Mark, type SummaryInput, type Totals } from '../metrics/totals.ts';
import type { Summary } from '../metrics/summary.ts';
import { aim, err, ok, over_whole, seconds, with_acks, with_here, with_starting, type Limits } from './answers.ts';
import type { Bound, Measured } from './bounds.ts';
import type { Command, Control, Reply } from './command.ts';
import { Members, type Member } from './members.ts';
import { Planner } from './planner.ts';
import type { Absence, HookResult, Hub, MemberId, Note, Report, RunSpec } from './plan.ts';
import { rate_of } from './segment.ts';
import { Staff } from './staff.ts';
import { Traces } from './traces.ts';
import { Waits } from './waits.ts';

const TICK_MS = 100;
/** while ramping the plan is published at most 5 times a second */
const RAMP_STEP_MS = 200;
const WATCH_MS = 1000;
const SHRINK_MS = 1000;
const ACK_WITHIN_MS = 2000;
/** a worker that died is started again within 5 s at most */
const REPLACED_WITHIN_MS = 10_000;
const HOOK_WITHIN_MS = 60_000;
/** ending every client at once: for so long no client may end, and so long may it take in all (a million take half a minute) */
const STOP_WITHIN_MS = 5000;
const STOP_AT_MOST_MS = 120_000;
const MAX_TRACE_S = 3600;

export interface Clock {
  /** ms, monotonic */
  now(): number;
  /** ms since the epoch */
  wall(): number;
  /** calls `f` each `ms` until the returned function is called */
  every(ms: number, f: () => void): () => void;
}

export interface CoordinatorOptions {
  readonly hub: Hub;
  /** all there may be; their order breaks ties */
  readonly members: readonly MemberId[];
  /** so many of them run from the start and always; the others while the target needs them */
  readonly from_start: number;
  /** the option that makes it more members */
  readonly more_by: Limits['more_by'];
  /** what no `rate` command can exceed */
  readonly max_connect_per_s: number | null;
  readonly run: RunSpec;
  /** of the script's actions in order, then `connected` if the module has it */
  readonly commands: readonly string[];
  readonly about: Pick<Summary['run'], 'script_sha256' | 'servers' | 'versions'>;
  readonly limits: Pick<Summary['limits'], 'open_files_per_process' | 'reserved_files'>;
  /** what bounds the number of connections, the tightest first; asked for each summary and each command that grows */
  readonly bounds: (now: Measured) => readonly Bound[];
  readonly clock: Clock;
  /** does the module export `teardown`? */
  readonly has_teardown: boolean;
  readonly on_note: (member: MemberId, note: Note) => void;
}

/** How the run ended. */
export interface Ended {
  readonly summary: Summary;
  /** members that did not confirm that their last client is gone */
  readonly unconfirmed: readonly MemberId[];
  /** why the module's teardown failed, null when it did not */
  readonly teardown_failed: string | null;
  /** nobody asked: every worker was given up */
  readonly given_up: boolean;
}

/** What a summary shows beyond the numbers of now. */
type Shown = Pick<SummaryInput, 'final' | 'histograms' | 'interval'>;

export class Coordinator implements Control {
  /** Resolves once: after `stop`, or by itself when every worker was given up. */
  readonly ended: Promise<Ended>;

  readonly #options: CoordinatorOptions;
  readonly #clock: Clock;
  readonly #members: Members;
  readonly #traces = new Traces();
  readonly #planner: Planner;
  readonly #staff: Staff;
  readonly #waits: Waits;
  readonly #watchers = new Set<(summary: Summary) => void>();
  readonly #started: { readonly now: number; readonly wall: number };
  readonly #stop_ticking: () => void;
  #ticks = 0;
  #mark: Mark | null = null;
  /** everything measured until the last state line */
  #interval: Totals | null = null;
  #is_ending = false;
  #final: Summary | null = null;
  #resolve_ended: (ended: Ended) => void = () => {};

  constructor(options: CoordinatorOptions) {
    const { hub, members, run, clock, from_start, on_note } = options;
    this.#options = options;
    this.#clock = clock;
    this.#members = new Members(members);
    this.#planner = new Planner(hub, this.#members, this.#traces, run);
    this.#waits = new Waits(() => clock.now());
    this.#started = { now: clock.now(), wall: clock.wall() };
    this.ended = new Promise((resolve) => (this.#resolve_ended = resolve));
    hub.onReport((id, report) => this.#on_report(id, report));
    hub.onGone((id, incarnation, attested, absence) => this.#on_gone(id, incarnation, attested, absence));
    this.#staff = new Staff(hub, this.#members, from_start, on_note);
    this.#stop_ticking = clock.every(TICK_MS, () => this.#tick());
  }

  /**
   * Resolves when every member has said hello.
   * @throws SwarmError `workers_missing` after `within_ms`, or as soon as all are given up
   */
  async ready(within_ms: number): Promise<void> {
    const { shown } = this.#members;
    const missing = (): readonly Member[] => shown.filter((member) => !member.report);
    await this.#waits.until(() => missing().length === 0 || this.#all_out() || this.#is_ending, within_ms);
    const absent = missing();
    if (absent.length === 0) return;
    const named = absent.map((member) => member.absent_text).join(', ');
    throw new SwarmError('workers_missing', {
      reason: `${shown.length - absent.length} of ${shown.length} are up (${named})`,
    });
  }

  /**
   * Has the module's `setup` run in one member, 60 s at most, and gives its result to all.
   * @throws SwarmError `setup_failed`
   */
  async setup(): Promise<void> {
    const result = await this.#run_hook('setup');
    if (!result.ok) throw new SwarmError('setup_failed', { reason: result.reason });
    this.#planner.run = { ...this.#planner.run, shared: { value: result.value } };
    this.#planner.replan(true);
  }

  async apply(command: Command): Promise<Reply> {
    try {
      const answer = this.#carry_out(command);
      if (!answer.ok) return answer;
      this.#planner.replan(true);
      if (command.op === 'stop') this.#begin_end(false);
      const late = await this.#acknowledged();
      if (command.op === 'mark') this.#set_mark(command.text);
      this.#notify();
      return ok(with_acks(answer.text, this.#answering, late, this.#clock.now()));
    } catch (error) {
      return err('internal', reason_of(error));
    }
  }

  watch(listener: (summary: Summary) => void): () => void {
    this.#watchers.add(listener);
    return () => void this.#watchers.delete(listener);
  }

  summary(histograms = false): Summary {
    return this.#final ?? this.#summarize({ histograms });
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    const summary = this.#summarize({ interval: this.#interval });
    this.#interval = this.#totals();
    return summary;
  }

  async trace(
    id: number,
    for_seconds: number,
    on_line: (line: string | null) => void,
  ): Promise<Reply & { stop?: () => void }> {
    const owner = this.#planner.owner(id);
    const member = owner === null ? undefined : this.#members.get(owner);
    if (!member) return err('no_such_client', `no client has the id ${id}`);
    if (this.#planner.is_ending) return err('stopping', 'the swarm is stopping');
    if (!member.report) return err('no_such_client', `the worker of client ${id}, ${member.id}, is not up`);
    if (this.#traces.is_full) return err('too_many', 'too many traces run already: wait until one ends');
    const ends_at = this.#clock.now() + Math.min(for_seconds, MAX_TRACE_S) * 1000;
    const token = this.#traces.start(member.id, id, ends_at, on_line);
    this.#planner.replan(true);
    const { revision } = this.#planner;
    const taken = await this.#waits.until(() => member.has_applied(revision), ACK_WITHIN_MS);
    const text = with_acks(`trace of client ${id} in ${member.id}`, [member], taken ? [] : [member], this.#clock.now());
    const stop = (): void => {
      this.#traces.end(token);
      this.#planner.replan(false);
    };
    return { ...ok(text), stop };
  }

  /** Changes what is wanted, in one turn; publishing comes after. */
  #carry_out(command: Command): Reply {
    const planner = this.#planner;
    const is_second_try = command.op === 'stop' && command.now && planner.phase === 'drain';
    if (planner.is_ending && !is_second_try) return err('stopping', 'the swarm is stopping');
    switch (command.op) {
      case 'incr':
        return this.#aim(command, planner.whole_target + command.count);
      case 'decr':
        planner.graceful = command.graceful;
        return this.#aim(command, planner.whole_target - command.count);
      case 'set':
        planner.graceful = false;
        return this.#aim(command, command.count);
      case 'connect_rate':
        return this.#set_rate(command.per_s);
      case 'pause':
        planner.phase = 'pause';
        return ok('paused');
      case 'resume':
        planner.phase = 'run';
        return ok('running');
      case 'retry_fatal': {
        planner.retry_fatal();
        const fatal = this.#members.snapshots.reduce((all, snapshot) => all + snapshot.clients.states.fatal, 0);
        return ok(`retrying ${fatal} fatal clients`);
      }
      case 'mark':
        return ok(command.text ? `marked ${command.text}` : 'marked');
      case 'stop':
        planner.phase = command.now ? 'stop' : 'drain';
        return ok(command.now ? 'stopping now' : `stopping, within ${seconds(planner.run.drain_timeout_ms)}`);
    }
  }

  #aim({ count, over_ms }: { count: number; over_ms: number }, wanted: number): Reply {
    const planner = this.#planner;
    const { segment } = planner.run;
    const { target, answer } = aim(count, wanted, planner.whole_target, over_whole(this.#limits(), segment));
    if (!answer.ok) return answer;
    planner.aim(target, over_ms, this.#clock.now());
    this.#grow();
    const text = with_here(answer.text, segment, planner.target);
    return ok(with_starting(text, this.#members.all.filter((member) => member.is_starting).length));
  }

  #grow(): void {
    if (!this.#planner.is_ending) this.#staff.grow(this.#planner.target);
  }

  #set_rate(asked: number): Reply {
    const max = this.#options.max_connect_per_s ?? Infinity;
    const whole = Math.min(asked, max);
    const { segment } = this.#planner.run;
    const connect_per_s = rate_of(segment, whole);
    this.#planner.run = { ...this.#planner.run, connect_per_s };
    const text = `connect rate ${whole} per second`;
    const bounded = asked > max ? `${text} (asked ${asked}: --max-connect-rate ${max})` : text;
    return ok(with_here(bounded, segment, connect_per_s));
  }

  /** Those whose acknowledgement is worth waiting for: a new process reads the plan as soon as it is up. */
  get #answering(): readonly Member[] {
    return this.#members.expected.filter((member) => !member.is_starting);
  }

  /** Waits until all members applied the plan of now, 2 s at most; returns who did not. */
  async #acknowledged(): Promise<readonly Member[]> {
    const { revision } = this.#planner;
    const late = (): readonly Member[] => this.#answering.filter((member) => !member.has_applied(revision));
    await this.#waits.until(() => late().length === 0, ACK_WITHIN_MS);
    return late();
  }

  /** Has one living member run a hook of the module, and waits for its result. */
  async #run_hook(hook: 'setup' | 'teardown'): Promise<HookResult> {
    const planner = this.#planner;
    // not one that is ending
    const up = (): readonly Member[] => this.#members.up.filter((member) => member.wanted);
    // all may have died just now: replacements are on their way
    await this.#waits.until(() => up().length > 0 || this.#all_out(), REPLACED_WITHIN_MS);
    // one that answers, rather than one that is stalled
    const member = up().find((one) => one.state(this.#clock.now()) === 'up') ?? up()[0];
    if (!member) return { ok: false, reason: 'no worker is up' };
    const { incarnation } = member.report!;
    planner.run = { ...planner.run, [`${hook}_by`]: member.id };
    planner.replan(true);
    const died = (): boolean => member.report?.incarnation !== incarnation;
    const stopped = (): boolean => hook === 'setup' && planner.is_ending;
    await this.#waits.until(() => died() || stopped() || member.report![hook] !== null, HOOK_WITHIN_MS);
    planner.run = { ...planner.run, [`${hook}_by`]: null };
    if (died()) return { ok: false, reason: `worker ${member.id} died in it` };
    const reason = stopped() ? 'stopped before it ended' : `no result within ${seconds(HOOK_WITHIN_MS)}`;
    return member.report![hook] ?? { ok: false, reason };
  }

  #begin_end(given_up: boolean): void {
    if (this.#is_ending) return;
    this.#is_ending = true;
    void this.#end(given_up);
  }

  /** The stages of the end, each with its deadline; the first was published. */
  async #end(given_up: boolean): Promise<void> {
    const planner = this.#planner;
    const busy = (): readonly Member[] =>
      this.#members.up.filter((member) => member.live > 0 || member.open > 0 || !member.has_applied(planner.revision));
    await this.#waits.until(() => planner.phase === 'stop' || busy().length === 0, planner.run.drain_timeout_ms);
    planner.phase = 'stop';
    planner.replan(true);
    await this.#while_fewer(() => busy().length === 0);
    const unconfirmed = busy();
    const teardown = planner.run.shared && this.#options.has_teardown ? await this.#run_hook('teardown') : null;
    // what they hold nobody will see end: they are killed now
    for (const member of unconfirmed) {
      const { incarnation } = member.report ?? {};
      if (incarnation !== undefined)
        this.#members.depart(member, incarnation, 'gone', this.#clock.now(), this.#clock.wall());
    }
    this.#stop_ticking();
    this.#traces.end_all();
    this.#final = this.#summarize({ final: true, histograms: true });
    this.#notify();
    const teardown_failed = teardown && !teardown.ok ? teardown.reason : null;
    this.#resolve_ended({
      summary: this.#final,
      unconfirmed: unconfirmed.map((member) => member.id),
      teardown_failed,
      given_up,
    });
  }

  /** Waits until `is_over`, as long as clients go on ending. */
  async #while_fewer(is_over: () => boolean): Promise<void> {
    const left = (): number => this.#members.up.reduce((all, { live, open }) => all + live + open, 0);
    const deadline = this.#clock.now() + STOP_AT_MOST_MS;
    for (let before = Infinity, now = left(); now < before && this.#clock.now() < deadline; now = left()) {
      before = now;
      if (await this.#waits.until(is_over, STOP_WITHIN_MS)) return;
    }
  }

  #on_report(id: MemberId, report: Report): void {
    const dropped = this.#members.get(id)?.report?.notes_dropped ?? 0;
    if (this.#final) return;
    const change = this.#members.accept(id, report, this.#clock.now(), this.#clock.wall());
    if (!change) return;
    for (const note of report.notes) this.#options.on_note(id, note);
    if (report.notes_dropped > dropped) {
      const text = `${report.notes_dropped - dropped} more lines were not logged: at most 100 a second are`;
      this.#options.on_note(id, { level: 'warn', text });
    }
    this.#traces.deliver(id, report);
    if (change.capacity) this.#grow();
    // most reports change nothing for the plan, and there are as many a second as members
    if (change.capacity || (change.may && this.#planner.is_withholding)) this.#planner.replan(false);
    this.#waits.poke();
  }

  #on_gone(id: MemberId, incarnation: string, attested: boolean, absence: Absence): void {
    const member = this.#members.get(id);
    // Unattested, it may run on: it stays counted as it is, and shows as stalled. After the end workers leave as they should.
    if (!member || !attested || this.#final) return;
    this.#members.depart(member, incarnation, absence, this.#clock.now(), this.#clock.wall());
    if (member.is_out) {
      this.#planner.release(id);
      // given up, another one takes its place; ended as it should, it can be started again itself
      this.#grow();
    }
    this.#planner.replan(false);
    this.#waits.poke();
    if (!this.#all_out() || this.#planner.is_ending) return;
    this.#planner.phase = 'stop';
    this.#begin_end(true);
  }

  #all_out(): boolean {
    return this.#members.expected.length === 0;
  }

  #tick(): void {
    this.#ticks++;
    const now = this.#clock.now();
    const is_due = (ms: number): boolean => this.#ticks % (ms / TICK_MS) === 0;
    const stepped = is_due(RAMP_STEP_MS) && this.#planner.step(now);
    const expired = this.#traces.expire(now, this.#planner.revision + 1);
    if (stepped || expired) this.#planner.replan(expired);
    if (is_due(SHRINK_MS) && !this.#planner.is_ending) this.#staff.shrink(now);
    this.#waits.poke();
    if (is_due(WATCH_MS)) this.#notify();
  }

  #limits(): Limits {
    const { all, possible_capacity, per_member } = this.#members;
    const out = all.filter((member) => member.wanted && member.is_out).map((member) => member.absent_text);
    const why = all.find((member) => member.capacity_why)?.capacity_why ?? 'no worker is up';
    const { more_by } = this.#options;
    const bounds = this.#bounds();
    return { capacity: possible_capacity, why: [why, ...out].join('; '), per_member, members: all.length, more_by, bounds }; // prettier-ignore
  }

  #bounds(): readonly Bound[] {
    const { up } = this.#members;
    const rss_bytes = up.reduce((all, { report }) => all + report!.snapshot.generator.rss_bytes, 0);
    return this.#options.bounds({ open: up.reduce((all, { open }) => all + open, 0), rss_bytes, workers: up.length });
  }

  #set_mark(text: string): void {
    this.#mark = { text, at_ms: this.#clock.wall(), run_seconds: this.#seconds(), base: this.#totals() };
  }

  #totals(): Totals {
    return totals_of(this.#members.snapshots, this.#members.dead);
  }

  #seconds(): number {
    return Math.round(this.#clock.now() - this.#started.now) / 1000;
  }

  #notify(): void {
    if (this.#watchers.size === 0) return;
    const summary = this.summary();
    for (const listener of [...this.#watchers]) {
      try {
        listener(summary);
      } catch (error) {
        this.#options.on_note('coordinator', { level: 'error', text: `a watcher failed: ${reason_of(error)}` });
      }
    }
  }

  #summarize({ final = false, histograms = false, interval = null }: Partial<Shown>): Summary {
    const { about, commands, limits } = this.#options;
    const { run, phase, target, planned } = this.#planner;
    const { shown, snapshots, dead, peaks } = this.#members;
    const now = this.#clock.now();
    const { id, seed, segment, module_sha256 } = run;
    const started = new Date(this.#started.wall).toISOString();
    const { capacity, why, bounds } = this.#limits();
    return to_summary({
      final,
      run: { id, seed, segment: segment.text, module_sha256, ...about, started, seconds: this.#seconds() },
      phase,
      target,
      planned,
      connect_per_s: run.connect_per_s,
      workers: shown.map((member) => member.summary(now)),
      limits: { capacity, why, bounds, ...limits },
      peaks,
      commands,
      members: snapshots,
      dead,
      mark: this.#mark,
      interval,
      histograms,
    });
  }
}
