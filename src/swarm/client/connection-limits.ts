/** The limits of one open connection: bandwidth, lifetime, silence. Made only where the user asked for one. */
import { now, Timer, type Wheel } from '../../foundation/clock.ts';
import { draw_real } from '../../script/range.ts';
import type { ConnectionLimits } from '../plan/run-spec.ts';
import { Downlink, Uplink, type Sink } from './throttle.ts';

/** Checks for silence per idle period: no clock is read when bytes come, and the end is one check late at most. */
const LOOKS = 8;

/** The connection's side. */
export interface Limited extends Sink {
  /** reading was paused, and may go on */
  resume(): void;
  /** nothing came or went for as long as that may be */
  fell_silent(): void;
  /** its lifetime is over */
  wore_out(): void;
}

export class ConnectionLimiter {
  readonly #owner: Limited;
  readonly #spec: ConnectionLimits;
  readonly #wheel: Wheel;
  readonly #up: Uplink | null;
  readonly #down: Downlink | null;
  #lifetime: Timer<Limited> | null = null;
  #silence: Timer<ConnectionLimiter> | null = null;
  /** bytes came or went since the last check */
  #active = false;
  /** checks in a row that found no bytes */
  #silent = 0;

  /** Made when the connection is established. `unit`: the member's own draws, 0 ≤ u < 1. */
  constructor(owner: Limited, spec: ConnectionLimits, wheel: Wheel, unit: () => number) {
    this.#owner = owner;
    this.#spec = spec;
    this.#wheel = wheel;
    const { up_bytes_per_s, down_bytes_per_s, lifetime_ms, idle_ms } = spec;
    this.#up = up_bytes_per_s === null ? null : new Uplink(up_bytes_per_s, owner, wheel);
    this.#down = down_bytes_per_s === null ? null : new Downlink(down_bytes_per_s, () => owner.resume(), wheel);
    if (lifetime_ms !== null) {
      this.#lifetime = new Timer<Limited>(owner, (one) => one.wore_out());
      wheel.arm(this.#lifetime, now() + draw_real(lifetime_ms, unit()));
    }
    if (idle_ms !== null) {
      this.#silence = new Timer<ConnectionLimiter>(this, (limits) => limits.#look());
      wheel.arm(this.#silence, now() + idle_ms / LOOKS);
    }
  }

  /** bytes that the module sent and the limit still holds back */
  get waiting(): number {
    return this.#up === null ? 0 : this.#up.waiting;
  }

  /** Throws what a socket's write throws. */
  send(data: string | Uint8Array): void {
    this.#active = true;
    if (this.#up === null) this.#owner.write(data);
    else this.#up.send(data);
  }

  /** `size` bytes were read. False: pause the socket. */
  received(size: number): boolean {
    this.#active = true;
    return this.#down === null || this.#down.received(size);
  }

  /** Sends now what waits, whatever the limit. */
  flush(): void {
    this.#up?.flush();
  }

  /** The connection's life is over. Reading goes on, and what waits is still sent. */
  close(): void {
    if (this.#lifetime !== null) this.#wheel.disarm(this.#lifetime);
    if (this.#silence !== null) this.#wheel.disarm(this.#silence);
    if (this.#down?.paused !== true) return;
    this.#down.stop();
    this.#owner.resume();
  }

  /** The socket is gone. */
  stop(): void {
    if (this.#lifetime !== null) this.#wheel.disarm(this.#lifetime);
    if (this.#silence !== null) this.#wheel.disarm(this.#silence);
    this.#down?.stop();
    this.#up?.stop();
  }

  #look(): void {
    // a connection whose bytes a limit holds back is not silent
    const active = this.#active || this.waiting > 0 || this.#down?.paused === true;
    this.#active = false;
    this.#silent = active ? 0 : this.#silent + 1;
    if (this.#silent >= LOOKS) return this.#owner.fell_silent();
    this.#wheel.arm(this.#silence!, now() + this.#spec.idle_ms! / LOOKS);
  }
}
