/**
 * A recorder of times in µs and the arithmetic on what it recorded. The buckets are those of an HDR histogram with
 * 3 significant digits and a lowest value of 1 µs: 2048 buckets of 1 µs, then 1024 for each doubling, so that a bucket is
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
/** the highest value with a bucket of its own, in µs; what is above is counted in the same bucket */
export const HIGHEST = 2 ** 32 - 1;
export const BUCKETS = 23 << HALF;

/** The bucket of an integer, 0 ≤ us ≤ {@link HIGHEST}. */
export function index_of(us: number): number {
  const octave = 21 - Math.clz32(us | 2047);
  return (octave << HALF) + (us >>> octave);
}

const EMPTY: HistogramSnapshot = pack([], [], 0, 0, 0);

const octave_of = (index: number): number => Math.max((index >> HALF) - 1, 0);

/** The lowest value that bucket `index` counts, in µs. */
export function lowest_of(index: number): number {
  const octave = octave_of(index);
  return (index - (octave << HALF)) * 2 ** octave;
}

/** The highest one. */
export function highest_of(index: number): number {
  return lowest_of(index) + 2 ** octave_of(index) - 1;
}

/**
 * Counts times. `record` allocates nothing, and of the 188 KB of counts only the pages that were written take memory:
 * typically 20 to 60 KB.
 */
export class Histogram {
  // Doubles, because a count of 32 bits overflows within hours when a round costs a microsecond.
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;
  #taken = EMPTY;

  /** how many values were recorded */
  get count(): number {
    return this.#count;
  }

  /**
   * Counts one time in µs, rounded to an integer; below 0 (or NaN) counts as 0. Above {@link HIGHEST} it is counted in the top
   * bucket; sum and max stay exact.
   */
  record(us: number): void {
    const value = us > 0 ? Math.floor(us + 0.5) : 0; // Math.round takes twice as long
    const index = index_of(value > HIGHEST ? HIGHEST : value);
    this.#counts[index]!++;
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
  }

  /** Counts all that another histogram counted. */
  add(other: HistogramSnapshot): void {
    if (other.count === 0) return;
    for (let i = 0; i < other.indices.length; i++) this.#counts[other.indices[i]!]! += other.counts[i]!;
    this.#count += other.count;
    this.#sum += other.sum;
    this.#min = Math.min(this.#min, other.min);
    this.#max = Math.max(this.#max, other.max);
  }

  /**
   * What was counted so far, a copy; the same one again while nothing was counted. Looks only at the buckets between the lowest and
   * the highest value, twice, so that it makes no garbage: fifty processes take some each second.
   */
  snapshot(): HistogramSnapshot {
    if (this.#taken.count === this.#count) return this.#taken;
    const first = index_of(Math.min(this.#min, HIGHEST));
    const last = index_of(Math.min(this.#max, HIGHEST));
    let size = 0;
    let most = 0;
    for (let index = first; index <= last; index++) {
      const count = this.#counts[index]!;
      if (count > 0) size++;
      if (count > most) most = count;
    }
    const indices = new Uint32Array(size);
    const counts = most < 2 ** 32 ? new Uint32Array(size) : new Float64Array(size);
    for (let index = first, i = 0; index <= last; index++) {
      const count = this.#counts[index]!;
      if (count === 0) continue;
      indices[i] = index;
      counts[i++] = count;
    }
    this.#taken = { indices, counts, count: this.#count, sum: this.#sum, min: this.#min, max: this.#max };
    return this.#taken;
  }
}

/** All of them as if one histogram had counted everything. */
export function merge(...parts: readonly HistogramSnapshot[]): HistogramSnapshot {
  // a swarm without requests merges thousands of empty ones
  if (parts.every(({ count }) => count === 0)) return EMPTY;
  const whole = new Histogram();
  for (const part of parts) whole.add(part);
  return whole.snapshot();
}

/**
 * What `now` counted since it was `base`. Counts and sum are exact; min and max are the bounds of their buckets (within a
 * thousandth), because the exact ones may be older than `base`.
 */
export function subtract(now: HistogramSnapshot, base: HistogramSnapshot): HistogramSnapshot {
  const indices: number[] = [];
  const counts: number[] = [];
  let b = 0;
  for (let i = 0; i < now.indices.length; i++) {
    const index = now.indices[i]!;
    while (b < base.indices.length && base.indices[b]! < index) b++;
    const count = now.counts[i]! - (base.indices[b] === index ? base.counts[b]! : 0);
    if (count > 0) {
      indices.push(index);
      counts.push(count);
    }
  }
  if (indices.length === 0) return EMPTY;
  const min = Math.max(lowest_of(indices[0]!), now.min);
  return pack(indices, counts, now.sum - base.sum, min, upper_bound(indices.at(-1)!, now.max));
}

/**
 * The value in µs that a share `q` (0…1) of all values does not exceed: the highest value of its bucket, as HDR histograms
 * have it, but never above the exact max. 0 when empty.
 */
export function quantile(snapshot: HistogramSnapshot, q: number): number {
  // A product like 0.07 × 100 = 7.000000000000001 must not ask for the eighth value.
  const rank = Math.ceil(q * snapshot.count * (1 - Number.EPSILON));
  let seen = 0;
  for (let i = 0; i < snapshot.indices.length; i++) {
    seen += snapshot.counts[i]!;
    if (seen >= rank) return upper_bound(snapshot.indices[i]!, snapshot.max);
  }
  return snapshot.max;
}

/** Its figures for people: ms with µs resolution. */
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

/** The highest value that bucket `index` can have counted when nothing was above `max`; the top bucket counts everything up to it. */
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
