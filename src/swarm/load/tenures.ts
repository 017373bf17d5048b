/**
 * Who fires which slots of one rated action: each member has a stretch of places in proportion to its clients, and goes
 * on with them until it said itself with which slot it ended. So no slot has two owners, however late orders arrive.
 * Pure.
 */
import type { TenureAccount } from '../plan/account.ts';
import type { TenureOrders } from '../plan/orders.ts';
import type { MemberId } from '../plan/run-spec.ts';
import { part_of, type Places } from '../plan/segment.ts';

const DEAL_MS = 5000;
/** how far from its part a member may be, of that part */
const SLACK = 0.2;
/** tenures of one member that a deal leaves as they are */
const MAX_KEPT = 8;

/** A member that can fire slots, and its share of them: ≥ 0. */
export interface Weighted {
  readonly id: MemberId;
  readonly weight: number;
}

/** Whose the places of a stretch are: all that there is to know, as plain values. */
export interface TenuresState {
  readonly held: readonly HeldTenure[];
  /** nobody's: slots from `first` on */
  readonly free: readonly FreePlaces[];
  /** who shall have which places, in their order; empty: there is nobody */
  readonly layout: readonly AssignedPlaces[];
  /** when they were dealt last, ms of run time */
  readonly dealt_ms: number;
}

/** Before anybody has any of them. `first`: the first slot that is to be made. */
export const nobodys = ({ from, to }: Places, first = 1): TenuresState => ({
  held: [],
  free: [{ from, to, first }],
  layout: [],
  dealt_ms: 0,
});

export class Tenures {
  readonly #whole: Places;
  readonly #new_id: () => number;
  #held: Held[];
  #free: FreePlaces[];
  #layout: readonly AssignedPlaces[];
  /** the members there are */
  #parts: readonly Weighted[] = [];
  #dealt_ms: number;
  #at = 0;

  /** Goes on from a state, which stays as it is. `new_id`: of tenures, each only once. */
  constructor({ held, free, layout, dealt_ms }: TenuresState, new_id: () => number) {
    const all = [...held, ...free];
    this.#whole = { from: Math.min(...all.map(({ from }) => from)), to: Math.max(...all.map(({ to }) => to)) };
    this.#new_id = new_id;
    this.#held = held.map((one) => ({ ...one }));
    this.#free = [...free];
    this.#layout = layout;
    this.#dealt_ms = dealt_ms;
  }

