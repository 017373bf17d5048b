/**
 * The course of a run, second by second, for charts: what all agents told of it. Sums over all seconds are those of the
 * summary; a second of which nobody told is named, not made up.
 */
import { escape_text } from '../../foundation/escape.ts';
import { Refused } from '../../foundation/shape.ts';
import { COUNTER_NAMES, GAUGE_NAMES, places_of, type ActionPlace, type CounterName } from '../../metrics/counted.ts';
import { MAX_ACTIONS, name_in_group, name_in_run } from '../../metrics/groups.ts';
import { quantile } from '../../metrics/histogram.ts';
import type { ActionData, RowData } from '../../metrics/row-data.ts';
import { NOTHING, plus, to_histogram, type Fineness, type Rough } from '../../metrics/rough.ts';
import type { Summary } from '../../metrics/summary.ts';
import { MOST_ROWS, read_part, read_stored_part } from './course-part.ts';

const MAX_NAMED = 20;
const MAX_NAME = 64;
/** what was held is taken to be held on in gaps of so many seconds altogether */
const MAX_FILLED = 100_000;

const sum = (list: Iterable<number>): number => {
  let all = 0;
  for (const one of list) all += one;
  return all;
};

/** What all agents did of an action in a second. */
interface ActionDone {
  ok: number;
  failed: number;
  response: Rough;
}

/** What all agents did of an action in all seconds. */
interface CourseAction extends ActionPlace {
  started: number;
  ok: number;
  failed: number;
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
  /** of those that did anything */
  readonly actions = new Map<CourseAction, ActionDone>();

  add(row: RowData): void {
    this.cpu += row.gauges[CPU]!;
    this.lag_p99_ms = Math.max(this.lag_p99_ms, row.gauges[LAG]!);
    row.counters.forEach((count, i) => (this.counters[i]! += count));
    this.connect_failed += sum(row.connect_failed.values());
    this.response = plus(this.response, row.response);
  }

