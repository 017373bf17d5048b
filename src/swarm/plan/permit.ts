/**
 * How long a worker of an agent may send without word from it. A process that was frozen finds out before its first
 * byte that others took its place.
 */
import { now } from '../../foundation/clock.ts';
import { Suspension } from '../../foundation/suspension.ts';

/** ms between this process' clock and the machine's (CLOCK_MONOTONIC), which all processes share */
const MACHINE_MS = Number(process.hrtime.bigint() / 1000n) / 1000 - now();

/** Converts a time of this process' clock to the machine's, and back. */
export const to_machine_ms = (ms: number): number => ms + MACHINE_MS;
export const from_machine_ms = (ms: number): number => ms - MACHINE_MS;

export class Permit {
  /** ms of {@link now}; after it nothing is sent and nothing connects */
  until = Infinity;
  readonly #expired: () => void;
  readonly #suspension: Pick<Suspension, 'ms'>;
  /** ms of suspension that `until` has been moved by */
  #slept: number;
  #is_over = false;

  get is_over(): boolean {
    return this.#is_over;
  }

  /** `expired` is called once, in a turn of its own: the process shall close all connections and end. */
  constructor(expired: () => void, suspension: Pick<Suspension, 'ms'> = new Suspension()) {
    this.#expired = expired;
    this.#suspension = suspension;
    this.#slept = suspension.ms;
  }

  /** Ends the permit for good: the clients it was for may belong to others by now. */
  expire(): void {
    if (this.#is_over) return;
    this.#is_over = true;
    this.until = -Infinity;
    setImmediate(this.#expired);
  }

  /** A permit that ran out expires instead: the renewal may have been sent before the machine was suspended. */
  renew(until: number): void {
    this.#follow();
    this.check();
    if (!this.#is_over) this.until = until;
  }

  /** Reads the clock only where there is an agent. */
  get has_run_out(): boolean {
    if (this.until === Infinity) return false;
    this.#follow();
    return now() > this.until;
  }

  /** Time that passes while the machine is suspended counts too. */
  #follow(): void {
    const slept = this.#suspension.ms;
    this.until -= slept - this.#slept;
    this.#slept = slept;
  }

  /** Expires if the time is over; for callers that do not check at each send. */
  check(): void {
    if (this.has_run_out) this.expire();
  }
}
