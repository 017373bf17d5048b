/**
 * The part of a swarm that one of several unconnected processes plays: which ids are its own, how many of a target, how
 * much of a rate. Pure.
 *
 * Client `id` has a place from 0 to 999 999: the digits of id − 1 backwards, each replaced to spread them (0 7 4 1 8
 * 5 2 9 6 3). A segment is a stretch of places:
 *
 *     id      1       2       3       4    …      11      12      13
 *     place   000000  700000  400000  100000      070000  770000  470000
 *
 * Places depend only on the id. So segments that do not overlap as fractions have no id in common, whatever their
 * denominators, and segments that make up the whole have every id. Of a target of 10, 100, 1000, … each has its exact
 * share within one client, of other targets within a few.
 */

export const PLACES = 1_000_000;
const MAX_DENOMINATOR = 10_000;

/** Places, without `to`. */
export interface Places {
  readonly from: number;
  readonly to: number;
}

export interface Segment extends Places {
  /** as it was given; null: none was */
  readonly text: string | null;
}

/** All ids: the segment of a swarm without segments. */
export const WHOLE: Segment = { text: null, from: 0, to: PLACES };

export const SEGMENT_SHAPE =
  'a part of the whole, such as 2/5 (the second of five equal parts) or 1/4:1/2 (from one quarter to one half): the first below the last, both from 0 to 1, ' +
  `denominators up to ${MAX_DENOMINATOR} whose least common multiple is at most ${PLACES}`;

/** Returns undefined when the text is no segment. */
export function parse_segment(text: string): Segment | undefined {
  const [first, last, ...more] = ends_of(text).map(parse_fraction);
  if (!first || !last || more.length > 0) return undefined;
  const [a, b] = first;
  const [c, d] = last;
  if (a * d >= c * b || (b / gcd(b, d)) * d > PLACES) return undefined;
  return { text, from: place_at(a, b), to: place_at(c, d) };
}

/** How many of the ids 1…n are in it. */
export function part_of({ from, to }: Places, n: number): number {
  return places_below(to, n) - places_below(from, n);
}

/** Its first id after n. It looks at one after the other: a few ns for each that is not in it. */
export function next_id(stretch: Places, n: number): number {
  let id = n + 1;
  if (!is_whole(stretch)) while (!holds(stretch, id)) id++;
  return id;
}

/** The segment's k-th id, k ≥ 1. */
export function id_at(segment: Segment, k: number): number {
  if (is_whole(segment)) return k;
  // a first guess: no part of any target is off by more than 8 clients or so
  let id = Math.floor((k * PLACES) / (segment.to - segment.from));
  let index = part_of(segment, id);
  while (index < k) if (holds(segment, ++id)) index++;
  while (index > k || !holds(segment, id)) if (holds(segment, id--)) index--;
  return id;
}

/** The index of an id within the segment, from 1; null: the id is not in it. */
export function index_of(segment: Segment, id: number): number | null {
  if (is_whole(segment)) return id;
  return holds(segment, id) ? part_of(segment, id) : null;
}

/** The largest target of the whole swarm of which at most `here` clients are in the segment. */
export const whole_of = (segment: Segment, here: number): number => id_at(segment, here + 1) - 1;

/** The segment's part of a rate, exact to a millionth: the parts of the whole add up to the rate. */
export function rate_of({ from, to }: Segment, per_s: number): number {
  const micro = BigInt(Math.round(per_s * 1e6));
  const below = (place: number): bigint => (micro * BigInt(place)) / BigInt(PLACES);
  return Number(below(to) - below(from)) / 1e6;
}

/** What several segments cover together. */
export interface Cover {
  /** positions of two segments that have ids in common; null: there are none */
  readonly overlap: readonly [number, number] | null;
  /** all segments as one text; null: they make up the whole */
  readonly together: string | null;
  /** the segments that are missing from the whole, as texts */
  readonly missing: readonly string[];
}

