/**
 * The members behind one hub: who is up, their orders, their accounts. Keeps processes, shares and ids right while
 * members come and go. Coordinator and OrderedSquad decide what is wanted.
 */
import type { Clock } from '../../foundation/clock.ts';
import { SwarmError } from '../../foundation/errors.ts';
import type { Followers } from '../../grammar/command.ts';
import { seconds } from '../../grammar/sentences.ts';
import type { Account, HookResult, Note } from '../plan/account.ts';
import type { Room } from '../plan/carry-out.ts';
import { ACK_WITHIN_MS, HOOK_WITHIN_MS, SILENT_AT_END_MS } from '../plan/deadlines.ts';
import { followers_of } from '../plan/followers.ts';
import type { MachineSpec, MemberId, RunSpec } from '../plan/run-spec.ts';
import type { Absence, Death, Hub } from '../plan/seam.ts';
import { Traces } from '../plan/traces.ts';
import { Members, type Member } from './members.ts';
import { Planner } from './planner.ts';
import type { LostSlots } from './rate-grants.ts';
import { Staff } from './staff.ts';
import { Waits } from './waits.ts';

const TICK_MS = 100;
/** while ramping, orders are published at most 5 times a second */
const RAMP_STEP_MS = 200;
const SHRINK_MS = 1000;
/** a tick later than that means that this process itself stood still */
const LATE_TICK_MS = 5 * TICK_MS;
/** ms to wait for a worker to come up again: it is started within 5 s of its death */
const REPLACED_WITHIN_MS = 10_000;

export interface SquadOptions {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  readonly hub: Hub;
  /** all members that there may be; their order breaks ties */
  readonly members: readonly MemberId[];
  /** how many of them run all the time, from the start; others run while the target needs them */
  readonly from_start: number;
  readonly clock: Clock;
  /** ms of silence after which a member is killed, and replaced as after any death */
  readonly stall_timeout_ms: number;
  readonly on_note: (member: MemberId, note: Note) => void;
}

export class Squad {
  readonly members: Members;
  readonly planner: Planner;
  readonly traces = new Traces();
  readonly waits: Waits;
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #staff: Staff;
  readonly #on_note: SquadOptions['on_note'];
  readonly #stall_timeout_ms: number;
  readonly #stop_ticking: () => void;
  #ticks = 0;
  #ticked_at: number;
  /** since when the run is ending; Infinity: it is not */
  #ending_since = Infinity;
  readonly #killed_at_end = new Set<MemberId>();
  #listener: (event: 'account' | 'death') => void = () => {};
  /** workers that leave now are not replaced */
  #is_closing = false;
  /** accounts and deaths count for nothing any more */
  #is_over = false;

