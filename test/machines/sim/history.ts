/** Every write that an engine accepted, for what must hold of them. */

export interface Write {
  /** ms of the world */
  readonly at: number;
  /** name of the process */
  readonly by: string;
  readonly key: string;
  /** null: the key was removed */
  readonly text: string | null;
  readonly revision: number;
  /** the revision it stands in place of; 0: there was no such key */
  readonly replaces: number;
  /** of the engine: counts how often it was wiped */
  readonly life: number;
}

export class History {
  /** in the order of the engine */
  readonly writes: Write[] = [];
  /** when the engine lost all, ms of the world */
  readonly wipes: number[] = [];
  readonly #listeners: ((write: Write) => void)[] = [];

  record(write: Write): void {
    this.writes.push(write);
    for (const f of this.#listeners) f(write);
  }

  /** Calls `f` within each write from now on; what it throws ends the run of the world. */
  on_write(f: (write: Write) => void): void {
    this.#listeners.push(f);
  }

  of(key: string): Write[] {
    return this.writes.filter((write) => write.key === key);
  }

  /** Who ever wrote a key, in order of their first. */
  writers(key: string): string[] {
    return [...new Set(this.of(key).map((write) => write.by))];
  }

  /** The text that a key had at an instant, after all that happened in it; null: it had none. */
  text_at(key: string, at: number): string | null {
    const life = this.wipes.filter((wipe) => wipe <= at).length;
    return this.writes.findLast((write) => write.key === key && write.at <= at && write.life === life)?.text ?? null;
  }

  /** What is wrong with the chain of each key: a write that does not follow the one before it, a revision that does not rise. */
  broken_chains(): string[] {
    const broken: string[] = [];
    const standing = new Map<string, number>();
    let [life, revision] = [0, 0];
    for (const write of this.writes) {
      if (write.life !== life) {
        standing.clear();
        [life, revision] = [write.life, 0];
      }
      const where = `${write.key}@${write.revision} by ${write.by} at ${write.at}`;
      const expected = standing.get(write.key) ?? 0;
      if (write.replaces !== expected) broken.push(`${where} replaces ${write.replaces}, not ${expected}`);
      if (write.revision <= revision) broken.push(`${where} after ${revision}`);
      revision = write.revision;
      standing.set(write.key, write.text === null ? 0 : write.revision);
    }
    return broken;
  }
}
