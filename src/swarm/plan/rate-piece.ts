/**
 * When the slots of a rate are due: a stretch of run time in which the rate goes straight from one value to another.
 * Rates are in millionths of a slot per second, times in whole µs, and what adds up in between in 1/(2·10¹²) of a slot,
 * so that the number of slots of a piece is exact. Pure.
 */
import { philox } from '../../foundation/draws.ts';
import { make_random } from '../../foundation/random.ts';

/** Of {@link RatePiece.first}: one slot. At a rate of r, r·2·t of it add up in t µs. */
export const SLOT = 2e12;

/** It owns the instants after `from_us`, and `to_us` itself. */
export interface RatePiece {
  /** µs of run time, whole */
  readonly from_us: number;
  /** null: without end, and then both rates are the same */
  readonly to_us: number | null;
  /** slots in 10⁶ s, whole: at its beginning, and at its end */
  readonly from_rate: number;
  readonly to_rate: number;
  /** how many slots were due before it, from the beginning of the run */
  readonly slots: number;
  /**
   * How much has to add up from `from_us` on until the next slot is due, see {@link SLOT}: above 0. Of even slots a
   * whole number up to SLOT, and each later slot is due one SLOT after the one before it.
   */
  readonly first: number;
  /**
   * Slots of a Poisson process: what adds up between two of them is drawn from an exponential distribution of mean 1,
   * by the number of the slot with this key. Null: slots come evenly.
   */
  readonly poisson: number | null;
}

/** How a rate shall go on. */
export interface RateChange {
  /** slots in 10⁶ s, whole */
  readonly to_rate: number;
  /** µs, whole, from the rate in force on; 0: at once */
  readonly over_us: number;
  readonly poisson: boolean;
}

/** The state of a rate. */
export interface PlayedRate {
  /** since the last command; after its end the rate stays at its `to_rate` */
  readonly piece: RatePiece;
  /** what is held back while the swarm is paused, and goes on after it; null: it is not paused */
  readonly held: HeldRate | null;
}

export interface HeldRate {
  readonly from_rate: number;
  readonly to_rate: number;
  /** what was left of the ramp, µs; 0: there is none, and both rates are the same */
  readonly over_us: number;
}

/** How far a rate is: the part of a piece that says which slot comes next, and when. */
type Count = Pick<RatePiece, 'slots' | 'first' | 'poisson'>;

/** The key of the Poisson draws of a rate, uint32; `name`: its own in the run. */
export const poisson_key = (seed: string, name: string): number =>
  make_random(seed, `rate ${name}`).int(0, 2 ** 32 - 1);

/**
 * A rate that goes from 0 to what is asked for. An instant is rounded to whole µs, here and below. `key`: see
 * {@link poisson_key}.
 */
export function begin_rate(at_us: number, change: RateChange, key: number): PlayedRate {
  const none = piece_of(Math.round(at_us), { slots: 0, first: SLOT, poisson: null }, STILL);
  return change_rate({ piece: none, held: null }, at_us, change, key);
}

/**
 * The slots so far count on, and so does what added up for the next one. Between even slots and those of a Poisson
 * process nothing can be taken over: the next slot is then due a whole slot, or one draw, after the change. While the
 * rate is held, the change is held too. Before the piece's beginning, it counts as given at its beginning.
 */
export function change_rate(rate: PlayedRate, at_us: number, change: RateChange, key: number): PlayedRate {
  const at = instant_in(rate.piece, at_us);
  const { to_rate, over_us } = change;
  const from_rate = over_us > 0 ? in_force(rate, at) : to_rate;
  const count = in_manner(count_at(rate.piece, at), change.poisson ? key : null);
  const next: HeldRate = { from_rate, to_rate, over_us: from_rate === to_rate ? 0 : over_us };
  return rate.held === null
    ? { piece: piece_of(at, count, next), held: null }
    : { piece: piece_of(at, count, STILL), held: next };
}

/** For a pause: no slot is due from here on, and what is left of a ramp is kept. */
export function hold_rate(rate: PlayedRate, at_us: number): PlayedRate {
  if (rate.held !== null) return rate;
  const { piece } = rate;
  const at = instant_in(piece, at_us);
  const over_us = piece.to_us === null ? 0 : Math.max(0, piece.to_us - at);
  const { to_rate } = piece;
  const from_rate = over_us === 0 ? to_rate : in_force(rate, at);
  return { piece: piece_of(at, count_at(piece, at), STILL), held: { from_rate, to_rate, over_us } };
}

