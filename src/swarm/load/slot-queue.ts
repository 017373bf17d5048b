/**
 * The slots of one rated action in one member: those that are its own are planned when their instant comes, and wait
 * until somebody takes them. There is no list of slots: of each tenure it keeps the first slot that has not been taken,
 * and counts the others by their places. Pure; instants are µs of run time.
 */
import type { SlotRecorder } from '../../metrics/recorder.ts';
import type { DropReason } from '../../metrics/snapshot.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { RateOrders, TenureOrders } from '../plan/orders.ts';
import { next_id, part_of, PLACES, type Places } from '../plan/segment.ts';
import { SlotCursor } from './slot-cursor.ts';

/** tenures that are over and still have waiting slots; those of older ones are dropped */
const MAX_PAST = 64;
/** slots that may wait in any case when no limit was given */
const LEAST_BACKLOG = 1000;

export class SlotQueue {
  readonly #counts: Pick<SlotRecorder, 'planned' | 'waiting' | 'dropped'>;
  readonly #give_up_us: number;
  readonly #max_backlog: number | null;
  /** for slots that will come, and for those that wait */
  readonly #ahead = new SlotCursor();
  readonly #behind = new SlotCursor();
  #tenures: Tenure[] = [];
  /** the last slot, anybody's, that was made; never goes back. Between calls no own slot is due that is later */
  #at = 0;
  /** when it was made */
  #at_us = -Infinity;
  /** the last slot that was made before the newest orders, and when */
  #told = 0;
  #told_us = -Infinity;
  #next_us = Infinity;
  /** the one with the oldest waiting slot */
  #oldest: Tenure | null = null;
  #oldest_us = Infinity;

  /**
   * `counts`: planned and dropped slots are added to it, waiting ones set. A slot that waited `give_up_us` is dropped,
   * and so are the oldest beyond `max_backlog`; null: as many as come in a second of its own, at least 1000.
   */
  constructor(
    counts: Pick<SlotRecorder, 'planned' | 'waiting' | 'dropped'>,
    give_up_us: number,
    max_backlog: number | null,
  ) {
    this.#counts = counts;
    this.#give_up_us = give_up_us;
    this.#max_backlog = max_backlog;
  }

  get waiting(): number {
    return this.#counts.waiting;
  }

  /** when the oldest waiting slot was due; Infinity: none waits */
  get oldest_us(): number {
    return this.#oldest_us;
  }

  /** when the next slot of its own is due; Infinity: never, by what is known */
  get next_us(): number {
    return this.#next_us;
  }

