/** When a worker that died is started again. Pure: the caller passes times, in ms. */

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
const WINDOW_MS = 60_000;
const MAX_DEATHS = 5;

/**
 * Back-off from 100 ms, doubling to 5 s. The fifth death in a minute opens the breaker: a try a minute, until success.
 */
export class Breaker {
  #deaths: number[] = [];
  #is_open = false;

  /** The process died. Tells after how many ms the next one starts, and whether the worker is given up until then. */
  died(now: number): { delay_ms: number; is_open: boolean } {
    this.#deaths = [...this.#deaths.filter((at) => now - at < WINDOW_MS), now];
    this.#is_open ||= this.#deaths.length >= MAX_DEATHS;
    const delay_ms = this.#is_open
      ? WINDOW_MS
      : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#deaths.length - 1));
    return { delay_ms, is_open: this.#is_open };
  }

  /** The process works: it said hello. An open breaker starts counting anew. */
  succeeded(): void {
    if (this.#is_open) this.#deaths = [];
    this.#is_open = false;
  }
}
