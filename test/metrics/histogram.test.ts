import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { checked } from '../../src/foundation/shape.ts';
import {
  HIGHEST,
  highest_of,
  Histogram,
  latency_ms,
  lowest_of,
  merge,
  quantile,
  subtract,
} from '../../src/metrics/histogram.ts';
import { HISTOGRAM, pack } from '../../src/metrics/packed.ts';
import { histograms, recorded, times } from './arbitraries.ts';

const clamped = (us: number): number => Math.min(Math.max(Math.floor(us + 0.5), 0), HIGHEST);

function hdr(values: readonly number[]) {
  const histogram = build({ bitBucketSize: 64, autoResize: false, highestTrackableValue: HIGHEST });
  for (const value of values) histogram.recordValue(clamped(value));
  return histogram;
}

describe('Histogram', () => {
  it('has nothing to say when empty', () => {
    const empty = new Histogram().snapshot();
    expect(empty).toEqual({ indices: new Uint32Array(), counts: new Uint32Array(), count: 0, sum: 0, min: 0, max: 0 });
    expect(quantile(empty, 0.5)).toBe(0);
    expect(latency_ms(empty)).toEqual({ count: 0, mean: 0, min: 0, p50: 0, p90: 0, p95: 0, p99: 0, p99_9: 0, max: 0 });
  });

  it.each([
    ['zero', 0, 0, 0],
    ['one', 1, 1, 1],
    ['the last bucket of 1 µs', 2047, 2047, 2047],
    ['the first of 2 µs', 2048, 2048, 2049],
    ['the end of an octave', 4095, 4094, 4095],
    ['the start of the next', 4096, 4096, 4099],
    ['the first of the top octave', 2 ** 31, 2 ** 31, 2 ** 31 + 2 ** 21 - 1],
    ['the highest', HIGHEST, HIGHEST - 2 ** 21 + 1, HIGHEST],
    ['a fraction, rounded up', 1.5, 2, 2],
    ['a fraction, rounded down', 1.49, 1, 1],
    ['a negative value', -3, 0, 0],
    ['no number', NaN, 0, 0],
    ['one above the top', 2 ** 40, HIGHEST - 2 ** 21 + 1, HIGHEST],
  ])('puts %s into its bucket', (_, us, lowest, highest) => {
    const { indices, counts } = recorded([us]);
    expect([...counts]).toEqual([1]);
    expect([lowest_of(indices[0]!), highest_of(indices[0]!)]).toEqual([lowest, highest]);
  });

  it('of wider steps keeps count, sum, min and max, and its percentiles are at most a step above', () => {
    const property = (values: number[], coarse: number): void => {
      const fine = recorded(values);
      const histogram = new Histogram(coarse);
      for (const value of values) histogram.record(value);
      const rough = histogram.snapshot();
      const { count, sum, min, max } = fine;
      expect(rough).toMatchObject({ count, sum, min, max });
      expect(Array.from(rough.counts).reduce((all, one) => all + one, 0)).toBe(count);
      for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
        const exact = quantile(fine, share);
        expect(quantile(rough, share)).toBeGreaterThanOrEqual(exact);
        if (exact < HIGHEST)
          expect(quantile(rough, share)).toBeLessThanOrEqual(exact + Math.max(2 ** coarse, exact * 2 ** (coarse - 9)));
      }
      // it travels, is added up and subtracted like any other
      expect(checked(HISTOGRAM, pack(rough))).toEqual(rough);
      expect(merge(rough, fine).count).toBe(2 * count);
      expect(subtract(merge(rough, fine), fine).count).toBe(count);
    };
    fc.assert(fc.property(times, fc.integer({ min: 0, max: 10 }), property));
  });

  it('has buckets without gaps', () => {
    for (let index = 1; index < 23 * 1024; index++) expect(lowest_of(index)).toBe(highest_of(index - 1) + 1);
  });

  it('keeps count, sum, min and max exact, above the top too', () => {
    const histogram = new Histogram();
    for (const us of [5000.4, 2 ** 33, 7]) histogram.record(us);
    expect(histogram.count).toBe(3);
    expect(histogram.snapshot()).toMatchObject({ count: 3, sum: 5007 + 2 ** 33, min: 7, max: 2 ** 33 });
    expect(quantile(histogram.snapshot(), 1)).toBe(2 ** 33);
  });

  it('takes a snapshot that later records do not change', () => {
    const histogram = new Histogram();
    histogram.record(10);
    const before = histogram.snapshot();
    histogram.record(10);
    expect([...before.counts]).toEqual([1]);
    expect([...histogram.snapshot().counts]).toEqual([2]);
  });

  it('counts beyond 32 bits', () => {
    const many = { ...recorded([10]), counts: Float64Array.of(2 ** 32 - 1), count: 2 ** 32 - 1 };
    const more = merge(many, recorded([10]));
    expect([...more.counts]).toEqual([2 ** 32]);
    expect(more.count).toBe(2 ** 32);
  });

  it('gives the quantiles of an HDR histogram, capped by the exact max', () => {
    const shares = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1];
    fc.assert(
      fc.property(times, (values) => {
        fc.pre(values.length > 0);
        const ours = recorded(values.map(clamped));
        const theirs = hdr(values);
        for (const q of shares) {
          expect([q, quantile(ours, q)]).toEqual([q, Math.min(theirs.getValueAtPercentile(q * 100), ours.max)]);
        }
      }),
    );
  });

  it('asks for the right rank in large counts', () => {
    const values = Array.from({ length: 1000 }, (_, i) => i + 1);
    for (const times of [1, 10, 1000, 1_000_000]) {
      const whole = recorded(values);
      const many = { ...whole, counts: whole.counts.map((c) => c * times), count: whole.count * times };
      for (let per_mille = 1; per_mille <= 1000; per_mille++) expect(quantile(many, per_mille / 1000)).toBe(per_mille);
    }
  });

  it('shows ms with µs resolution', () => {
    expect(latency_ms(recorded([1234, 1235]))).toEqual({
      count: 2,
      mean: 1.235,
      min: 1.234,
      p50: 1.234,
      p90: 1.235,
      p95: 1.235,
      p99: 1.235,
      p99_9: 1.235,
      max: 1.235,
    });
  });
});

describe('merge', () => {
  it('equals one histogram fed with everything', () => {
    fc.assert(
      fc.property(fc.array(times, { maxLength: 6 }), (members) => {
        expect(merge(...members.map(recorded))).toEqual(recorded(members.flat()));
      }),
    );
  });
});

describe('subtract', () => {
  it('leaves what came after the base', () => {
    fc.assert(
      fc.property(times, times, (before, after) => {
        const base = recorded(before);
        const since = subtract(merge(base, recorded(after)), base);
        const alone = recorded(after);
        expect([since.indices, since.counts, since.count]).toEqual([alone.indices, alone.counts, alone.count]);
        expect(since.sum).toBeCloseTo(alone.sum, 3);
        expect(since.min).toBeLessThanOrEqual(alone.min);
        expect(since.max).toBeGreaterThanOrEqual(alone.max);
        if (alone.count > 0 && alone.max <= HIGHEST) expect(since.max).toBeLessThanOrEqual(alone.max * 1.001 + 1);
        if (alone.count > 0 && alone.min <= HIGHEST) expect(since.min).toBeGreaterThanOrEqual(alone.min * 0.999 - 1);
      }),
    );
  });

  it('is empty when nothing came', () => {
    fc.assert(
      fc.property(histograms, (now) => {
        expect(subtract(now, now)).toEqual(recorded([]));
      }),
    );
  });
});
