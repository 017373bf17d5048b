/**
 * What an agent measured, on its way to everybody else. Counters go first, in one document each second; histograms go
 * behind them in parts of their own, of which only those travel that changed. All of it is bounded: what would be too
 * large is told in less detail, which is said.
 *
 *     results.<agent>.<incarnation>        Head
 *     latencies.<agent>.<incarnation>.<n>  LatencyPart, at most 16
 */
import { cut } from '../../foundation/escape.ts';
import { fewer_kinds, NO_DEAD } from '../../metrics/merge-snapshots.ts';
import {
  counters_of,
  histograms_of,
  MAX_HISTOGRAMS,
  Packer,
  with_histograms,
  type Counters,
} from '../../metrics/packed.ts';
import type { HistogramSnapshot, Snapshot } from '../../metrics/snapshot.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import { latencies_key, results_key, type Head, type LatencyPart, type Results } from './documents.ts';
import type { Entry, Store } from './store.ts';

/** characters of a head without what `setup` returned */
const HEAD = 256 * 1024;
/** of the histograms of a part, base64 */
const PART = 192 * 1024;
/** bytes of all histograms */
const PACKED = 1024 * 1024;
const MAX_NOTES = 50;
/** the last words of so many incarnations wait for an engine */
const MAX_UNSENT = 5;

/**
 * How much of what may be long is told, from all that people read to what must be. Characters (of a note, of all traces
 * together, of an error), kinds; counts are never left out.
 */
const DETAILS = [
  { note: 2000, trace: 96_000, error: Infinity, kinds: Infinity },
  { note: 500, trace: 24_000, error: Infinity, kinds: Infinity },
  { note: 200, trace: 4000, error: 100, kinds: 20 },
  { note: 100, trace: 0, error: 40, kinds: 2 },
  { note: 100, trace: 0, error: 40, kinds: 0 },
] as const;
type Detail = (typeof DETAILS)[number];

/** A head that fits, as text. */
export function head_text(head: Head): string {
  const hooks = JSON.stringify([head.setup, head.teardown]).length;
  let text = '';
  for (const detail of DETAILS) {
    text = JSON.stringify(with_detail(head, detail));
    if (Buffer.byteLength(text) - hooks <= HEAD) break;
  }
  return text;
}

function with_detail(head: Head, detail: Detail): Head {
  return {
    ...head,
    snapshot: counters_with(head.snapshot, detail),
    dead: head.dead && { ...head.dead, snapshot: counters_with(head.dead.snapshot, detail) },
    notes: head.notes.map((note) => ({ ...note, text: cut(note.text, detail.note) })),
    traces: head.traces.map(({ lines, before, ...trace }) => {
      let [first, room] = [lines.length, Math.floor(detail.trace / head.traces.length)];
      while (first > 0 && lines[first - 1]!.length <= room) room -= lines[--first]!.length;
      return { ...trace, lines: lines.slice(first), before: before + first };
    }),
  };
}

function counters_with(counters: Counters, { kinds, error }: Detail): Counters {
  if (kinds === Infinity) return counters;
  const fewer = fewer_kinds(counters, kinds);
  return {
    ...fewer,
    errors: Object.fromEntries(
      Object.entries(fewer.errors).map(([code, { count, last, last_at }]) => [
        code,
        { count, last: cut(last, error), last_at },
      ]),
    ),
  };
}

interface Document {
  readonly key: string;
  readonly text: string;
}

/** of a key when this agent wrote it last: 0 before the first time, -1 when it must be asked for */
interface Chain {
  revision: number;
}

interface ToldPart extends Document, Chain {
  /** the very bytes: they are the same while nothing was counted */
  readonly made_of: readonly Uint8Array[];
  readonly seq: number;
  is_stored: boolean;
}

/** What one incarnation told so far. */
class Telling {
  readonly run: string;
  readonly incarnation: string;
  readonly head: Chain = { revision: 0 };
  readonly #agent: MemberId;
  readonly #packer = new Packer(PACKED);
  #base64 = new Map<Uint8Array, string>();
  seq = 0;
  parts: readonly ToldPart[] = [];

  constructor(agent: MemberId, run: string, incarnation: string) {
    this.#agent = agent;
    this.run = run;
    this.incarnation = incarnation;
  }

