/** What was counted until the last look, so that the next one knows what is new. */
import { NumberReader, NumberWriter } from '../foundation/varint.ts';
import { COUNTER_NAMES, NO_ACTION, type Counted } from './counted.ts';
import { has_happened, plus_numbered, type ActionData, type RowData } from './row-data.ts';
import { NO_SLOT_DATA, slots_happened, type SlotData } from './row-slots.ts';
import { at_level, NOTHING, plus, plus_all, read_rough, rough_of, write_rough, type Rough } from './rough.ts';
import type { Names, SeriesNames } from './series-names.ts';
import { NO_SLOTS } from './slots.ts';
import {
  DROP_REASONS,
  type ActionSnapshot,
  type Counts,
  type HistogramSnapshot,
  type SlotSnapshot,
} from './snapshot.ts';

/** what an action takes besides its packed times: objects of the engine */
const ACTION_BYTES = 1500;
/** and its slots */
const SLOTS_BYTES = 700;

/** The part of a row that is counted. `slots`: by action, in rising order; only those of which something happened. */
export type News = Pick<RowData, 'counters' | 'rounds' | 'response' | 'connect_failed' | 'actions'> & {
  readonly slots: ReadonlyMap<number, SlotData>;
};

export class Seen {
  readonly #names: SeriesNames;
  #counters: readonly number[] = COUNTER_NAMES.map(() => 0);
  #connect_failed: ReadonlyMap<number, number> = new Map();
  /** by number of the action */
  readonly #actions: SeenAction[] = [];
  /** of those that have a rate */
  readonly #slots = new Map<number, SeenSlots>();
  #level: number;
  #bytes = 0;

  /** `level`: histograms are at least as coarse. */
  constructor(names: SeriesNames, level = 0) {
    this.#names = names;
    this.#level = level;
  }

  /** The coarsest histogram so far, see {@link rough_of}. */
  get level(): number {
    return this.#level;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is counted now and was not at the last call. What was counted then and is not now is below 0. */
  advance(now: Counted): News {
    const { codes, actions: places } = this.#names;
    const newest: ActionSnapshot[] = [];
    now.actions.forEach((action, i) => {
      newest[places.number_of(now.places[i]!)] = action;
      this.#level = Math.max(this.#level, action.service.coarse ?? 0, action.response.coarse ?? 0);
      this.#level = Math.max(this.#level, action.slots?.late.coarse ?? 0);
    });
    const actions = new Map<number, ActionData>();
    const rounds = [0, 0, 0, 0];
    const responses: Rough[] = [];
    let bytes = 0;
    for (let number = 0; number < places.size; number++) {
      const action = (this.#actions[number] ??= new SeenAction());
      const news = action.advance(newest[number] ?? NO_ACTION, this.#level, codes);
      bytes += action.bytes;
      if (!news || !has_happened(news)) continue;
      actions.set(number, news);
      const failed = [...news.failed.values()].reduce((all, count) => all + count, 0);
      [news.started, news.ok, failed, news.aborted].forEach((count, i) => (rounds[i]! += count));
      responses.push(news.response);
    }
    const counters = now.counters.map((count, i) => count - this.#counters[i]!);
    const failed = codes.numbered(now.connect_failed);
    const connect_failed = plus_numbered(failed, this.#connect_failed, -1);
    this.#counters = now.counters;
    this.#connect_failed = failed;
    const slots = this.#advance_slots(newest);
    this.#bytes = bytes + [...this.#slots.values()].reduce((all, one) => all + one.bytes, 0);
    return { counters, rounds, response: plus_all(responses), connect_failed, actions, slots };
  }

  #advance_slots(newest: readonly ActionSnapshot[]): Map<number, SlotData> {
    newest.forEach(({ slots }, number) => {
      if (slots && !this.#slots.has(number)) this.#slots.set(number, new SeenSlots());
    });
    const slots = new Map<number, SlotData>();
    for (const [number, seen] of this.#slots) {
      const news = seen.advance(newest[number]?.slots ?? NO_SLOTS, this.#level);
      if (slots_happened(news)) slots.set(number, news);
    }
    return new Map([...slots].sort(([a], [b]) => a - b));
  }
}

class SeenAction {
  #started = 0;
  #ok = 0;
  #aborted = 0;
  #failed: ReadonlyMap<number, number> = new Map();
  readonly #service = new SeenTimes();
  readonly #response = new SeenTimes();

  get bytes(): number {
    return ACTION_BYTES + this.#service.bytes + this.#response.bytes;
  }

  /** Null: as it was. */
  advance(now: ActionSnapshot, level: number, codes: Names): ActionData | null {
    if (this.#is(now, codes)) return null;
    const failed = codes.numbered(now.failed);
    const news = {
      started: now.started - this.#started,
      ok: now.ok - this.#ok,
      aborted: now.aborted - this.#aborted,
      failed: plus_numbered(failed, this.#failed, -1),
      service: this.#service.advance(now.service, level),
      response: this.#response.advance(now.response, level),
    };
    this.#started = now.started;
    this.#ok = now.ok;
    this.#aborted = now.aborted;
    this.#failed = failed;
    return news;
  }

  #is({ started, ok, aborted, failed, service, response }: ActionSnapshot, codes: Names): boolean {
    const counts_are = started === this.#started && ok === this.#ok && aborted === this.#aborted;
    return counts_are && this.#service.is(service) && this.#response.is(response) && this.#has_failed(failed, codes);
  }

  #has_failed(failed: Counts, codes: Names): boolean {
    if (this.#failed.size === 0 && is_empty(failed)) return true;
    return plus_numbered(codes.numbered(failed), this.#failed, -1).size === 0;
  }
}

/** Without a list of all keys: most of a thousand actions have none. */
function is_empty(counts: Counts): boolean {
  for (const _ in counts) return false;
  return true;
}

class SeenSlots {
  #planned = 0;
  #dropped = NO_SLOT_DATA.dropped;
  #tardy = 0;
  readonly #late = new SeenTimes();

  get bytes(): number {
    return SLOTS_BYTES + this.#late.bytes;
  }

  advance(now: SlotSnapshot, level: number): SlotData {
    const dropped = DROP_REASONS.map((reason) => now.dropped[reason]);
    const news = {
      planned: now.planned - this.#planned,
      dropped: dropped.map((count, i) => count - this.#dropped[i]!),
      tardy: now.tardy - this.#tardy,
      late: this.#late.advance(now.late, level),
    };
    this.#tardy = now.tardy;
    this.#planned = now.planned;
    this.#dropped = dropped;
    return news;
  }
}

const writer = new NumberWriter();

/** Packed: a thousand actions have two of them each. */
class SeenTimes {
  #count = 0;
  #sum = 0;
  #packed: Uint8Array | null = null;
  /** of what is packed */
  #level = 0;

  get bytes(): number {
    return this.#packed?.length ?? 0;
  }

  /** One with the same count and sum has not changed. */
  is({ count, sum }: HistogramSnapshot): boolean {
    return count === this.#count && sum === this.#sum;
  }

  advance(now: HistogramSnapshot, level: number): Rough {
    if (this.is(now)) return NOTHING;
    const all = rough_of(now, level);
    const before = this.#packed === null ? NOTHING : read_rough(new NumberReader(this.#packed));
    const news = plus(all, this.#level === level ? before : at_level(before, level), -1);
    write_rough(writer, all);
    this.#packed = writer.take();
    this.#level = level;
    this.#count = now.count;
    this.#sum = now.sum;
    return news;
  }
}
