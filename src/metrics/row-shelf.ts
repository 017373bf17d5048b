/**
 * The rows of a series in bounded memory. New ones stand on the finest shelf. Old ones, and when there is no room those
 * of the shelf that has most, are folded to the next:
 *
 *     a row has   1 s    10 s          60 s        10 min, 1 h, 1 day
 *     for         1 h    4 h more      ever        only for want of room
 *
 * So a day costs as much as two hours would in seconds.
 */
import { fold_rows, pack_row, unpack_row } from './row-data.ts';
import { fold_slots } from './row-slots.ts';

/** Some seconds, packed. */
export interface ShelfRow {
  /** of the newest second in it; grows with each second */
  readonly n: number;
  /** its first second, and the one behind its last */
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
  /** see row-slots.ts */
  readonly slots: Uint8Array | null;
}

/** s */
const STEPS = [1, 10, 60, 600, 3600, 86_400] as const;
/** the age at which a row leaves its shelf, s */
const KEPT_S = [3600, 5 * 3600] as const;
/** what a row takes besides its bytes: objects of the engine, and the allocator's own */
const ROW_BYTES = 350;
/** and one that has slots */
const SLOTS_BYTES = 200;

interface Shelf {
  readonly step_s: number;
  readonly rows: ShelfRow[];
  bytes: number;
}

export class RowShelf {
  readonly #shelves: readonly Shelf[] = STEPS.map((step_s) => ({ step_s, rows: [], bytes: 0 }));

  get bytes(): number {
    return this.#shelves.reduce((all, { bytes }) => all + bytes, 0);
  }

  get last(): ShelfRow | undefined {
    return this.#shelves[0]!.rows.at(-1);
  }

  /** of the finest shelf */
  get fine_s(): number {
    const { rows } = this.#shelves[0]!;
    return rows.length === 0 ? 0 : rows.at(-1)!.to - rows[0]!.from;
  }

  /** The oldest first. */
  get rows(): ShelfRow[] {
    return this.#shelves.toReversed().flatMap(({ rows }) => rows);
  }

  /** Adds one that follows the last, and folds others until all have at most `most` bytes. */
  add(row: ShelfRow, most: number): void {
    put(this.#shelves[0]!, row);
    KEPT_S.forEach((kept_s, level) => {
      for (;;) {
        const [oldest] = this.#shelves[level]!.rows;
        if (!oldest || until(oldest, STEPS[level + 1]!) > row.to - kept_s) break;
        this.#fold(level);
      }
    });
    while (this.bytes > most && this.#make_room());
  }

  /** The last one, which is no longer there. */
  take_last(): ShelfRow | undefined {
    const [finest] = this.#shelves;
    const last = finest!.rows.pop();
    if (last) finest!.bytes -= bytes_of(last);
    return last;
  }

  /** Folds some of the shelf that has most; false: there is nothing left to fold. The newest row stays. */
  #make_room(): boolean {
    const can_give = ({ rows }: Shelf, level: number): boolean =>
      rows.length > (level === 0 || level === STEPS.length - 1 ? 1 : 0);
    const given = this.#shelves.filter(can_give).sort((a, b) => b.bytes - a.bytes)[0];
    if (given) this.#fold(this.#shelves.indexOf(given));
    return given !== undefined;
  }

  /** Its oldest rows become one of the next shelf; on the last shelf the two oldest become one. */
  #fold(level: number): void {
    const [shelf, next] = [this.#shelves[level]!, this.#shelves[level + 1]];
    const most = level === 0 ? shelf.rows.length - 1 : shelf.rows.length;
    const end = next ? until(shelf.rows[0]!, next.step_s) : 0;
    let count = next ? 1 : 2;
    while (next && count < most && shelf.rows[count]!.to <= end) count++;
    const folded = shelf.rows.splice(0, count);
    for (const row of folded) shelf.bytes -= bytes_of(row);
    if (!next) {
      const one = fold(folded);
      shelf.rows.unshift(one);
      shelf.bytes += bytes_of(one);
      return;
    }
    const before = next.rows.at(-1);
    if (before && until(before, next.step_s) === end) {
      next.rows.pop();
      next.bytes -= bytes_of(before);
      folded.unshift(before);
    }
    put(next, fold(folded));
  }
}

const bytes_of = ({ bytes, slots }: ShelfRow): number =>
  bytes.length + ROW_BYTES + (slots === null ? 0 : slots.length + SLOTS_BYTES);

function put(shelf: Shelf, row: ShelfRow): void {
  shelf.rows.push(row);
  shelf.bytes += bytes_of(row);
}

/** The end of the step of so many seconds in which a row ends. */
const until = ({ to }: ShelfRow, step_s: number): number => Math.ceil(to / step_s) * step_s;

/** Rows that follow each other, at least one. */
export function fold(rows: readonly ShelfRow[]): ShelfRow {
  const [first, last] = [rows[0]!, rows.at(-1)!];
  if (rows.length === 1) return first;
  const slots = fold_slots(rows.map((row) => row.slots));
  return { n: last.n, from: first.from, to: last.to, bytes: pack_row(fold_rows(unpacked(rows))!), slots };
}

function* unpacked(rows: readonly ShelfRow[]) {
  for (const { bytes } of rows) yield unpack_row(bytes);
}