  get state(): TenuresState {
    return { held: this.#held, free: this.#free, layout: this.#layout, dealt_ms: this.#dealt_ms };
  }

  get whole(): Places {
    return this.#whole;
  }

  /** the last slot that any member has seen pass, as far as they said */
  get at(): number {
    return this.#at;
  }

  /** The last slots of those that nobody holds; null: somebody holds some. */
  get last(): number | null {
    return this.#held.length > 0 ? null : Math.max(...this.#free.map(({ first }) => first - 1));
  }

  of(member: MemberId): TenureOrders[] {
    return this.#held.filter(({ owner }) => owner === member).map(({ owner: _, ...tenure }) => tenure);
  }

  /** Who is there: {@link died} gives to them. */
  set members(parts: readonly Weighted[]) {
    this.#parts = parts;
  }

  /** All are asked to close what they hold, and nobody is given any of it. */
  close(): void {
    this.#parts = [];
    this.#lay_out();
  }

  /**
   * What nobody holds shall end with one slot: a member makes those that are missing up to there. True: none are.
   */
  even(last: number, member: MemberId): boolean {
    const late = this.#free.filter(({ first }) => first <= last);
    this.#free = this.#free.filter((one) => !late.includes(one));
    for (const one of late) this.#held.push({ id: this.#new_id(), ...one, last, owner: member, closing: false });
    return late.length === 0;
  }

  /**
   * The members there are, always in one order. Deals all places anew when a member is to have less than 80 % or more
   * than 120 % of its part, at most each 5 s, and at once when nobody has any. Members without any weight at all are
   * equal. Returns whether orders changed.
   */
  deal(parts: readonly Weighted[], now_ms: number): boolean {
    this.#parts = parts;
    if (this.#layout.length > 0 && (now_ms < this.#dealt_ms + DEAL_MS || this.#is_even(parts))) return false;
    if (parts.length === 0) return false;
    this.#dealt_ms = now_ms;
    this.#lay_out();
    return true;
  }

  /** What a member says of its tenures. Those that it closed go to their heirs. Returns whether orders changed. */
  closed(member: MemberId, accounts: readonly TenureAccount[]): boolean {
    for (const { id, at } of accounts) if (this.#held.some((held) => held.id === id)) this.#at = Math.max(this.#at, at);
    const ends = ends_of(accounts);
    const over = this.#take(({ id, owner }) => owner === member && ends.has(id));
    for (const { id, from, to } of over) this.#free.push({ from, to, first: ends.get(id)! + 1 });
    this.#give();
    return over.length > 0;
  }

  /**
   * A member is gone: its places go to the others at once. `accounts`: the last it said; `slots_now`: how many slots
   * are due by now. Returns how many slots nobody knows anything about.
   */
  died(member: MemberId, accounts: readonly TenureAccount[], slots_now: number): number {
    const ends = ends_of(accounts);
    const seen = new Map(accounts.map(({ id, at }) => [id, at]));
    let lost = 0;
    for (const { id, from, to, first } of this.#take(({ owner }) => owner === member)) {
      const at = Math.max(first - 1, seen.get(id) ?? 0);
      const last = ends.get(id) ?? Math.max(at, slots_now);
      if (!ends.has(id)) lost += part_of({ from, to }, last) - part_of({ from, to }, at);
      this.#free.push({ from, to, first: last + 1 });
    }
    this.#parts = this.#parts.filter(({ id }) => id !== member);
    this.#lay_out();
    return lost;
  }

  #take(is_over: (held: Held) => boolean): Held[] {
    const over = this.#held.filter(is_over);
    this.#held = this.#held.filter((held) => !over.includes(held));
    return over;
  }

  #is_even(parts: readonly Weighted[]): boolean {
    const owned = new Map(this.#layout.map(({ owner, from, to }) => [owner, to - from]));
    const all = shares_of(parts).reduce((sum, { weight }) => sum + weight, 0);
    return (
      this.#layout.every(({ owner }) => parts.some(({ id }) => id === owner)) &&
      shares_of(parts).every(({ id, weight }) => {
        const part = ((this.#whole.to - this.#whole.from) * weight) / all;
        return Math.abs((owned.get(id) ?? 0) - part) <= Math.max(1, SLACK * part);
      })
    );
  }

  /** Of each tenure that is not within its owner's new places, the owner is asked to close it. */
  #lay_out(): void {
    this.#layout = layout_of(this.#whole, shares_of(this.#parts));
    const places = new Map(this.#layout.map((one) => [one.owner, one]));
    for (const held of this.#held) {
      const own = places.get(held.owner);
      if (own === undefined || held.from < own.from || held.to > own.to) held.closing = true;
    }
    // many pieces go back too, and their owner gets them as one, since it closes them all with the same slot
    for (const owner of places.keys()) {
      const kept = this.#held.filter((held) => held.owner === owner && !held.closing);
      if (kept.length > MAX_KEPT) for (const held of kept) held.closing = true;
    }
    this.#give();
  }

  #give(): void {
    if (this.#layout.length === 0) return;
    for (const { from, to, first } of joined(this.#free))
      for (const one of this.#layout) {
        const [low, high] = [Math.max(from, one.from), Math.min(to, one.to)];
        if (low >= high) continue;
        this.#held.push({ id: this.#new_id(), from: low, to: high, first, owner: one.owner, closing: false });
      }
    this.#free = [];
  }
}

export interface AssignedPlaces extends Places {
  readonly owner: MemberId;
}

export interface FreePlaces extends Places {
  readonly first: number;
}

export interface HeldTenure extends AssignedPlaces, TenureOrders {}

type Held = Omit<HeldTenure, 'closing'> & {
  /** never undone: the owner may have closed it by now */
  closing: boolean;
};

/** By id: the last slots of those that are closed. */
const ends_of = (accounts: readonly TenureAccount[]): Map<number, number> =>
  new Map(accounts.flatMap(({ id, closed }) => (closed === null ? [] : [[id, closed] as const])));

const shares_of = (parts: readonly Weighted[]): readonly Weighted[] =>
  parts.some(({ weight }) => weight > 0) ? parts : parts.map(({ id }) => ({ id, weight: 1 }));

function layout_of({ from, to }: Places, parts: readonly Weighted[]): AssignedPlaces[] {
  const all = parts.reduce((sum, { weight }) => sum + weight, 0);
  const layout: AssignedPlaces[] = [];
  let [sum, low] = [0, from];
  for (const { id, weight } of parts) {
    sum += weight;
    const high = from + Math.round(((to - from) * sum) / all);
    if (high > low) layout.push({ from: low, to: high, owner: id });
    low = high;
  }
  return layout;
}

/** Neighbours that begin with the same slot become one. */
function joined(free: readonly FreePlaces[]): FreePlaces[] {
  const all: FreePlaces[] = [];
  for (const one of [...free].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last?.to === one.from && last.first === one.first) all[all.length - 1] = { ...last, to: one.to };
    else all.push(one);
  }
  return all;
}
