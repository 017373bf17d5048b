/** What a load will do, for people: its steps as a table, its clients and rates over time as a chart. Pure. */
import { escape_text } from '../foundation/escape.ts';
import { slot_rate_text } from '../foundation/rate.ts';
import { span } from './load-lines.ts';
import { clock_of } from './series-table.ts';
import { aligned } from './tables.ts';

/** As far as it can be said before it is played: a wait for clients takes no time here. */
export interface LoadOutline {
  /** names, in the order of the run */
  readonly groups: readonly string[];
  /** as they are written: one that is repeated stands here once */
  readonly steps: readonly OutlinedStep[];
  /** steps that are played */
  readonly played: number;
  readonly ms: number;
  /** when it waits for clients */
  readonly waits_ms: readonly number[];
  /** the most clients that are wanted at once, and those at the end; of all groups */
  readonly most: number;
  readonly last: number;
  /** its last step ends the run */
  readonly stops: boolean;
  /** the most clients in each of equal parts of its time, of all groups */
  readonly course: readonly number[];
  /** of the actions whose rates it changes */
  readonly rates: readonly OutlinedRate[];
}

export interface OutlinedRate {
  /** `[group.][loop.]action` */
  readonly action: string;
  /** the highest rate in each of equal parts of its time, per second */
  readonly course: readonly number[];
}

interface OutlinedStep {
  /** of the first time that it is played, from 1 */
  readonly number: number;
  /** how often it is played */
  readonly times: number;
  readonly text: string;
  /** ms; null: nobody can say */
  readonly ms: number | null;
  /** ms after which a wait fails; null: it is none */
  readonly within_ms: number | null;
  /** its first time and its last; the same object if it is played once */
  readonly first: StepTime;
  readonly last: StepTime;
}

/** One time that a step is played. */
export interface StepTime {
  readonly begins_ms: number;
  /** clients wanted at its end, by group; empty: the run ends */
  readonly clients: readonly number[];
  /** per second, at its end; null: no step has said it so far */
  readonly connect_per_s: number | null;
  /** per second, at its end, in the order of {@link LoadOutline.rates}; empty: the run ends */
  readonly rates: readonly number[];
}

const MAX_ROWS = 40;
const MAX_STEP = 40;
const MAX_RATES = 8;

/** A line about the whole, then a table of at most forty steps. */
export function load_table({ groups, steps, played, ms, waits_ms, most, last, stops, rates }: LoadOutline): string[] {
  const least = waits_ms.length > 0 ? 'at least ' : '';
  const end = stops ? 'then it ends the run' : `then the run goes on with ${many(last, 'client')}`;
  const time = ms === 0 && least === '' ? '' : `${least}${span(ms / 1000)}, `;
  const about = `load: ${many(played, 'step')}, ${time}at most ${many(most, 'client')}; ${end}`;
  const times = steps.some((step) => step.times > 1);
  const connects = steps.some(({ last: { connect_per_s } }) => connect_per_s !== null);
  const shown = rates.slice(0, MAX_RATES);
  const several = groups.length > 1;
  const head = [
    ...['', 'step', ...(times ? ['times'] : []), 'begins', 'lasts', 'clients'],
    ...(several ? groups : []),
    ...(connects ? ['connects/s'] : []),
    ...shown.map(({ action }) => `${action}/s`),
  ];
  const row = (step: OutlinedStep): string[] => {
    const both = (cell: (time: StepTime) => string | number): string => {
      const [first, late] = [String(cell(step.first)), String(cell(step.last))];
      return first === late ? first : `${first} … ${late}`;
    };
    return [
      ...[String(step.number), escape_text(step.text, MAX_STEP), ...(times ? [times_text(step)] : [])],
      ...[both(({ begins_ms }) => clock(begins_ms)), lasting(step)],
      both(({ clients }) => (clients.length === 0 ? '' : sum(clients))),
      ...(several ? groups.map((_, g) => both(({ clients }) => clients[g] ?? '')) : []),
      ...(connects ? [both(({ connect_per_s }) => connect_per_s ?? '')] : []),
      ...shown.map((_, i) => both((time) => rate_cell(time.rates[i]))),
    ];
  };
  const rest = steps.length - MAX_ROWS;
  return [
    about,
    ...aligned([head, ...steps.slice(0, MAX_ROWS).map(row)], [1]),
    ...(rest > 0 ? [`and ${rest} more`] : []),
    ...(rates.length > MAX_RATES ? [`and ${many(rates.length - MAX_RATES, 'more rate')}`] : []),
  ];
}

