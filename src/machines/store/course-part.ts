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
import { is_rough, NOTHING, plus_all, thinned, type Fineness } from '../../metrics/rough.ts';
import type { SeriesNames } from '../../metrics/series-names.ts';

/** seconds told at once */
export const MOST_ROWS = 5;
/** bytes of rows in a part, from which on it takes no more; with the longest row it is well below what is read */
export const FULL_BYTES = 128 * 1024;
/** characters of a part: the engine takes no more bytes */
export const MAX_PART = 1024 * 1024;
/** more than an agent does in a second, or in all the time that it could not tell */
const MAX_COUNT = 2 ** 43;
const MAX_CODES = 10_000;
/** characters of a name */
const MAX_NAME = 100;

/** How finely the times of a row are told, and up to how many bytes it may have then. */
const TIERS = [
  { fineness: 128, most: 512 },
  { fineness: 32, most: 512 },
  { fineness: 16, most: 64 * 1024 },
  { fineness: 4, most: Infinity },
] as const;

/** A second of the run, and what happened in it or since the row before, packed. */
export interface PackedRow {
  readonly second: number;
  readonly fineness: Fineness;
  readonly bytes: Uint8Array;
}

/** Some seconds of an incarnation of an agent. */
export interface CoursePart {
  readonly incarnation: string;
  /** counts the parts of an incarnation, from 0 */
  readonly n: number;
  /** by the numbers that rows have for them */
  readonly actions: ReadonlyMap<number, ActionPlace>;
  readonly rows: readonly { readonly second: number; readonly fineness: Fineness; readonly row: RowData }[];
}

/** As it is stored: maps as lists of pairs, rows in base64. */
interface StoredPart {
  readonly incarnation: string;
  readonly n: number;
  readonly actions: readonly (readonly [number, string, number, string])[];
  readonly codes: readonly (readonly [number, string])[];
  readonly rows: readonly (readonly [second: number, fineness: number, row: string])[];
}

/** Response times are told as finely as there is room for, no more finely than `finest`. */
export function packed_row(second: number, row: RowData, finest: Fineness): PackedRow {
  for (const { fineness, most } of TIERS) {
    if (fineness > finest) continue;
    const bytes = pack_row(as_told(row, fineness));
    if (bytes.length <= most) return { second, fineness, bytes };
  }
  throw new Error('the last tier takes all');
}

/** What to try after a part of which the last row was told so finely. */
export function finer_than(fineness: Fineness): Fineness {
  const at = TIERS.findIndex((tier) => tier.fineness === fineness);
  return TIERS[Math.max(0, at - 1)]!.fineness;
}

/** Nobody reads service times here, and those of all actions together are their sum. */
function as_told(row: RowData, fineness: Fineness): RowData {
  const actions = [...row.actions].map(([number, action]): [number, ActionData] => [
    number,
    { ...action, service: NOTHING, response: thinned(action.response, fineness) },
  ]);
  return { ...row, response: NOTHING, actions: new Map(actions) };
}

/** The numbers that stand in rows for names. */
export class NumbersUsed {
  readonly actions = new Set<number>();
  readonly codes = new Set<number>();

  add({ actions, connect_failed }: RowData): void {
    for (const code of connect_failed.keys()) this.codes.add(code);
    for (const [number, { failed }] of actions) {
      this.actions.add(number);
      for (const code of failed.keys()) this.codes.add(code);
    }
  }
}

export function write_part(
  { incarnation, n }: Pick<CoursePart, 'incarnation' | 'n'>,
  rows: readonly PackedRow[],
  used: NumbersUsed,
  names: SeriesNames,
): string {
  const part: StoredPart = {
    incarnation,
    n,
    actions: [...used.actions].map((number) => {
      const { group, index, name } = names.actions.name_of(number);
      return [number, group, index, name.slice(0, MAX_NAME)];
    }),
    codes: [...used.codes].map((number) => [number, names.codes.name_of(number).slice(0, MAX_NAME)]),
    rows: rows.map(({ second, fineness, bytes }) => [second, fineness, Buffer.from(bytes).toString('base64')]),
  };
  return JSON.stringify(part);
}

const NUMBER = integer(0, MAX_COUNT);
const NAME = text(MAX_NAME);
const ANY = (value: unknown): unknown => value;
const [TWO, THREE, FOUR] = [list(ANY, 2, 2), list(ANY, 3, 3), list(ANY, 4, 4)];

const CODE: Shape<readonly [number, string]> = (value) => {
  const [number, name] = TWO(value);
  return [NUMBER(number), NAME(name)];
};
const ACTION: Shape<readonly [number, string, number, string]> = (value) => {
  const [number, group, index, name] = FOUR(value);
  return [NUMBER(number), NAME(group), integer(0, MAX_ACTIONS)(index), NAME(name)];
};
const ROW: Shape<readonly [number, Fineness, string]> = (value) => {
  const [second, fineness, row] = THREE(value);
  return [NUMBER(second), one_of(128, 32, 16, 4)(fineness), exact(MAX_PART)(row)];
};

/** All but what is in its rows. */
export const read_stored_part = reader(
  object<StoredPart>({
    incarnation: exact(64),
    n: NUMBER,
    actions: list(ACTION, MAX_ACTIONS),
    codes: list(CODE, MAX_CODES),
    rows: list(ROW, MOST_ROWS),
  }),
  MAX_PART,
);

/** Never throws. */
export function read_part(text_of_part: string): CoursePart | Refused {
  const stored = read_stored_part(text_of_part);
  if (stored instanceof Refused) return stored;
  return checked((value) => {
    const { incarnation, n, ...part } = value as StoredPart;
    const actions = new Map(part.actions.map(([number, group, index, name]) => [number, { group, index, name }]));
    const codes = new Map(part.codes);
    const rows = part.rows.map(([second, fineness, base64]) => {
      const row = unpack_row(Buffer.from(base64, 'base64'));
      check_row(row, actions, codes);
      const response = plus_all([...row.actions.values()].map((action) => action.response));
      return { second, fineness: fineness as Fineness, row: { ...row, response } };
    });
    for (let i = 1; i < rows.length; i++) if (rows[i]!.second < rows[i - 1]!.second) fault('go backwards');
    return { incarnation, n, actions, rows };
  }, stored);
}

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
  if (!is_counts(of_row) || !are_gauges || !are_codes(row.connect_failed)) fault('has a number that is none');
  if (row.members.length > 0 || row.not_told.size > 0) fault('speaks of members');
  for (const [number, { started, ok, aborted, failed, response }] of row.actions) {
    if (!actions.has(number)) fault('has an action without a name');
    const are_times = is_rough(response, MAX_COUNT);
    if (!is_counts([started, ok, aborted]) || !are_codes(failed) || !are_times) fault('has a number that is none');
  }
}
