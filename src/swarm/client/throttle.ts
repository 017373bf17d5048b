/**
 * A connection's bandwidth: token buckets that hold a tenth of a second's bytes. Bytes to send beyond the limit wait in
 * a queue. For receiving, the socket is paused, and the kernel's TCP window slows the server.
 */
import { Bucket } from '../../foundation/bucket.ts';
import { now, Timer, type Wheel } from '../../foundation/clock.ts';

/** bytes of the smallest bucket */
const MIN_BURST = 1024;

export const burst_of = (bytes_per_s: number): number => Math.max(MIN_BURST, Math.ceil(bytes_per_s / 10));

/** Where the bytes go that the limit lets through. */
export interface Sink {
  write(data: string | Uint8Array): void;
  /** nothing waits any more */
  emptied(): void;
}

export class Uplink {
  readonly #sink: Sink;
  readonly #wheel: Wheel;
  readonly #bucket: Bucket;
  readonly #timer = new Timer<Uplink>(this, (uplink) => uplink.#go_on());
  /** waiting bytes: #held[#start, #end) */
  #held: Buffer | null = null;
  #start = 0;
  #end = 0;

  constructor(bytes_per_s: number, sink: Sink, wheel: Wheel) {
    this.#sink = sink;
    this.#wheel = wheel;
    this.#bucket = new Bucket(bytes_per_s, burst_of(bytes_per_s), now());
  }

  /** bytes */
  get waiting(): number {
    return this.#end - this.#start;
  }

  /** Throws what a socket's write throws. */
  send(data: string | Uint8Array): void {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (size === 0 || (this.#held === null && size <= this.#bucket.tokens(now()))) return this.#pass(data, size);
    this.#hold(data, size);
    if (!this.#timer.armed) this.#go_on();
  }

  /** Sends all that waits at once; later sends wait longer for it. */
  flush(): void {
    this.#wheel.disarm(this.#timer);
    if (this.waiting > 0) this.#pass_held(this.waiting);
  }

  stop(): void {
    this.#wheel.disarm(this.#timer);
    this.#held = null;
    this.#start = this.#end = 0;
  }

  #go_on(): void {
    const may = Math.floor(this.#bucket.tokens(now()));
    if (may > 0) this.#pass_held(Math.min(may, this.waiting));
    if (this.#held === null) this.#sink.emptied();
    else this.#wheel.arm(this.#timer, this.#bucket.when(this.waiting, now()));
  }

  #pass(data: string | Uint8Array, size: number): void {
    this.#bucket.take(size);
    this.#sink.write(data);
  }

  #pass_held(size: number): void {
    // a copy: the socket may keep it for a while
    const piece = Buffer.from(this.#held!.subarray(this.#start, this.#start + size));
    this.#start += size;
    if (this.waiting === 0) this.stop();
    this.#pass(piece, size);
  }

  /** Appends; grows by doubling. */
  #hold(data: string | Uint8Array, size: number): void {
    const kept = this.waiting;
    if (this.#held === null || this.#end + size > this.#held.length) {
      const target =
        this.#held === null || kept + size > this.#held.length / 2
          ? Buffer.allocUnsafeSlow(2 * (kept + size))
          : this.#held;
      this.#held?.copy(target, 0, this.#start, this.#end);
      this.#held = target;
      this.#start = 0;
      this.#end = kept;
    }
    if (typeof data === 'string') this.#held.write(data, this.#end);
    else this.#held.set(data, this.#end);
    this.#end += size;
  }
}

export class Downlink {
  readonly #resume: () => void;
  readonly #wheel: Wheel;
  readonly #bucket: Bucket;
  readonly #timer = new Timer<Downlink>(this, (downlink) => downlink.#resume());

  /** `resume`: reading may go on */
  constructor(bytes_per_s: number, resume: () => void, wheel: Wheel) {
    this.#resume = resume;
    this.#wheel = wheel;
    this.#bucket = new Bucket(bytes_per_s, burst_of(bytes_per_s), now());
  }

  get paused(): boolean {
    return this.#timer.armed;
  }

  /** `size` bytes were read. False: read no more until `resume`. */
  received(size: number): boolean {
    const at = now();
    this.#bucket.take(size);
    if (this.#bucket.tokens(at) >= 1) return true;
    // resume at half a bucket, not for a few bytes at each tick of the wheel
    this.#wheel.arm(this.#timer, this.#bucket.when(this.#bucket.burst / 2, at));
    return false;
  }

  stop(): void {
    this.#wheel.disarm(this.#timer);
  }
}
