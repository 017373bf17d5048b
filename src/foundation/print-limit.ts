/** A bound on what somebody prints: so many lines and characters a second are shown, the rest is only counted. */

export const LINES_PER_S = 100;
/** characters; a longer line is cut */
export const MAX_LINE = 1000;
/** characters of all lines together */
export const CHARACTERS_PER_S = 64 * 1024;

export class PrintLimit {
  readonly #now: () => number;
  #second = -1;
  #lines = 0;
  #characters = 0;
  /** lines that were not shown, since the start */
  dropped = 0;

  /** `now`: ms, monotonic */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The lines of `text` that may be shown, each cut. A line end at the end of `text` begins no other line. */
  take(text: string): string[] {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) this.#lines = this.#characters = 0;
    this.#second = second;
    const told: string[] = [];
    const end = text.endsWith('\n') ? text.length - 1 : text.length;
    for (let start = 0, stop; start <= end; start = stop + 1) {
      const found = text.indexOf('\n', start);
      stop = found < 0 || found > end ? end : found;
      const length = Math.min(stop - start, MAX_LINE);
      if (this.#lines >= LINES_PER_S || this.#characters + length > CHARACTERS_PER_S) {
        this.dropped++;
        continue;
      }
      this.#lines++;
      this.#characters += length;
      told.push(copy_of(text.slice(start, start + length)));
    }
    return told;
  }
}

/** A slice would keep the whole string in memory. */
const copy_of = (text: string): string => Buffer.from(text).toString();
