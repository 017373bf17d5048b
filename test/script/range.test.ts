import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_draws } from '../../src/foundation/draws.ts';
import { draw_int, draw_real, draw_think, fixed_think, MAX_SLEEP, to_range } from '../../src/script/range.ts';
import type { ThinkTime } from '../../src/script/types.ts';

const LAST = 1 - 2 ** -53; // the largest number below 1
const unit = fc.double({ min: 0, max: LAST, noNaN: true });
const ends = (max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.nat(max), fc.nat(max)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);

describe('to_range', () => {
  it('makes a range of a number and keeps one', () => {
    expect(to_range(3)).toEqual([3, 3]);
    expect(to_range([1, 5])).toEqual([1, 5]);
    expect(Object.isFrozen(to_range([1, 5]))).toBe(true);
  });
});

describe('draw_int', () => {
  it.each<[number, number]>([
    [0, 2],
    [0.33, 2],
    [0.34, 3],
    [0.66, 3],
    [0.67, 4],
    [LAST, 4],
  ])('unit %d of [2, 4] is %d', (u, expected) => {
    expect(draw_int([2, 4], u)).toBe(expected);
  });

  it('stays an integer inside, both ends reached', () => {
    fc.assert(
      fc.property(ends(1_000_000_000), unit, (range, u) => {
        const drawn = draw_int(range, u);
        expect(Number.isInteger(drawn) && drawn >= range[0] && drawn <= range[1]).toBe(true);
        expect(draw_int(range, 0)).toBe(range[0]);
        expect(draw_int(range, LAST)).toBe(range[1]);
      }),
    );
  });
});

describe('draw_real', () => {
  it('stays inside and is exact for a range of no width', () => {
    expect(draw_real([1, 5], 0.5)).toBe(3);
    expect(draw_real([0.1, 0.1], LAST)).toBe(0.1);
    fc.assert(
      fc.property(ends(2_592_000), unit, ([a, b], u) => draw_real([a, b], u) >= a && draw_real([a, b], u) <= b),
    );
  });
});

describe('draw_think', () => {
  const mean = fc.double({ min: 0.001, max: 1000, noNaN: true });
  const exponential = mean.map((m): ThinkTime => ({ mean: m, distribution: 'exponential', sigma: 1 }));
  const sigma = fc.double({ min: 0.01, max: 2, noNaN: true });
  const lognormal = fc
    .tuple(mean, sigma)
    .map(([m, s]): ThinkTime => ({ mean: m, distribution: 'lognormal', sigma: s }));
  const range = ends(1000).map(([a, b]): ThinkTime => [a, b]);
  const N = 20_000;

  /** The expected part of all draws that are below `x` > 0. */
  const below = (think: ThinkTime, x: number): number => {
    if (!('mean' in think)) return (x - think[0]) / (think[1] - think[0]);
    if (think.distribution === 'exponential') return 1 - Math.exp(-x / think.mean);
    const { mean: m, sigma: s } = think;
    return normal_below((Math.log(x) - Math.log(m) + s ** 2 / 2) / s);
  };
  /** Abramowitz and Stegun 26.2.17: to 7.5e-8 */
  const normal_below = (z: number): number => {
    const t = 1 / (1 + 0.2316419 * Math.abs(z));
    const sum = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
    const tail = (sum * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI);
    return z < 0 ? tail : 1 - tail;
  };

  it('inverts the distribution, from one draw, and grows with it', () => {
    const middle = fc.double({ min: 0.000_001, max: 0.999_999, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(exponential, lognormal), middle, (think, u) => {
        expect(below(think, draw_think(think, u))).toBeCloseTo(u, 6);
        expect(draw_think(think, u)).toBeGreaterThanOrEqual(draw_think(think, u * 0.999));
      }),
    );
  });

  it('of a range draws as draw_real does', () => {
    fc.assert(fc.property(range, unit, (think, u) => draw_think(think, u) === draw_real(think as [number, number], u)));
  });

  it.each([
    ['exponential', exponential],
    ['lognormal', lognormal],
  ])('has the mean that was asked for: %s', (_, arbitrary) => {
    // the means of N equal parts of the unit interval, taken at their middles: no chance in it
    fc.assert(
      fc.property(arbitrary, (think) => {
        let sum = 0;
        for (let i = 0; i < N; i++) sum += draw_think(think, (i + 0.5) / N);
        // of a lognormal with sigma 2 the 1/40 000 beyond the last middle still holds 2 % of the sum
        const { mean: asked } = think as { mean: number };
        expect(Math.abs(sum / N / asked - 1)).toBeLessThan(0.03);
      }),
      { numRuns: 20 },
    );
  });

  it('of many draws of a client, or first ones of many clients, has the distribution that was asked for', () => {
    const wide = range.filter((think) => (think as [number, number])[0] < (think as [number, number])[1]);
    fc.assert(
      fc.property(fc.oneof(exponential, lognormal, wide), fc.string(), fc.boolean(), (think, seed, of_one) => {
        const draws = make_draws(seed);
        const drawn = Array.from({ length: N }, (_, i) => draw_think(think, of_one ? draws(7, i) : draws(i + 1, 0)));
        drawn.sort((a, b) => a - b);
        // Kolmogorov and Smirnov: beyond 3.3/√N once in 10^9 times
        const furthest = Math.max(...drawn.map((x, i) => Math.abs(below(think, x) - (i + 0.5) / N)));
        expect(furthest).toBeLessThan(3.3 / Math.sqrt(N));
      }),
      { numRuns: 20 },
    );
  });

  it('stays between 0 and the longest sleep a script may have', () => {
    const long = fc.constantFrom(MAX_SLEEP, MAX_SLEEP / 2);
    fc.assert(
      fc.property(fc.oneof(exponential, lognormal), long, fc.oneof(unit, fc.constantFrom(0, LAST)), (think, m, u) => {
        const drawn = draw_think({ ...think, mean: m }, u);
        expect(drawn >= 0 && drawn <= MAX_SLEEP).toBe(true);
      }),
    );
    expect(draw_think({ mean: MAX_SLEEP, distribution: 'exponential', sigma: 1 }, LAST)).toBe(MAX_SLEEP);
  });

  it('needs no draw where there is one number only', () => {
    expect([fixed_think([2, 2]), fixed_think([0, 0]), fixed_think([1, 2])]).toEqual([2, 0, undefined]);
    expect(fixed_think({ mean: 2, distribution: 'exponential', sigma: 1 })).toBeUndefined();
  });
});
