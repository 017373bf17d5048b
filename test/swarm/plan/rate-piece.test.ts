import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  after_piece,
  at_slot,
  begin_rate,
  change_rate,
  end_rate,
  hold_rate,
  make_times,
  poisson_key,
  rate_at,
  release_rate,
  slots_by,
  type PlayedRate,
  type RateChange,
  type RatePiece,
} from '../../../src/swarm/plan/rate-piece.ts';

const KEY = poisson_key('swarm', 'main.0');
const even = (to_rate: number, over_us = 0): RateChange => ({ to_rate, over_us, poisson: false });
const drawn = (to_rate: number, over_us = 0): RateChange => ({ to_rate, over_us, poisson: true });

/** Keeps what adds up as one whole number, and a rate as a fraction of whole numbers. */
class Oracle {
  #now = {
    /** halves of 10⁻¹² slot */
    total: 0n,
    at: 0n,
    from: 0n,
    to: 0n,
    /** of the ramp, how much is over and how long it is */
    over: 0n,
    length: 0n,
    is_paused: false,
  };

  constructor(at_us: number) {
    this.#now.at = BigInt(at_us);
  }

  pass(until_us: number): void {
    const until = BigInt(until_us);
    if (until <= this.#now.at) return;
    const time = until - this.#now.at;
    this.#now.at = until;
    if (this.#now.is_paused) return;
    const left = this.#now.length - this.#now.over;
    const ramped = time < left ? time : left;
    if (ramped > 0n) {
      // the mean of the rates at both ends, over the time between them
      const both =
        2n * this.#now.from * this.#now.length + (this.#now.to - this.#now.from) * (2n * this.#now.over + ramped);
      // what lies before this part is rounded with it
      const shift = (this.#now.to - this.#now.from) * this.#now.over * this.#now.over;
      const before = (2n * this.#now.from * this.#now.over * this.#now.length + shift) / this.#now.length;
      const whole =
        (2n * this.#now.from * this.#now.over * this.#now.length + shift + both * ramped) / this.#now.length;
      this.#now.total += whole - before;
      this.#now.over += ramped;
    }
    this.#now.total += 2n * this.#now.to * (time - ramped);
  }

  get slots(): number {
    return Number(this.#now.total / 2_000_000_000_000n);
  }

  change({ to_rate, over_us }: RateChange): void {
    this.#begin(over_us === 0 ? BigInt(to_rate) : this.#rate(), BigInt(to_rate), BigInt(over_us));
  }

  pause(): void {
    if (this.#now.is_paused) return;
    this.#begin(this.#rate(), this.#now.to, this.#now.length - this.#now.over);
    this.#now.is_paused = true;
  }

  release(): void {
    this.#now.is_paused = false;
  }

  end(): void {
    this.#now.is_paused = false;
    this.#begin(0n, 0n, 0n);
  }

  #begin(from: bigint, to: bigint, length: bigint): void {
    this.#now.from = from;
    this.#now.to = to;
    this.#now.length = length;
    this.#now.over = 0n;
  }

  /** rounded to a millionth */
  #rate(): bigint {
    if (this.#now.over === this.#now.length) return this.#now.to;
    const top = this.#now.from * this.#now.length + (this.#now.to - this.#now.from) * this.#now.over;
    return (2n * top + this.#now.length) / (2n * this.#now.length);
  }

  copy(): Oracle {
    const other = new Oracle(0);
    other.#now = { ...this.#now };
    return other;
  }
}

type Does = 'change' | 'hold' | 'release' | 'end';
interface Act {
  readonly does: Does;
  readonly after_us: number;
  readonly change: RateChange;
}

/** From 0.000001/s to 1 000 000/s, round ones too. */
const rates = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 1e12 }),
  fc.integer({ min: 1, max: 1e7 }),
  fc.integer({ min: 1, max: 10_000 }).map((per_s) => per_s * 1e6),
);
const spans = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 2000 }),
  fc.integer({ min: 1, max: 1e9 }),
  fc.integer({ min: 1, max: 600 }).map((s) => s * 1e6),
  fc.integer({ min: 1, max: 1e12 }),
);
const changes = fc.tuple(rates, spans).map(([to_rate, over_us]) => even(to_rate, over_us));
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.record({
    does: fc.oneof(fc.constant<Does>('change'), fc.constantFrom<Does>('change', 'hold', 'release', 'end')),
    after_us: spans,
    change: changes,
  }),
  { maxLength: 12 },
);

