/** The members of a swarm as the coordinator knows them: who is up, their newest accounts, what dead ones counted. */
import type { Missing } from '../../grammar/command.ts';
import {
  bury,
  count_error,
  is_idle,
  lose_arrivals,
  lose_slots,
  live_in,
  live_of,
  NO_DEAD,
  open_of,
  sum_of,
  type Dead,
} from '../../metrics/merge-snapshots.ts';
import type { Snapshot } from '../../metrics/snapshot.ts';
import type { WorkerSummary } from '../../metrics/summary.ts';
import type { Account } from '../plan/account.ts';
import { ARRIVALS } from '../plan/orders.ts';
import type { MemberId } from '../plan/run-spec.ts';
import type { Absence, Death } from '../plan/seam.ts';
import { Outstanding } from './outstanding.ts';

/** What an account changes for the orders. */
export interface AccountChange {
  /** a process said hello, or can hold more or fewer clients than before */
  readonly capacity: boolean;
  /** the member could be running fewer clients than before */
  readonly may: boolean;
}

/** ms without an answer after which a member counts as stalled */
export const STALLED_AFTER_MS = 3000;

/** What a member has of a group. */
export class MemberPart {
  /** its part of the planned clients; its orders may lag behind */
  share = 0;
  /** the clients it needs ids for: its share now or at the end of the ramp, whichever is more, and those that arrive */
  needs = 0;
  readonly outstanding = new Outstanding();
  /** of clients that arrive: how many it may hold at a time */
  readonly arrivals = new Outstanding();
}

export class Member {
  readonly id: MemberId;
  /** it shall have a process */
  wanted = false;
  /** the newest account of the living process; null: none said hello */
  account: Account | null = null;
  /** when that account came, ms */
  heard_at = 0;
  /** when it last showed that it reads its orders, ms; {@link Members.forgive} moves it later */
  answered_at = 0;
  /** why no process lives, while none does */
  absence: 'starting' | Absence = 'starting';
  /** clients it can hold: expected before its hello, kept while it restarts, 0 while given up or not wanted */
  capacity = 0;
  capacity_why = '';
  /** what it has of each group of the run, in their order */
  readonly parts: readonly MemberPart[];
  /** incarnation that died last: a late account of it must not bring it back */
  buried: string | null = null;

  constructor(id: MemberId, groups: number) {
    this.id = id;
    this.parts = Array.from({ length: groups }, () => new MemberPart());
  }

  /** the most clients it could be running */
  get may(): number {
    return this.parts.reduce((all, { outstanding, arrivals }) => all + outstanding.may + arrivals.may, 0);
  }

  /** the clients it needs ids for */
  get needs(): number {
    return this.parts.reduce((all, { needs }) => all + needs, 0);
  }

  /** It shall hold nothing. */
  clear_share(): void {
    this.capacity = 0;
    for (const part of this.parts) part.share = part.needs = 0;
  }

  /** clients that arrived in a group and are there, as it last said */
  arrived(group: string): number {
    return this.account?.snapshot.groups[group]?.arrivals?.live ?? 0;
  }

  get live(): number {
    return this.account ? live_of(this.account.snapshot) : 0;
  }

  get open(): number {
    return this.account ? open_of(this.account.snapshot) : 0;
  }

  /** it is not wanted, or will not come back soon */
  get is_out(): boolean {
    return !this.wanted || (!this.account && (this.absence === 'given_up' || this.absence === 'gone'));
  }

  get is_starting(): boolean {
    return this.wanted && !this.account && this.absence === 'starting';
  }

  /** why there is no process: `given up`; null: there is one */
  get absent(): string | null {
    return this.account ? null : this.absence.replace('_', ' ');
  }

  /** How it is named where it should have done something. */
  missing(now: number): Missing {
    return { id: this.id, absent: this.absent, silent_ms: Math.round(now - this.heard_at) };
  }

  has_applied(revision: number): boolean {
    return this.account !== null && this.account.revision >= revision;
  }

  state(now: number): WorkerSummary['state'] {
    if (!this.account) return this.absence;
    return now - this.answered_at > STALLED_AFTER_MS ? 'stalled' : 'up';
  }

  summary(now: number): WorkerSummary {
    const { account } = this;
    const generator = account?.snapshot.generator ?? { cpu: 0, rss_bytes: 0, lag_p99_ms: 0 };
    return {
      id: this.id,
      incarnation: account?.incarnation ?? '',
      pid: account?.pid ?? 0,
      live: this.live,
      open: this.open,
      capacity: this.capacity,
      cpu: generator.cpu,
      rss_bytes: generator.rss_bytes,
      lag_p99_ms: generator.lag_p99_ms,
      silent_ms: account ? Math.round(now - this.heard_at) : 0,
      state: this.state(now),
    };
  }
}

/** The highest numbers so far. */
export interface Peaks {
  live: number;
  open: number;
}

export class Members {
  readonly all: readonly Member[];
  /** of the whole swarm */
  readonly peaks: Peaks = { live: 0, open: 0 };
  readonly #group_peaks = new Map<string, Peaks>();
  #dead: Dead = NO_DEAD;

  /** `groups`: how many the run has */
  constructor(ids: readonly MemberId[], groups: number) {
    this.all = ids.map((id) => new Member(id, groups));
  }

  get dead(): Dead {
    return this.#dead;
  }

  get up(): readonly Member[] {
    return this.all.filter((member) => member.account !== null);
  }

  /** members that shall have a process, or still have one */
  get shown(): readonly Member[] {
    return this.all.filter((member) => member.wanted || member.account);
  }

  /** members that have a process, or soon will */
  get expected(): readonly Member[] {
    return this.all.filter((member) => !member.is_out);
  }

