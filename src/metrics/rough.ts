/**
 * Times with 2 significant digits: the buckets of an HDR histogram with 2 digits, 256 of 1 µs, then 128 for each
 * doubling. None is wider than a 128th of its values, and each is made of whole buckets of histogram.ts.
 */
import type { NumberReader, NumberWriter } from '../foundation/varint.ts';
import { BUCKETS, coarse_bucket, EMPTY, HIGHEST, index_of, lowest_of } from './histogram.ts';
import type { HistogramSnapshot } from './snapshot.ts';

/** log2 of the 128 buckets each doubling adds */
const HALF = 7;
/** log2 of how much wider they are than those of histogram.ts */
const WIDER = 3;
const ROUGH_BUCKETS = 26 << HALF;

/** Parallel arrays of bucket and count, in rising order, without zeros. In a difference counts may be below 0. */
export interface Rough {
  /** µs */
  readonly sum: number;
  readonly buckets: readonly number[];
  readonly counts: readonly number[];
}

export const NOTHING: Rough = { sum: 0, buckets: [], counts: [] };

export const is_nothing = ({ sum, buckets }: Rough): boolean => buckets.length === 0 && sum === 0;

/** The bucket of an integer, 0 ≤ us < 2³². */
function rough_index(us: number): number {
  const octave = 24 - Math.clz32(us | 255);
  return (octave << HALF) + (us >>> octave);
}

const octave_of = (bucket: number): number => Math.max((bucket >> HALF) - 1, 0);
const lowest_rough = (bucket: number): number => (bucket - (octave_of(bucket) << HALF)) * 2 ** octave_of(bucket);
const highest_rough = (bucket: number): number => lowest_rough(bucket) + 2 ** octave_of(bucket) - 1;

let lasts: Uint16Array | null = null;
/** The last bucket of histogram.ts in each bucket here. */
const last_fine = (): Uint16Array =>
  (lasts ??= Uint16Array.from({ length: ROUGH_BUCKETS }, (_, bucket) => index_of(highest_rough(bucket))));

let buckets_of_fine: Uint16Array | null = null;
/** The bucket here of each bucket of histogram.ts. */
const table = (): Uint16Array =>
  (buckets_of_fine ??= Uint16Array.from({ length: BUCKETS }, (_, index) => rough_index(lowest_of(index))));

/**
 * What a histogram counted. `level`: 2^level buckets of histogram.ts count as the last of them, so that histograms can
 * be subtracted one of which is coarse; at least its own `coarse`.
 */
export function rough_of({ sum, indices, counts }: HistogramSnapshot, level: number): Rough {
  const to = table();
  return joined(sum, counts, (i) => to[level === 0 ? indices[i]! : coarse_bucket(indices[i]!, level)]!);
}

/** The same at a level that is not lower. */
export function at_level(rough: Rough, level: number): Rough {
  const [to, fine] = [table(), last_fine()];
  const { sum, buckets, counts } = rough;
  const moved = (i: number): number => to[coarse_bucket(fine[buckets[i]!]!, level)]!;
  return level === 0 ? rough : joined(sum, counts, moved);
}

/** `bucket`: of each count, in rising order, several of which may be in one. */
function joined(sum: number, all: ArrayLike<number>, bucket: (i: number) => number): Rough {
  const buckets: number[] = [];
  const counts: number[] = [];
  for (let i = 0, last = -1; i < all.length; i++) {
    const at = bucket(i);
    if (at === last) counts[counts.length - 1]! += all[i]!;
    else {
      buckets.push((last = at));
      counts.push(all[i]!);
    }
  }
  return without_zeros({ sum, buckets, counts });
}

function without_zeros(rough: Rough): Rough {
  const { sum, buckets, counts } = rough;
  if (!counts.includes(0)) return rough;
  return { sum, buckets: buckets.filter((_, i) => counts[i] !== 0), counts: counts.filter((count) => count !== 0) };
}