/** empty: the run ends */
const rate_cell = (per_s: number | undefined): string =>
  per_s === undefined ? '' : slot_rate_text(per_s).replace('/s', '');

const sum = (clients: readonly number[]): number => clients.reduce((all, one) => all + one, 0);

const many = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const times_text = ({ times }: OutlinedStep): string => (times === 1 ? '' : `x ${times}`);

function lasting({ ms, within_ms }: OutlinedStep): string {
  if (within_ms !== null) return `up to ${span(within_ms / 1000)}`;
  return ms === null || ms === 0 ? '' : span(ms / 1000);
}

/** `01:30`, `1:02:30`, `00:00.5`; of the load */
function clock(ms: number): string {
  const rounded = Math.round(ms);
  const rest = rounded % 1000;
  const decimals = rest === 0 ? '' : `.${String(rest).padStart(3, '0').replace(/0+$/, '')}`;
  return `${clock_of(Math.floor(rounded / 1000))}${decimals}`;
}

/** Points of a course that fit into 80 columns, beside the largest number of clients. */
export const CHART_POINTS = 64;
const CHART_ROWS = 8;
const BLOCKS = [' ', ...'▁▂▃▄▅▆▇█'];
const FULL = BLOCKS.length - 1;

/**
 * Eight lines of blocks and two below them, then two for each rate; none if the load takes no time or has no clients.
 */
export function load_chart({ course, ms, waits_ms, rates }: LoadOutline): string[] {
  const most = Math.max(0, ...course);
  if (ms === 0 || most === 0) return [];
  const shown = rates.slice(0, MAX_RATES).map((rate) => ({ ...rate, top: rate_cell(Math.max(...rate.course)) }));
  const width = Math.max(String(most).length, ...shown.map(({ top }) => top.length));
  const rows = blocks(course, CHART_ROWS).map((row, i) => `${level(most, i).padStart(width)} │${row}`);
  const waits = new Set(waits_ms.map((at) => Math.min(course.length - 1, Math.floor((at / ms) * course.length))));
  const axis = course.map((_, i) => (waits.has(i) ? 'w' : '─')).join('');
  const [begin, end] = [clock(0), `${waits.size > 0 ? 'at least ' : ''}${clock(ms)}`];
  const scale = `${begin}${end.padStart(course.length - begin.length)}`;
  return [
    ...rows,
    `${'0'.padStart(width)} └${axis}`,
    `${' '.repeat(width + 2)}${scale}`,
    ...shown.flatMap(({ action, top, course: rate }) => [
      `${' '.repeat(width + 2)}${action}, per second:`,
      `${top.padStart(width)} │${blocks(rate, 1)[0]}`,
    ]),
    ...(waits.size > 0 ? [`${' '.repeat(width + 2)}w: a wait for clients, shown as if it took no time`] : []),
  ];
}

/** So many rows of blocks, the highest value as high as all of them. */
function blocks(course: readonly number[], rows: number): string[] {
  const most = Math.max(...course);
  const heights = course.map((value) => (value === 0 ? 0 : Math.max(1, Math.round((value / most) * rows * FULL))));
  return Array.from({ length: rows }, (_, from_top) => {
    const below = (rows - 1 - from_top) * FULL;
    return heights
      .map((height) => BLOCKS[Math.min(FULL, Math.max(0, height - below))]!)
      .join('')
      .trimEnd();
  });
}

/** What the upper edge of a row stands for, where that is said. */
function level(most: number, from_top: number): string {
  if (from_top === 0) return String(most);
  return from_top === CHART_ROWS / 2 && most % 2 === 0 ? String(most / 2) : '';
}
