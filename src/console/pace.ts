/** How fast something may go on: a number at once, then an even rate. */
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

  /** Pays `cost`; returns the ms to wait before the next one. */
  take(cost: number): number {
    const at = this.#now();
    this.#bucket.tokens(at); // fills it up to now, before the cost is taken
    this.#bucket.take(cost);
    return this.#bucket.when(0, at) - at;
  }
}

/**
 * lines answered at once, then per second. Commands that change the swarm may be many: they wait for its workers
 * anyway, and each is logged
 */
const [QUESTIONS_AT_ONCE, QUESTIONS_PER_S] = [100, 20];
const [COMMANDS_AT_ONCE, COMMANDS_PER_S] = [3000, 100];

/** How fast the lines of one session are answered. */
export class LinePace {
  readonly #questions = new Pace(QUESTIONS_AT_ONCE, QUESTIONS_PER_S);
  readonly #commands = new Pace(COMMANDS_AT_ONCE, COMMANDS_PER_S);

  /** The ms to wait before the next line. `changes`: this line was a command that changes the swarm. */
  take(changes: boolean): number {
    return (changes ? this.#commands : this.#questions).take(1);
  }
}