/** The pause is over: the rest of the ramp goes on, and so does what added up for the next slot. */
export function release_rate(rate: PlayedRate, at_us: number): PlayedRate {
  const { piece, held } = rate;
  if (held === null) return rate;
  const at = instant_in(piece, at_us);
  return { piece: piece_of(at, count_at(piece, at), held), held: null };
}

/** Nothing more is planned after this instant. */
export function end_rate({ piece }: PlayedRate, at_us: number): PlayedRate {
  const at = instant_in(piece, at_us);
  return { piece: piece_of(at, count_at(piece, at), STILL), held: null };
}

/** How many slots are due at or before an instant, from the beginning of the run; after its end, at its last rate. */
export function slots_by(piece: RatePiece, at_us: number): number {
  const times = piece.poisson === null ? new EvenTimes(piece) : drawn_times(piece, piece.poisson);
  return times.by(at_us);
}

/** In slots in 10⁶ s, not rounded. */
export function rate_at({ from_us, to_us, from_rate, to_rate }: RatePiece, at_us: number): number {
  if (to_us === null || at_us >= to_us) return to_rate;
  return from_rate + ((to_rate - from_rate) * Math.max(0, at_us - from_us)) / (to_us - from_us);
}

/** What follows a piece at its last rate; null: it has no end. */
export function after_piece(piece: RatePiece): RatePiece | null {
  const { to_us, to_rate } = piece;
  if (to_us === null) return null;
  return piece_of(to_us, count_at(piece, to_us), { from_rate: to_rate, to_rate, over_us: 0 });
}

/**
 * The same piece for a member that has nothing to do with slots due at or before an instant: it need not draw what is
 * between slots of a Poisson process up to there. Its `slots` and `first` are those of the first slot due later. Pieces
 * of even slots are returned as they are.
 */
export function at_slot(piece: RatePiece, at_us: number): RatePiece {
  if (piece.poisson === null) return piece;
  const times = drawn_times(piece, piece.poisson);
  const slots = times.by(at_us);
  return { ...piece, slots, first: times.area_of(slots + 1) };
}

/**
 * When the slots of a piece are due, those at its last rate after its end too. Slots up to its `slots` count as due at
 * its beginning.
 */
export interface SlotTimes {
  /** µs of run time when slot n is due: never falls as n grows, > `from_us`; Infinity: at a rate of 0 it never is */
  due(n: number): number;
  /** how many are due at or before an instant: due(n) ≤ t exactly when n ≤ by(t) */
  by(at_us: number): number;
}

/** New ones: of Poisson slots they keep where they are, so each caller who goes from slot to slot has its own. */
export const make_times = (piece: RatePiece): SlotTimes =>
  piece.poisson === null ? new EvenTimes(piece) : new PoissonTimes(piece, piece.poisson);

const STILL: HeldRate = { from_rate: 0, to_rate: 0, over_us: 0 };

const piece_of = (from_us: number, count: Count, { from_rate, to_rate, over_us }: HeldRate): RatePiece => ({
  from_us,
  to_us: over_us > 0 ? from_us + over_us : null,
  from_rate,
  to_rate,
  slots: count.slots,
  first: count.first,
  poisson: count.poisson,
});

const instant_in = ({ from_us }: RatePiece, at_us: number): number => Math.max(from_us, Math.round(at_us));

/** Rounded to a whole one, exactly. */
function in_force({ piece, held }: PlayedRate, at_us: number): number {
  if (held !== null) return held.from_rate;
  const { from_us, to_us, from_rate, to_rate } = piece;
  if (to_us === null || at_us >= to_us) return to_rate;
  const length = BigInt(to_us - from_us);
  const grown = 2n * BigInt(to_rate - from_rate) * BigInt(at_us - from_us);
  return Number((2n * BigInt(from_rate) * length + grown + length) / (2n * length));
}

function in_manner(count: Count, poisson: number | null): Count {
  if ((count.poisson === null) === (poisson === null)) return { ...count, poisson };
  const first = poisson === null ? SLOT : gap_before(poisson, count.slots + 1);
  return { slots: count.slots, first, poisson };
}

