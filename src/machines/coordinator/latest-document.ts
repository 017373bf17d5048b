/** A document that all coordinators write, the plan or `desired`: the newest of what came, in any order. */
import type { Clock } from '../../foundation/clock.ts';
import { Refused } from '../../foundation/shape.ts';
import { LEADERS, type Refusals } from '../store/refusals.ts';
import type { Entry } from '../store/store.ts';

/** A document with the revision of its key. */
export interface VersionedDocument<T> {
  readonly doc: T;
  readonly text: string;
  readonly revision: number;
  /** local time when this process learned of it */
  readonly heard_at: number;
}

/** A document's own count, which grows with each write within a run, whatever the revisions of the store do. */
interface DocumentNumber {
  readonly run: string;
  readonly count: number;
}

/** Of one key. What cannot be read leaves what was known. */
export class LatestDocument<T> {
  readonly #timers: Clock;
  readonly #refusals: Refusals;
  readonly #read: (text: string) => T | Refused;
  readonly #number_of: (doc: T) => DocumentNumber;
  #known: VersionedDocument<T> | null = null;
  #spoiled = 0;

  constructor(
    timers: Clock,
    refusals: Refusals,
    read: (text: string) => T | Refused,
    number_of: (doc: T) => DocumentNumber,
  ) {
    this.#timers = timers;
    this.#refusals = refusals;
    this.#read = read;
    this.#number_of = number_of;
  }

  /** null: none came yet */
  get known(): VersionedDocument<T> | null {
    return this.#known;
  }

  /** the revision of what stands in its place and cannot be read, which a write must name; 0: nothing does */
  get spoiled(): number {
    return this.#spoiled;
  }

  /**
   * The one that it takes the place of; undefined: it is no news. `asked_at`: when it was asked for; -Infinity: it came
   * by itself.
   */
  take(entry: Entry, asked_at: number): VersionedDocument<T> | null | undefined {
    const { key, text, revision } = entry;
    const known = this.#known;
    if (known?.text === text && known.revision === revision) return undefined;
    const doc = this.#read(text);
    if (doc instanceof Refused) {
      this.#refusals.note(LEADERS, key, doc.why);
      this.#spoiled = revision;
      return undefined;
    }
    this.#refusals.clear(LEADERS, key);
    this.#spoiled = 0;
    const is_right = known === null || known.heard_at < asked_at;
    if (!is_right && !this.#is_news(doc, revision, known)) return undefined;
    this.#known = { doc, text, revision, heard_at: this.#timers.now() };
    return known;
  }

  /**
   * A store that lost its memory counts its revisions anew, a document's own count goes on. The same document under
   * another revision is news too: the next write must name it.
   */
  #is_news(doc: T, revision: number, known: VersionedDocument<T>): boolean {
    const [its, last] = [this.#number_of(doc), this.#number_of(known.doc)];
    if (its.run !== last.run) return revision > known.revision;
    const ahead = its.count - last.count;
    return ahead > 0 || (ahead === 0 && revision !== known.revision);
  }
}
