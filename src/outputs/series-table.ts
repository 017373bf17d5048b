/** The console's answer to `series`: rows of the series to lines of at most 80 columns. Pure. */
import { merge, quantile } from '../metrics/histogram.ts';
import { SATURATED_BY } from '../metrics/saturation.ts';
import type { SeriesRow } from '../metrics/series-row.ts';
import type { HistogramSnapshot } from '../metrics/snapshot.ts';
import { aligned, ms, sum_of_counts, text_of } from './tables.ts';

const WIDTH = 80;
const MAX_LINES = 20;
const MAX_POINTS = 60;
/** from it on a number has only three digits, and `k`, `M` or more behind them */
const LONG = 100_000;
const UNITS = ['', 'k', 'M', 'G', 'T', 'P'];
const BLOCKS = '▁▂▃▄▅▆▇█';
/** where nothing was measured */
const NO_BLOCK = '·';
const HEAD = ['time', 'live', 'open', 'ok/s', 'fail/s', 'p50 ms', 'p99 ms', 'B/s', 'cpu', 'note'];
/** where slots came: a note may be longer there */
const RATED_HEAD = ['time', 'open', 'ok/s', 'fail/s', 'p50 ms', 'p99 ms', 'late ms', 'cpu', 'note'];

/** Some rows as one. */
interface Stretch {
  readonly last: SeriesRow;
  readonly second: number;
  readonly ok_per_s: number;
  readonly failed_per_s: number;
  readonly bytes_per_s: number;
  /** null: no round ended ok */
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  /** p99 of how late slots started; null: none did */
  readonly late_ms: number | null;
  readonly note: string;
}

/** `rows`: of the last so many seconds, the oldest first. */
export function series_lines(rows: readonly SeriesRow[], seconds: number): string[] {
  const newest = rows.at(-1);
  if (!newest) return ['nothing was measured yet: the first second is not over'];
  const end = newest.second + newest.length_s;
  const step_s = Math.ceil(seconds / MAX_LINES);
  const lines = stretches(rows, step_s, end).filter((stretch) => stretch !== null);
  const points = stretches(rows, Math.ceil(seconds / MAX_POINTS), end);
  const is_rated = rows.some(({ slots }) => slots.length > 0);
  const table = aligned(
    [is_rated ? RATED_HEAD : HEAD, ...lines.map((line) => line_of(line, is_rated))],
    [is_rated ? 8 : 9],
  );
  const also = is_rated ? ', p99 of how late slots started' : '';
  const each = step_s === 1 ? 'one second' : `${step_s} seconds`;
  return [
    `each line is ${each}; rounds of all actions, p50 and p99 of their response times${also}`,
    ...table.map((line) => fitted(line)),
    `ok/s    ${spark(points.map((point) => point && point.ok_per_s))}`,
    `p99 ms  ${spark(points.map((point) => point && point.p99_ms))}`,
  ];
}

/** One for each step, counted back from `end`: of the rows that end in it, null if none does. */
function stretches(rows: readonly SeriesRow[], step_s: number, end: number): (Stretch | null)[] {
  const place = ({ second, length_s }: SeriesRow): number => Math.floor((end - second - length_s) / step_s);
  const groups: SeriesRow[][] = Array.from({ length: place(rows[0]!) + 1 }, () => []);
  for (const row of rows) groups.at(-1 - place(row))!.push(row);
  return groups.map((group) => (group.length === 0 ? null : stretch_of(group)));
}

function stretch_of(rows: readonly SeriesRow[]): Stretch {
  const [first, last] = [rows[0]!, rows.at(-1)!];
  const length_s = last.second + last.length_s - first.second;
  const per_s = (count: (row: SeriesRow) => number): number =>
    rows.reduce((all, row) => all + count(row), 0) / length_s;
  const response = merge(...rows.map((row) => row.response));
  const late = merge(...rows.flatMap(({ slots }) => slots.map((one) => one.late)));
  const at = (times: HistogramSnapshot, q: number): number | null =>
    times.count > 0 ? quantile(times, q) / 1000 : null;
  return {
    last,
    second: first.second,
    ok_per_s: per_s(({ rounds }) => rounds.ok),
    failed_per_s: per_s(({ rounds }) => rounds.failed),
    bytes_per_s: per_s(({ counters }) => counters.bytes_sent + counters.bytes_received),
    p50_ms: at(response, 0.5),
    p99_ms: at(response, 0.99),
    late_ms: at(late, 0.99),
    note: note_of(rows),
  };
}

function note_of(rows: readonly SeriesRow[]): string {
  const gap_s = rows.reduce((all, row) => all + row.gap_s, 0);
  const members = [...new Set(rows.flatMap(({ not_told }) => Object.keys(not_told)))];
  const by = new Set(rows.flatMap((row) => row.saturated_by));
  const dropped = rows.reduce(
    (all, { slots }) => all + slots.reduce((sum, one) => sum + sum_of_counts(one.dropped), 0),
    0,
  );
  return [
    ...(dropped > 0 ? [`dropped ${dropped}`] : []),
    ...(by.size > 0 ? [`saturated: ${SATURATED_BY.filter((one) => by.has(one)).join(' ')}`] : []),
    ...(gap_s > 0 ? [`gap ${gap_s} s`] : []),
    ...(members.length > 0 ? [`not told: ${members.map(text_of).join(' ')}`] : []),
  ].join(', ');
}

function line_of({ last, second, note, ...figures }: Stretch, is_rated: boolean): string[] {
  const live = Object.values(last.states).reduce((all, count) => all + count, 0);
  const time = (value: number | null): string => (value === null ? '-' : value < LONG ? ms(value) : short(value));
  return [
    clock_of(second),
    ...(is_rated ? [] : [short(live)]),
    ...[last.gauges.open, figures.ok_per_s, figures.failed_per_s].map(short),
    ...[figures.p50_ms, figures.p99_ms].map(time),
    is_rated ? time(figures.late_ms) : short(figures.bytes_per_s),
    last.gauges.cpu.toFixed(2),
    note,
  ];
}

/** `12:34`, `1:02:03`; of the run */
export function clock_of(second: number): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const minutes = Math.floor(second / 60);
  const hours = Math.floor(minutes / 60);
  return `${hours > 0 ? `${hours}:` : ''}${two(minutes % 60)}:${two(second % 60)}`;
}

/** A whole number of at most five characters, but for a minus: `12345`, `123k`, `1.23M`; below 10 with a decimal. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size < 10 && !Number.isInteger(value)) return value.toFixed(1);
  if (Math.round(size) < LONG) return String(Math.round(value));
  const rounded = Number(size.toPrecision(3));
  const unit = Math.min(Math.floor(Math.log10(rounded) / 3), UNITS.length - 1);
  return `${value < 0 ? '-' : ''}${Number((rounded / 1000 ** unit).toPrecision(3))}${UNITS[unit]}`;
}

/** Blocks from 0 to the highest value, and what that is. */
function spark(values: readonly (number | null)[]): string {
  const most = Math.max(0, ...values.map((value) => value ?? 0));
  const block = (value: number): string =>
    BLOCKS[Math.min(BLOCKS.length - 1, Math.floor((Math.max(0, value) / (most || 1)) * BLOCKS.length))]!;
  const drawn = values.map((value) => (value === null ? NO_BLOCK : block(value))).join('');
  return `${drawn}  0 to ${short(most)}`;
}

const fitted = (line: string): string => (line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line);
