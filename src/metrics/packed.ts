/**
 * Histograms as bytes, on their way up from a worker or an agent. Only those that changed travel, and all together are
 * bounded: an account that would be too large is made coarser, never left out.
 *
 *     coarse   1 byte       see HistogramSnapshot
 *     sum      8 bytes      a double, little-endian
 *     min, max, low         `low` of the counts are in the bucket of `min`
 *     step, count           for each bucket that counts something: so many buckets of 2^coarse behind the one before,
 *                           the first behind −1
 *
 * Numbers are LEB128, as in protocol buffers. An empty histogram has no bytes.
 */
import { fault, type Shape } from '../foundation/shape.ts';
import { map_groups, MAX_ACTIONS, MAX_GROUPS } from './groups.ts';
import { BUCKETS, coarse_bucket, EMPTY, HIGHEST, index_of, MAX_COARSE } from './histogram.ts';
import type {
  ActionSnapshot,
  ArrivalSnapshot,
  GroupSnapshot,
  HistogramSnapshot,
  SlotSnapshot,
  Snapshot,
} from './snapshot.ts';

/** A snapshot without its histograms. */
export type Counters = Omit<Snapshot, 'groups'> & { readonly groups: Readonly<Record<string, GroupCounters>> };
export type GroupCounters = Omit<GroupSnapshot, 'connections' | 'arrivals' | 'actions'> & {
  readonly connections: Omit<GroupSnapshot['connections'], 'connect' | 'handshake'>;
  readonly arrivals?: Omit<ArrivalSnapshot, 'late'>;
  readonly actions: readonly ActionCounters[];
};

type ActionCounters = Omit<ActionSnapshot, 'service' | 'response' | 'slots'> & {
  readonly slots?: Omit<SlotSnapshot, 'late'>;
};

export function counters_of({ groups, ...rest }: Snapshot): Counters {
  const counted = ({ connections, arrivals, actions, ...group }: GroupSnapshot): GroupCounters => {
    const { connect: _connect, handshake: _handshake, ...counts } = connections;
    const { late: _late, ...arrived } = arrivals ?? { late: EMPTY };
    return {
      ...group,
      connections: counts,
      ...('planned' in arrived && { arrivals: arrived }),
      actions: actions.map(({ service: _service, response: _response, slots, ...action }) => {
        if (slots === undefined) return action;
        const { late: _late, ...counted } = slots;
        return { ...action, slots: counted };
      }),
    };
  };
  return { ...rest, groups: map_groups(groups, counted) };
}

/** Of one group after another, in the order in which {@link with_histograms} takes them. */
export function histograms_of({ groups }: Snapshot): HistogramSnapshot[] {
  return Object.values(groups).flatMap(({ connections: { connect, handshake }, arrivals, actions }) => [
    connect,
    handshake,
    ...(arrivals ? [arrivals.late] : []),
    ...actions.flatMap(({ service, response, slots }) =>
      slots === undefined ? [service, response] : [service, response, slots.late],
    ),
  ]);
}

/** Missing histograms are empty. */
export function with_histograms({ groups, ...rest }: Counters, list: readonly HistogramSnapshot[]): Snapshot {
  let taken = 0;
  const next = (): HistogramSnapshot => list[taken++] ?? EMPTY;
  const whole = ({ connections, arrivals, actions, ...group }: GroupCounters): GroupSnapshot => ({
    ...group,
    connections: { ...connections, connect: next(), handshake: next() },
    ...(arrivals && { arrivals: { ...arrivals, late: next() } }),
    actions: actions.map(({ slots, ...action }) => ({
      ...action,
      service: next(),
      response: next(),
      ...(slots && { slots: { ...slots, late: next() } }),
    })),
  });
  return { ...rest, groups: map_groups(groups, whole) };
}

/** for the most groups and actions that there can be */
export const MAX_HISTOGRAMS = 3 * MAX_GROUPS + 3 * MAX_ACTIONS;

const FIXED = 9;
const MAX_WORD = 8;
const NOTHING = new Uint8Array();
const scratch = Buffer.alloc(FIXED + 3 * MAX_WORD + BUCKETS * (3 + MAX_WORD));

/** As coarse as `coarse` or as it is. */
export function pack(histogram: HistogramSnapshot, coarse = 0): Uint8Array {
  const { indices, counts, count, sum, min, max } = histogram;
  if (count === 0) return NOTHING;
  const level = Math.max(coarse, histogram.coarse ?? 0);
  scratch[0] = level;
  scratch.writeDoubleLE(sum, 1);
  let at = FIXED;
  const write = (value: number): void => {
    let left = value;
    for (; left > 127; left = Math.floor(left / 128)) scratch[at++] = (left % 128) + 128;
    scratch[at++] = left;
  };
  write(min);
  write(max);
  write(counts[0]!);
  let before = -1;
  for (let i = 0; i < indices.length;) {
    const group = indices[i]! >> level;
    let all = 0;
    while (i < indices.length && indices[i]! >> level === group) all += counts[i++]!;
    write(group - before);
    write(all);
    before = group;
  }
  return Uint8Array.from(scratch.subarray(0, at));
}

