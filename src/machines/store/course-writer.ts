/**
 * The course of a run, as an agent tells it: what it did in each second, five at once. It keeps that while the engine is
 * away, for a quarter of an hour, or less if it is more than 16 MiB.
 */
import { randomBytes } from 'node:crypto';
import { counted_of, places_of, type ActionName, type ActionPlace } from '../../metrics/counted.ts';
import { NO_DEAD } from '../../metrics/merge-snapshots.ts';
import type { Fineness } from '../../metrics/rough.ts';
import { Seen } from '../../metrics/seen.ts';
import { SeriesNames } from '../../metrics/series-names.ts';
import { totals_of } from '../../metrics/totals.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import {
  finer_than,
  FULL_BYTES,
  MAX_PART,
  MOST_ROWS,
  NumbersUsed,
  packed_row,
  write_part,
  type PackedRow,
} from './course-part.ts';
import type { Store } from './store.ts';

/** parts that wait for an engine; older ones are lost */
const MAX_WAITING = 200;
/** and their characters */
const MAX_WAITING_LENGTH = 16 * 2 ** 20;
/** of a second: a sample may be early by so much, if the first one was late */
const EARLY = 0.3;
const NOTHING = new Uint8Array();

/** What an agent tells, and what it could not tell yet. */
export class Recording {
  readonly #store: Store;
  readonly #agent: string;
  #of = { run: '', incarnation: '' };
  /** so that nobody else can send what the engine would take for one of these messages */
  #nonce = '';
  #first: { readonly at: number; readonly second: number } | null = null;
  /** of the last sample */
  #second = 0;
  #names = new SeriesNames();
  #seen = new Seen(this.#names);
  #actions: readonly ActionName[] = [];
  #places: readonly ActionPlace[] = [];
  #parts = 0;
  /** of the times told last */
  #fineness: Fineness = 128;
  #rows: PackedRow[] = [];
  #used = new NumbersUsed();
  readonly #waiting: { readonly run: string; readonly id: string; readonly text: string }[] = [];
  #sending: Promise<void> | null = null;

  constructor(store: Store, agent: string) {
    this.#store = store;
    this.#agent = agent;
  }

  /** To be called once a second, and at the end of an incarnation. `run_ms`: of the run, whose seconds count from 0. */
  sample(run: string, incarnation: string, run_ms: number, { snapshot, dead, actions }: SquadAccount): void {
    if (this.#of.run !== run || this.#of.incarnation !== incarnation) this.#begin(run, incarnation);
    if (actions !== this.#actions) this.#places = places_of(actions);
    this.#actions = actions;
    this.#first ??= { at: run_ms, second: Math.floor(run_ms / 1000) };
    const step = Math.floor((run_ms - this.#first.at) / 1000 + EARLY);
    const second = (this.#second = Math.max(this.#second, this.#first.second + step));
    // histograms are added up only for those that died
    const totals = dead === NO_DEAD ? { snapshot, lost: dead.lost } : totals_of([snapshot], dead);
    const now = counted_of(totals, this.#places);
    const { states, gauges } = now;
    const own = { gap_s: 0, states, gauges, highest: gauges, members: NOTHING, not_told: new Map<number, number>() };
    const row = { ...this.#seen.advance(now), ...own };
    this.#used.add(row);
    this.#rows.push(packed_row(second, row, this.#rows.at(-1)?.fineness ?? finer_than(this.#fineness)));
    const bytes = this.#rows.reduce((all, one) => all + one.bytes.length, 0);
    if (this.#rows.length >= MOST_ROWS || bytes >= FULL_BYTES) this.#close();
  }

  /**
   * Sends what waits, all of it or until nobody answers. Never rejects. `whole`: also what is not {@link MOST_ROWS} seconds
   * yet.
   */
  flush(whole = false): Promise<void> {
    if (whole) this.#close();
    if (this.#waiting.length > 0) this.#sending ??= this.#send();
    return this.#sending ?? Promise.resolve();
  }

  async #send(): Promise<void> {
    try {
      for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
        if (!(await this.#store.append(next.run, this.#agent, next.id, next.text))) return;
        if (this.#waiting[0] === next) this.#waiting.shift();
      }
    } finally {
      this.#sending = null;
    }
  }

  #begin(run: string, incarnation: string): void {
    this.#close();
    this.#of = { run, incarnation };
    this.#nonce = randomBytes(12).toString('hex');
    this.#first = null;
    this.#second = 0;
    this.#names = new SeriesNames();
    this.#seen = new Seen(this.#names);
    this.#parts = 0;
  }

  #close(): void {
    if (this.#rows.length === 0) return;
    const { run, incarnation } = this.#of;
    const n = this.#parts++;
    const text = write_part({ incarnation, n }, this.#rows, this.#used, this.#names);
    this.#fineness = this.#rows.at(-1)!.fineness;
    this.#rows = [];
    this.#used = new NumbersUsed();
    // none is as long; if one were, its seconds would be missing, and not all behind it
    if (Buffer.byteLength(text) < MAX_PART) this.#waiting.push({ run, id: `${this.#nonce}-${n}`, text });
    const length = (): number => this.#waiting.reduce((all, one) => all + one.text.length, 0);
    while (this.#waiting.length > MAX_WAITING || length() > MAX_WAITING_LENGTH) this.#waiting.shift();
  }
}
