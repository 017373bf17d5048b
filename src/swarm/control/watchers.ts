/** The listeners that are shown each new summary. */
import { reason_of } from '../../foundation/errors.ts';
import type { Summary } from '../../metrics/summary.ts';
import type { Note } from '../plan/account.ts';
import type { MemberId } from '../plan/run-spec.ts';

type Listener = (summary: Summary) => void;

export class Watchers {
  readonly #listeners = new Set<Listener>();
  readonly #on_note: (member: MemberId, note: Note) => void;

  constructor(on_note: (member: MemberId, note: Note) => void) {
    this.#on_note = on_note;
  }

  /** Returns a function that removes the listener. */
  add(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Makes a summary only if somebody listens. A listener that throws does not keep it from the others. */
  notify(summary: () => Summary): void {
    if (this.#listeners.size === 0) return;
    const now = summary();
    for (const listener of [...this.#listeners]) {
      try {
        listener(now);
      } catch (error) {
        this.#on_note('coordinator', { level: 'error', text: `a watcher failed: ${reason_of(error)}` });
      }
    }
  }
}
