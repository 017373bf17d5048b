/**
 * A rate as somebody with a stop-watch would follow it, millisecond by millisecond: how many slots have been due, exactly,
 * as rates change along ramps of 1, 2, 4 or 8 ms. Shares no code with the plan.
 */
const HELD_PER_SLOT = 2_000_000_000_000n;

export class NaiveRate {
  /** in millionths per second, now; and where it goes */
  now = 0;
  #to = 0;
  /** ms until it is there */
  #left = 0;
  /** what has added up, in 1/(2·10¹²) of a slot */
  #sum = 0n;

  get slots(): number {
    return Number(this.#sum / HELD_PER_SLOT);
  }

  /** per second, to a millionth */
  get per_s(): number {
    return Math.round(this.now) / 1e6;
  }

  set(per_s: number, over: number): void {
    this.now = over === 0 ? Math.round(per_s * 1e6) : Math.round(this.now);
    this.#to = Math.round(per_s * 1e6);
    this.#left = over;
  }

  stay(): void {
    this.now = this.#to = Math.round(this.now);
    this.#left = 0;
  }

  /** One ms passes. */
  move(): void {
    const next = this.#left === 0 ? this.now : this.now + (this.#to - this.now) / this.#left;
    // twice the mean rate of this ms, times its µs
    this.#sum += BigInt(Math.floor((this.now + next) * 1000));
    this.#left = Math.max(0, this.#left - 1);
    this.now = this.#left === 0 ? this.#to : next;
  }
}
