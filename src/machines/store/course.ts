/**
 * The course of a run, second by second, for charts: what all agents told of it. Sums over all seconds are those of the
 * summary; a second of which nobody told is named, not made up.
 */
import { escape_text } from '../../foundation/escape.ts';
import { Refused } from '../../foundation/shape.ts';
import { COUNTER_NAMES, GAUGE_NAMES, type ActionPlace, type CounterName } from '../../metrics/counted.ts';
import { MAIN, MAX_ACTIONS } from '../../metrics/groups.ts';
import { quantile } from '../../metrics/histogram.ts';
import type { ActionData, RowData } from '../../metrics/row-data.ts';
import { NOTHING, plus, to_histogram, type Fineness, type Rough } from '../../metrics/rough.ts';
import type { Summary } from '../../metrics/summary.ts';
import { MOST_ROWS, read_part, type CoursePart } from './course-part.ts';

const MAX_NAMED = 20;
const MAX_NAME = 64;
/** what was held is taken to be held on in gaps of so many seconds altogether */
const MAX_FILLED = 100_000;

const sum = (list: Iterable<number>): number => {
  let all = 0;
  for (const one of list) all += one;
  return all;
};

/** What all agents did of an action. */
interface CourseAction extends ActionPlace {
  started: number;
  ok: number;
  failed: number;
  aborted: number;
  response: Rough;
}

/** A second of the whole swarm. */
class Second {
  readonly agents = new Set<string>();
  live = 0;
  open = 0;
  /** cores, and the highest of the agents */
  cpu = 0;
  lag_p99_ms = 0;
  readonly counters = COUNTER_NAMES.map(() => 0);
  connect_failed = 0;
  response: Rough = NOTHING;
  /** by {@link key_of} */
  readonly actions = new Map<string, CourseAction>();

  add(row: RowData, { actions }: CoursePart): void {
    this.cpu += row.gauges[CPU]!;
    this.lag_p99_ms = Math.max(this.lag_p99_ms, row.gauges[LAG]!);
    row.counters.forEach((count, i) => (this.counters[i]! += count));
    this.connect_failed += sum(row.connect_failed.values());
    this.response = plus(this.response, row.response);
    for (const [number, data] of row.actions) add_action(this.actions, actions.get(number)!, data);
  }

  counter(name: CounterName): number {
    return this.counters[COUNTER_NAMES.indexOf(name)]!;
  }
}

const [OPEN, CPU, LAG] = (['open', 'cpu', 'lag_p99_ms'] as const).map((name) => GAUGE_NAMES.indexOf(name)) as [
  number,
  number,
  number,
];

const key_of = ({ group, index }: Pick<ActionPlace, 'group' | 'index'>): string => `${index} ${group}`;

function add_action(all: Map<string, CourseAction>, place: ActionPlace, data: ActionData): void {
  const key = key_of(place);
  const known = all.get(key) ?? { ...place, started: 0, ok: 0, failed: 0, aborted: 0, response: NOTHING };
  known.started += data.started;
  known.ok += data.ok;
  known.failed += sum(data.failed.values());
  known.aborted += data.aborted;
  known.response = plus(known.response, data.response);
  all.set(key, known);
}

export interface Course {
  /** by second of the run */
  readonly seconds: ReadonlyMap<number, Second>;
  /** of all seconds */
  readonly totals: Readonly<Record<CounterName, number>>;
  /** of all seconds, by {@link key_of}, in the order of groups and actions */
  readonly actions: ReadonlyMap<string, CourseAction>;
  /** the least of all that was told */
  readonly fineness: Fineness;
  /**
   * seconds that an agent did not tell of, in which it may have held clients: their counts, if it told them later, are
   * in the second after them
   */
  readonly missing: readonly { readonly agent: string; readonly from: number; readonly to: number }[];
  /** agents that told what cannot be read */
  readonly unreadable: readonly string[];
}

