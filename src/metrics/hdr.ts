/** Histograms as others read them: HDR V2, compressed, base64. Nothing but this file loads the library: workers never need it. */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { HIGHEST, lowest_of } from './histogram.ts';
import type { HistogramSnapshot } from './snapshot.ts';

/**
 * The buckets of a histogram of µs, to be read and merged exactly by any HDR histogram library. Min, max and sum are not in
 * that format: a reader derives them from the buckets, within a thousandth.
 */
export function encode_hdr(snapshot: HistogramSnapshot): string {
  const histogram = build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: 3,
  });
  snapshot.indices.forEach((index, i) => histogram.recordValueWithCount(lowest_of(index), snapshot.counts[i]!));
  return encodeIntoCompressedBase64(histogram);
}
