/** Until when a worker of an agent may send by itself: a process that was frozen finds out before its first byte that others took its place. */
import { now } from '../../foundation/clock.ts';
import { Suspension } from '../../foundation/suspension.ts';

/** ms between this process' clock and the machine's (CLOCK_MONOTONIC), which all its processes share */
const MACHINE_MS = Number(process.hrtime.bigint() / 1000n) / 1000 - now();

/** An instant of this process' clock as one of the machine's, and back. */
export const to_machine_ms = (ms: number): number => ms + MACHINE_MS;
export const from_machine_ms = (ms: number): number => ms - MACHINE_MS;

export class Permit {
  /** ms of {@link now}; beyond it nothing is sent and nothing connects */
  until = Infinity;
  readonly #expired: () => void;
  readonly #suspension: Pick<Suspension, 'ms'>;
  /** ms of suspension that `until` has been moved by */
  #slept: number;
  #is_over = false;

  get is_over(): boolean {
    return this.#is_over;
  }

  /** `expired` is called once, in a turn of its own: the process shall close what it holds and end. */
  constructor(expired: () => void, suspension: Pick<Suspension, 'ms'> = new Suspension()) {
    this.#expired = expired;
    this.#suspension = suspension;
    this.#slept = suspension.ms;
  }

  /** For good: a permit that ran out is not renewed, as what it was for may belong to others by now. */
  expire(): void {
    if (this.#is_over) return;
    this.#is_over = true;
    this.until = -Infinity;
    setImmediate(this.#expired);
  }

  /** One that ran out already expires instead: what renews it may be older than a suspension. */
  renew(until: number): void {
    this.#follow();
    this.check();
    if (!this.#is_over) this.until = until;
  }

  /** Costs a look at the clock only where there is an agent. */
  get has_run_out(): boolean {
    if (this.until === Infinity) return false;
    this.#follow();
    return now() > this.until;
  }

  /** What passed while the machine was suspended is over too. */
  #follow(): void {
    const slept = this.#suspension.ms;
    this.until -= slept - this.#slept;
    this.#slept = slept;
  }

  /** For whoever does not look at each send. */
  check(): void {
    if (this.has_run_out) this.expire();
  }
}
