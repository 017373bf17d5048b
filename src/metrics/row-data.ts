/**
 * Some seconds of a run as numbers, as the series keeps them: packed as bytes, unpacked, and several as one. Codes,
 * members and actions are numbers here, which the series gave them.
 */
import { NumberReader, NumberWriter } from '../foundation/varint.ts';
import { COUNTER_NAMES, GAUGE_NAMES } from './counted.ts';
import { is_nothing, NOTHING, plus, read_rough, write_rough, type Rough } from './rough.ts';
import { STATES } from './state.ts';

/** By a number. */
type Numbered = ReadonlyMap<number, number>;

/** started, ok, failed, aborted */
const ROUNDS = 4;

export interface ActionData {
  readonly started: number;
  readonly ok: number;
  readonly aborted: number;
  /** by code */
  readonly failed: Numbered;
  readonly service: Rough;
  readonly response: Rough;
}

interface MemberData {
  readonly member: number;
  readonly open: number;
  readonly cpu: number;
  readonly lag_p99_ms: number;
}

/** What a row has before its actions, which are read only by who needs them, as its members are. */
export interface HeadData {
  /** seconds of which nobody was asked; what happened in them is counted all the same */
  readonly gap_s: number;
  readonly states: readonly number[];
  readonly gauges: readonly number[];
  readonly highest: readonly number[];
  readonly counters: readonly number[];
  /** of all actions together */
  readonly rounds: readonly number[];
  readonly response: Rough;
  readonly connect_failed: Numbered;
  /** packed */
  readonly members: Uint8Array;
  /** by member, how many seconds */
  readonly not_told: Numbered;
}

export interface RowData extends HeadData {
  /** by action, in rising order; only those in which something happened */
  readonly actions: ReadonlyMap<number, ActionData>;
}

const writer = new NumberWriter();
/** thousandths */
const MILLI = 1000;

export function pack_row(row: RowData): Uint8Array {
  const all = (list: readonly number[], write: (value: number) => void): void => list.forEach(write);
  const unsigned = (value: number): void => writer.unsigned(value);
  const signed = (value: number): void => writer.signed(value);
  unsigned(row.gap_s);
  all(row.states, unsigned);
  all(row.gauges, write_gauge);
  all(row.highest, write_gauge);
  all(row.counters, signed);
  all(row.rounds, signed);
  write_rough(writer, row.response);
  write_numbered(row.connect_failed);
  writer.bytes(row.members);
  write_numbered(row.not_told);
  unsigned(row.actions.size);
  let before = -1;
  for (const [action, { started, ok, aborted, failed, service, response }] of row.actions) {
    unsigned(action - before);
    before = action;
    all([started, ok, aborted], signed);
    write_numbered(failed);
    write_rough(writer, service);
    write_rough(writer, response);
  }
  return writer.take();
}

/** The head, and where the actions begin. */
export function unpack_head(bytes: Uint8Array): { head: HeadData; at: number } {
  const reader = new NumberReader(bytes);
  const several = (count: number, read: () => number): number[] => Array.from({ length: count }, read);
  const signed = (): number => reader.signed();
  const gauge = (): number => read_gauge(reader);
  const head = {
    gap_s: reader.unsigned(),
    states: several(STATES.length, () => reader.unsigned()),
    gauges: several(GAUGE_NAMES.length, gauge),
    highest: several(GAUGE_NAMES.length, gauge),
    counters: several(COUNTER_NAMES.length, signed),
    rounds: several(ROUNDS, signed),
    response: read_rough(reader),
    connect_failed: read_numbered(reader),
    members: reader.bytes(),
    not_told: read_numbered(reader),
  };
  return { head, at: reader.at };
}

export function unpack_actions(bytes: Uint8Array, at: number): Map<number, ActionData> {
  const reader = new NumberReader(bytes, at);
  const actions = new Map<number, ActionData>();
  const count = reader.unsigned();
  for (let i = 0, action = -1; i < count; i++) {
    action += reader.unsigned();
    const [started, ok, aborted] = [reader.signed(), reader.signed(), reader.signed()];
    const failed = read_numbered(reader);
    actions.set(action, { started, ok, aborted, failed, service: read_rough(reader), response: read_rough(reader) });
  }
  return actions;
}

export function unpack_row(bytes: Uint8Array): RowData {
  const { head, at } = unpack_head(bytes);
  return { ...head, actions: unpack_actions(bytes, at) };
}

