/** The coordinator: turns commands into orders that all members follow, and their accounts into the summary. */
import type { Clock } from '../../foundation/clock.ts';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import type { Command, Reply } from '../../grammar/command.ts';
import type { Bound, Summary } from '../../metrics/summary.ts';
import { to_summary, totals_of, type Mark, type SummaryInput, type Totals } from '../../metrics/totals.ts';
import { aim, err, ok, over_whole, stopping, with_acks, with_here, with_starting, type Room } from '../plan/answers.ts';
import type { Control } from '../plan/control.ts';
import type { MemberId } from '../plan/run-spec.ts';
import { rate_of } from '../plan/segment.ts';
import { MAX_TRACE_S, type Traces } from '../plan/traces.ts';
import type { Member, Members } from '../squad/members.ts';
import type { Planner } from '../squad/planner.ts';
import { ACK_WITHIN_MS, HOOK_WITHIN_MS, SILENT_AT_END_MS, Squad, type SquadOptions } from '../squad/squad.ts';
import type { Waits } from '../squad/waits.ts';
import type { Footprint } from './bounds.ts';
import { Watchers } from './watchers.ts';

const WATCH_MS = 1000;
/** ms to end all clients of members that answer: while none ends, and in all (a million take half a minute) */
const STOP_WITHIN_MS = 5000;
const STOP_AT_MOST_MS = 120_000;

export interface CoordinatorOptions extends SquadOptions {
  /** the option that makes it more members */
  readonly more_by: Room['more_by'];
  /** --max-connect-rate: no `rate` command can exceed it */
  readonly max_connect_per_s: number | null;
  /** of the script's actions in order, then `connected` if the module has it */
  readonly commands: readonly string[];
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

/** What a summary shows beyond the numbers of now. */
type SummaryExtras = Pick<SummaryInput, 'final' | 'histograms' | 'interval'>;

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
  readonly #started: { readonly now: number; readonly wall: number };
  readonly #stop_ticking: () => void;
  #mark: Mark | null = null;
  /** everything measured until the last state line */
  #interval: Totals | null = null;
  #is_ending = false;
  #final: Summary | null = null;
  #resolve_ended: (ended: Ended) => void = () => {};

  constructor(options: CoordinatorOptions) {
    const { clock } = options;
    this.#options = options;
    this.#watchers = new Watchers(options.on_note);
    this.#clock = clock;
    this.#started = { now: clock.now(), wall: clock.wall() };
    this.ended = new Promise((resolve) => (this.#resolve_ended = resolve));
    this.#squad = new Squad(options);
    this.#members = this.#squad.members;
    this.#planner = this.#squad.planner;
    this.#traces = this.#squad.traces;
    this.#waits = this.#squad.waits;
    this.#squad.listen(() => this.#end_if_given_up());
    this.#stop_ticking = clock.every(WATCH_MS, () => this.#notify());
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

  async apply(command: Command): Promise<Reply> {
    try {
      const answer = this.#carry_out(command);
      if (!answer.ok) return answer;
      this.#planner.replan(true);
      if (command.op === 'stop') this.#begin_end(false);
      const late = await this.#squad.acknowledged();
      if (command.op === 'mark') this.#set_mark(command.text);
      this.#notify();
      return ok(with_acks(answer.text, this.#squad.answering, late, this.#clock.now()));
    } catch (error) {
      return err('internal', reason_of(error));
    }
  }

  watch(listener: (summary: Summary) => void): () => void {
    return this.#watchers.add(listener);
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
    if (!member.account) return err('no_such_client', `the worker of client ${id}, ${member.id}, is not up`);
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

  /** Changes what is wanted, in one turn. The caller publishes it. */
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
      case 'stop': {
        planner.phase = command.now ? 'stop' : 'drain';
        const teardown_ms = this.#has_teardown ? HOOK_WITHIN_MS : null;
        return ok(stopping(command.now, planner.run.how.drain_timeout_ms + SILENT_AT_END_MS, teardown_ms));
      }
      case 'rebalance':
      case 'drain':
      case 'evict':
        return err('no_agents', `${command.op} is for a swarm of many machines (swarm run --join)`);
    }
  }

  #aim({ count, on, over_ms }: { count: number; over_ms: number; on?: string }, wanted: number): Reply {
    if (on !== undefined) return err('no_agents', 'on LABEL is for a swarm of many machines (swarm run --join)');
    const planner = this.#planner;
    const { segment } = planner.machine;
    const { target, answer } = aim(count, wanted, planner.whole_target, over_whole(this.#room(), segment));
    if (!answer.ok) return answer;
    planner.aim(target, over_ms, this.#clock.now());
    this.#squad.grow();
    const text = with_here(answer.text, segment, planner.target);
    return ok(with_starting(text, this.#members.all.filter((member) => member.is_starting).length));
  }

  #set_rate(asked: number): Reply {
    const max = this.#options.max_connect_per_s ?? Infinity;
    const whole = Math.min(asked, max);
    const { segment } = this.#planner.machine;
    const connect_per_s = rate_of(segment, whole);
    this.#planner.connect_per_s = connect_per_s;
    const text = `connect rate ${whole} per second`;
    const bounded = asked > max ? `${text} (asked ${asked}: --max-connect-rate ${max})` : text;
    return ok(with_here(bounded, segment, connect_per_s));
  }

  /** False also before `setup`: a module that was not set up is not torn down. */
  get #has_teardown(): boolean {
    return this.#planner.live.shared !== null && this.#options.has_teardown;
  }

  #end_if_given_up(): void {
    if (!this.#squad.is_all_out || this.#planner.is_ending) return;
    this.#planner.phase = 'stop';
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
    planner.phase = 'stop';
    planner.replan(true);
    ({ revision } = planner);
    await this.#while_fewer(() => busy().length === 0);
    const unconfirmed = busy();
    const teardown = this.#has_teardown ? await this.#squad.run_hook('teardown') : null;
    this.#squad.write_off(unconfirmed);
    this.#squad.finish();
    this.#stop_ticking();
    this.#final = this.#summarize({ final: true, histograms: true });
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
    const deadline = this.#clock.now() + STOP_AT_MOST_MS;
    for (let before = Infinity, now = left(); now < before && this.#clock.now() < deadline; now = left()) {
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
    this.#watchers.notify(() => this.summary());
  }

  #summarize({ final = false, histograms = false, interval = null }: Partial<SummaryExtras>): Summary {
    const { about, commands, open_files } = this.#options;
    const { run, machine, phase, target, planned, connect_per_s } = this.#planner;
    const { shown, snapshots, dead, peaks } = this.#members;
    const now = this.#clock.now();
    const { seed, module_sha256 } = run.what;
    const started = new Date(this.#started.wall).toISOString();
    const { capacity, why, bounds } = this.#room();
    return to_summary({
      final,
      run: {
        id: run.id,
        seed,
        segment: machine.segment.text,
        module_sha256,
        ...about,
        started,
        seconds: this.#seconds(),
      },
      phase,
      target,
      planned,
      connect_per_s,
      workers: shown.map((member) => member.summary(now)),
      limits: { capacity, why, bounds, ...open_files },
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
