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

export class Tenures {
  readonly #whole: Places;
  readonly #new_id: () => number;
  #held: Held[] = [];
  /** nobody's: slots from `first` on */
  #free: Free[];
  /** who shall have which places, in their order; empty: there is nobody */
  #layout: readonly Assigned[] = [];
  /** the members there are */
  #parts: readonly Weighted[] = [];
  #dealt_ms = -Infinity;

  /** `new_id`: of tenures, unique in the run */
  constructor(whole: Places, new_id: () => number) {
    this.#whole = whole;
    this.#new_id = new_id;
    this.#free = [{ from: whole.from, to: whole.to, first: 1 }];
  }

  of(member: MemberId): TenureOrders[] {
    return this.#held
      .filter(({ owner }) => owner === member)
      .map(({ id, from, to, first, closing }) => ({ id, from, to, first, closing }));
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
        return Math.abs((owned.get(id) ?? 0) - part) <= SLACK * part;
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

interface Assigned extends Places {
  readonly owner: MemberId;
}

interface Free extends Places {
  readonly first: number;
}

interface Held extends Assigned, Free {
  readonly id: number;
  /** never undone: the owner may have closed it by now */
  closing: boolean;
}

/** By id: the last slots of those that are closed. */
const ends_of = (accounts: readonly TenureAccount[]): Map<number, number> =>
  new Map(accounts.flatMap(({ id, closed }) => (closed === null ? [] : [[id, closed] as const])));

const shares_of = (parts: readonly Weighted[]): readonly Weighted[] =>
  parts.some(({ weight }) => weight > 0) ? parts : parts.map(({ id }) => ({ id, weight: 1 }));

function layout_of({ from, to }: Places, parts: readonly Weighted[]): Assigned[] {
  const all = parts.reduce((sum, { weight }) => sum + weight, 0);
  const layout: Assigned[] = [];
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
function joined(free: readonly Free[]): Free[] {
  const all: Free[] = [];
  for (const one of [...free].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last?.to === one.from && last.first === one.first) all[all.length - 1] = { ...last, to: one.to };
    else all.push(one);
  }
  return all;
}
