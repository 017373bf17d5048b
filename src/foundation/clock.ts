/** The monotonic clock, and one coarse timer for all coarse waits of a process. */
import { performance } from 'node:perf_hooks'; // the global one is looked up at each call

/** Milliseconds since an arbitrary instant, monotonic, µs resolution. */
export const now = (): number => performance.now();

/** {@link CLOCK} is the real one; tests pass their own. */
export interface Clock {
  /** ms, monotonic */
  now(): number;
  /** ms since the epoch */
  wall(): number;
  /** calls `f` each `ms` until the returned function is called */
  every(ms: number, f: () => void): () => void;
  /** ms for which the machine was suspended so far, while `now` stood still; absent when the clock cannot tell */
  slept?(): number;
}

export const CLOCK: Clock = {
  now,
  wall: Date.now,
  every(ms, f) {
    const timer = setInterval(f, ms);
    return () => clearInterval(timer);
  },
};

/** Bivariant, so that the wheel takes timers of owners of any type. */
type Run<T> = { run(owner: T): void }['run'];

/**
 * One wait of one owner, armed on a {@link Wheel}. It is made once and armed again and again, so that a sleep allocates
 * nothing.
 */
export class Timer<T = unknown> {
  next: Timer | null = null;
  prev: Timer | null = null;
  /** ms of {@link now}; valid while armed */
  due = 0;
  /** the slot of the wheel it is in (≥ 0), IDLE, or FIRING */
  slot = IDLE;
  readonly owner: T;
  readonly run: Run<T>;
  constructor(owner: T, run: Run<T>) {
    this.owner = owner;
    this.run = run;
  }
  get armed(): boolean {
    return this.slot !== IDLE;
  }
}

/** a long sleep is rounded to 1/1024 of its length, but to at most 2⁴ ticks */
const PARTS = 1024;
const MAX_WIDER = 4;
/** most ticks without a timer that the native timer skips at a time */
const MAX_SKIP = 16;

const IDLE = -1;
const FIRING = -2;

/**
 * A hashed timing wheel (Varghese & Lauck 1987, scheme 6): arm and disarm are O(1), one native timer ticks for all.
 * Waits land on a grid of `tick_ms`: a timer fires at the first tick at or after its due instant, never before.
 * {@link align} rounds an instant to the grid.
 * A late tick means that the process was busy. It is played after one poll for I/O: what arrived in time is read before
 * a deadline is judged.
 */
export class Wheel {
  readonly tick_ms: number;
  readonly #slots: (Timer | null)[];
  readonly #mask: number;
  readonly #clock: () => number;
  /** the last tick that was played */
  #tick: number;
  #armed = 0;
  #native: NodeJS.Timeout | null = null;
  /** the tick that the native timer is for */
  #next = 0;
  readonly #firing: Timer[] = [];
  /** a late tick that waits until I/O was polled */
  #late: NodeJS.Immediate | null = null;
  readonly #on_tick = (): void => {
    this.#native = null;
    if (this.#clock() - this.#next * this.tick_ms > this.tick_ms) this.#late = setImmediate(this.#play);
    else this.#play();
  };
  readonly #play = (): void => {
    this.#late = null;
    try {
      this.advance();
    } finally {
      this.#keep_ticking();
    }
  };

  /** `slots` is a power of two. A wait longer than slots × tick_ms stays in its slot for another turn. */
  constructor(tick_ms = 4, slots = 4096, clock: () => number = now) {
    this.tick_ms = tick_ms;
    this.#slots = new Array<Timer | null>(slots).fill(null);
    this.#mask = slots - 1;
    this.#clock = clock;
    this.#tick = Math.floor(clock() / tick_ms);
  }

  get armed(): number {
    return this.#armed;
  }

  /**
   * The instant of the grid nearest to `at`, the end of a sleep of `sleep_ms`. A sleep armed for that instant is not
   * late merely because the grid is coarse.
   * For a long sleep the grid is wider: a thousandth of the sleep, at most 16 ticks. Long sleepers then wake together,
   * and a process with few messages a second does not wake for each of them.
   */
  align(at: number, sleep_ms = 0): number {
    const wider = Math.min(MAX_WIDER, 31 - Math.clz32(Math.max(1, sleep_ms / (PARTS * this.tick_ms))));
    const grid = this.tick_ms << wider;
    return Math.round(at / grid) * grid;
  }

  /** Arms `timer` (again) to fire at `due`, ms. A `due` in the past fires at the next tick. */
  arm(timer: Timer, due: number): void {
    if (timer.slot !== IDLE) this.disarm(timer);
    if (this.#armed++ === 0) {
      // the wheel stood still while it was empty
      this.#tick = Math.max(this.#tick, Math.floor(this.#clock() / this.tick_ms));
      this.#keep_ticking();
    }
    timer.due = due;
    const tick = Math.max(Math.ceil(due / this.tick_ms), this.#tick + 1);
    const slot = tick & this.#mask;
    const head = this.#slots[slot]!;
    timer.slot = slot;
    timer.next = head;
    if (head !== null) head.prev = timer;
    this.#slots[slot] = timer;
    if (tick < this.#next && this.#late === null) {
      this.stop();
      this.#keep_ticking();
    }
  }

  disarm(timer: Timer): void {
    if (timer.slot === IDLE) return;
    if (timer.slot >= 0) this.#unlink(timer);
    timer.slot = IDLE;
    this.#armed--;
  }

  /** Plays all ticks up to now. The native timer calls it, and tests with a clock of their own do. */
  advance(): void {
    const tick = Math.floor(this.#clock() / this.tick_ms);
    // after a stall longer than a turn of the wheel, one turn already visits every slot
    let from = Math.max(this.#tick + 1, tick - this.#mask);
    for (; from <= tick; from++) this.#collect(from & this.#mask, tick * this.tick_ms);
    this.#tick = tick;
    const firing = this.#firing;
    for (let i = 0; i < firing.length; i++) {
      const timer = firing[i]!;
      if (timer.slot !== FIRING) continue; // an earlier timer of this loop disarmed it, or armed it again
      timer.slot = IDLE;
      this.#armed--;
      timer.run(timer.owner);
    }
    firing.length = 0;
  }

  stop(): void {
    if (this.#native !== null) clearTimeout(this.#native);
    if (this.#late !== null) clearImmediate(this.#late);
    this.#native = this.#late = null;
  }

  #collect(slot: number, until: number): void {
    let timer = this.#slots[slot]!;
    while (timer !== null) {
      const next: Timer | null = timer.next;
      if (timer.due <= until) {
        this.#unlink(timer);
        timer.slot = FIRING;
        this.#firing.push(timer);
      }
      timer = next!;
    }
  }

  #unlink(timer: Timer): void {
    if (timer.prev !== null) timer.prev.next = timer.next;
    else this.#slots[timer.slot] = timer.next;
    if (timer.next !== null) timer.next.prev = timer.prev;
    timer.next = timer.prev = null;
  }

  #keep_ticking(): void {
    if (this.#native !== null || this.#late !== null || this.#armed === 0) return;
    let next = this.#tick + 1;
    while (next - this.#tick < MAX_SKIP && this.#slots[next & this.#mask] === null) next++;
    this.#next = next;
    this.#native = setTimeout(this.#on_tick, Math.max(1, next * this.tick_ms - this.#clock()));
  }
}