  add_action(action: CourseAction, { started, ok, failed, response }: ActionData): void {
    const [known, not_ok] = [this.actions.get(action), sum(failed.values())];
    action.started += started;
    action.ok += ok;
    action.failed += not_ok;
    if (known === undefined) this.actions.set(action, { ok, failed: not_ok, response });
    else {
      known.ok += ok;
      known.failed += not_ok;
      known.response = plus(known.response, response);
    }
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

const places_in = (summary: Summary | null): ActionPlace[] =>
  places_of((summary?.actions ?? []).map((action) => ({ group: action.group, name: name_in_group(action) })));

/** The actions of a run: those of its summary, or while there is none what agents call so. */
class Actions {
  readonly #all = new Map<string, CourseAction>();
  readonly #is_whole: boolean;

  constructor(summary: Summary | null) {
    this.#is_whole = summary !== null;
    for (const place of places_in(summary)) this.#add(place);
  }

  /** Null: the run has no such action. */
  of({ group, index, name }: ActionPlace): CourseAction | null {
    const known = this.#all.get(`${index} ${group}`);
    if (known !== undefined) return known.name.startsWith(name) ? known : null;
    const is_free = !this.#is_whole && this.#all.size < MAX_ACTIONS;
    return is_free ? this.#add({ group, index, name }) : null;
  }

  /** that did anything, in the order of groups and scripts */
  get done(): CourseAction[] {
    const done = [...this.#all.values()].filter(({ started, ok, failed }) => started !== 0 || ok !== 0 || failed !== 0);
    if (this.#is_whole) return done;
    return done.sort((a, b) => (a.group === b.group ? a.index - b.index : a.group < b.group ? -1 : 1));
  }

  #add(place: ActionPlace): CourseAction {
    const action = { ...place, started: 0, ok: 0, failed: 0 };
    this.#all.set(`${place.index} ${place.group}`, action);
    return action;
  }
}

export interface Course {
  /** by second of the run */
  readonly seconds: ReadonlyMap<number, Second>;
  /** of all seconds */
  readonly totals: Readonly<Record<CounterName, number>>;
  /** of all seconds; those that did anything, in the order of groups and scripts */
  readonly actions: readonly CourseAction[];
  /** the least of all that was told */
  readonly fineness: Fineness;
  /**
   * seconds that an agent did not tell of, in which it may have held clients: their counts, if it told them later, are
   * in the second after them
   */
  readonly missing: readonly { readonly agent: string; readonly from: number; readonly to: number }[];
  /** agents that told what cannot be read, or of actions that are not of the run */
  readonly unreadable: readonly string[];
}

/**
 * Adds up what all agents told, in any order and however often. `summary`: of the run; null: there is none yet. Rows are
 * unpacked one part at a time: all of them take twenty times the room of their texts.
 */
export function course_of(
  told: readonly { readonly agent: string; readonly text: string }[],
  summary: Summary | null,
): Course {
  const incarnations = new Map<string, { agent: string; texts: Map<number, string> }>();
  const unreadable = new Set<string>();
  for (const { agent: name, text } of told) {
    const agent = escape_text(name, MAX_NAME);
    const part = read_stored_part(text);
    if (part instanceof Refused) {
      unreadable.add(agent);
      continue;
    }
    const key = `${agent}.${part.incarnation}`;
    const known = incarnations.get(key) ?? { agent, texts: new Map<number, string>() };
    known.texts.set(part.n, text);
    incarnations.set(key, known);
  }
  const actions = new Actions(summary);
  const seconds = new Map<number, Second>();
  const missing: { agent: string; from: number; to: number }[] = [];
  const second_of = (at: number): Second => {
    const known = seconds.get(at) ?? new Second();
    seconds.set(at, known);
    return known;
  };
  const hold = (second: Second, { live, open }: Pick<Second, 'live' | 'open'>, sign: 1 | -1 = 1): void => {
    second.live += sign * live;
    second.open += sign * open;
  };
  let fineness: Fineness = 128;
  let filled = 0;
  const ends = new Map<string, { at: number; held: number }>();
  for (const { agent, texts } of incarnations.values()) {
    let before: { at: number; live: number; open: number } | null = null;
    for (const n of [...texts.keys()].sort((a, b) => a - b)) {
      const part = read_part(texts.get(n)!);
      if (part instanceof Refused) {
        unreadable.add(agent);
        continue;
      }
      for (const { second: at, fineness: told_so, row } of part.rows) {
        // what it told first is too long ago, or never came
        if (before === null && n > 0 && at > 0) missing.push({ agent, from: 0, to: at - 1 });
        if (before !== null && at < before.at) {
          unreadable.add(agent);
          continue;
        }
        if (told_so < fineness) fineness = told_so;
        const now = { at, live: live_of(row), open: open_of(row) };
        const since: number = before?.at ?? at - 1;
        if (at > since + 1) missing.push({ agent, from: since + 1, to: at - 1 });
        // what it holds does not go away while nobody hears of it
        for (let gap = since + 1; gap < at && filled++ < MAX_FILLED; gap++) hold(second_of(gap), before!);
        const second = second_of(at);
        if (at === since) hold(second, before!, -1);
        second.agents.add(agent);
        hold(second, now);
        second.add(row);
        for (const [number, data] of row.actions) {
          const action = actions.of(part.actions.get(number)!);
          if (action) second.add_action(action, data);
          else unreadable.add(agent);
        }
        before = now;
      }
    }
    if (before === null) continue;
    const known = ends.get(agent);
    if (!known || before.at > known.at) ends.set(agent, { at: before.at, held: before.live + before.open });
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
    actions: actions.done,
    fineness,
    missing,
    unreadable: [...unreadable],
  };
}

const live_of = ({ states }: RowData): number => sum(states);
const open_of = ({ gauges }: RowData): number => gauges[OPEN]!;

const NO_ACTION_DONE: ActionDone = { ok: 0, failed: 0, response: NOTHING };
const QUANTILES = [0.5, 0.9, 0.99, 1] as const;

/** Lines of a table with commas, the first one names the columns; times in ms. Each action has five columns. */
export function* csv_of({ seconds, actions }: Course): IterableIterator<string> {
  const columns = (name: string): string[] =>
    ['ok', 'failed', 'p50_ms', 'p99_ms', 'max_ms'].map((column) => cell(`${name}.${column}`));
  const names = names_of(actions);
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
      ...actions.flatMap((action) => {
        const { ok, failed: not_ok, response } = second.actions.get(action) ?? NO_ACTION_DONE;
        return [ok, not_ok, ...times_of(response, [0.5, 0.99, 1])];
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
  const named = actions.map(({ group, name }) => name_in_run(group, name));
  return named.map((name, i) => {
    const before = named.slice(0, i).filter((other) => other === name).length;
    return before === 0 ? name : `${name}#${before + 1}`;
  });
}

/** Percent, by fineness: what a quantile of {@link thinned} times is off at most. */
const WITHIN = { 32: 2.8, 16: 4.5, 4: 14 } as const;

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
  const rough = fineness === 128 ? [] : [`times are within ${WITHIN[fineness]} %`];
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
  for (const [i, { group, index, name: in_group }] of places_in(summary).entries()) {
    const { started, ok } = summary.actions[i]!;
    const told = actions.find((action) => action.group === group && action.index === index);
    const name = name_in_run(group, in_group);
    counts.push([`${name} started`, told?.started ?? 0, started], [`${name} ok`, told?.ok ?? 0, ok]);
  }
  return counts.filter(([, has, count]) => has !== count);
}
