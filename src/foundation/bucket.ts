/** A token bucket: a burst at once, then an even rate. Something large in one piece may overdraw it. Pure. */
export class Bucket {
  readonly burst: number;
  readonly #per_ms: number;
  #tokens: number;
  #at: number;

  /** Full at `at`, ms. */
  constructor(per_s: number, burst: number, at: number) {
    this.burst = burst;
    this.#per_ms = per_s / 1000;
    this.#tokens = burst;
    this.#at = at;
  }

  /** The tokens at `at`, ms; below 0 it is overdrawn. */
  tokens(at: number): number {
    this.#tokens = Math.min(this.burst, this.#tokens + Math.max(0, at - this.#at) * this.#per_ms);
    this.#at = Math.max(this.#at, at);
    return this.#tokens;
  }

  take(count: number): void {
    this.#tokens -= count;
  }

  /** When `count` may pass, ms; for more than a burst, when the bucket is full. */
  when(count: number, at: number): number {
    return at + Math.max(0, Math.min(count, this.burst) - this.tokens(at)) / this.#per_ms;
  }
}
