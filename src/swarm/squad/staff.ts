/** How many processes there are: enough for the target, and after a while no more than it needs. */
import { is_idle } from '../../metrics/merge-snapshots.ts';
import type { Note } from '../plan/account.ts';
import type { MemberId } from '../plan/run-spec.ts';
import type { Hub } from '../plan/seam.ts';
import type { Member, Members } from './members.ts';

/** ms without clients after which a process is ended: a start costs half a second of a core, keeping it 45–65 MB */
export const IDLE_MS = 60_000;

export class Staff {
  readonly #hub: Hub;
  readonly #members: Members;
  readonly #from_start: number;
  readonly #on_note: (member: MemberId, note: Note) => void;
  /** since when a member has no clients, ms */
  readonly #idle = new Map<MemberId, number>();

  /** `from_start`: how many members have a process all the time, from the start. Their capacity is not known yet. */
  constructor(hub: Hub, members: Members, from_start: number, on_note: (member: MemberId, note: Note) => void) {
    this.#hub = hub;
    this.#members = members;
    this.#from_start = from_start;
    this.#on_note = on_note;
    for (const member of members.all.slice(0, from_start)) members.want(member, 0);
    this.#tell();
  }

  /** Starts members until together they can hold the target, and those that arrive beside it, or all are started. */
  grow(target: number, arriving = 0): void {
    const members = this.#members;
    const per_member = members.per_member;
    const started: Member[] = [];
    for (const member of members.all) {
      if (members.capacity >= target + arriving || per_member === 0) break;
      // a member that is ending can be started once it has ended
      if (member.wanted || member.account) continue;
      members.want(member, per_member);
      started.push(member);
    }
    if (started.length === 0) return;
    for (const { id } of started)
      this.#on_note(id, {
        level: 'info',
        text: `starting: the target of ${target} ${arriving > 0 ? 'and clients that arrive need it' : 'needs it'}`,
      });
    this.#tell();
  }

  /**
   * Ends members beyond the first `from_start` that had no clients for {@link IDLE_MS}, unless one `holds` slots of a
   * rate. Call about once a second.
   */
  shrink(now: number, holds: (member: MemberId) => boolean = () => false): void {
    const idle = this.#members.all.slice(this.#from_start).filter((member) => this.#is_idle_long(member, now));
    const ended = idle.filter(({ id }) => !holds(id));
    for (const member of ended) {
      this.#idle.delete(member.id);
      this.#members.dismiss(member);
      this.#on_note(member.id, { level: 'info', text: `ending: it had no clients for ${IDLE_MS / 1000} s` });
    }
    if (ended.length > 0) this.#tell();
  }

  #is_idle_long({ id, wanted, account, needs, may }: Member, now: number): boolean {
    if (!wanted || !account || needs > 0 || may > 0 || !is_idle(account.snapshot)) {
      this.#idle.delete(id);
      return false;
    }
    const since = this.#idle.get(id) ?? now;
    this.#idle.set(id, since);
    return now - since >= IDLE_MS;
  }

  #tell(): void {
    this.#hub.want(this.#members.all.filter((member) => member.wanted).map(({ id }) => id));
  }
}
