/**
 * The series: what the swarm did in each second. Rows are differences of what was measured since the start: all of them
 * together are exactly that, whenever somebody looked.
 */
import { counted_of, places_of, type ActionName, type ActionPlace } from './counted.ts';
import { differing } from './differing.ts';
import { name_in_run } from './groups.ts';
import { fold_rows, pack_members, pack_row, unpack_row, type RowData } from './row-data.ts';
import { fold, RowShelf, type ShelfRow } from './row-shelf.ts';
import { pack_slots, plus_slots, unpack_slots, type RowSlots } from './row-slots.ts';
import { saturation_of, type Generating, type Saturation } from './saturation.ts';
import { Seen } from './seen.ts';
import { SeriesNames } from './series-names.ts';
import { row_of, slots_of, type SeriesMember, type SeriesRow } from './series-row.ts';
import type { Totals } from './totals.ts';

/** What a coordinator knows each second. */
export interface Beat {
  /** ms of run time when the totals were taken */
  readonly run_ms: number;
  /** of all groups and all members, living and dead */
  readonly totals: Totals;
  /** those of a group in the order of its script; best the same list each time */
  readonly actions: readonly ActionName[];
  /** per worker, or per agent */
  readonly members: readonly SeriesMember[];
  /** members whose report of this second is missing */
  readonly not_told: readonly string[];
  /** that told what they did in this second; left out: those of the members that did */
  readonly processes?: readonly Generating[];
}

/** What a row has but for how many seconds it is about. */
type Besides = Omit<RowSlots, 'saturated_s'>;

const MOST_BYTES = 64 * 2 ** 20;
/** of a second: a beat may be early by so much, if the first one was late */
const EARLY = 0.3;

export class Series {
  readonly #names = new SeriesNames();
  readonly #seen = new Seen(this.#names);
  readonly #shelf = new RowShelf();
  readonly #most_bytes: number;
  /** of the last beat */
  #actions: readonly ActionName[] = [];
  #places: readonly ActionPlace[] = [];
  #first: { readonly run_ms: number; readonly to: number } | null = null;
  #n = 0;
  #saturated_s = 0;

  /** `most_bytes`: of memory; then there are fewer seconds, and more rows of many seconds. */
  constructor(most_bytes = MOST_BYTES) {
    this.#most_bytes = most_bytes;
  }

  /**
   * To be called once a second, and when all is over. A second time in the same second adds to its row. Returns by what
   * swarm was saturated; empty: it was not.
   */
  beat(beat: Beat): readonly Saturation[] {
    const { run_ms, totals, actions, members, not_told } = beat;
    if (actions !== this.#actions) this.#places = places_of(actions);
    this.#actions = actions;
    const now = counted_of(totals, this.#places);
    const { members: ids } = this.#names;
    const from = this.#shelf.last?.to ?? 0;
    const to = this.#end_of(run_ms);
    const { slots, ...news } = this.#seen.advance(now);
    const row: RowData = {
      ...news,
      gap_s: Math.max(0, to - from - 1),
      states: now.states,
      gauges: now.gauges,
      highest: now.gauges,
      members: pack_members(members.map(({ id, ...gauges }) => ({ member: ids.number_of(id), ...gauges }))),
      not_told: new Map(not_told.map((id) => [ids.number_of(id), 1])),
    };
    const saturation = this.#saturation(beat, slots);
    const besides = { saturated_by: saturation.map(({ by }) => by), slots };
    this.#n++;
    const most = Math.max(0, this.#most_bytes - this.#seen.bytes - this.#names.bytes);
    this.#shelf.add(to > from ? this.#row(from, to, row, besides) : this.#again(row, besides), most);
    return saturation;
  }

  /** Counts of `before`, in a row with the same seconds, stay. */
  #row(from: number, to: number, row: RowData, besides: Besides, before = 0): ShelfRow {
    // of the first row nobody knows when it began
    const seconds = besides.saturated_by.length === 0 ? 0 : from === 0 ? 1 : to - from;
    const saturated_s = Math.max(before, seconds);
    this.#saturated_s += saturated_s - before;
    return { n: this.#n, from, to, bytes: pack_row(row), slots: pack_slots({ ...besides, saturated_s }) };
  }

  /** Who was late may have told since. */
  #again(row: RowData, besides: Besides): ShelfRow {
    const { from, to, bytes, slots } = this.#shelf.take_last()!;
    const { not_told } = row;
    const told = unpack_slots(slots);
    const both = plus_slots(told, { ...besides, saturated_s: 0 });
    return this.#row(from, to, { ...fold_rows([unpack_row(bytes), row])!, not_told }, both, told.saturated_s);
  }

  #saturation({ members, not_told, processes }: Beat, slots: RowSlots['slots']): Saturation[] {
    const told = processes ?? members.filter(({ id }) => !not_told.includes(id));
    const played = [...slots].map(([number, data]) => {
      const place = this.#names.actions.name_of(number);
      const { late } = slots_of(place, data, this.#seen.level);
      return { name: name_in_run(place.group, place.name), started: late.count, tardy: data.tardy };
    });
    return saturation_of(told, played);
  }

  /** The second behind that in which `run_ms` is, give or take what a timer is late or early. Never before the last. */
  #end_of(run_ms: number): number {
    this.#first ??= { run_ms, to: Math.max(1, Math.floor(run_ms / 1000 + EARLY)) };
    const passed = Math.floor((run_ms - this.#first.run_ms) / 1000 + EARLY);
    return Math.max(this.#first.to + passed, this.#shelf.last?.to ?? 0);
  }

  /** of the newest row; 0: there is none */
  get newest(): number {
    return this.#n;
  }

  /** So many of the newest seconds have a row each: an hour, or less when there are very many actions. */
  get fine_s(): number {
    return this.#shelf.fine_s;
  }

  /** seconds in which swarm was saturated */
  get saturated_s(): number {
    return this.#saturated_s;
  }

  /** what it takes of memory */
  get bytes(): number {
    return this.#shelf.bytes + this.#seen.bytes + this.#names.bytes;
  }

  /** Those that have any of the seconds from `from` to before `to`; the oldest first. */
  *rows(from = 0, to = Infinity): IterableIterator<SeriesRow> {
    yield* this.#read((row) => row.to > from && row.from < to);
  }

  /** Those that have any of so many last seconds. */
  last(seconds: number): SeriesRow[] {
    return [...this.rows((this.#shelf.last?.to ?? 0) - seconds)];
  }

  /** Those newer than number `n`: what somebody who has read up to there does not know. */
  *since(n: number): IterableIterator<SeriesRow> {
    yield* this.#read((row) => row.n > n);
  }

  *#read(is_meant: (row: ShelfRow) => boolean): IterableIterator<SeriesRow> {
    for (const row of this.#shelf.rows) if (is_meant(row)) yield row_of(row, this.#names, this.#seen.level);
  }

  /** The sum of all rows; null: there is none. */
  totals(): SeriesRow | null {
    const { rows } = this.#shelf;
    return rows.length === 0 ? null : row_of(fold(rows), this.#names, this.#seen.level);
  }

  /** What of `totals`, which are those of the last beat, is not the sum of all rows; empty: it adds up. */
  adds_up(totals: Totals): string[] {
    const { rows } = this.#shelf;
    const whole = new Seen(this.#names, this.#seen.level).advance(counted_of(totals, this.#places));
    const sum = rows.length === 0 ? null : fold(rows);
    const sums = sum && { ...unpack_row(sum.bytes), slots: unpack_slots(sum.slots).slots };
    return differing(sums, whole, this.#names, this.#seen.level);
  }
}
