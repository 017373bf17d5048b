/** For how long the machine was suspended while this process believes that no time passed. */
import { uptime } from 'node:os';
import { now } from './clock.ts';

/** the wall clock went so far ahead of the monotonic one, or behind, that it is worth a look: ms */
const NOTICE_MS = 500;

/** What it looks at; a test has its own. */
export interface Clocks {
  /** ms, stands still while the machine is suspended (CLOCK_MONOTONIC) */
  now(): number;
  /** ms since the epoch; may be set at any time */
  wall(): number;
  /** s, goes on while it is suspended (CLOCK_BOOTTIME) */
  uptime(): number;
}

/**
 * The uptime tells it, but asking for it costs 10 µs: so it is asked only when the other two clocks, which cost a hundredth of that, no longer go
 * together. A wall clock that was merely set changes nothing. What a hypervisor stops without a word to the system is no suspension: no clock shows it.
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

  /** ms since this was made, in all */
  get ms(): number {
    const ahead = this.#clocks.wall() - this.#clocks.now();
    if (Math.abs(ahead - this.#ahead) < NOTICE_MS) return this.#ms;
    this.#ahead = ahead;
    const ms = this.#since_boot - this.#booted;
    // less is the uptime's own coarseness
    if (ms >= this.#ms + NOTICE_MS / 2) this.#ms = ms;
    return this.#ms;
  }

  /** by how much the one clock is ahead of the other */
  get #since_boot(): number {
    return this.#clocks.uptime() * 1000 - this.#clocks.now();
  }
}
