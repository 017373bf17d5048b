/** How fast something may go on: so much at once, then at an even rate. Pure: the clock is handed in. */
import { now } from '../foundation/clock.ts';

export class Pace {
  readonly #at_once: number;
  readonly #per_s: number;
  readonly #now: () => number;
  /** what is left; below 0: overdrawn by what came in one piece */
  #left: number;
  #at: number;

  /** `clock`: ms, monotonic */
  constructor(at_once: number, per_s: number, clock: () => number = now) {
    this.#at_once = at_once;
    this.#per_s = per_s;
    this.#now = clock;
    this.#left = at_once;
    this.#at = clock();
  }

  /** Takes `cost`; the ms to wait before the next one. */
  take(cost: number): number {
    const at = this.#now();
    this.#left = Math.min(this.#at_once, this.#left + (Math.max(0, at - this.#at) * this.#per_s) / 1000) - cost;
    this.#at = at;
    return Math.max(0, (-this.#left * 1000) / this.#per_s);
  }
}