/** Both together; with `sign` −1 what `a` has more than `b`. */
export function plus(a: Rough, b: Rough, sign: 1 | -1 = 1): Rough {
  if (is_nothing(b)) return a;
  if (sign === 1 && is_nothing(a)) return b;
  const buckets: number[] = [];
  const counts: number[] = [];
  let [i, j] = [0, 0];
  while (i < a.buckets.length || j < b.buckets.length) {
    const one = i < a.buckets.length ? a.buckets[i]! : Infinity;
    const other = j < b.buckets.length ? b.buckets[j]! : Infinity;
    const count = (one <= other ? a.counts[i++]! : 0) + (other <= one ? sign * b.counts[j++]! : 0);
    if (count === 0) continue;
    buckets.push(Math.min(one, other));
    counts.push(count);
  }
  return { sum: a.sum + sign * b.sum, buckets, counts };
}

/** How finely times are told: buckets for each doubling. */
export type Fineness = 128 | 32 | 16 | 4;

/**
 * The same with fewer buckets: each stands for those around it, the middle one of them. Percentiles of it are
 * off by 1.3 % at most with 128, by 2.8 % with 32, 4.5 % with 16 and 14 % with 4.
 */
export function thinned(rough: Rough, fineness: Fineness): Rough {
  if (fineness === 128) return rough;
  const middle = (bucket: number): number => {
    const lowest = lowest_rough(bucket);
    const width = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, lowest))) - Math.log2(fineness));
    const first = Math.floor(lowest / width) * width;
    return rough_index(Math.min(first + Math.floor(width / 2), HIGHEST));
  };
  return joined(rough.sum, rough.counts, (i) => middle(rough.buckets[i]!));
}

/** Whether it is one, whoever made it. */
export function is_rough({ sum, buckets, counts }: Rough, most: number): boolean {
  const is_count = (count: number): boolean => Number.isInteger(count) && Math.abs(count) <= most;
  const rises = buckets.every((bucket, i) => Number.isInteger(bucket) && bucket > (buckets[i - 1] ?? -1));
  return Math.abs(sum) <= most * HIGHEST && rises && (buckets.at(-1) ?? 0) < ROUGH_BUCKETS && counts.every(is_count);
}

const summed = new Float64Array(ROUGH_BUCKETS);

/** Very many together. */
export function plus_all(list: readonly Rough[]): Rough {
  let sum = 0;
  for (const rough of list) {
    sum += rough.sum;
    for (let i = 0; i < rough.buckets.length; i++) summed[rough.buckets[i]!]! += rough.counts[i]!;
  }
  const buckets: number[] = [];
  const counts: number[] = [];
  summed.forEach((count, bucket) => {
    if (count === 0) return;
    buckets.push(bucket);
    counts.push(count);
  });
  summed.fill(0);
  return { sum, buckets, counts };
}

/**
 * For the arithmetic of histogram.ts. Least and highest are the bounds of their buckets. In one with counts below 0
 * percentiles say nothing.
 */
export function to_histogram({ sum, buckets, counts }: Rough, level: number): HistogramSnapshot {
  if (buckets.length === 0) return sum === 0 ? EMPTY : { ...EMPTY, sum };
  const fine = last_fine();
  const indices = new Uint32Array(buckets.length);
  let count = 0;
  for (let i = 0; i < buckets.length; i++) {
    indices[i] = fine[buckets[i]!]!;
    count += counts[i]!;
  }
  const whole = (indices[0]! >> level) << level;
  return {
    indices,
    counts: new Float64Array(counts),
    count,
    sum,
    min: Math.min(lowest_rough(buckets[0]!), lowest_of(whole)),
    max: highest_rough(buckets.at(-1)!),
    coarse: Math.max(WIDER, level),
  };
}

export function write_rough(writer: NumberWriter, rough: Rough): void {
  if (is_nothing(rough)) return writer.unsigned(0);
  const { sum, buckets, counts } = rough;
  writer.unsigned(buckets.length + 1);
  writer.double(sum);
  let before = -1;
  for (let i = 0; i < buckets.length; i++) {
    writer.unsigned(buckets[i]! - before);
    writer.signed(counts[i]!);
    before = buckets[i]!;
  }
}

export function read_rough(reader: NumberReader): Rough {
  const length = reader.unsigned() - 1;
  if (length < 0) return NOTHING;
  const sum = reader.double();
  const buckets: number[] = [];
  const counts: number[] = [];
  for (let i = 0, bucket = -1; i < length; i++) {
    buckets.push((bucket += reader.unsigned()));
    counts.push(reader.signed());
  }
  return { sum, buckets, counts };
}
