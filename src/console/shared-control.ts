/**
 * One summary for all sessions. They may ask as often as they like: it is added up at most every 100 ms, and again
 * after each command.
 */
import { now } from '../foundation/clock.ts';
import type { Command, Reply } from '../grammar/command.ts';
import type { Events } from '../metrics/events.ts';
import type { Series } from '../metrics/series.ts';
import type { Summary } from '../metrics/summary.ts';
import type { Control } from '../swarm/plan/control.ts';

const SHARED_MS = 100;

export class SharedControl implements Control {
  readonly #control: Control;
  /** by whether it has histograms; empty when it has to be made */
  readonly #made = new Map<boolean, Summary>();
  #since = 0;
  #expiry: NodeJS.Timeout | undefined;

  constructor(control: Control) {
    this.#control = control;
  }

  get series(): Series {
    return this.#control.series;
  }

  get events(): Events {
    return this.#control.events;
  }

  /** A question after the answer to a command sees what the command did. */
  async apply(command: Command, by: string): Promise<Reply> {
    try {
      return await this.#control.apply(command, by);
    } finally {
      this.#forget();
    }
  }

  watch(listener: (summary: Summary) => void): () => void {
    return this.#control.watch(listener);
  }

  summary(histograms = false): Summary {
    // the timer only frees the memory, and is late in a busy process
    if (now() - this.#since >= SHARED_MS) this.#forget();
    const made = this.#made.get(histograms);
    if (made) return made;
    if (this.#made.size === 0) {
      this.#since = now();
      this.#expiry = setTimeout(() => this.#forget(), SHARED_MS).unref();
    }
    const summary = this.#control.summary(histograms);
    this.#made.set(histograms, summary);
    return summary;
  }

  trace(id: number, seconds: number, on_line: (line: string | null) => void): ReturnType<Control['trace']> {
    return this.#control.trace(id, seconds, on_line);
  }

  #forget(): void {
    clearTimeout(this.#expiry);
    this.#made.clear();
  }
}
