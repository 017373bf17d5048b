import fc from 'fast-check';
import { decodeFromCompressedBase64, type JsHistogram } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { encode_hdr } from '../../src/metrics/hdr.ts';
import { HIGHEST, highest_of, lowest_of, merge, quantile } from '../../src/metrics/histogram.ts';
import type { HistogramSnapshot } from '../../src/metrics/snapshot.ts';
import { histograms, recorded } from './arbitraries.ts';

const decode = (text: string) => decodeFromCompressedBase64(text, 64) as JsHistogram;

function buckets(histogram: JsHistogram): [number, number][] {
  return Array.from({ length: histogram.countsArrayLength }, (_, i): [number, number] => [
    i,
    histogram.getCountAtIndex(i),
  ]).filter(([, count]) => count > 0);
}

const pairs = (snapshot: HistogramSnapshot): [number, number][] =>
  [...snapshot.indices].map((index, i): [number, number] => [index, snapshot.counts[i]!]);

describe('encode_hdr', () => {
  it('comes back bucket by bucket', () => {
    fc.assert(
      fc.property(histograms, (snapshot) => {
        const read = decode(encode_hdr(snapshot));
        expect(buckets(read)).toEqual(pairs(snapshot));
        expect(read.totalCount).toBe(snapshot.count);
      }),
      { numRuns: 50 },
    );
  });

  it('names the layout: from 1 µs to 71 minutes with 3 digits', () => {
    const read = decode(encode_hdr(recorded([1234567])));
    expect(read.lowestDiscernibleValue).toBe(1);
    expect(read.highestTrackableValue).toBe(HIGHEST);
    expect(read.numberOfSignificantValueDigits).toBe(3);
    expect(read.minNonZeroValue).toBe(lowest_of(recorded([1234567]).indices[0]!));
    expect(read.maxValue).toBe(highest_of(recorded([1234567]).indices[0]!));
  });

  it('is merged later by the library as here', () => {
    fc.assert(
      fc.property(histograms, histograms, (a, b) => {
        const read = decode(encode_hdr(a));
        read.add(decode(encode_hdr(b)));
        expect(buckets(read)).toEqual(pairs(merge(a, b)));
      }),
      { numRuns: 50 },
    );
  });

  it('keeps counts beyond 32 bits', () => {
    const many = { ...recorded([10, 20]), counts: Float64Array.of(2 ** 40, 1), count: 2 ** 40 + 1 };
    const read = decode(encode_hdr(many));
    expect(read.totalCount).toBe(2 ** 40 + 1);
    expect(read.getValueAtPercentile(50)).toBe(quantile(many, 0.5));
  });
});