/** `texts`: one segment each, or several with commas, as `together`; null: the whole. Undefined if one is none. */
export function cover_of(texts: readonly (string | null)[]): Cover | undefined {
  const all: { segment: Segment; ends: readonly string[]; position: number }[] = [];
  for (const [position, text] of texts.entries())
    for (const one of (text ?? '0:1').split(',')) {
      const segment = parse_segment(one);
      if (!segment) return undefined;
      all.push({ segment, ends: ends_of(one), position });
    }
  all.sort((a, b) => a.segment.from - b.segment.from);
  const stretches: { from: string; to: string }[] = [];
  const missing: string[] = [];
  let [at, end] = [0, '0'];
  for (const [i, { segment, ends, position }] of all.entries()) {
    const [first, last] = ends as [string, string];
    if (segment.from < at) return { overlap: [all[i - 1]!.position, position], together: null, missing: [] };
    if (segment.from > at) missing.push(`${end}:${first}`);
    if (segment.from > at || i === 0) stretches.push({ from: first, to: last });
    else stretches.at(-1)!.to = last;
    [at, end] = [segment.to, last];
  }
  if (at < PLACES) missing.push(`${end}:1`);
  const together = missing.length === 0 ? null : stretches.map(({ from, to }) => `${from}:${to}`).join(',');
  return { overlap: null, together, missing };
}

const is_whole = ({ from, to }: Places): boolean => from === 0 && to === PLACES;

/** `1/5`, `2/5` of `2/5`; `1/4`, `1/2` of `1/4:1/2`. */
function ends_of(text: string): string[] {
  if (text.includes(':')) return text.split(':');
  const [, part, parts] = /^([1-9]\d{0,4})\/(\d{1,5})$/.exec(text) ?? [];
  return part === undefined ? [] : [`${Number(part) - 1}/${parts}`, text];
}

/** Numerator and denominator, from 0 to 1. */
function parse_fraction(text: string): readonly [number, number] | undefined {
  const [, above, below = '1'] = /^(0|[1-9]\d{0,4})(?:\/([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (above === undefined) return undefined;
  const [a, b] = [Number(above), Number(below)];
  return a <= b && b <= MAX_DENOMINATOR ? [a, b] : undefined;
}

/** Index: a number of three digits. Value: its digits backwards, each spread. */
const TURNED = Uint16Array.from({ length: 1000 }, (_, n) => {
  const [low, middle, high] = [n % 10, Math.floor(n / 10) % 10, Math.floor(n / 100)] as const;
  return ((low * 7) % 10) * 100 + ((middle * 7) % 10) * 10 + ((high * 7) % 10);
});

function holds({ from, to }: Places, id: number): boolean {
  const n = id - 1;
  const place = TURNED[n % 1000]! * 1000 + TURNED[Math.floor(n / 1000) % 1000]!;
  return from <= place && place < to;
}

/** The first place at or above the fraction a/b. */
const place_at = (a: number, b: number): number => Math.ceil((a * PLACES) / b);

/** At 10 × digit + n: how many of the digits 0…n−1 are below `digit` once spread. */
const FEWER = Uint8Array.from({ length: 100 }, (_, i) => {
  const spread = Array.from({ length: i % 10 }, (_, d) => (d * 7) % 10);
  return spread.filter((digit) => digit < Math.floor(i / 10)).length;
});

/** How many of the ids 1…n have a place below this one. */
function places_below(place: number, n: number): number {
  if (place === PLACES) return n;
  let count = 0;
  // digit by digit: counts the numbers id − 1 that agree with `place` so far and are below it in this digit; those
  // that agree are ≡ rest (mod step)
  let rest = 0;
  let step = 1;
  let unit = PLACES / 10;
  for (let left = place; left > 0 && n > rest; step *= 10, unit /= 10) {
    const digit = Math.floor(left / unit);
    left -= digit * unit;
    const agree = Math.ceil((n - rest) / step);
    const tens = Math.floor(agree / 10);
    count += tens * digit + FEWER[digit * 10 + agree - tens * 10]!;
    rest += ((digit * 3) % 10) * step; // 3 × 7 ≡ 1 (mod 10)
  }
  return count;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
