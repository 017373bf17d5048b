/**
 * Where a swarm of many machines keeps what all must agree on: a small key-value store with compare-and-set. NATS has
 * one (nats.ts), tests have another.
 */

export interface Entry {
  readonly key: string;
  readonly text: string;
  /** of this key: grows with each write; names the version that a compare-and-set replaces */
  readonly revision: number;
}

/**
 * A write has three outcomes. refused: the key is at another revision. unknown: no answer came, it may have been
 * applied or may be yet: read back and compare, then decide.
 */
export type Written =
  | { readonly outcome: 'done'; readonly revision: number }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'unknown'; readonly reason: string };

/** Bytes of the longest value; the engine refuses 1 MiB. */
export const MAX_VALUE_BYTES = 512 * 1024;

export interface Store {
  /** null: there is no such key. Rejects when nobody answers within 2 s. */
  get(key: string): Promise<Entry | null>;
  /**
   * Writes if the key is at `revision`, 0 = does not exist. Never rejects, answers within 2 s.
   * @throws RangeError at once for a value beyond {@link MAX_VALUE_BYTES}
   */
  put(key: string, text: string, revision: number): Promise<Written>;
  /** The newest of all keys that begin so. Rejects when nobody answers within 5 s. */
  list(prefix: string): Promise<Entry[]>;
  /** Forgets a key whatever its revision, as far as that can be done now. Never rejects. */
  remove(key: string): Promise<void>;
  /**
   * Calls `f` with what is written below `prefix` from now on: a hint, it may be late or never come. Returns the end of
   * it.
   */
  watch(prefix: string, f: (entry: Entry) => void): () => void;
  /**
   * A word to one (or `null`: all) to look now instead of within a second, or what it would see; may be lost, late or
   * come twice.
   */
  nudge(agent: string | null, text?: string): void;
  /** Calls `f` at each nudge for `agent`, with the text or ''. */
  on_nudge(agent: string, f: (text: string) => void): () => void;
  /**
   * Adds to what an agent tells of the course of a run: once, however often the same `id` is tried within two minutes.
   * The oldest of all runs go when there is too much. Never rejects; false: it is not known to be stored.
   */
  append(run: string, agent: string, id: string, text: string): Promise<boolean>;
  /** All that agents told of the course of a run. Rejects when nobody answers for 5 s. */
  appended(run: string): Promise<{ readonly agent: string; readonly text: string }[]>;
  close(): Promise<void>;
}
