/** For how long the machine was suspended, while this process believes that no time passed. */
import { uptime } from 'node:os';
import { now } from './clock.ts';

/** ms; when the wall clock moved this far against the monotonic one, the uptime is asked */
const NOTICE_MS = 500;

/** The clocks it reads; a test passes its own. */
export interface Clocks {
  /** ms, stands still while the machine is suspended (CLOCK_MONOTONIC) */
  now(): number;
  /** ms since the epoch; may be set at any time */
  wall(): number;
  /** s, goes on while it is suspended (CLOCK_BOOTTIME) */
  uptime(): number;
}

/**
 * The uptime tells it. Asking for that costs 10 µs, so it is asked only when the other two clocks, which cost a
 * hundredth of that, have drifted apart. A wall clock that was merely set changes nothing. A pause by the hypervisor
 * shows on no clock, and is not counted.
 */
export class Suspension {
  readonly #clocks: Clocks;
  readonly #booted: number;
  #ahead: number;
  #ms = 0;

  constructor(clocks: Clocks = { now, wall: Date.now, uptime }) {
    this.#clocks = clocks;
    this.#booted = this.#since_boot;
    this.#ahead = clocks.wall() - clocks.now();
  }

  /** total ms suspended since this was made */
  get ms(): number {
    const ahead = this.#clocks.wall() - this.#clocks.now();
    if (Math.abs(ahead - this.#ahead) < NOTICE_MS) return this.#ms;
    this.#ahead = ahead;
    const ms = this.#since_boot - this.#booted;
    // less is the uptime's own coarseness
    if (ms >= this.#ms + NOTICE_MS / 2) this.#ms = ms;
    return this.#ms;
  }

  /** ms by which the uptime is ahead of the monotonic clock */
  get #since_boot(): number {
    return this.#clocks.uptime() * 1000 - this.#clocks.now();
  }
}
