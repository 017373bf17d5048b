import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumberReader, NumberWriter } from '../../src/foundation/varint.ts';
import { Histogram, merge, quantile, resolution, subtract } from '../../src/metrics/histogram.ts';
import {
  at_level,
  is_rough,
  NOTHING,
  plus,
  plus_all,
  read_rough,
  rough_of,
  thinned,
  to_histogram,
  write_rough,
} from '../../src/metrics/rough.ts';
import type { HistogramSnapshot } from '../../src/metrics/snapshot.ts';
import { histograms, recorded, times } from './arbitraries.ts';

/** The highest value of the bucket of an integer: its 8 leading bits stay, all behind them are set. */
function highest_of_8_bits(us: number): number {
  const width = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, us))) - 7);
  return (Math.floor(us / width) + 1) * width - 1;
}

const coarse_recorded = (values: readonly number[], coarse: number): HistogramSnapshot => {
  const histogram = new Histogram(coarse);
  for (const value of values) histogram.record(value);
  return histogram.snapshot();
};

const levels = fc.integer({ min: 0, max: 10 });

describe('times with two digits', () => {
  it('are those recorded, rounded up to 8 bits', () => {
    fc.assert(
      fc.property(times, (values) => {
        const exact = recorded(values);
        const rough = to_histogram(rough_of(exact, 0), 0);
        const whole = values
          .map((us) => Math.min(us > 0 ? Math.floor(us + 0.5) : 0, 2 ** 32 - 1))
          .sort((a, b) => a - b);
        expect([rough.count, rough.sum]).toEqual([exact.count, exact.sum]);
        for (const q of [0, 0.01, 0.5, 0.99, 1]) {
          const rank = Math.max(1, Math.ceil(q * whole.length * (1 - Number.EPSILON)));
          if (whole.length > 0) expect(quantile(rough, q)).toBe(highest_of_8_bits(whole[rank - 1]!));
        }
      }),
    );
  });

  it.each([
    [128, 0.013],
    [32, 0.028],
    [16, 0.045],
    [4, 0.14],
  ] as const)('with only %i buckets for each doubling are off by a part of %d at most', (fineness, most) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 - 1 }), (us) => {
        const one = to_histogram(thinned(rough_of(recorded([us]), 0), fineness), 0);
        expect(Math.abs(quantile(one, 0.5) - us)).toBeLessThanOrEqual(most * us);
      }),
      { numRuns: 2000 },
    );
  });

  it('with fewer buckets add up as before, and are fewer', () => {
    fc.assert(
      fc.property(times, times, fc.constantFrom(32 as const, 16 as const, 4 as const), (some, more, fineness) => {
        const [a, b] = [rough_of(recorded(some), 0), rough_of(recorded(more), 0)];
        expect(thinned(plus(a, b), fineness)).toEqual(plus(thinned(a, fineness), thinned(b, fineness)));
        expect(is_rough(thinned(a, fineness), 1e9)).toBe(true);
        expect(thinned(a, 128)).toBe(a);
        const all = thinned(rough_of(recorded(Array.from({ length: 5000 }, (_, i) => 1000 + i)), 0), fineness);
        expect(all.buckets.length).toBeLessThanOrEqual(3 * fineness);
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    ['a bucket that there is not', { sum: 1, buckets: [99_999], counts: [1] }],
    ['buckets that fall', { sum: 1, buckets: [5, 4], counts: [1, 1] }],
    ['a bucket twice', { sum: 1, buckets: [5, 5], counts: [1, 1] }],
    ['half a count', { sum: 1, buckets: [5], counts: [0.5] }],
    ['more than there can be', { sum: 1, buckets: [5], counts: [1e15] }],
    ['no sum', { sum: NaN, buckets: [5], counts: [1] }],
    ['no bucket', { sum: 1, buckets: [NaN], counts: [1] }],
  ])('are none with %s', (_, rough) => expect(is_rough(rough, 1e12)).toBe(false));

  it('say how exact they are', () => {
    expect(resolution(to_histogram(rough_of(recorded([5]), 0), 0))).toBe(1 / 128);
    expect(resolution(to_histogram(rough_of(recorded([5]), 6), 6))).toBe(1 / 16);
  });

  it('are the same from a coarse histogram and from an exact one that is made coarse', () => {
    fc.assert(
      fc.property(times, levels, fc.nat(10), (values, coarse, more) => {
        const level = Math.min(10, coarse + more);
        const exact = rough_of(recorded(values), level);
        expect(rough_of(coarse_recorded(values, coarse), level)).toEqual(exact);
        expect(at_level(rough_of(recorded(values), 0), level)).toEqual(exact);
        expect(at_level(exact, level)).toEqual(exact);
      }),
    );
  });

  it('add up as histograms do', () => {
    fc.assert(
      fc.property(histograms, histograms, (a, b) => {
        const [one, other] = [rough_of(a, 0), rough_of(b, 0)];
        const both = rough_of(merge(a, b), 0);
        expect(plus(one, other)).toEqual(both);
        expect(plus_all([one, other])).toEqual(both);
        expect(plus_all([plus(one, other, -1), other])).toEqual(one);
        expect(plus(both, one, -1)).toEqual(other);
        expect(plus(plus(one, other, -1), other)).toEqual(one);
        expect(plus(one, one, -1)).toEqual(NOTHING);
        const [all, rest] = [to_histogram(plus(both, one, -1), 0), subtract(merge(a, b), a)];
        expect([all.count, all.sum]).toEqual([rest.count, rest.sum]);
      }),
    );
  });

  it('come back from bytes, also where counts are below 0', () => {
    const writer = new NumberWriter();
    fc.assert(
      fc.property(histograms, histograms, (a, b) => {
        const rough = plus(rough_of(a, 0), rough_of(b, 0), -1);
        write_rough(writer, rough);
        expect(read_rough(new NumberReader(writer.take()))).toEqual(rough);
      }),
    );
  });
});
