/** A store in memory. Its engine is what all processes share; the handle of {@link MemoryEngine.store} has no faults and answers in a microtask. */
import { MAX_VALUE_BYTES, type Entry, type Store, type Written } from '../../../src/machines/store/store.ts';
import { History } from './history.ts';

/** Adds to a set, returns the end of it. */
function enlist<T>(set: Set<T>, item: T): () => void {
  set.add(item);
  return () => set.delete(item);
}

/** @throws RangeError for a value that no engine takes */
export function check_size(text: string): void {
  // a UTF-16 unit makes at most 3 bytes
  if (text.length * 3 > MAX_VALUE_BYTES && Buffer.byteLength(text) > MAX_VALUE_BYTES)
    throw new RangeError(`a value of ${Buffer.byteLength(text)} bytes, at most ${MAX_VALUE_BYTES}`);
}

interface Watcher {
  readonly prefix: string;
  readonly f: (entry: Entry) => void;
}

interface Listener {
  readonly agent: string;
  readonly f: (text: string) => void;
}

/** Keys and texts, each operation at once. Revisions are one sequence over all keys, as in a JetStream stream. */
export class MemoryEngine {
  readonly history = new History();
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #appended = new Map<string, { readonly run: string; readonly agent: string; readonly text: string }>();
  readonly #watchers = new Set<Watcher>();
  readonly #listeners = new Set<Listener>();
  #revision = 0;

  /** `now` stamps the history. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get(key: string): Entry | null {
    return this.#entries.get(key) ?? null;
  }

  put(key: string, text: string, revision: number, by: string): Written {
    if ((this.#entries.get(key)?.revision ?? 0) !== revision) return { outcome: 'refused' };
    const entry: Entry = { key, text, revision: ++this.#revision };
    this.#entries.set(key, entry);
    this.#record(by, key, text, revision);
    for (const { prefix, f } of this.#watchers) if (key.startsWith(prefix)) f(entry);
    return { outcome: 'done', revision: entry.revision };
  }

  list(prefix: string): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.key.startsWith(prefix));
  }

  remove(key: string, by: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#revision++;
    this.#record(by, key, null, entry.revision);
  }

  append(run: string, agent: string, id: string, text: string): void {
    if (!this.#appended.has(id)) this.#appended.set(id, { run, agent, text });
  }

  appended(run: string): { readonly agent: string; readonly text: string }[] {
    return [...this.#appended.values()].flatMap((one) => (one.run === run ? { agent: one.agent, text: one.text } : []));
  }

  /** All is gone, revisions begin anew: an old revision may come to name another text. */
  wipe(): void {
    this.#entries.clear();
    this.#appended.clear();
    this.#revision = 0;
    this.history.wipes.push(this.#now());
  }

  watch(prefix: string, f: (entry: Entry) => void): () => void {
    return enlist(this.#watchers, { prefix, f });
  }

  nudge(agent: string | null, text = ''): void {
    for (const listener of this.#listeners) if (agent === null || listener.agent === agent) listener.f(text);
  }

  on_nudge(agent: string, f: (text: string) => void): () => void {
    return enlist(this.#listeners, { agent, f });
  }

  /** A handle without faults, for tests with real timers. */
  store(by = 'test'): Store {
    return new MemoryStore(this, by);
  }

  #record(by: string, key: string, text: string | null, replaces: number): void {
    const life = this.history.wipes.length;
    this.history.record({ at: this.#now(), by, key, text, revision: this.#revision, replaces, life });
  }
}

class MemoryStore implements Store {
  readonly #engine: MemoryEngine;
  readonly #by: string;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(engine: MemoryEngine, by: string) {
    this.#engine = engine;
    this.#by = by;
  }

  async get(key: string): Promise<Entry | null> {
    this.#check_open();
    return this.#engine.get(key);
  }

  put(key: string, text: string, revision: number): Promise<Written> {
    check_size(text);
    if (this.#closed) return Promise.resolve({ outcome: 'unknown', reason: 'closed' });
    return Promise.resolve(this.#engine.put(key, text, revision, this.#by));
  }

  async list(prefix: string): Promise<Entry[]> {
    this.#check_open();
    return this.#engine.list(prefix);
  }

  async remove(key: string): Promise<void> {
    if (!this.#closed) this.#engine.remove(key, this.#by);
  }

  watch(prefix: string, f: (entry: Entry) => void): () => void {
    return this.#until_ended((live) =>
      this.#engine.watch(prefix, (entry) => queueMicrotask(() => void (live() && f(entry)))),
    );
  }

  nudge(agent: string | null, text?: string): void {
    if (!this.#closed) this.#engine.nudge(agent, text);
  }

  on_nudge(agent: string, f: (text: string) => void): () => void {
    return this.#until_ended((live) =>
      this.#engine.on_nudge(agent, (text) => queueMicrotask(() => void (live() && f(text)))),
    );
  }

  async append(run: string, agent: string, id: string, text: string): Promise<boolean> {
    if (!this.#closed) this.#engine.append(run, agent, id, text);
    return !this.#closed;
  }

  async appended(run: string): Promise<{ readonly agent: string; readonly text: string }[]> {
    this.#check_open();
    return this.#engine.appended(run);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  #check_open(): void {
    if (this.#closed) throw new Error('closed');
  }

  /** Subscribes, and ends that at the returned call or when the store closes. */
  #until_ended(subscribe: (live: () => boolean) => () => void): () => void {
    if (this.#closed) return () => {};
    const unsubscribe = subscribe(() => this.#ends.has(end));
    const end = (): void => {
      unsubscribe();
      this.#ends.delete(end);
    };
    this.#ends.add(end);
    return end;
  }
}
