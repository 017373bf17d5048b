/**
 * The series: what the swarm did in each second. Rows are differences of what was measured since the start: all of them
 * together are exactly that, whenever somebody looked.
 */
import { counted_of, places_of, type ActionName, type ActionPlace } from './counted.ts';
import { differing } from './differing.ts';
import { fold_rows, pack_members, pack_row, unpack_row, type RowData } from './row-data.ts';
import { fold, RowShelf, type ShelfRow } from './row-shelf.ts';
import { Seen } from './seen.ts';
import { SeriesNames } from './series-names.ts';
import { row_of, type SeriesMember, type SeriesRow } from './series-row.ts';
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
}

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

  /** `most_bytes`: of memory; then there are fewer seconds, and more rows of many seconds. */
  constructor(most_bytes = MOST_BYTES) {
    this.#most_bytes = most_bytes;
  }

  /** To be called once a second, and when all is over. A second time in the same second adds to its row. */
  beat({ run_ms, totals, actions, members, not_told }: Beat): void {
    if (actions !== this.#actions) this.#places = places_of(actions);
    this.#actions = actions;
    const now = counted_of(totals, this.#places);
    const { members: ids } = this.#names;
    const from = this.#shelf.last?.to ?? 0;
    const to = this.#end_of(run_ms);
    const row: RowData = {
      ...this.#seen.advance(now),
      gap_s: Math.max(0, to - from - 1),
      states: now.states,
      gauges: now.gauges,
      highest: now.gauges,
      members: pack_members(members.map(({ id, ...gauges }) => ({ member: ids.number_of(id), ...gauges }))),
      not_told: new Map(not_told.map((id) => [ids.number_of(id), 1])),
    };
    this.#n++;
    const most = Math.max(0, this.#most_bytes - this.#seen.bytes - this.#names.bytes);
    this.#shelf.add(to > from ? this.#row(from, to, row) : this.#again(row), most);
  }

  #row(from: number, to: number, row: RowData): ShelfRow {
    return { n: this.#n, from, to, bytes: pack_row(row) };
  }

  /** Who was late may have told since. */
  #again(row: RowData): ShelfRow {
    const { from, to, bytes } = this.#shelf.take_last()!;
    const { not_told } = row;
    return this.#row(from, to, { ...fold_rows([unpack_row(bytes), row])!, not_told });
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
    const sums = rows.length === 0 ? null : unpack_row(fold(rows).bytes);
    return differing(sums, whole, this.#names, this.#seen.level);
  }
}
