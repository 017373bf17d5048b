/**
 * The course of a run, second by second, for charts. Each agent tells what it did in each second, and keeps that while
 * the engine is away, for a quarter of an hour. Sums over all seconds are those of the summary; a second of which
 * nobody told is named, not made up.
 */
import { randomBytes } from 'node:crypto';
import { escape_text } from '../../foundation/escape.ts';
import { exact, fault, integer, list, object, reader, Refused, type Shape } from '../../foundation/shape.ts';
import { BUCKETS, highest_of, lowest_of } from '../../metrics/histogram.ts';
import { whole_of } from '../../metrics/merge-snapshots.ts';
import type { GroupSnapshot, HistogramSnapshot } from '../../metrics/snapshot.ts';
import type { Summary } from '../../metrics/summary.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import type { Store } from './store.ts';

/** seconds told at once */
const ROWS = 5;
/** parts that wait for an engine; older ones are lost */
const MAX_WAITING = 200;
const MAX_NAMED = 20;
const MAX_NAME = 64;
/** characters of a part: the engine takes no more bytes */
const MAX_PART = 1024 * 1024;
/** what was held is taken to be held on in gaps of so many seconds altogether */
const MAX_FILLED = 100_000;
/** of a second: a sample may be early by so much, if the first one was late */
const EARLY = 0.3;

/**
 * In a row they stand behind second, live and open, each the difference to the row before; behind them bucket and count
 * of each response time.
 */
const COUNTERS = {
  established: ({ connections }: GroupSnapshot) => connections.established,
  connect_failed: ({ connections }: GroupSnapshot) => sum(Object.values(connections.failed)),
  sent: ({ requests }: GroupSnapshot) => requests.sent,
  ok: ({ requests }: GroupSnapshot) => requests.ok,
  failed: ({ requests }: GroupSnapshot) => requests.wrong + requests.timeout,
  noreply: ({ requests }: GroupSnapshot) => requests.noreply,
  bytes_sent: ({ bytes }: GroupSnapshot) => bytes.sent,
  bytes_received: ({ bytes }: GroupSnapshot) => bytes.received,
} as const;
type Counter = keyof typeof COUNTERS;
const NAMES = Object.keys(COUNTERS) as Counter[];
const GAUGES = 3;
const TIMES = GAUGES + NAMES.length;

const sum = (list: readonly number[]): number => list.reduce((all, one) => all + one, 0);

/**
 * Buckets for each doubling of a time: the middle of one is within 2.2 % of all that it counts, in three digits within
 * 2.7 %.
 */
const STEPS = 16;
let buckets: Uint16Array | null = null;

/** The bucket here of each bucket of a histogram. */
function bucket_of(index: number): number {
  buckets ??= Uint16Array.from({ length: BUCKETS }, (_, i) =>
    Math.round(STEPS * Math.log2((lowest_of(i) + highest_of(i)) / 2 + 1)),
  );
  return buckets[index]!;
}
const ms_of = (bucket: number): number => (2 ** (bucket / STEPS) - 1) / 1000;

/** Some seconds of an incarnation of an agent. */
export interface CoursePart {
  readonly incarnation: string;
  /** counts the parts of an incarnation, from 0 */
  readonly n: number;
  readonly rows: readonly (readonly number[])[];
}

/** What an agent tells, and what it could not tell yet. */
export class Recording {
  readonly #store: Store;
  readonly #agent: string;
  #of = { run: '', incarnation: '' };
  /** so that nobody else can send what the engine would take for one of these messages */
  #nonce = '';
  #first: { readonly at: number; readonly second: number } | null = null;
  /** at the last sample: its second, and everything until then */
  #second = 0;
  #counters: number[] = [];
  #times = new Map<number, number>();
  #parts = 0;
  #rows: number[][] = [];
  readonly #waiting: { readonly run: string; readonly id: string; readonly text: string }[] = [];
  #sending: Promise<void> | null = null;

  constructor(store: Store, agent: string) {
    this.#store = store;
    this.#agent = agent;
  }

