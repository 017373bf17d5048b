/**
 * What a row of the series has besides, when there is anything to say: what became of slots, and whether swarm was
 * saturated. Rows of runs without rates have nothing of it. Actions are numbers, which the series gave them.
 */
import { NumberReader, NumberWriter } from '../foundation/varint.ts';
import { is_nothing, NOTHING, plus, read_rough, write_rough, type Rough } from './rough.ts';
import { SATURATED_BY, type SaturatedBy } from './saturation.ts';
import { DROP_REASONS } from './snapshot.ts';

/** Of an action, in some seconds. */
export interface SlotData {
  readonly planned: number;
  /** in the order of DROP_REASONS */
  readonly dropped: readonly number[];
  /** see SlotSnapshot */
  readonly tardy: number;
  readonly late: Rough;
}

export interface RowSlots {
  /** seconds in which swarm was saturated */
  readonly saturated_s: number;
  readonly saturated_by: readonly SaturatedBy[];
  /** by action, in rising order; only those of which something happened */
  readonly slots: ReadonlyMap<number, SlotData>;
}

export const NO_SLOT_DATA: SlotData = { planned: 0, dropped: DROP_REASONS.map(() => 0), tardy: 0, late: NOTHING };
const NONE: RowSlots = { saturated_s: 0, saturated_by: [], slots: new Map() };

export const slots_happened = ({ planned, dropped, late }: SlotData): boolean =>
  planned !== 0 || dropped.some((count) => count !== 0) || !is_nothing(late);

const writer = new NumberWriter();

/** Null: there is nothing to say. */
export function pack_slots({ saturated_s, saturated_by, slots }: RowSlots): Uint8Array | null {
  if (saturated_s === 0 && slots.size === 0) return null;
  writer.unsigned(saturated_s);
  writer.unsigned(SATURATED_BY.reduce((bits, by, i) => bits + (saturated_by.includes(by) ? 2 ** i : 0), 0));
  let before = -1;
  for (const [action, { planned, dropped, tardy, late }] of slots) {
    writer.unsigned(action - before);
    before = action;
    writer.signed(planned);
    for (const count of dropped) writer.signed(count);
    writer.signed(tardy);
    write_rough(writer, late);
  }
  return writer.take();
}

export function unpack_slots(bytes: Uint8Array | null): RowSlots {
  if (bytes === null) return NONE;
  const reader = new NumberReader(bytes);
  const saturated_s = reader.unsigned();
  const bits = reader.unsigned();
  const slots = new Map<number, SlotData>();
  for (let action = -1; reader.at < bytes.length;) {
    action += reader.unsigned();
    const planned = reader.signed();
    const dropped = DROP_REASONS.map(() => reader.signed());
    const tardy = reader.signed();
    slots.set(action, { planned, dropped, tardy, late: read_rough(reader) });
  }
  return { saturated_s, saturated_by: SATURATED_BY.filter((_, i) => bits & (2 ** i)), slots };
}

/** What happened in all of them. Sums are exact. */
export function fold_slots(rows: readonly (Uint8Array | null)[]): Uint8Array | null {
  const told = rows.filter((bytes) => bytes !== null);
  return told.length < 2 ? (told[0] ?? null) : pack_slots(told.map(unpack_slots).reduce(plus_slots));
}

export function plus_slots(a: RowSlots, b: RowSlots): RowSlots {
  const slots = new Map<number, SlotData>();
  const actions = [...new Set([...a.slots.keys(), ...b.slots.keys()])].sort((one, other) => one - other);
  for (const action of actions) {
    const both = plus_data(a.slots.get(action) ?? NO_SLOT_DATA, b.slots.get(action) ?? NO_SLOT_DATA);
    if (slots_happened(both)) slots.set(action, both);
  }
  return {
    saturated_s: a.saturated_s + b.saturated_s,
    saturated_by: SATURATED_BY.filter((by) => a.saturated_by.includes(by) || b.saturated_by.includes(by)),
    slots,
  };
}

const plus_data = (a: SlotData, b: SlotData): SlotData => ({
  planned: a.planned + b.planned,
  dropped: a.dropped.map((count, i) => count + b.dropped[i]!),
  tardy: a.tardy + b.tardy,
  late: plus(a.late, b.late),
});