/** How far a rate is at an instant at or after the piece's beginning, whole µs. */
function count_at(piece: RatePiece, at_us: number): Count {
  const { from_us, to_us, slots, first, poisson } = piece;
  if (poisson !== null) {
    const times = drawn_times(piece, poisson);
    const by = times.by(at_us);
    return { slots: by, first: Math.max(1, times.area_of(by + 1) - area_at(piece, at_us)), poisson };
  }
  if (to_us !== null && at_us > to_us) return count_at(after_piece(piece)!, at_us);
  const area = exact_area(piece, at_us - from_us);
  const beyond = area - BigInt(first);
  if (beyond < 0n) return { slots, first: Number(-beyond), poisson };
  const whole = beyond / BIG_SLOT;
  return { slots: slots + Number(whole) + 1, first: SLOT - Number(beyond - whole * BIG_SLOT), poisson };
}

const BIG_SLOT = BigInt(SLOT);

/** What has added up `after_us` after the beginning of a piece, at most its end, rounded down. See {@link SLOT}. */
function exact_area({ from_us, to_us, from_rate, to_rate }: RatePiece, after_us: number): bigint {
  const t = BigInt(after_us);
  const even = 2n * BigInt(from_rate) * t;
  if (to_us === null) return even;
  const length = BigInt(to_us - from_us);
  return (even * length + BigInt(to_rate - from_rate) * t * t) / length;
}

/** The same not exactly, at any instant from the piece's beginning on. */
function area_at({ from_us, to_us, from_rate, to_rate }: RatePiece, at_us: number): number {
  if (to_us === null) return 2 * from_rate * (at_us - from_us);
  if (at_us >= to_us) return (from_rate + to_rate) * (to_us - from_us) + 2 * to_rate * (at_us - to_us);
  const t = at_us - from_us;
  return 2 * from_rate * t + ((to_rate - from_rate) * t * t) / (to_us - from_us);
}

/** The time that `area` takes to add up from a rate on that grows by `growth` in a µs. */
function time_for(area: number, rate: number, growth: number): number {
  return area <= 0 ? 0 : area / (rate + Math.sqrt(rate * rate + growth * area));
}

/** When `area` has added up since the beginning; `short`: how much of the whole piece is then missing. */
function instant_of(piece: RatePiece, area: number, short: number): number {
  const { from_us, to_us, from_rate, to_rate } = piece;
  // the beginning is of the piece before, even when the sum rounds to it
  const earliest = from_us + from_us * Number.EPSILON;
  if (to_us === null) return Math.max(earliest, from_us + time_for(area, from_rate, 0));
  const growth = (to_rate - from_rate) / (to_us - from_us);
  // from its slower end, since a difference of what is nearly equal is not exact
  const instant = growth < 0 ? to_us - time_for(short, to_rate, -growth) : from_us + time_for(area, from_rate, growth);
  return Math.min(to_us, Math.max(earliest, instant));
}

class EvenTimes implements SlotTimes {
  readonly #piece: RatePiece;
  /** how many are due in the piece */
  readonly #own: number;
  /** what adds up after the last of them until the end of the piece */
  readonly #rest: number;
  #after: SlotTimes | null = null;

  constructor(piece: RatePiece) {
    this.#piece = piece;
    const end = piece.to_us === null ? null : count_at(piece, piece.to_us);
    this.#own = end === null ? Infinity : end.slots - piece.slots;
    this.#rest = end === null ? 0 : SLOT - end.first;
  }

