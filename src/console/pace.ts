/** How fast something may go on: so much at once, then at an even rate. */
import { Bucket } from '../foundation/bucket.ts';
import { now } from '../foundation/clock.ts';

export class Pace {
  readonly #bucket: Bucket;
  readonly #now: () => number;

  /** `clock`: ms, monotonic */
  constructor(at_once: number, per_s: number, clock: () => number = now) {
    this.#bucket = new Bucket(per_s, at_once, clock());
    this.#now = clock;
  }

  /** Takes `cost`; the ms to wait before the next one. */
  take(cost: number): number {
    const at = this.#now();
    this.#bucket.tokens(at); // what it got meanwhile, no more than it holds
    this.#bucket.take(cost);
    return this.#bucket.when(0, at) - at;
  }
}