function perform(rate: PlayedRate, at_us: number, { does, change }: Act): PlayedRate {
  if (does === 'change') return change_rate(rate, at_us, change, KEY);
  if (does === 'hold') return hold_rate(rate, at_us);
  return does === 'release' ? release_rate(rate, at_us) : end_rate(rate, at_us);
}

/** One after another as pieces, with the oracle as it was at the beginning of each. */
function play(start_us: number, first: RateChange, list: readonly Act[]): { piece: RatePiece; oracle: Oracle }[] {
  const oracle = new Oracle(start_us);
  oracle.change(first);
  let rate = begin_rate(start_us, first, KEY);
  const played = [{ piece: rate.piece, oracle: oracle.copy() }];
  let at_us = start_us;
  for (const act of list) {
    at_us += act.after_us;
    oracle.pass(at_us);
    const before = rate;
    rate = perform(rate, at_us, act);
    if (act.does === 'change') oracle.change(act.change);
    else if (act.does === 'hold') oracle.pause();
    else if (act.does === 'end') oracle.end();
    else oracle.release();
    if (rate !== before) played.push({ piece: rate.piece, oracle: oracle.copy() });
  }
  return played;
}

const starts = fc.oneof(fc.constant(0), fc.nat(1e9), fc.integer({ min: 0, max: 1e13 }));