/** Adds up what all agents told, in any order and however often. */
export function course_of(told: readonly { readonly agent: string; readonly text: string }[]): Course {
  const incarnations = new Map<string, { agent: string; parts: Map<number, CoursePart> }>();
  const unreadable = new Set<string>();
  let fineness: Fineness = 128;
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
    if (part.fineness < fineness) fineness = part.fineness;
  }
  const seconds = new Map<number, Second>();
  const missing: { agent: string; from: number; to: number }[] = [];
  const second_of = (at: number): Second => {
    const known = seconds.get(at) ?? new Second();
    seconds.set(at, known);
    return known;
  };
  const hold = (second: Second, row: RowData, sign: 1 | -1 = 1): void => {
    second.live += sign * live_of(row);
    second.open += sign * open_of(row);
  };
  let filled = 0;
  const ends = new Map<string, { at: number; held: number }>();
  for (const { agent, parts } of incarnations.values()) {
    const sorted = [...parts.values()].sort((a, b) => a.n - b.n);
    const rows = sorted.flatMap((part) => part.rows.map(([at, row]) => ({ at, row, part })));
    const [first, last] = [rows[0], rows.at(-1)];
    if (!first || !last) continue;
    // what it told first is too long ago, or never came
    if (sorted[0]!.n > 0 && first.at > 0) missing.push({ agent, from: 0, to: first.at - 1 });
    const known = ends.get(agent);
    if (!known || last.at > known.at) ends.set(agent, { at: last.at, held: live_of(last.row) + open_of(last.row) });
    for (const [i, { at, row, part }] of rows.entries()) {
      const before = rows[i - 1];
      const since = before ? before.at : at - 1;
      if (at > since + 1) missing.push({ agent, from: since + 1, to: at - 1 });
      // what it holds does not go away while nobody hears of it
      for (let gap = since + 1; gap < at && filled++ < MAX_FILLED; gap++) hold(second_of(gap), before!.row);
      const second = second_of(at);
      if (at === since) hold(second, before!.row, -1);
      second.agents.add(agent);
      hold(second, row);
      second.add(row, part);
    }
  }
  let end = 0;
  for (const at of seconds.keys()) end = Math.max(end, at);
  // it held clients, and nobody heard of it any more
  for (const [agent, { at, held }] of ends)
    if (held > 0 && end - at > 2 * MOST_ROWS) missing.push({ agent, from: at + 1, to: end });
  const all = [...seconds.values()];
  const totals = Object.fromEntries(COUNTER_NAMES.map((name) => [name, sum(all.map((one) => one.counter(name)))]));
  return {
    seconds,
    totals: totals as Course['totals'],
    actions: actions_of(all),
    fineness,
    missing,
    unreadable: [...unreadable],
  };
}

const live_of = ({ states }: RowData): number => sum(states);
const open_of = ({ gauges }: RowData): number => gauges[OPEN]!;

function actions_of(seconds: readonly Second[]): Map<string, CourseAction> {
  const all = new Map<string, CourseAction>();
  for (const { actions } of seconds)
    for (const [key, { group, index, command, ...counts }] of actions) {
      const known = all.get(key) ?? {
        group,
        index,
        command,
        started: 0,
        ok: 0,
        failed: 0,
        aborted: 0,
        response: NOTHING,
      };
      known.started += counts.started;
      known.ok += counts.ok;
      known.failed += counts.failed;
      known.aborted += counts.aborted;
      all.set(key, known);
    }
  const in_order = [...all].sort(([, a], [, b]) =>
    a.group === b.group ? a.index - b.index : a.group < b.group ? -1 : 1,
  );
  // the run has no more; an agent may have made names up
  return new Map(in_order.slice(0, MAX_ACTIONS));
}

const QUANTILES = [0.5, 0.9, 0.99, 1] as const;

