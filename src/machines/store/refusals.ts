/** Documents of others that were not taken, by author and kind: what people are told of them, once. */
import type { MemberId } from '../../swarm/plan/run-spec.ts';

/** as an author: any process with the credentials of a leader */
export const LEADERS = '';

/** whose documents are told of; an engine without credentials lets anybody write under any name */
const MAX_AUTHORS = 10_000;

export class Refusals {
  readonly #now = new Map<MemberId, Map<string, string>>();
  readonly #told = new Set<string>();
  readonly #tell: (author: MemberId, text: string) => void;

  /** `tell` is called once for each author and kind. */
  constructor(tell: (author: MemberId, text: string) => void) {
    this.#tell = tell;
  }

  /** True if it is news. */
  note(author: MemberId, what: string, why: string): boolean {
    const of = this.#now.get(author) ?? new Map<string, string>();
    if (of.get(what) === why || (of.size === 0 && this.#now.size >= MAX_AUTHORS)) return false;
    this.#now.set(author, of.set(what, why));
    const name = `${author} ${what}`;
    if (this.#told.has(name) || this.#told.size >= MAX_AUTHORS) return true;
    this.#told.add(name);
    this.#tell(author, `what is stored as ${what} is refused: ${why}`);
    return true;
  }

  /** The newest of its kind was taken. */
  clear(author: MemberId, what: string): void {
    const of = this.#now.get(author);
    if (of?.delete(what) && of.size === 0) this.#now.delete(author);
  }

  /** Null: all that it wrote last was taken. */
  of(author: MemberId): string | null {
    const found = this.#now.get(author);
    return found ? [...found].map(([what, why]) => `${what}: ${why}`).join('; ') : null;
  }

  /** Agents of which some document is not taken. */
  get agents(): MemberId[] {
    return [...this.#now.keys()].filter((author) => author !== LEADERS);
  }
}