  /**
   * New orders. Slots of a new tenure that passed already are made at once. A tenure that is `closing`, or that orders
   * do not have any more, ends with the last slot that was made; what waits of it stays here.
   */
  follow({ pieces, tenures }: RateOrders): void {
    if (this.#at > this.#told) [this.#told, this.#told_us] = [this.#at, this.#at_us];
    const ordered = new Map(tenures.map((tenure) => [tenure.id, tenure]));
    for (const tenure of this.#tenures) {
      const now = ordered.get(tenure.id);
      tenure.is_ordered = now !== undefined;
      if (now === undefined || now.closing) this.#close(tenure);
      ordered.delete(tenure.id);
    }
    for (const fresh of ordered.values()) this.#begin(fresh);
    this.#forget_past();
    this.#ahead.follow(pieces);
    this.#behind.follow(pieces);
    this.#find_next();
    this.#find_oldest();
  }

  /** Makes the slots that are due by now, and drops what waited too long or is too much. */
  make(now_us: number): void {
    if (now_us >= this.#next_us) this.#advance(now_us);
    const limit = now_us - this.#give_up_us;
    while (this.#oldest_us <= limit) this.#drop(Math.max(this.#behind.by(limit), this.#oldest!.next), 'no_free_client');
    if (this.waiting <= (this.#max_backlog ?? LEAST_BACKLOG)) return;
    const excess = this.waiting - this.#backlog_at(now_us);
    if (excess > 0) this.#drop(this.#waiting_slot(excess), 'backlog');
  }

  /** Hands out the oldest waiting slot: returns when it was due. Infinity: none waits. */
  take(): number {
    const [tenure, due_us] = [this.#oldest, this.#oldest_us];
    if (tenure === null) return Infinity;
    tenure.next = next_id(tenure, tenure.next);
    this.#counts.waiting--;
    this.#find_oldest();
    return due_us;
  }

  /** Makes the slots that are due by an instant, and drops all that wait. */
  drop_all(reason: DropReason, until_us: number): void {
    this.make(until_us);
    this.#drop(this.#at, reason);
  }

  /** of the tenures in its orders */
  accounts(): TenureAccount[] {
    return this.#tenures
      .filter(({ is_ordered }) => is_ordered)
      .map(({ id, closed }) => ({ id, at: this.#at, closed: closed === Infinity ? null : closed }));
  }

  #close(tenure: Tenure): void {
    if (tenure.closed === Infinity) tenure.closed = Math.min(Math.max(this.#at, tenure.first - 1), tenure.last);
  }

  #begin({ id, from, to, first, closing, last = Infinity }: TenureOrders): void {
    const stretch = { from, to };
    const next = next_id(stretch, first - 1);
    const coming = next_id(stretch, Math.max(this.#at, first - 1));
    const tenure: Tenure = { id, from, to, first, last, closed: Infinity, next, coming, is_ordered: true };
    this.#plan(waiting_in(tenure, Math.min(this.#at, last)));
    if (closing) this.#close(tenure);
    else if (coming > last) tenure.closed = last;
    this.#tenures.push(tenure);
  }

  #forget_past(): void {
    const past = this.#tenures.filter(({ is_ordered }) => !is_ordered);
    for (const tenure of past.slice(0, -MAX_PAST)) this.#drop_of(tenure, this.#at, 'backlog');
    this.#tenures = this.#tenures.filter((tenure) => tenure.is_ordered || tenure.next <= tenure.closed);
  }

  #advance(now_us: number): void {
    this.#at_us = now_us;
    this.#at = Math.max(this.#ahead.by(now_us), this.#first_coming());
    for (const tenure of this.#tenures) {
      if (tenure.closed !== Infinity || tenure.coming > this.#at) continue;
      this.#plan(part_of(tenure, Math.min(this.#at, tenure.last)) - part_of(tenure, tenure.coming - 1));
      tenure.coming = next_id(tenure, this.#at);
      if (tenure.coming > tenure.last) tenure.closed = tenure.last;
    }
    this.#find_next();
    if (this.#oldest === null) this.#find_oldest();
  }

  #plan(slots: number): void {
    this.#counts.planned += slots;
    this.#counts.waiting += slots;
  }

  #first_coming(): number {
    let first = Infinity;
    for (const { closed, coming } of this.#tenures) if (closed === Infinity && coming < first) first = coming;
    return first;
  }

  #find_next(): void {
    const first = this.#first_coming();
    this.#next_us = first === Infinity ? Infinity : this.#ahead.due(first);
  }

  #find_oldest(): void {
    this.#oldest = null;
    if (this.waiting > 0)
      for (const tenure of this.#tenures)
        if (tenure.next <= Math.min(this.#at, tenure.closed) && tenure.next < (this.#oldest?.next ?? Infinity))
          this.#oldest = tenure;
    // those made before word came that they are due later, or never, were due when they were made
    const next = this.#oldest?.next ?? Infinity;
    this.#oldest_us = next === Infinity ? Infinity : Math.min(this.#behind.due(next), this.#made_by(next));
  }

  /** When a slot was made at the latest. */
  #made_by(slot: number): number {
    return slot <= this.#told ? this.#told_us : this.#at_us;
  }

  /** Drops the waiting slots up to one. */
  #drop(last: number, reason: DropReason): void {
    for (const tenure of this.#tenures) this.#drop_of(tenure, Math.min(last, this.#at), reason);
    this.#find_oldest();
  }

  #drop_of(tenure: Tenure, last: number, reason: DropReason): void {
    const slots = waiting_in(tenure, last);
    if (slots === 0) return;
    tenure.next = next_id(tenure, Math.min(last, tenure.closed));
    this.#counts.waiting -= slots;
    this.#counts.dropped[reason] += slots;
  }

  #backlog_at(now_us: number): number {
    if (this.#max_backlog !== null) return this.#max_backlog;
    let places = 0;
    for (const { closed, from, to } of this.#tenures) if (closed === Infinity) places += to - from;
    return Math.max(LEAST_BACKLOG, Math.ceil((this.#ahead.rate_at(now_us) * places) / PLACES / 1e6));
  }

  /** The number of the k-th slot that waits, k from 1: closed in on from the oldest, as k is most often small. */
  #waiting_slot(k: number): number {
    const up_to = (last: number): number => {
      let slots = 0;
      for (const tenure of this.#tenures) slots += waiting_in(tenure, Math.min(last, this.#at));
      return slots;
    };
    let [low, step] = [this.#oldest!.next - 1, 1];
    for (; up_to(low + step) < k; step *= 2) low += step;
    while (step > 1) {
      step /= 2;
      if (up_to(low + step) < k) low += step;
    }
    return low + 1;
  }
}

interface Tenure extends Places {
  readonly id: number;
  readonly first: number;
  /** its last slot; Infinity: it has none */
  readonly last: number;
  /** Infinity: it goes on */
  closed: number;
  /** the first slot of it that was neither taken nor dropped */
  next: number;
  /** the first slot of it that was not made */
  coming: number;
  is_ordered: boolean;
}

/** How many slots of a tenure wait, of those up to one that was made. */
function waiting_in(tenure: Tenure, last: number): number {
  const end = Math.min(last, tenure.closed);
  return tenure.next > end ? 0 : part_of(tenure, end) - part_of(tenure, tenure.next - 1);
}