  /** clients that the wanted members can hold */
  get capacity(): number {
    return this.all.reduce((all, member) => all + member.capacity, 0);
  }

  /** capacity of one member, as all are alike */
  get per_member(): number {
    return Math.max(0, ...this.all.map((member) => member.capacity));
  }

  /** capacity with the members that are not wanted yet */
  get possible_capacity(): number {
    return this.capacity + this.per_member * this.all.filter((member) => !member.wanted).length;
  }

  get snapshots(): readonly Snapshot[] {
    return this.up.map((member) => member.account!.snapshot);
  }

  get(id: MemberId): Member | undefined {
    return this.all.find((member) => member.id === id);
  }

  /**
   * Takes an account in. Null if it is repeated, out of order, of a dead process or of no member. `revision`: of the
   * newest orders. A member that sends accounts but reads no orders does not count as answering.
   */
  accept(id: MemberId, account: Account, now: number, wall: number, revision = 0): AccountChange | null {
    const member = this.get(id);
    if (!member || account.incarnation === member.buried) return null;
    const last = member.account;
    if (last && last.incarnation !== account.incarnation)
      this.depart(member, last.incarnation, 'restarting', now, wall);
    else if (last && account.seq <= last.seq) return null;
    const { capacity, may } = member;
    const is_new = member.account === null;
    member.account = account;
    member.heard_at = now;
    if (is_new || account.taken >= revision || account.taken > last!.taken) member.answered_at = now;
    if (member.wanted) member.capacity = account.capacity;
    member.capacity_why = account.capacity_why;
    for (const part of member.parts)
      for (const orders of [part.outstanding, part.arrivals]) orders.acknowledge(account.revision);
    this.#raise_peaks(account.snapshot);
    return { capacity: is_new || member.capacity !== capacity, may: member.may < may };
  }

  /** of one group, in the whole swarm */
  peaks_of(group: string): Peaks {
    let known = this.#group_peaks.get(group);
    if (known === undefined) {
      known = { live: 0, open: 0 };
      this.#group_peaks.set(group, known);
    }
    return known;
  }

  /** By what all hold now, and by the peaks of the member that has just reported. */
  #raise_peaks(newest: Snapshot): void {
    const whole = { live: 0, open: 0 };
    for (const [name, { clients, connections }] of Object.entries(newest.groups)) {
      const own = { live: clients.peak, open: connections.open_peak };
      const all = { live: 0, open: 0 };
      for (const { groups } of this.snapshots) {
        const group = groups[name];
        if (group === undefined) continue;
        all.live += live_in(group);
        all.open += group.connections.open;
      }
      whole.live += all.live;
      whole.open += all.open;
      for (const peaks of [own, all]) {
        raise(this.peaks_of(name), peaks);
        raise(this.peaks, peaks);
      }
    }
    raise(this.peaks, whole);
  }

  /** Slots that nobody made, by the name of their group and their index in orders. */
  lose_slots(group: string, action: number, slots: number): void {
    const dead = this.#dead;
    this.#dead = action === ARRIVALS ? lose_arrivals(dead, group, slots) : lose_slots(dead, group, action, slots);
  }

  /** How many slots of a rated action, or of arrivals, all members have planned, the dead too, and those that are lost. */
  planned_slots(group: string, action: number): number {
    const of = ({ groups }: Snapshot): number => {
      const slots = action === ARRIVALS ? groups[group]?.arrivals : groups[group]?.actions[action]?.slots;
      return slots?.planned ?? 0;
    };
    return [...this.snapshots, this.#dead.snapshot].reduce((all, snapshot) => all + of(snapshot), 0);
  }

  /** This process heard nobody for `ms`: that time does not count as silence. */
  forgive(ms: number): void {
    for (const member of this.all) member.answered_at += ms;
  }

  /** A process for `member` is being started; `capacity`: the expected one. */
  want(member: Member, capacity: number): void {
    member.wanted = true;
    member.absence = 'starting';
    member.capacity = capacity;
  }

  /** The member's process shall end. It must hold no clients and have no orders to hold any. */
  dismiss(member: Member): void {
    member.wanted = false;
    member.clear_share();
  }

  /**
   * A process of `member` is dead. Its last snapshot goes to the dead. The share stays with the member unless nobody
   * will replace it. It is no loss if it held nothing and was not wanted any more, or never held a client.
   */
  depart(
    member: Member,
    incarnation: string,
    absence: Absence,
    now: number,
    wall: number,
    death: Death | null = null,
  ): void {
    if (death) this.#dead = count_error(this.#dead, death.code, death.text, wall);
    if (member.account && member.account.incarnation !== incarnation) return; // an earlier process, replaced since
    if (member.account) {
      const silent_ms = Math.round(now - member.heard_at);
      const lost = { worker: member.id, incarnation, at: new Date(wall).toISOString(), silent_ms };
      const { snapshot } = member.account;
      const created = sum_of(snapshot, ({ clients }) => clients.created);
      const never_held = created === 0 && member.may === 0;
      const is_no_loss = is_idle(snapshot) && (!member.wanted || never_held);
      this.#dead = bury(this.#dead, snapshot, is_no_loss ? null : lost);
    }
    member.account = null;
    member.buried = incarnation;
    for (const part of member.parts) for (const orders of [part.outstanding, part.arrivals]) orders.clear();
    member.absence = absence;
    if (member.is_out) member.clear_share();
  }
}

function raise(peaks: Peaks, { live, open }: Peaks): void {
  peaks.live = Math.max(peaks.live, live);
  peaks.open = Math.max(peaks.open, open);
}
