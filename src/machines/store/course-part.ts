/**
 * Some seconds of an agent, as they are stored: rows in the encoding of the series (row-data.ts), with the names that
 * they have numbers for. Whoever has the credentials of an agent can store anything as its series.
 */
import {
  checked,
  exact,
  fault,
  integer,
  list,
  object,
  one_of,
  reader,
  Refused,
  text,
  type Shape,
} from '../../foundation/shape.ts';
import type { ActionPlace } from '../../metrics/counted.ts';
import { MAX_ACTIONS } from '../../metrics/groups.ts';
import { pack_row, unpack_row, type ActionData, type RowData } from '../../metrics/row-data.ts';
import { is_rough, NOTHING, plus_all, thinned, type Fineness, type Rough } from '../../metrics/rough.ts';
import type { SeriesNames } from '../../metrics/series-names.ts';

/** seconds told at once */
export const MOST_ROWS = 5;
/** characters of a part: the engine takes no more bytes */
const MAX_PART = 1024 * 1024;
/** bytes of its rows up to which times have all their digits, and up to which a chart's */
const FINE_BYTES = 2048;
const CHART_BYTES = 384 * 1024;
/** more than an agent does in a second, or in all the time that it could not tell */
const MAX_COUNT = 2 ** 43;
const MAX_CODES = 10_000;
const MAX_NAME = 300;

/** A second of the run, and what happened in it, or since the row before. */
export type CourseRow = readonly [second: number, row: RowData];

/** Some seconds of an incarnation of an agent. */
export interface CoursePart {
  readonly incarnation: string;
  /** counts the parts of an incarnation, from 0 */
  readonly n: number;
  /** of the times */
  readonly fineness: Fineness;
  /** by the numbers that rows have for them */
  readonly actions: ReadonlyMap<number, ActionPlace>;
  readonly codes: ReadonlyMap<number, string>;
  readonly rows: readonly CourseRow[];
}

/** As it is stored: maps as lists of pairs, rows packed, in base64. */
interface StoredPart {
  readonly incarnation: string;
  readonly n: number;
  readonly fineness: Fineness;
  readonly actions: readonly (readonly [number, string, number, string])[];
  readonly codes: readonly (readonly [number, string])[];
  readonly rows: readonly (readonly [number, string])[];
}

/** Times are told as finely as there is room for. `rows` are not changed. */
export function write_part(incarnation: string, n: number, rows: readonly CourseRow[], names: SeriesNames): string {
  const { packed, fineness } = packed_rows(rows);
  const actions = new Set(rows.flatMap(([, row]) => [...row.actions.keys()]));
  const codes = new Set(rows.flatMap(([, row]) => [row, ...row.actions.values()].flatMap(codes_of)));
  const part: StoredPart = {
    incarnation,
    n,
    fineness,
    actions: [...actions].map((number) => {
      const { group, index, command } = names.actions.name_of(number);
      return [number, group, index, command];
    }),
    codes: [...codes].map((number) => [number, names.codes.name_of(number)]),
    rows: packed.map((bytes, i) => [rows[i]![0], Buffer.from(bytes).toString('base64')]),
  };
  return JSON.stringify(part);
}

const codes_of = (one: RowData | ActionData): number[] => [
  ...('failed' in one ? one.failed : one.connect_failed).keys(),
];

function packed_rows(rows: readonly CourseRow[]): { packed: Uint8Array[]; fineness: Fineness } {
  const at = (fineness: Fineness): { packed: Uint8Array[]; fineness: Fineness; bytes: number } => {
    const packed = rows.map(([, row]) => pack_row(with_fineness(row, fineness)));
    return { packed, fineness, bytes: packed.reduce((all, { length }) => all + length, 0) };
  };
  const fine = at(128);
  if (fine.bytes <= FINE_BYTES) return fine;
  const chart = at(16);
  return chart.bytes <= CHART_BYTES ? chart : at(4);
}