/** Lines of a table with commas, the first one names the columns; times in ms. Each action has five columns. */
export function* csv_of({ seconds, actions }: Course): IterableIterator<string> {
  const columns = (name: string): string[] =>
    ['ok', 'failed', 'p50_ms', 'p99_ms', 'max_ms'].map((column) => cell(`${name}.${column}`));
  const names = names_of([...actions.values()]);
  yield [
    ...['second', 'agents', 'live', 'open', 'established', 'connect_failed', 'sent', 'ok', 'failed', 'noreply'],
    ...['bytes_sent', 'bytes_received', 'p50_ms', 'p90_ms', 'p99_ms', 'max_ms', 'cpu', 'lag_p99_ms'],
    ...names.flatMap(columns),
  ].join(',');
  for (const [at, second] of [...seconds].sort(([a], [b]) => a - b)) {
    const count = (name: CounterName): number => second.counter(name);
    const failed = count('wrong') + count('timeout');
    yield [
      ...[at, second.agents.size, second.live, second.open, count('connected'), second.connect_failed],
      ...[count('sent'), count('ok'), failed, count('noreply'), count('bytes_sent'), count('bytes_received')],
      ...times_of(second.response, QUANTILES),
      ...[second.cpu.toFixed(2), second.lag_p99_ms],
      ...[...actions.keys()].flatMap((key) => {
        const action = second.actions.get(key);
        return [action?.ok ?? 0, action?.failed ?? 0, ...times_of(action?.response ?? NOTHING, [0.5, 0.99, 1])];
      }),
    ].join(',');
  }
}

/** '' of no times. */
function times_of(times: Rough, quantiles: readonly number[]): string[] {
  const histogram = to_histogram(times, 0);
  return quantiles.map((q) => (histogram.count > 0 ? (quantile(histogram, q) / 1000).toPrecision(3) : ''));
}

/** As they are called in the whole run: with its group unless that is `main`, and a number if there are several. */
function names_of(actions: readonly ActionPlace[]): string[] {
  const named = actions.map(({ group, command }) => (group === MAIN ? command : `${group}.${command}`));
  return named.map((name, i) => {
    const before = named.slice(0, i).filter((other) => other === name).length;
    return before === 0 ? name : `${name}#${before + 1}`;
  });
}

/** A cell of the table: RFC 4180 */
const cell = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/**
 * What people should know of it: what is missing, and whether it adds up to the summary. `summary` null: there is none
 * yet.
 */
export function balance_of(course: Course, summary: Summary | null): string[] {
  const { seconds, missing, unreadable, fineness } = course;
  const gaps = missing
    .slice(0, MAX_NAMED)
    .map(({ agent, from, to }) => `${agent} ${from === to ? from : `${from}-${to}`}`);
  const more = missing.length > MAX_NAMED ? `, and ${missing.length - MAX_NAMED} more` : '';
  const untold = missing.length === 0 ? 'no agent has missing seconds' : `missing: ${gaps.join(', ')}${more}`;
  const bad = unreadable.length === 0 ? [] : [`some of the data of ${unreadable.join(', ')} cannot be read`];
  const rough = fineness === 128 ? [] : [`times are within ${fineness === 16 ? 4 : 14} %`];
  const lines = [`${seconds.size} seconds; ${untold}`, ...bad, ...rough];
  if (summary === null) return [...lines, 'the run has no final summary yet'];
  const said = differing(course, summary).map(([name, has, count]) => `${name} ${has} of ${count}`);
  const differ = said.slice(0, MAX_NAMED).join(', ');
  return [...lines, said.length === 0 ? 'adds up to the summary' : `does not add up to the summary: ${differ}`];
}

/** Nothing that the summary counts is missing, or too much. */
export const adds_up = (course: Course, summary: Summary): boolean => differing(course, summary).length === 0;

function differing({ totals, actions }: Course, summary: Summary): [string, number, number][] {
  const { requests, bytes, connections } = summary;
  const counts: [string, number, number][] = [
    ['established', totals.connected, connections.established],
    ['sent', totals.sent, requests.sent],
    ['ok', totals.ok, requests.ok],
    ['bytes_received', totals.bytes_received, bytes.received],
  ];
  const next = new Map<string, number>();
  for (const { group, command, started, ok } of summary.actions) {
    // as they stand in their group: `connected` is the last of it
    const index = next.get(group) ?? 0;
    next.set(group, index + 1);
    const told = actions.get(key_of({ group, index }));
    const name = group === MAIN ? command : `${group}.${command}`;
    counts.push([`${name} started`, told?.started ?? 0, started], [`${name} ok`, told?.ok ?? 0, ok]);
  }
  return counts.filter(([, has, count]) => has !== count);
}
