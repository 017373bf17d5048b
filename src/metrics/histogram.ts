/**
 * A recorder of times in µs, and arithmetic on what it recorded. The buckets are those of an HDR histogram with 3
 * significant digits and a lowest value of 1 µs: 2048 buckets of 1 µs, then 1024 for each doubling. So a bucket is
 * never wider than a thousandth of its values:
 *
 *     octave  0       1            2            …  21
 *     values  0…2047  2048…4095    4096…8191    …  2³¹…2³²−1 µs (71 minutes)
 *     width   1       2            4            …  2²¹
 *     index   0…2047  2048…3071    3072…4095    …  22528…23551
 */
import type { HistogramSnapshot } from './snapshot.ts';
import type { Latency } from './summary.ts';

/** log2 of the 1024 buckets each octave adds */
const HALF = 10;
/** µs; values above it are counted in the bucket of this one */
export const HIGHEST = 2 ** 32 - 1;
export const BUCKETS = 23 << HALF;

/** The bucket of an integer, 0 ≤ us ≤ {@link HIGHEST}. */
export function index_of(us: number): number {
  const octave = 21 - Math.clz32(us | 2047);
  return (octave << HALF) + (us >>> octave);
}

export const EMPTY: HistogramSnapshot = pack([], [], 0, 0, 0);

const octave_of = (index: number): number => Math.max((index >> HALF) - 1, 0);

/** The lowest value that bucket `index` counts, in µs. */
export function lowest_of(index: number): number {
  const octave = octave_of(index);
  return (index - (octave << HALF)) * 2 ** octave;
}

/** Its highest value, in µs. */
export function highest_of(index: number): number {
  return lowest_of(index) + 2 ** octave_of(index) - 1;
}

/**
 * Counts times. `record` allocates nothing. Of the 188 KB of counts only the pages that were written take memory,
 * typically 20 to 60 KB.
 */
export class Histogram {
  readonly #coarse: number;
  // Doubles, because a count of 32 bits overflows within hours when a round costs a microsecond.
  readonly #counts: Float64Array;
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;
  #taken = EMPTY;