describe('even slots', () => {
  it('are at the ends of pieces as many as add up in whole numbers, whatever was commanded', () => {
    fc.assert(
      fc.property(starts, changes, acts, spans, (start, first, list, last) => {
        for (const { piece, oracle } of play(start, first, list)) {
          expect(piece.slots).toBe(oracle.slots);
          expect(Number.isInteger(piece.first) && piece.first > 0 && piece.first <= 2e12).toBe(true);
          const end = piece.to_us ?? piece.from_us + last;
          oracle.pass(end);
          // between the ends of pieces doubles decide: an instant may be off by their precision
          const by = slots_by(piece, end);
          const after = after_piece(piece);
          if (after !== null) expect([by, after.slots, after.from_us]).toEqual([oracle.slots, oracle.slots, end]);
          if (after !== null) expect(rate_at(after, end + 1)).toBe(piece.to_rate);
          expect(Math.abs(by - oracle.slots)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are due when they add up, to a µs', () => {
    fc.assert(
      fc.property(starts, changes, acts, fc.nat(), (start, first, list, which) => {
        for (const { piece, oracle } of play(start, first, list)) {
          const n = piece.slots + 1 + (which % 100_000);
          const due = make_times(piece).due(n);
          if (due > 1e15) continue;
          const early = oracle.copy();
          early.pass(Math.floor(due) - 1);
          expect(early.slots).toBeLessThan(n);
          oracle.pass(Math.ceil(due) + 1);
          expect(oracle.slots).toBeGreaterThanOrEqual(n);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['ten steps of 0.1/s, each of 10 s', Array.from({ length: 10 }, () => even(1e5)), 10e6, 10],
    ['a third of a slot, three times', Array.from({ length: 3 }, () => even(1e6)), 333_333, 0],
    ['up and down', [even(2e9, 10e6), even(0, 10e6)], 10e6, 20_000],
    ['a millionth per second for ten days', [even(1)], 864e9, 0],
    ['a millionth per second for twelve days', [even(1)], 1_036_800e6, 1],
  ])('%s', (_, list, each_us, slots) => {
    let rate = begin_rate(0, list[0]!, KEY);
    for (const [i, change] of list.slice(1).entries()) rate = change_rate(rate, (i + 1) * each_us, change, KEY);
    expect(slots_by(end_rate(rate, list.length * each_us).piece, 1e15)).toBe(slots);
  });

  it('go on in the middle of a gap', () => {
    const slow = begin_rate(0, even(1e6), KEY);
    const fast = change_rate(slow, 500_000, even(1e9), KEY);
    expect(make_times(fast.piece).due(1)).toBe(500_500);
    expect(make_times(fast.piece).due(2)).toBe(501_500);
    const held = hold_rate(fast, 500_400);
    expect(make_times(held.piece).due(1)).toBe(Infinity);
    const going_on = release_rate(held, 900_000);
    expect(make_times(going_on.piece).due(1)).toBe(900_100);
  });

  it('of a ramp that was held are as many as without the pause', () => {
    const ramp = begin_rate(0, even(4e9, 10e6), KEY);
    const held = hold_rate(ramp, 5e6);
    expect(held.held).toEqual({ from_rate: 2e9, to_rate: 4e9, over_us: 5e6 });
    expect(slots_by(held.piece, 60e6)).toBe(5000);
    expect(hold_rate(held, 6e6)).toBe(held);
    const going_on = release_rate(held, 60e6);
    expect(slots_by(going_on.piece, 65e6)).toBe(20_000);
    expect(release_rate(going_on, 61e6)).toBe(going_on);
  });

  it('take what is commanded in a pause after it', () => {
    const held = hold_rate(begin_rate(0, even(1e9), KEY), 1e6);
    const changed = change_rate(held, 2e6, even(3e9, 2e6), KEY);
    expect(slots_by(changed.piece, 9e6)).toBe(1000);
    expect(slots_by(release_rate(changed, 10e6).piece, 12e6)).toBe(1000 + 4000);
    expect(slots_by(end_rate(changed, 10e6).piece, 1e12)).toBe(1000);
  });

  it('take no command before their piece began', () => {
    const rate = begin_rate(5e6, even(1e9), KEY);
    expect(change_rate(rate, 4e6, even(1e6), KEY).piece.from_us).toBe(5e6);
    expect(end_rate(rate, 1).piece).toMatchObject({ from_us: 5e6, slots: 0, to_rate: 0 });
  });
});

describe('when a slot is due', () => {
  const kinds = fc.record({ to_rate: rates, over_us: spans, poisson: fc.boolean() });

  it('never falls with its number, and agrees with how many are due by then', () => {
    fc.assert(
      fc.property(starts, kinds, kinds, fc.nat(1e6), fc.array(fc.nat(3000)), (start, first, then, cut, ks) => {
        const { piece } = change_rate(begin_rate(start, first, KEY), start + cut, then, KEY);
        // Poisson slots are drawn one by one
        const slots = then.poisson ? slots_by(piece, start) : piece.slots;
        const [times, others] = [make_times(piece), make_times(piece)];
        for (const k of ks) {
          const n = slots + k;
          const due = times.due(n);
          expect(times.due(n + 1)).toBeGreaterThanOrEqual(due);
          expect(due).toBeGreaterThanOrEqual(piece.from_us);
          if (k > 0) expect(due).toBeGreaterThan(piece.from_us);
          if (due === Infinity) continue;
          expect(others.by(due)).toBeGreaterThanOrEqual(n);
          const just_before = due - Math.max(1e-9, due * 2 ** -52);
          expect(others.by(just_before)).toBeLessThan(Math.max(n, slots + 1));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is in the piece that counts it', () => {
    fc.assert(
      fc.property(starts, rates, rates, fc.integer({ min: 1, max: 1e7 }), fc.boolean(), (at, r0, r1, over, poisson) => {
        const begun = begin_rate(at, { to_rate: r0 % 1e9, over_us: 0, poisson }, KEY);
        const { piece } = change_rate(begun, at, { to_rate: r1 % 1e9, over_us: over, poisson }, KEY);
        const after = after_piece(piece);
        if (after === null) return;
        const times = make_times(piece);
        expect(times.due(after.slots)).toBeLessThanOrEqual(after.from_us);
        expect(times.by(after.from_us)).toBe(after.slots);
        expect(times.due(after.slots + 1)).toBeGreaterThanOrEqual(after.from_us);
        expect(make_times(after).due(after.slots + 1)).toBeGreaterThan(after.from_us);
      }),
    );
  });
});

describe('Poisson slots', () => {
  /** How far sorted draws are from an exponential distribution of mean 1 (Anderson and Darling 1954). */
  function distance(draws: readonly number[]): number {
    const sorted = [...draws].sort((a, b) => a - b);
    const n = sorted.length;
    const sum = sorted.reduce((all, x, i) => {
      const below = Math.log(-Math.expm1(-x));
      return all + (2 * i + 1) * (below - sorted[n - 1 - i]!);
    }, 0);
    return -n - sum / n;
  }
  /** 1 in 100 is above; the seed is fixed */
  const CRITICAL = 3.857;
  const N = 20_000;
  const dues = (piece: RatePiece): number[] => {
    const times = make_times(piece);
    return Array.from({ length: N }, (_, i) => times.due(piece.slots + i + 1));
  };
  const gaps = (list: readonly number[]): number[] => list.map((x, i) => x - (list[i - 1] ?? 0));

  it('have gaps of an exponential distribution', () => {
    const { piece } = begin_rate(0, drawn(1e9), KEY); // one a ms
    const list = gaps(dues(piece)).map((us) => us / 1000);
    expect(distance(list)).toBeLessThan(CRITICAL);
    const mean = list.reduce((a, b) => a + b, 0) / N;
    expect(Math.abs(mean - 1)).toBeLessThan(3 / Math.sqrt(N));
    expect(distance(list.map((x) => x * 1.03))).toBeGreaterThan(CRITICAL);
  });

  it.each([
    ['up', 0, 1e9],
    ['down', 1e9, 0],
  ])('have them on a ramp %s too, by what adds up', (_, r0, r1) => {
    const over = 60e6; // 30 000 slots or so
    const begun = begin_rate(0, drawn(r0), KEY);
    const { piece } = change_rate(begun, 0, drawn(r1, over), KEY);
    const added = dues(piece).map((t) => (r0 * t + ((r1 - r0) * t * t) / (2 * over)) / 1e12);
    expect(distance(gaps(added))).toBeLessThan(CRITICAL);
  });

  it('are others with another key, and for another name or seed', () => {
    const keys = [KEY, poisson_key('swarm', 'main.1'), poisson_key('other', 'main.0')];
    const firsts = keys.map((key) => begin_rate(0, drawn(1e9), key).piece.first);
    expect(new Set(firsts).size).toBe(3);
    expect(poisson_key('swarm', 'main.0')).toBe(KEY);
  });

  const pieces = fc
    .record({ from: rates, to: rates, over_us: fc.nat(20e6), start: starts })
    .map(({ from, to, over_us, start }) => {
      const begun = begin_rate(start, drawn(from % 1e9), KEY);
      return change_rate(begun, start + 1000, drawn(to % 1e9, over_us), KEY).piece;
    });

  it('are the same ones for who joins late', () => {
    fc.assert(
      fc.property(pieces, fc.nat(30e6), (piece, after_us) => {
        const later = at_slot(piece, piece.from_us + after_us);
        expect(later.slots).toBe(make_times(piece).by(piece.from_us + after_us));
        expect({ ...later, slots: 0, first: 0 }).toEqual({ ...piece, slots: 0, first: 0 });
        const [whole, part] = [make_times(piece), make_times(later)];
        for (let n = later.slots + 1; n < later.slots + 50; n++) expect(part.due(n)).toBe(whole.due(n));
        expect(part.by(piece.from_us)).toBe(later.slots);
      }),
    );
    const { piece } = begin_rate(0, even(1e9), KEY);
    expect(at_slot(piece, 1e9)).toBe(piece);
  });

  it('are counted in any order of asking', () => {
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(30e6), { minLength: 1, maxLength: 20 }), (piece, offsets) => {
        const times = make_times(piece);
        for (const offset of offsets) {
          const at = piece.from_us + offset;
          const by = times.by(at);
          expect(by).toBe(make_times(piece).by(at));
          expect(times.due(by)).toBeLessThanOrEqual(at);
          expect(times.due(by + 1)).toBeGreaterThan(at);
          expect(slots_by(piece, at)).toBe(by);
        }
      }),
    );
  });

  it('are found again far back, without drawing all of them', () => {
    const { piece } = begin_rate(0, drawn(1e12), KEY);
    const times = make_times(piece);
    const forward = [0.1e6, 0.2e6, 0.3e6].map((at) => times.by(at));
    times.by(1e6);
    expect([0.3e6, 0.2e6, 0.1e6].map((at) => times.by(at))).toEqual(forward.reverse());
  });

  it('go on in the middle of a gap when the rate changes, stops and goes on', () => {
    const slow = begin_rate(0, drawn(1e6), KEY);
    const due = make_times(slow.piece).due(1);
    const fast = change_rate(slow, Math.floor(due / 2), drawn(1e9), KEY);
    expect(fast.piece.slots).toBe(0);
    const left = due - Math.floor(due / 2);
    expect(make_times(fast.piece).due(1)).toBeCloseTo(Math.floor(due / 2) + left / 1000, 6);
    const held = hold_rate(fast, Math.floor(due / 2) + 1);
    const going_on = release_rate(held, 1e9);
    expect(make_times(going_on.piece).due(1)).toBeCloseTo(1e9 + left / 1000 - 1, 6);
  });

  it('begin a gap of their own when slots were even, which begin a whole one after them', () => {
    const begun = change_rate(begin_rate(0, even(1e9), KEY), 1500, drawn(1e9), KEY);
    expect(begun.piece).toMatchObject({ slots: 1, poisson: KEY });
    const by = slots_by(begun.piece, 100_000);
    const { piece } = change_rate(begun, 100_000, even(1e9), KEY);
    expect(piece).toMatchObject({ slots: by, first: 2e12, poisson: null });
    expect(make_times(piece).due(by + 1)).toBe(101_000);
  });
});
