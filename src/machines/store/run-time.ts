/** How long a run has been going on, from what others say of it. */
import type { Clock } from '../../foundation/clock.ts';

/** In ms of this process' own clock. What travels only comes later, so the highest estimate is the best. */
export class RunTime {
  readonly #timers: Clock;
  /** local monotonic time at run time 0: the least of all estimates */
  #base: number | null = null;

  constructor(timers: Clock) {
    this.#timers = timers;
  }

  /** null while nobody told */
  get ms(): number | null {
    return this.#base === null ? null : this.#timers.now() - this.#base;
  }

  /** Converts a time of the run to ms of this clock. Only while {@link ms} is known. */
  clock_ms(run_ms: number): number {
    return this.#base! + run_ms;
  }

  /** The run begins now. */
  begin(): void {
    this.#base = this.#timers.now();
  }

  /** Another run is played from now on. */
  forget(): void {
    this.#base = null;
  }

  /** It would move it. */
  is_news(run_ms: number | null): boolean {
    return run_ms !== null && (this.#base === null || this.#timers.now() - run_ms < this.#base);
  }

  /** Somebody says that it is so late. */
  hear(run_ms: number | null): void {
    if (run_ms === null) return;
    const base = this.#timers.now() - run_ms;
    this.#base = Math.min(this.#base ?? base, base);
  }

  /** One agent's word is no proof: the run is as far as half of those that play it say. */
  hear_agents(told: readonly number[]): void {
    const sorted = told.toSorted((a, b) => a - b);
    this.hear(sorted[Math.floor((sorted.length - 1) / 2)] ?? null);
  }
}