  /** `coarse`: counts 2^coarse buckets as one, for a fraction of the memory. */
  constructor(coarse = 0) {
    this.#coarse = coarse;
    this.#counts = new Float64Array(BUCKETS >> coarse);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Counts one time in µs, rounded to an integer. Below 0 (or NaN) it counts as 0. Above {@link HIGHEST} it is counted
   * in the top bucket, while sum and max stay exact.
   */
  record(us: number): void {
    const value = us > 0 ? Math.floor(us + 0.5) : 0; // Math.round takes twice as long
    const index = index_of(value > HIGHEST ? HIGHEST : value);
    this.#counts[index >> this.#coarse]!++;
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  /** A copy of what was counted so far; the same object again while nothing new was counted. */
  snapshot(): HistogramSnapshot {
    if (this.#taken.count === this.#count) return this.#taken;
    const [coarse, min, max] = [this.#coarse, this.#min, this.#max];
    const first = index_of(Math.min(min, HIGHEST));
    const last = index_of(Math.min(max, HIGHEST));
    const found = copied(this.#counts, first >> coarse, last >> coarse);
    if (coarse > 0) spread(found, first, last, coarse);
    this.#taken = {
      ...snapshot_of(found),
      count: this.#count,
      sum: this.#sum,
      min,
      max,
      ...(coarse > 0 && { coarse }),
    };
    return this.#taken;
  }
}

/** Buckets that are not empty, and their counts; one more than there can be: see {@link spread}. */
const scratch = { size: 0, indices: new Uint32Array(BUCKETS + 1), counts: new Float64Array(BUCKETS + 1) };

/** Reads only the buckets from `first` to `last`, and makes no garbage: fifty processes take some each second. */
function copied(counts: Float64Array, first: number, last: number): typeof scratch {
  let size = 0;
  for (let index = first; index <= last; index++) {
    const count = counts[index]!;
    if (count === 0) continue;
    scratch.indices[size] = index;
    scratch.counts[size++] = count;
  }
  scratch.size = size;
  return scratch;
}

/**
 * Turns coarse indices into the last bucket of each, at most `last`. One count of the lowest value goes to its own
 * bucket.
 */
function spread(found: typeof scratch, first: number, last: number, coarse: number): void {
  for (let i = 0; i < found.size; i++)
    found.indices[i] = Math.min(coarse_bucket(found.indices[i]! << coarse, coarse), last);
  if (found.indices[0] === first) return;
  if (found.counts[0]! > 1) {
    found.indices.copyWithin(1, 0, found.size);
    found.counts.copyWithin(1, 0, found.size++);
    found.counts[1]!--;
  }
  found.indices[0] = first;
  found.counts[0] = 1;
}

function snapshot_of({ size, indices, counts }: typeof scratch): Pick<HistogramSnapshot, 'indices' | 'counts'> {
  let most = 0;
  for (let i = 0; i < size; i++) if (counts[i]! > most) most = counts[i]!;
  const found = counts.subarray(0, size);
  return { indices: indices.slice(0, size), counts: most < 2 ** 32 ? Uint32Array.from(found) : found.slice() };
}

const summed = new Float64Array(BUCKETS);

/** All parts as if one histogram had counted everything. It is as coarse as the coarsest part. */
export function merge(...parts: readonly HistogramSnapshot[]): HistogramSnapshot {
  // of the thousands that a swarm of a thousand actions merges, most are empty or of one member
  const some = parts.filter(({ count }) => count > 0);
  if (some.length <= 1) return some[0] ?? EMPTY;
  let [first, last, count, sum, min, max, coarse] = [BUCKETS, 0, 0, 0, Infinity, 0, 0];
  for (const part of some) {
    const { indices, counts } = part;
    for (let i = 0; i < indices.length; i++) summed[indices[i]!]! += counts[i]!;
    first = Math.min(first, indices[0]!);
    last = Math.max(last, indices.at(-1)!);
    count += part.count;
    sum += part.sum;
    min = Math.min(min, part.min);
    max = Math.max(max, part.max);
    coarse = Math.max(coarse, coarse_of(part));
  }
  const found = snapshot_of(copied(summed, first, last));
  summed.fill(0, first, last + 1);
  return as_coarse({ ...found, count, sum, min, max }, coarse);
}

const coarse_of = ({ coarse }: HistogramSnapshot): number => coarse ?? 0;
const as_coarse = (snapshot: HistogramSnapshot, coarse: number): HistogramSnapshot =>
  coarse === 0 ? snapshot : { ...snapshot, coarse };

/**
 * How far a percentile can be above the measured value, as a share of it: a thousandth, or more when histograms are
 * coarse.
 */
export const resolution = ({ coarse = 0 }: HistogramSnapshot): number => 2 ** (coarse - HALF);
export const RESOLUTION = 2 ** -HALF;

/** The coarsest: a bucket for each doubling. */
export const MAX_COARSE = HALF;
/** The last of the 2^coarse buckets around `index`, which stands for all. */
export const coarse_bucket = (index: number, coarse: number): number => (((index >> coarse) + 1) << coarse) - 1;

/**
 * Every count under its coarse bucket, those of the lowest and highest value too. Two snapshots in this form can be
 * subtracted.
 */
function evenly(snapshot: HistogramSnapshot, coarse: number): Pick<HistogramSnapshot, 'indices' | 'counts'> {
  if (coarse === 0) return snapshot;
  const indices: number[] = [];
  const counts: number[] = [];
  for (let i = 0; i < snapshot.indices.length; i++) {
    const index = coarse_bucket(snapshot.indices[i]!, coarse);
    if (indices.at(-1) === index) counts[counts.length - 1]! += snapshot.counts[i]!;
    else {
      indices.push(index);
      counts.push(snapshot.counts[i]!);
    }
  }
  return { indices: Uint32Array.from(indices), counts: Float64Array.from(counts) };
}

/**
 * What `now` counted since `base`. Counts and sum are exact. Min and max are the bounds of their buckets (within a
 * thousandth), because the exact ones may be older than `base`.
 */
export function subtract(now: HistogramSnapshot, base: HistogramSnapshot): HistogramSnapshot {
  const coarse = Math.max(coarse_of(now), coarse_of(base));
  const [all, old] = [evenly(now, coarse), evenly(base, coarse)];
  const indices: number[] = [];
  const counts: number[] = [];
  let b = 0;
  for (let i = 0; i < all.indices.length; i++) {
    const index = all.indices[i]!;
    while (b < old.indices.length && old.indices[b]! < index) b++;
    const count = all.counts[i]! - (old.indices[b] === index ? old.counts[b]! : 0);
    if (count > 0) {
      indices.push(index);
      counts.push(count);
    }
  }
  if (indices.length === 0) return EMPTY;
  // the last index of a coarse bucket may be above all that was counted
  indices.push(Math.min(indices.pop()!, index_of(Math.min(now.max, HIGHEST))));
  const min = Math.max(lowest_of((indices[0]! >> coarse) << coarse), now.min);
  const max = upper_bound(indices.at(-1)!, now.max);
  return as_coarse(pack(indices, counts, Math.max(0, now.sum - base.sum), min, max), coarse);
}

/**
 * The value in µs that a share `q` (0…1) of all values does not exceed. It is the highest value of its bucket, as in
 * HDR histograms, but never above the exact max. 0 when empty.
 */
export function quantile(snapshot: HistogramSnapshot, q: number): number {
  // a product such as 0.07 × 100 = 7.000000000000001 must not ask for the eighth value
  const rank = Math.ceil(q * snapshot.count * (1 - Number.EPSILON));
  let seen = 0;
  for (let i = 0; i < snapshot.indices.length; i++) {
    seen += snapshot.counts[i]!;
    if (seen >= rank) return upper_bound(snapshot.indices[i]!, snapshot.max);
  }
  return snapshot.max;
}

/** The figures for people: ms with µs resolution. */
export function latency_ms(snapshot: HistogramSnapshot): Latency {
  const at = (q: number): number => quantile(snapshot, q) / 1000;
  return {
    count: snapshot.count,
    mean: snapshot.count === 0 ? 0 : Math.round(snapshot.sum / snapshot.count) / 1000,
    min: snapshot.min / 1000,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    p99_9: at(0.999),
    max: snapshot.max / 1000,
  };
}

/**
 * The highest value that bucket `index` can have counted when nothing was above `max`. The top bucket counts everything
 * up to `max`.
 */
function upper_bound(index: number, max: number): number {
  return index === BUCKETS - 1 ? max : Math.min(highest_of(index), max);
}

function pack(indices: number[], counts: number[], sum: number, min: number, max: number): HistogramSnapshot {
  const narrow = counts.every((count) => count < 2 ** 32);
  return {
    indices: Uint32Array.from(indices),
    counts: narrow ? Uint32Array.from(counts) : Float64Array.from(counts),
    count: counts.reduce((all, count) => all + count, 0),
    sum,
    min,
    max,
  };
}
