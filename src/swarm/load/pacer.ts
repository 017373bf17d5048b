/**
 * Pacing as arithmetic: how many connects are due. Nothing here reads a clock or
 * sleeps. Times are ms of one clock.
 */

/** How late, in ms, a pacer may be and still catch up; turns before that are lost. Covers coarse timers, not stalls. */
export const MAX_ARREARS_MS = 20;

/**
 * Turns at an even rate. The first is due at once, each next one an interval later. A caller that is late because the
 * process was busy catches up at most 20 ms of turns. A caller that wanted none earns none.
 */
export class Pacer {
  #interval: number;
  /** when the last turn was due */
  #last = -Infinity;
  /** the last call got fewer turns than it wanted: the time since then counts */
  #waiting = false;

  /** `per_s`: any number ≥ 0, fractions too; 0: no turns. */
  constructor(per_s: number, now_ms: number) {
    this.#interval = interval_of(per_s);
    this.#last = now_ms - this.#interval;
  }

  /** The next turn comes one interval of the new rate after the last one, or at once if that is past. */
  set_rate(per_s: number, now_ms: number): void {
    if (this.#last === -Infinity) this.#last = now_ms; // the rate was 0 so far: no turn yet
    this.#interval = interval_of(per_s);
    this.#last = Math.max(this.#last, now_ms - this.#interval);
  }

  /** Takes the turns that are due, at most `want`, and returns how many. `arrears_ms`: see MAX_ARREARS_MS. */
  take(now_ms: number, want: number, arrears_ms = MAX_ARREARS_MS): number {
    if (want <= 0) this.#waiting = false;
    if (want <= 0 || this.#interval === Infinity) return 0;
    const earliest = this.#waiting ? now_ms - arrears_ms : now_ms;
    const next = Math.max(this.#last + this.#interval, earliest);
    const turns = next > now_ms ? 0 : Math.min(want, 1 + Math.floor((now_ms - next) / this.#interval));
    if (turns > 0) this.#last = next + (turns - 1) * this.#interval;
    this.#waiting = turns < want;
    return turns;
  }

  /** ms until the next turn, 0 = due now, Infinity = never at this rate. */
  next_in(now_ms: number): number {
    if (this.#interval === Infinity) return Infinity;
    return Math.max(0, this.#last + this.#interval - now_ms);
  }
}

const interval_of = (per_s: number): number => (per_s > 0 ? 1000 / per_s : Infinity);