function with_fineness(row: RowData, fineness: Fineness): RowData {
  const times = (rough: Rough): Rough => thinned(rough, fineness);
  const actions = [...row.actions].map(([number, action]): [number, ActionData] => [
    number,
    { ...action, service: times(action.service), response: times(action.response) },
  ]);
  // those of all actions together are their sum
  return { ...row, response: NOTHING, actions: new Map(actions) };
}

const NUMBER = integer(0, MAX_COUNT);
const NAME = text(MAX_NAME);

const pairs = <T>(of: Shape<T>, most: number): Shape<[number, T][]> =>
  list((value) => {
    const [number, rest] = ANY_PAIR(value);
    return [NUMBER(number), of(rest)];
  }, most);
const ANY_PAIR = list<unknown>((value) => value, 2, 2);

const ANY_ACTION = list<unknown>((value) => value, 4, 4);
const ACTION: Shape<[number, ActionPlace]> = (value) => {
  const [number, group, index, command] = ANY_ACTION(value);
  return [NUMBER(number), { group: NAME(group), index: integer(0, MAX_ACTIONS)(index), command: NAME(command) }];
};

/** No row says more than its part has names for, or numbers that are none. */
function check_row(row: RowData, actions: ReadonlyMap<number, unknown>, codes: ReadonlyMap<number, unknown>): void {
  const is_counts = (numbers: Iterable<number>): boolean => {
    for (const number of numbers) if (!Number.isInteger(number) || Math.abs(number) > MAX_COUNT) return false;
    return true;
  };
  const are_codes = (counts: ReadonlyMap<number, number>): boolean => {
    for (const code of counts.keys()) if (!codes.has(code)) return false;
    return is_counts(counts.values());
  };
  const of_row = [row.gap_s, ...row.states, ...row.counters, ...row.rounds];
  const are_gauges = [...row.gauges, ...row.highest].every((gauge) => gauge <= MAX_COUNT);
  if (!is_counts(of_row) || !are_gauges || !are_codes(row.connect_failed) || !is_rough(row.response, MAX_COUNT))
    fault('has a number that is none');
  if (row.members.length > 0 || row.not_told.size > 0) fault('speaks of members');
  for (const [number, { started, ok, aborted, failed, service, response }] of row.actions) {
    if (!actions.has(number)) fault('has an action without a name');
    const are_times = is_rough(service, MAX_COUNT) && is_rough(response, MAX_COUNT);
    if (!is_counts([started, ok, aborted]) || !are_codes(failed) || !are_times) fault('has a number that is none');
  }
}

const STORED = reader(
  object<StoredPart>({
    incarnation: exact(64),
    n: NUMBER,
    fineness: one_of(128, 16, 4),
    actions: list((value) => ANY_ACTION(value) as unknown as StoredPart['actions'][number], MAX_ACTIONS),
    codes: pairs(NAME, MAX_CODES),
    rows: pairs(exact(MAX_PART), MOST_ROWS),
  }),
  MAX_PART,
);

/** Never throws. */
export function read_part(text_of_part: string): CoursePart | Refused {
  const stored = STORED(text_of_part);
  if (stored instanceof Refused) return stored;
  return checked((value) => {
    const { incarnation, n, fineness, ...part } = value as StoredPart;
    const actions = new Map(part.actions.map(ACTION));
    const codes = new Map(part.codes);
    const rows = part.rows.map(([second, base64]): CourseRow => {
      const row = unpack_row(Buffer.from(base64, 'base64'));
      check_row(row, actions, codes);
      return [second, { ...row, response: plus_all([...row.actions.values()].map(({ response }) => response)) }];
    });
    for (let i = 1; i < rows.length; i++) if (rows[i]![0] < rows[i - 1]![0]) fault('go backwards');
    return { incarnation, n, fineness, actions, codes, rows };
  }, stored);
}
