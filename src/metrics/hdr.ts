/**
 * Histograms as other programs read them: HDR V2, compressed, base64. Only this file loads the library, which workers
 * never need.
 */
import { inflateSync } from 'node:zlib';
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { BUCKETS, HIGHEST, lowest_of } from './histogram.ts';
import type { HistogramSnapshot } from './snapshot.ts';

const DIGITS = 3;
/** both cookies without their word size */
const COMPRESSED = 0x1c849304;
const PLAIN = 0x1c849303;
/** cookie, length, offset, digits: 4 bytes each; lowest, highest, ratio: 8 each */
const HEADER = 40;
/** bytes of a count: LEB128, whose ninth byte is used whole */
const MAX_WORD = 9;

/**
 * The buckets of a histogram of µs, for any HDR histogram library to read and merge exactly. Min, max and sum are not
 * in that format: a reader derives them from the buckets, within a thousandth.
 */
export function encode_hdr(snapshot: HistogramSnapshot): string {
  const histogram = build({
    bitBucketSize: 64,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST,
    numberOfSignificantValueDigits: DIGITS,
  });
  snapshot.indices.forEach((index, i) => histogram.recordValueWithCount(lowest_of(index), snapshot.counts[i]!));
  return encodeIntoCompressedBase64(histogram);
}

/**
 * The buckets that {@link encode_hdr} wrote, from a text that may be anything. The library would take any layout, and
 * as much memory as the text asks for.
 * @throws Error when it is not such a text
 */
export function decode_hdr(text: string): { indices: Uint32Array; counts: Float64Array } {
  const packed = Buffer.from(text, 'base64');
  if (packed.length < 8 || (packed.readInt32BE(0) & ~0xf0) !== COMPRESSED) throw new Error('a histogram is not HDR V2');
  const bytes = inflateSync(packed.subarray(8, 8 + packed.readUInt32BE(4)), {
    maxOutputLength: HEADER + BUCKETS * MAX_WORD,
  });
  if (bytes.length < HEADER || (bytes.readInt32BE(0) & ~0xf0) !== PLAIN) throw new Error('a histogram is not HDR V2');
  const has_layout =
    bytes.readInt32BE(12) === DIGITS &&
    bytes.readBigInt64BE(16) === 1n &&
    bytes.readBigInt64BE(24) === BigInt(HIGHEST) &&
    bytes.readUInt32BE(4) === bytes.length - HEADER;
  if (!has_layout) throw new Error('a histogram has other buckets than swarm makes');
  const indices: number[] = [];
  const counts: number[] = [];
  let index = 0;
  for (let at = HEADER; at < bytes.length;) {
    let word = 0;
    let scale = 1;
    for (let more = true; more; scale *= 128) {
      if (at >= bytes.length) throw new Error('a histogram is cut off');
      const byte = bytes[at++]!;
      more = byte > 127 && scale < 2 ** 56;
      word += (more ? byte - 128 : byte) * scale;
    }
    if (!Number.isSafeInteger(word)) throw new Error('a histogram counts too much');
    // zigzag: odd words are negative numbers, each a run of so many empty buckets
    if (word % 2 === 1) index += (word + 1) / 2;
    else {
      if (word > 0) {
        indices.push(index);
        counts.push(word / 2);
      }
      index++;
    }
    if (index > BUCKETS) throw new Error('a histogram has other buckets than swarm makes');
  }
  return { indices: Uint32Array.from(indices), counts: Float64Array.from(counts) };
}