export function pack_members(members: readonly MemberData[]): Uint8Array {
  for (const { member, open, cpu, lag_p99_ms } of members) {
    writer.unsigned(member);
    writer.unsigned(open);
    write_gauge(cpu);
    write_gauge(lag_p99_ms);
  }
  return writer.take();
}

export function unpack_members(bytes: Uint8Array): MemberData[] {
  const reader = new NumberReader(bytes);
  const members: MemberData[] = [];
  while (reader.at < bytes.length) {
    const [member, open] = [reader.unsigned(), reader.unsigned()];
    members.push({ member, open, cpu: read_gauge(reader), lag_p99_ms: read_gauge(reader) });
  }
  return members;
}

const write_gauge = (value: number): void => writer.unsigned(Math.round(value * MILLI));
const read_gauge = (reader: NumberReader): number => reader.unsigned() / MILLI;

function write_numbered(counts: Numbered): void {
  writer.unsigned(counts.size);
  for (const [number, count] of counts) {
    writer.unsigned(number);
    writer.signed(count);
  }
}

function read_numbered(reader: NumberReader): Map<number, number> {
  const counts = new Map<number, number>();
  for (let left = reader.unsigned(); left > 0; left--) counts.set(reader.unsigned(), reader.signed());
  return counts;
}

/** What happened in all of them, which follow each other. Sums are exact. Null when there are none. */
export function fold_rows(rows: Iterable<RowData>): RowData | null {
  // as a binary counter carries: a sum of thousands is not copied for each of them
  const parts: { row: RowData; of: number }[] = [];
  for (const row of rows) {
    let part = { row, of: 1 };
    for (let last = parts.at(-1); last?.of === part.of; last = parts.at(-1)) {
      parts.pop();
      part = { row: fold_two(last.row, part.row), of: 2 * part.of };
    }
    parts.push(part);
  }
  const last = parts.pop();
  return last ? parts.reduceRight((all, { row }) => fold_two(row, all), last.row) : null;
}

function fold_two(a: RowData, b: RowData): RowData {
  const sums = (one: readonly number[], other: readonly number[]): number[] => one.map((value, i) => value + other[i]!);
  return {
    gap_s: a.gap_s + b.gap_s,
    states: b.states,
    gauges: b.gauges,
    highest: a.highest.map((value, i) => Math.max(value, b.highest[i]!)),
    counters: sums(a.counters, b.counters),
    rounds: sums(a.rounds, b.rounds),
    response: plus(a.response, b.response),
    connect_failed: plus_numbered(a.connect_failed, b.connect_failed),
    members: b.members,
    not_told: plus_numbered(a.not_told, b.not_told),
    actions: plus_actions(a.actions, b.actions),
  };
}

function plus_actions(a: RowData['actions'], b: RowData['actions']): Map<number, ActionData> {
  const numbers = [...a.keys(), ...[...b.keys()].filter((number) => !a.has(number))].sort((one, other) => one - other);
  const actions = new Map<number, ActionData>();
  for (const number of numbers) {
    const [one, other] = [a.get(number), b.get(number)];
    const both = one && other ? plus_action(one, other) : (one ?? other!);
    if (has_happened(both)) actions.set(number, both);
  }
  return actions;
}

function plus_action(a: ActionData, b: ActionData): ActionData {
  return {
    started: a.started + b.started,
    ok: a.ok + b.ok,
    aborted: a.aborted + b.aborted,
    failed: plus_numbered(a.failed, b.failed),
    service: plus(a.service, b.service),
    response: plus(a.response, b.response),
  };
}

export const NO_ROUNDS: ActionData = {
  started: 0,
  ok: 0,
  aborted: 0,
  failed: new Map(),
  service: NOTHING,
  response: NOTHING,
};

/** Both together, without zeros; with `sign` −1 what `a` has more than `b`. */
export function plus_numbered(a: Numbered, b: Numbered, sign: 1 | -1 = 1): Map<number, number> {
  const sums = new Map(a);
  for (const [number, count] of b) {
    const sum = (sums.get(number) ?? 0) + sign * count;
    if (sum === 0) sums.delete(number);
    else sums.set(number, sum);
  }
  return sums;
}

export function has_happened({ started, ok, aborted, failed, service, response }: ActionData): boolean {
  const is_still = started === 0 && ok === 0 && aborted === 0 && failed.size === 0;
  return !is_still || !is_nothing(service) || !is_nothing(response);
}