  constructor(options: SquadOptions) {
    const { hub, members, from_start, clock, stall_timeout_ms, on_note } = options;
    this.#hub = hub;
    this.#clock = clock;
    this.#stall_timeout_ms = stall_timeout_ms;
    this.#ticked_at = clock.now();
    this.#on_note = on_note;
    this.members = new Members(members, options.run.what.groups.length);
    this.planner = new Planner(hub, this.members, this.traces, options.run, options.machine, clock);
    this.waits = new Waits(() => clock.now());
    hub.onAccount((id, account) => this.#on_account(id, account));
    hub.onGone((...gone) => this.#on_gone(...gone));
    this.#staff = new Staff(hub, this.members, from_start, on_note);
    this.#stop_ticking = clock.every(TICK_MS, () => this.#tick());
  }

  /** Calls `f` after an account or a death was taken in, until the squad closes. */
  listen(f: (event: 'account' | 'death') => void): void {
    this.#listener = f;
  }

  /** no worker is up, and none will be soon */
  get is_all_out(): boolean {
    return this.members.expected.length === 0;
  }

  /** what all members can hold together, and what bounds it */
  get room(): Pick<Room, 'capacity' | 'why' | 'per_member' | 'members'> {
    const { all, possible_capacity, per_member } = this.members;
    const out = all.filter((member) => member.wanted && member.is_out).map(absent_text);
    const why = all.find((member) => member.capacity_why)?.capacity_why ?? 'no worker is up';
    return { capacity: possible_capacity, why: [why, ...out].join('; '), per_member, members: all.length };
  }

  /**
   * Resolves when every member has said hello.
   * @throws SwarmError `workers_missing` after `within_ms`, or as soon as all are given up
   */
  async ready(within_ms: number, gives_up: () => boolean = () => false): Promise<void> {
    const { shown } = this.members;
    const missing = (): readonly Member[] => shown.filter((member) => !member.account);
    const is_decided = (): boolean => missing().length === 0 || gives_up() || this.is_all_out || this.planner.is_ending;
    await this.waits.until(is_decided, within_ms);
    const absent = missing();
    if (absent.length === 0 || gives_up()) return;
    const named = absent.map(absent_text).join(', ');
    throw new SwarmError('workers_missing', {
      reason: `${shown.length - absent.length} of ${shown.length} are up (${named})`,
    });
  }

  /** Starts members until there are enough for what is wanted. */
  grow(): void {
    const { target, planned, arriving, is_ending } = this.planner;
    if (!is_ending && !this.#is_closing) this.#staff.grow(Math.max(target, planned), arriving);
  }

  /** Members whose acknowledgement to wait for: not those that start, which read the orders as soon as they are up. */
  get answering(): readonly Member[] {
    return this.members.expected.filter((member) => !member.is_starting);
  }

  /** Who has applied the current orders: waits until all have, 2 s at most. `only`: asks nobody else. */
  async acknowledged(only?: Member): Promise<Followers> {
    const { revision } = this.planner;
    const asked = (): readonly Member[] => (only ? [only] : this.answering);
    const late = (): readonly Member[] => asked().filter((member) => !member.has_applied(revision));
    await this.waits.until(() => late().length === 0, ACK_WITHIN_MS);
    const now = this.#clock.now();
    const missing = late().map((member) => member.missing(now));
    return followers_of('worker', asked().length, missing);
  }

  /** Has one living member run a hook of the module, and waits for its result, 60 s at most. */
  async run_hook(hook: 'setup' | 'teardown'): Promise<HookResult> {
    const { planner } = this;
    // without members that are ending
    const up = (): readonly Member[] => this.members.up.filter((member) => member.wanted);
    const deadline = this.#clock.now() + HOOK_WITHIN_MS;
    // all may have just died: replacements are on their way
    await this.waits.until(() => up().length > 0 || this.is_all_out, REPLACED_WITHIN_MS);
    // rather one that answers than one that is stalled
    const member = up().find((one) => one.state(this.#clock.now()) === 'up') ?? up()[0];
    if (!member) return { ok: false, reason: 'no worker is up' };
    const { incarnation } = member.account!;
    planner.live = { ...planner.live, [`${hook}_by`]: member.id };
    planner.replan(true);
    const died = (): boolean => member.account?.incarnation !== incarnation;
    const stopped = (): boolean => hook === 'setup' && planner.is_ending;
    await this.waits.until(() => died() || stopped() || member.account![hook] !== null, deadline - this.#clock.now());
    planner.live = { ...planner.live, [`${hook}_by`]: null };
    if (died()) return { ok: false, reason: `worker ${member.id} died while it ran` };
    const reason = stopped() ? 'stopped before it ended' : `no result within ${seconds(HOOK_WITHIN_MS)}`;
    return member.account![hook] ?? { ok: false, reason };
  }

  /** members that had to be killed at the end of the run */
  get killed_at_end(): readonly MemberId[] {
    return [...this.#killed_at_end];
  }

  /** Counts these members as dead: nobody will hear how their clients end. */
  write_off(members: readonly Member[]): void {
    for (const member of members) if (member.account) this.#depart(member, member.account.incarnation, 'gone');
  }

  /** From now on accounts and deaths count for nothing: workers leave as they should. */
  finish(): void {
    this.#is_over = true;
    this.#stop_ticking();
    this.traces.end_all();
  }

  /**
   * Ends the workers. Those that do not end within `deadline_ms` are killed and returned. Clients alive in them are
   * lost; a worker that held nothing is no loss.
   */
  async close(deadline_ms: number): Promise<MemberId[]> {
    this.#is_closing = true;
    for (const member of this.members.all) this.members.dismiss(member);
    const late = await this.#hub.close(deadline_ms);
    this.write_off(this.members.up);
    this.waits.poke();
    this.finish();
    return late;
  }

  #on_account(id: MemberId, account: Account): void {
    if (this.#is_over) return;
    const dropped = this.members.get(id)?.account?.notes_dropped ?? 0;
    const change = this.members.accept(id, account, this.#clock.now(), this.#clock.wall(), this.planner.revision);
    if (!change) return;
    // the lines of a trace come before the notes that were made behind them
    this.traces.deliver(id, account);
    for (const note of account.notes) this.#on_note(id, note);
    if (account.notes_dropped > dropped) {
      const text = `${account.notes_dropped - dropped} more lines were not logged: at most 100 a second are`;
      this.#on_note(id, { level: 'warn', text });
    }
    if (change.capacity) this.grow();
    const has_closed = this.planner.heard(id, account.tenures);
    // most accounts change nothing for the orders, and each member sends one a second
    if (change.capacity || has_closed || (change.may && this.planner.is_withholding)) this.#replan();
    this.waits.poke();
    this.#tell('account');
  }

  #on_gone(id: MemberId, incarnation: string, attested: boolean, absence: Absence, death: Death | null): void {
    const member = this.members.get(id);
    // it may still run if that is not attested: it stays counted, and shows as stalled
    if (!member || !attested || this.#is_over) return;
    this.#depart(member, incarnation, absence, death);
    if (member.is_out) {
      this.planner.release(id);
      // if it was given up, another member takes its place; if it ended as it should, it can be started again itself
      this.grow();
    }
    this.#replan();
    this.waits.poke();
    this.#tell('death');
  }

  #depart(member: Member, incarnation: string, absence: Absence, death: Death | null = null): void {
    const is_its = member.account?.incarnation === incarnation;
    const lost = is_its ? this.planner.slots_lost(member.id, member.account!.tenures) : [];
    this.members.depart(member, incarnation, absence, this.#clock.now(), this.#clock.wall(), death);
    this.#lose(lost);
  }

  /** The run is over: slots that were due and that nobody planned are lost. */
  lose_unmade(): void {
    const planned = (group: number, action: number): number => this.members.planned_slots(this.#name(group), action);
    this.#lose(this.planner.slots_unmade(planned));
  }

  #lose(lost: readonly LostSlots[]): void {
    for (const { group, action, slots } of lost) this.members.lose_slots(this.#name(group), action, slots);
  }

  #name(group: number): string {
    return this.planner.run.what.groups[group]!.name;
  }

  /** Kills members that are silent for too long: in phase stop sooner, but not for silence before the end began. */
  #kill_stalled(now: number): void {
    const { phase, is_ending, live } = this.planner;
    this.#ending_since = is_ending ? Math.min(this.#ending_since, now) : Infinity;
    const is_stop = phase === 'stop';
    const most_ms = is_stop ? SILENT_AT_END_MS : this.#stall_timeout_ms;
    for (const { id, answered_at } of this.members.up) {
      // a hook of the module has a deadline of its own
      if (id === live.setup_by || id === live.teardown_by) continue;
      const silent_ms = now - (is_stop ? Math.max(answered_at, this.#ending_since) : answered_at);
      if (silent_ms < most_ms) continue;
      if (is_stop) this.#killed_at_end.add(id);
      this.#hub.kill?.(id, `did not answer for ${seconds(silent_ms)}`);
    }
  }

  #replan(): void {
    if (!this.#is_closing) this.planner.replan(false);
  }

  #tell(event: 'account' | 'death'): void {
    if (!this.#is_closing) this.#listener(event);
  }

  #tick(): void {
    this.#ticks++;
    const now = this.#clock.now();
    this.members.forgive(Math.max(0, now - this.#ticked_at - LATE_TICK_MS));
    this.#ticked_at = now;
    if (!this.#is_closing) this.#kill_stalled(now);
    const is_due = (ms: number): boolean => this.#ticks % (ms / TICK_MS) === 0;
    const stepped = is_due(RAMP_STEP_MS) && this.planner.step(now);
    const expired = this.traces.expire(now, this.planner.revision + 1);
    if (stepped || expired) this.planner.replan(expired);
    if (is_due(SHRINK_MS) && !this.planner.is_ending) {
      this.#staff.shrink(now, (id) => this.planner.holds_slots(id));
      // whoever has too few or too many of the slots by now
      if (this.planner.has_rates) this.#replan();
    }
    this.waits.poke();
  }
}

const absent_text = ({ id, absent }: Member): string => `${id} ${absent}`;