  /** The head, and what of the parts is new. */
  write({ snapshot, dead, ...account }: SquadAccount, notes: Head['notes']): Document {
    this.seq++;
    this.#write_parts(snapshot, dead.snapshot);
    const { workers, traces, setup, teardown, killed_at_end } = account;
    const of_dead = dead === NO_DEAD ? null : { ...dead, snapshot: counters_of(dead.snapshot) };
    const head: Head = {
      run: this.run,
      seq: this.seq,
      parts: this.parts.map(({ seq }) => seq),
      snapshot: counters_of(snapshot),
      dead: of_dead,
      workers,
      notes,
      traces,
      setup,
      teardown,
      ...(killed_at_end.length > 0 && { killed_at_end }),
    };
    return { key: results_key(this.#agent, this.incarnation), text: head_text(head) };
  }

  /** The engine lost what it had. */
  forget(): void {
    for (const part of this.parts) part.is_stored = false;
  }

  #write_parts(living: Snapshot, dead: Snapshot): void {
    const of_dead = histograms_of(dead).map((one, i) => [MAX_HISTOGRAMS + i, one] as const);
    const packed = this.#packer.pack([...histograms_of(living).entries(), ...of_dead]);
    const base64 = new Map([...packed.values()].map((bytes) => [bytes, this.#base64.get(bytes) ?? base64_of(bytes)]));
    this.#base64 = base64;
    const filled: [number, Uint8Array][][] = [];
    let room = 0;
    for (const one of packed) {
      const { length } = base64.get(one[1])!;
      if (length > room) {
        filled.push([]);
        room = PART;
      }
      filled.at(-1)!.push(one);
      room -= length;
    }
    this.parts = filled.map((part, n) => {
      const known = this.parts[n];
      const made_of = part.map(([, bytes]) => bytes);
      if (known && known.made_of.length === made_of.length && made_of.every((bytes, i) => known.made_of[i] === bytes))
        return known;
      const histograms = part.map(([number, bytes]) => [number, base64.get(bytes)!]);
      return {
        key: latencies_key(this.#agent, this.incarnation, n),
        text: JSON.stringify({ run: this.run, seq: this.seq, histograms }),
        made_of,
        seq: this.seq,
        revision: known?.revision ?? 0,
        is_stored: false,
      };
    });
  }
}

const base64_of = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The agent's side: tells what its incarnations measure, one after the other. */
export class ResultsWriter {
  readonly #store: Store;
  readonly #agent: MemberId;
  #telling: Telling | null = null;
  #notes: Head['notes'] = [];
  #notes_seen = 0;
  /** the last that incarnations before this one measured, not stored yet */
  #unsent: Document[][] = [];

  constructor(store: Store, agent: MemberId) {
    this.#store = store;
    this.#agent = agent;
  }

  /** of what was told last of this incarnation, 0 before */
  get seq(): number {
    return this.#telling?.seq ?? 0;
  }

  note(worker: string, note: Note): void {
    const notes = [...this.#notes, { ...note, worker, n: ++this.#notes_seen }];
    const errors = notes.filter(({ level }) => level === 'error').length;
    // a module that prints much does not push out what went wrong, nor the other way round
    const of_errors = errors > MAX_NOTES / 2;
    const least = notes.findIndex(({ level }) => (level === 'error') === of_errors);
    this.#notes = notes.length > MAX_NOTES ? notes.toSpliced(least, 1) : notes;
  }

  /** Stores what was measured so far. False: the engine did not take all of it. */
  async tell(run: string, incarnation: string, account: SquadAccount): Promise<boolean> {
    const telling = this.#of(run, incarnation);
    const head = telling.write(account, this.#notes);
    const { parts } = telling;
    if (!(await this.#put(head, telling.head, () => telling.forget()))) return false;
    for (const part of parts) {
      // it may be over meanwhile: what was measured last waits to be sent
      if (part.is_stored || this.#telling !== telling) continue;
      if (!(await this.#put(part, part))) return false;
      part.is_stored = true;
    }
    return true;
  }

  /** It is over: what was measured last is stored by {@link send_unsent}. */
  retire(run: string, incarnation: string, account: SquadAccount): void {
    const telling = this.#of(run, incarnation);
    const head = telling.write(account, this.#notes);
    const parts = telling.parts.filter(({ is_stored }) => !is_stored).map(({ key, text }) => ({ key, text }));
    this.#unsent = [...this.#unsent, [head, ...parts]].slice(-MAX_UNSENT);
    this.#telling = null;
    this.#notes = [];
  }

  /** False: the engine did not take all of it. */
  async send_unsent(): Promise<boolean> {
    for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
      for (const document of next) if (!(await this.#put(document, { revision: -1 }))) return false;
      if (this.#unsent[0] === next) this.#unsent.shift();
    }
    return true;
  }

  #of(run: string, incarnation: string): Telling {
    const known = this.#telling;
    if (known?.run !== run || known.incarnation !== incarnation)
      this.#telling = new Telling(this.#agent, run, incarnation);
    return this.#telling!;
  }

  /**
   * Writes over what is there: nobody else writes this key. A late write of ours is overwritten too. `lost`: what was
   * there is not any more.
   */
  async #put({ key, text }: Document, chain: Chain, lost: () => void = () => {}): Promise<boolean> {
    for (let tries = 3; tries > 0; tries--) {
      if (chain.revision >= 0) {
        const written = await this.#store.put(key, text, chain.revision);
        if (written.outcome === 'done') {
          chain.revision = written.revision;
          return true;
        }
        if (written.outcome === 'unknown') tries = 1;
      }
      try {
        const entry = await this.#store.get(key);
        if (!entry && chain.revision > 0) lost();
        chain.revision = entry?.revision ?? 0;
        if (entry?.text === text) return true;
      } catch {
        return false;
      }
    }
    return false;
  }
}

/** The reader's side: what came of an incarnation, in any order. */
export class Collected {
  readonly agent: MemberId;
  readonly incarnation: string;
  #head: ParsedEntry<Head>;
  readonly #parts: (ParsedEntry<LatencyPart> | undefined)[] = [];
  #results: Results | null = null;
  /** of the newest head whose parts were all here */
  #whole = 0;

  constructor(agent: MemberId, incarnation: string, head: ParsedEntry<Head>) {
    this.agent = agent;
    this.incarnation = incarnation;
    this.#head = head;
    this.#look();
  }

  get head(): ParsedEntry<Head> {
    return this.#head;
  }

  part(n: number): ParsedEntry<LatencyPart> | undefined {
    return this.#parts[n];
  }

  take_head(head: ParsedEntry<Head>): void {
    this.#head = head;
    this.#parts.length = Math.min(this.#parts.length, head.doc.parts.length);
    this.#look();
  }

  take_part(n: number, part: ParsedEntry<LatencyPart>): void {
    this.#parts[n] = part;
    this.#look();
  }

  /** all that is kept of it, in characters */
  get length(): number {
    return this.entries.reduce((all, { text }) => all + text.length, 0);
  }

  get entries(): Entry[] {
    return [this.#head.entry, ...this.#parts.flatMap((part) => (part ? [part.entry] : []))];
  }

  /** Keys of parts that are older than the head says. */
  get missing(): string[] {
    return this.#head.doc.parts.flatMap((seq, n) =>
      (this.#parts[n]?.doc.seq ?? 0) < seq ? [latencies_key(this.agent, this.incarnation, n)] : [],
    );
  }

  /** Counters of the newest head, with the histograms that are here; `seq`: of the newest of which all are. */
  get results(): Results {
    this.#results ??= this.#made();
    return this.#results;
  }

  #look(): void {
    this.#results = null;
    if (this.missing.length === 0) this.#whole = this.#head.doc.seq;
  }

  #made(): Results {
    const { parts: _parts, snapshot, dead, ...rest } = this.#head.doc;
    const found: [HistogramSnapshot[], HistogramSnapshot[]] = [[], []];
    for (const part of this.#parts) {
      if (part?.doc.run !== rest.run) continue;
      for (const [number, histogram] of part.doc.histograms) {
        const [list, i] = number < MAX_HISTOGRAMS ? [found[0], number] : [found[1], number - MAX_HISTOGRAMS];
        // it has moved from one part to another
        if ((list[i]?.count ?? 0) < histogram.count) list[i] = histogram;
      }
    }
    return {
      ...rest,
      seq: this.#whole,
      snapshot: with_histograms(snapshot, found[0]),
      dead: dead && { ...dead, snapshot: with_histograms(dead.snapshot, found[1]) },
    };
  }
}

/** A document with the entry it was read from. */
export interface ParsedEntry<T> {
  readonly entry: Entry;
  readonly doc: T;
}