/** From bytes that may be anything to a histogram that can be added up. */
export const HISTOGRAM: Shape<HistogramSnapshot> = (value) => {
  const bytes = value instanceof Uint8Array ? value : fault('is not made of bytes');
  if (bytes.length === 0) return EMPTY;
  if (bytes.length < FIXED || bytes.length > scratch.length) fault('has not as many bytes as a histogram');
  let at = FIXED;
  const read = (): number => {
    let word = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? fault('is cut off');
      if (scale > 2 ** 49) fault('has a number that is too large');
      word += (byte & 127) * scale;
      if (byte < 128) return word <= Number.MAX_SAFE_INTEGER ? word : fault('has a number that is too large');
    }
  };
  const coarse = bytes[0]!;
  if (coarse > MAX_COARSE) fault('is coarser than can be');
  const sum = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(1, true);
  if (!(sum >= 0 && sum <= MAX_SUM)) fault('has a sum that is none');
  const [min, max, low] = [read(), read(), read()];
  if (min > max) fault('has a least above its highest');
  const [first, last] = [index_of(Math.min(min, HIGHEST)), index_of(Math.min(max, HIGHEST))];
  const indices: number[] = [];
  const counts: number[] = [];
  const put = (index: number, count: number): void => {
    if (indices.at(-1) === index) counts[counts.length - 1]! += count;
    else {
      indices.push(index);
      counts.push(count);
    }
  };
  let count = 0;
  let group = -1;
  while (at < bytes.length) {
    const step = read();
    const some = read();
    if (step < 1 || step > BUCKETS || some < 1) fault('has buckets that are not in order, or that count nothing');
    const is_first = group === -1;
    group += step;
    if (group > last >> coarse) fault('has a bucket above its highest');
    if (is_first && (group !== first >> coarse || low < 1 || low > some)) fault('has its least in another bucket');
    const rest = is_first ? some - low : some;
    if (is_first) put(first, low);
    if (rest > 0) put(Math.min(coarse_bucket(group << coarse, coarse), last), rest);
    count += some;
    if (count > MAX_COUNT) fault('counts more than can be');
  }
  if (group !== last >> coarse || indices.at(-1) !== last) fault('has its highest in another bucket');
  const is_narrow = counts.every((one) => one < 2 ** 32);
  return {
    indices: Uint32Array.from(indices),
    counts: is_narrow ? Uint32Array.from(counts) : Float64Array.from(counts),
    count,
    sum,
    min,
    max,
    ...(coarse > 0 && { coarse }),
  };
};

/** a million events a second for a hundred days */
const MAX_COUNT = 2 ** 43;
/** µs of all rounds together */
const MAX_SUM = 2 ** 63;

interface PackedHistogram {
  readonly count: number;
  readonly sum: number;
  readonly bytes: Uint8Array;
}

/**
 * Packs the histograms of one author again and again, each by its number. One with the same count and sum as before has
 * not changed.
 */
export class Packer {
  readonly #most: number;
  readonly #known = new Map<number, PackedHistogram>();
  #coarse = 0;

  /** `most`: bytes of all together. {@link MAX_HISTOGRAMS} of the coarsest are 320 KB at most. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Rises when all together would be too large, and never falls. */
  get coarse(): number {
    return this.#coarse;
  }

  /** By number, without empty ones. One that did not change has the very bytes of the last time. */
  pack(histograms: Iterable<readonly [number, HistogramSnapshot]>): Map<number, Uint8Array> {
    const list = [...histograms].filter(([, { count }]) => count > 0);
    for (;;) {
      const packed = new Map(list.map(([number, histogram]) => [number, this.#pack(number, histogram)]));
      let all = 0;
      for (const { length } of packed.values()) all += length;
      if (all <= this.#most || this.#coarse === MAX_COARSE) return packed;
      this.#coarse++;
      this.#known.clear();
    }
  }

  #pack(number: number, histogram: HistogramSnapshot): Uint8Array {
    const { count, sum } = histogram;
    const known = this.#known.get(number);
    if (known?.count === count && known.sum === sum) return known.bytes;
    const bytes = pack(histogram, this.#coarse);
    this.#known.set(number, { count, sum, bytes });
    return bytes;
  }
}