  /** To be called once a second, and at the end of an incarnation. `run_ms`: of the run, whose seconds count from 0. */
  sample(run: string, incarnation: string, run_ms: number, { snapshot, dead, live, open }: SquadAccount): void {
    if (this.#of.run !== run || this.#of.incarnation !== incarnation) this.#begin(run, incarnation);
    this.#first ??= { at: run_ms, second: Math.floor(run_ms / 1000) };
    const step = Math.floor((run_ms - this.#first.at) / 1000 + EARLY);
    const second = (this.#second = Math.max(this.#second, this.#first.second + step));
    const [living, gone] = [whole_of(snapshot), whole_of(dead.snapshot)];
    const counters = NAMES.map((name) => COUNTERS[name](living) + COUNTERS[name](gone));
    const times = this.#times_of([...living.actions, ...gone.actions].map(({ response }) => response));
    this.#rows.push([second, live, open, ...counters.map((now, i) => now - (this.#counters[i] ?? 0)), ...times]);
    this.#counters = counters;
    if (this.#rows.length >= ROWS) this.#close();
  }

  /**
   * Sends what waits, all of it or until nobody answers. Never rejects. `whole`: also what is not {@link ROWS} seconds
   * yet.
   */
  flush(whole = false): Promise<void> {
    if (whole) this.#close();
    if (this.#waiting.length > 0) this.#sending ??= this.#send();
    return this.#sending ?? Promise.resolve();
  }

  async #send(): Promise<void> {
    try {
      for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
        if (!(await this.#store.append(next.run, this.#agent, next.id, next.text))) return;
        if (this.#waiting[0] === next) this.#waiting.shift();
      }
    } finally {
      this.#sending = null;
    }
  }

  #begin(run: string, incarnation: string): void {
    this.#close();
    this.#of = { run, incarnation };
    this.#nonce = randomBytes(12).toString('hex');
    this.#first = null;
    this.#second = 0;
    this.#counters = [];
    this.#times = new Map();
    this.#parts = 0;
  }

  #close(): void {
    if (this.#rows.length === 0) return;
    const { run, incarnation } = this.#of;
    const part: CoursePart = { incarnation, n: this.#parts++, rows: this.#rows };
    this.#waiting.push({ run, id: `${this.#nonce}-${part.n}`, text: JSON.stringify(part) });
    this.#rows = [];
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
  }

  /** Bucket and count of what was counted since the last call. */
  #times_of(histograms: readonly HistogramSnapshot[]): number[] {
    const now = new Map<number, number>();
    for (const { indices, counts } of histograms) {
      for (let i = 0; i < indices.length; i++) {
        const bucket = bucket_of(indices[i]!);
        now.set(bucket, (now.get(bucket) ?? 0) + counts[i]!);
      }
    }
    const before = this.#times;
    this.#times = now;
    return [...now].flatMap(([bucket, count]) => {
      const more = count - (before.get(bucket) ?? 0);
      return more > 0 ? [bucket, more] : [];
    });
  }
}

/** A second of the whole swarm. */
class Second {
  readonly agents = new Set<string>();
  live = 0;
  open = 0;
  readonly counters = NAMES.map(() => 0);
  readonly times = new Map<number, number>();
}

export interface Course {
  /** by second of the run */
  readonly seconds: ReadonlyMap<number, Second>;
  readonly totals: Readonly<Record<Counter, number>>;
  /**
   * seconds that an agent did not tell of, in which it may have held clients: their counts, if it told them later, are
   * in the second after them
   */
  readonly missing: readonly { readonly agent: string; readonly from: number; readonly to: number }[];
  /** agents that told what cannot be read */
  readonly unreadable: readonly string[];
}

/** more than an agent does in a second, or in all the time that it could not tell */
const MAX_COUNT = 2 ** 43;
/** of a time: bucket_of the highest */
const MAX_BUCKET = 32 * STEPS;

/** Numbers of a second, then pairs of bucket and count. */
const ROW: Shape<number[]> = (value) => {
  const row = ANY_ROW(value);
  if (row.length < TIMES || (row.length - TIMES) % 2 !== 0) fault('is no row');
  const is_gauge = (i: number): boolean => i < GAUGES || i >= TIMES;
  for (let i = 0; i < row.length; i++) if (row[i]! < 0 && is_gauge(i)) fault('counts less than nothing');
  for (let i = TIMES; i < row.length; i += 2) if (row[i]! > MAX_BUCKET) fault('has a time that there is not');
  return row;
};
const ANY_ROW = list(integer(-MAX_COUNT, MAX_COUNT), 10_000);
const ROWS_SHAPE = list(ROW, ROWS);

/** Whoever has the credentials of an agent can store anything as its series. */
const read_part = reader(
  object<CoursePart>({
    incarnation: exact(64),
    n: integer(0, MAX_COUNT),
    rows: (value) => {
      const rows = ROWS_SHAPE(value);
      for (let i = 1; i < rows.length; i++) if (rows[i]![0]! < rows[i - 1]![0]!) fault('go backwards');
      return rows;
    },
  }),
  MAX_PART,
);

/** Adds up what all agents told, in any order and however often. */
export function course_of(told: readonly { readonly agent: string; readonly text: string }[]): Course {
  const incarnations = new Map<string, { agent: string; parts: Map<number, CoursePart> }>();
  const unreadable = new Set<string>();
  for (const { agent: name, text } of told) {
    const agent = escape_text(name, MAX_NAME);
    const part = read_part(text);
    if (part instanceof Refused) {
      unreadable.add(agent);
      continue;
    }
    const key = `${agent}.${part.incarnation}`;
    const known = incarnations.get(key) ?? { agent, parts: new Map<number, CoursePart>() };
    known.parts.set(part.n, part);
    incarnations.set(key, known);
  }
  const seconds = new Map<number, Second>();
  const missing: { agent: string; from: number; to: number }[] = [];
  const second_of = (at: number): Second => {
    const known = seconds.get(at) ?? new Second();
    seconds.set(at, known);
    return known;
  };
  let filled = 0;
  const ends = new Map<string, { at: number; held: number }>();
  for (const { agent, parts } of incarnations.values()) {
    const sorted = [...parts.values()].sort((a, b) => a.n - b.n);
    const rows = sorted.flatMap((part) => part.rows);
    const [first, last] = [rows[0], rows.at(-1)];
    if (!first || !last) continue;
    // what it told first is too long ago, or never came
    if (sorted[0]!.n > 0 && first[0]! > 0) missing.push({ agent, from: 0, to: first[0]! - 1 });
    const known = ends.get(agent);
    if (!known || last[0]! > known.at) ends.set(agent, { at: last[0]!, held: last[1]! + last[2]! });
    for (const [i, row] of rows.entries()) {
      const [at, live, open] = row as [number, number, number];
      const before = rows[i - 1];
      const since = before ? before[0]! : at - 1;
      if (at > since + 1) missing.push({ agent, from: since + 1, to: at - 1 });
      // what it holds does not go away while nobody hears of it
      for (let gap = since + 1; gap < at && filled++ < MAX_FILLED; gap++) add(second_of(gap), before![1]!, before![2]!);
      const second = second_of(at);
      if (at === since) add(second, -before![1]!, -before![2]!);
      second.agents.add(agent);
      add(second, live, open);
      for (const i of NAMES.keys()) second.counters[i]! += row[GAUGES + i]!;
      for (let i = TIMES; i < row.length; i += 2)
        second.times.set(row[i]!, (second.times.get(row[i]!) ?? 0) + row[i + 1]!);
    }
  }
  let end = 0;
  for (const at of seconds.keys()) end = Math.max(end, at);
  // it held clients, and nobody heard of it any more
  for (const [agent, { at, held }] of ends)
    if (held > 0 && end - at > 2 * ROWS) missing.push({ agent, from: at + 1, to: end });
  const totals = Object.fromEntries(
    NAMES.map((name, i) => [name, sum([...seconds.values()].map(({ counters }) => counters[i]!))]),
  );
  return { seconds, totals: totals as Record<Counter, number>, missing, unreadable: [...unreadable] };
}

function add(second: Second, live: number, open: number): void {
  second.live += live;
  second.open += open;
}

/** Lines of a table with commas, the first one names the columns; times in ms. */
export function csv_of({ seconds }: Course): string[] {
  const head = ['second', 'agents', 'live', 'open', ...NAMES, 'p50_ms', 'p90_ms', 'p99_ms', 'max_ms'];
  const lines = [...seconds]
    .sort(([a], [b]) => a - b)
    .map(([at, { agents, live, open, counters, times }]) => {
      const ranked = [...times].sort(([a], [b]) => a - b);
      const figures = [0.5, 0.9, 0.99, 1].map((share) => quantile(ranked, share));
      return [at, agents.size, live, open, ...counters, ...figures].join(',');
    });
  return [head.join(','), ...lines];
}

/** '' of no times. */
function quantile(ranked: readonly (readonly [number, number])[], share: number): string {
  const rank = share * sum(ranked.map(([, count]) => count));
  let seen = 0;
  for (const [bucket, count] of ranked) if ((seen += count) >= rank) return ms_of(bucket).toPrecision(3);
  return '';
}

/**
 * What people should know of it: what is missing, and whether it adds up to the summary. `summary` null: there is none
 * yet.
 */
export function balance_of({ seconds, totals, missing, unreadable }: Course, summary: Summary | null): string[] {
  const gaps = missing
    .slice(0, MAX_NAMED)
    .map(({ agent, from, to }) => `${agent} ${from === to ? from : `${from}-${to}`}`);
  const more = missing.length > MAX_NAMED ? `, and ${missing.length - MAX_NAMED} more` : '';
  const untold = missing.length === 0 ? 'no agent has missing seconds' : `missing: ${gaps.join(', ')}${more}`;
  const bad = unreadable.length === 0 ? [] : [`some of the data of ${unreadable.join(', ')} cannot be read`];
  const lines = [`${seconds.size} seconds; ${untold}`, ...bad];
  if (summary === null) return [...lines, 'the run has no final summary yet'];
  const said = differing(totals, summary).map(([name, count]) => `${name} ${totals[name]} of ${count}`);
  return [
    ...lines,
    said.length === 0 ? 'adds up to the summary' : `does not add up to the summary: ${said.join(', ')}`,
  ];
}

/** Nothing that the summary counts is missing, or too much. */
export const adds_up = ({ totals }: Course, summary: Summary): boolean => differing(totals, summary).length === 0;

function differing(totals: Course['totals'], { requests, bytes, connections }: Summary): [Counter, number][] {
  const of_summary: [Counter, number][] = [
    ['established', connections.established],
    ['sent', requests.sent],
    ['ok', requests.ok],
    ['bytes_received', bytes.received],
  ];
  return of_summary.filter(([name, count]) => totals[name] !== count);
}