  due(n: number): number {
    const piece = this.#piece;
    const k = n - piece.slots;
    if (k <= 0) return piece.from_us;
    if (k > this.#own) return this.#later.due(n);
    return instant_of(piece, piece.first + (k - 1) * SLOT, this.#rest + (this.#own - k) * SLOT);
  }

  by(at_us: number): number {
    const { from_us, to_us, slots, first } = this.#piece;
    if (at_us <= from_us) return slots;
    if (to_us !== null && at_us >= to_us) return at_us > to_us ? this.#later.by(at_us) : slots + this.#own;
    const guess = Math.floor((area_at(this.#piece, at_us) - first) / SLOT) + 1;
    let n = slots + Math.min(this.#own, Math.max(0, guess));
    while (this.due(n + 1) <= at_us) n++;
    while (n > slots && this.due(n) > at_us) n--;
    return n;
  }

  get #later(): SlotTimes {
    return (this.#after ??= new EvenTimes(after_piece(this.#piece)!));
  }
}

/** What adds up between slot n − 1 of a Poisson process and slot n. */
function gap_before(key: number, n: number): number {
  const words = philox(n, (n / 2 ** 32) | 0, key);
  const unit = ((words[0] >>> 5) * 2 ** 26 + (words[1] >>> 6)) / 2 ** 53;
  return Math.max(1, -Math.log(1 - unit) * SLOT);
}

const MAX_MARKS = 64;
/** slots */
const MARKS_APART = 1000;

/** Goes forward from slot to slot, and back to marks that it left on its way: the farther back, the farther apart. */
class PoissonTimes implements SlotTimes {
  readonly #piece: RatePiece;
  readonly #key: number;
  /** what adds up in the whole piece */
  readonly #whole: number;
  #at: DrawnSlot;
  readonly #marks: DrawnSlot[];

  constructor(piece: RatePiece, key: number) {
    this.#piece = piece;
    this.#key = key;
    this.#whole = piece.to_us === null ? Infinity : area_at(piece, piece.to_us);
    this.#at = { n: piece.slots + 1, area: piece.first, before: 0 };
    this.#marks = [{ ...this.#at }];
  }

  due(n: number): number {
    return n <= this.#piece.slots ? this.#piece.from_us : this.#instant(this.area_of(n));
  }

  by(at_us: number): number {
    if (at_us <= this.#piece.from_us) return this.#piece.slots;
    if (this.#instant(this.#at.before) > at_us) this.#go_back(({ before }) => this.#instant(before) <= at_us);
    while (this.#instant(this.#at.area) <= at_us) this.#step();
    return this.#at.n - 1;
  }

  /** what has added up when slot n is due; n > `slots` */
  area_of(n: number): number {
    if (n < this.#at.n - 1) this.#go_back((mark) => mark.n <= n);
    while (this.#at.n < n) this.#step();
    return this.#at.n === n ? this.#at.area : this.#at.before;
  }

  #instant(area: number): number {
    const { to_us, to_rate } = this.#piece;
    if (to_us === null || area <= this.#whole) return instant_of(this.#piece, area, this.#whole - area);
    return to_us + time_for(area - this.#whole, to_rate, 0);
  }

  #step(): void {
    const at = this.#at;
    at.n++;
    at.before = at.area;
    at.area += gap_before(this.#key, at.n);
    if (at.n - this.#marks.at(-1)!.n >= MARKS_APART) this.#mark();
  }

  #mark(): void {
    const marks = this.#marks;
    marks.push({ ...this.#at });
    if (marks.length <= MAX_MARKS) return;
    // without which the way back to a slot grows least, by how far back it is
    let [least, spare] = [Infinity, 1];
    for (let i = 1; i < marks.length - 1; i++) {
      const before = marks[i - 1]!.n;
      const grown = (marks[i + 1]!.n - before) / (this.#at.n - before);
      if (grown < least) [least, spare] = [grown, i];
    }
    marks.splice(spare, 1);
  }

  #go_back(is_early: (mark: DrawnSlot) => boolean): void {
    const marks = this.#marks;
    while (marks.length > 1 && !is_early(marks.at(-1)!)) marks.pop();
    this.#at = { ...marks.at(-1)! };
  }
}

interface DrawnSlot {
  n: number;
  /** what has added up when slot n is due, and when the one before it was */
  area: number;
  before: number;
}

/** pieces */
const MAX_DRAWN = 256;
/** So that the functions above do not draw what is before an instant again and again: by what a piece says, newest last. */
const drawn = new Map<string, PoissonTimes>();

function drawn_times(piece: RatePiece, key: number): PoissonTimes {
  const { from_us, to_us, from_rate, to_rate, slots, first } = piece;
  const text = [from_us, to_us, from_rate, to_rate, slots, first, key].join(' ');
  const times = drawn.get(text) ?? new PoissonTimes(piece, key);
  drawn.delete(text);
  drawn.set(text, times);
  for (const oldest of drawn.keys()) {
    if (drawn.size <= MAX_DRAWN) break;
    drawn.delete(oldest);
  }
  return times;
}
