/**
 * Wakes the event loop at an instant, more exactly than a timer, which takes whole milliseconds. A thread sleeps until
 * then in `Atomics.wait` and wakes the loop through `Atomics.waitAsync`. Until the thread is up, and where there can be
 * none, a timer does it.
 */
import { Worker } from 'node:worker_threads';
import { now } from '../../foundation/clock.ts';
import { to_machine_ms } from '../plan/permit.ts';

/** cells that both share: how often the thread woke the loop; how often it was told something; that it shall end */
const WOKEN = 0;
const TOLD = 1;
const END = 2;

/** ms that the thread wakes up before: the kernel wakes a sleeper so much later than asked */
const AHEAD_MS = 0.05;
/** ms that a timer sleeps at most */
const MOST_MS = 1000;

const SOURCE = `
const { cells, at } = require('node:worker_threads').workerData;
const left = () => at[0] - ${AHEAD_MS} - Number(process.hrtime.bigint()) / 1e6;
for (let told = 0; ; ) {
  Atomics.wait(cells, ${TOLD}, told);
  told = Atomics.load(cells, ${TOLD});
  for (let ms = left(); ms > 0 && cells[${END}] === 0; ms = left()) {
    Atomics.wait(cells, ${TOLD}, told, ms);
    told = Atomics.load(cells, ${TOLD});
  }
  if (cells[${END}] === 1) break;
  Atomics.add(cells, ${WOKEN}, 1);
  Atomics.notify(cells, ${WOKEN});
}`;

interface Waiting {
  readonly async: boolean;
  readonly value: Promise<string> | string;
}

/** Node has it; the library of ES2023 does not name it. */
const { waitAsync } = Atomics as { waitAsync?: (cells: Int32Array, index: number, value: number) => Waiting };

export class Pacing {
  readonly #wake: () => void;
  #thread: PacingThread | null = null;
  #failed = waitAsync === undefined;
  #timer: NodeJS.Timeout | null = null;
  /** ms of {@link now}; Infinity: not asked */
  #next = Infinity;

  /** `wake` is called once for each instant that was asked for, in a turn of its own; up to 0.1 ms before it. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** It will wake the loop. */
  get asked(): boolean {
    return this.#next < Infinity;
  }

  /** Wakes the loop at `ms`, or earlier if that was asked for already. */
  wake_at(ms: number): void {
    if (ms >= this.#next) return;
    this.#next = ms;
    if (this.#thread === null && !this.#failed) this.#thread = new PacingThread(this.#on_wake, this.#on_failed);
    this.#arm();
  }

  /** Nothing is asked for any more: ends the thread. */
  rest(): void {
    this.#next = Infinity;
    this.#stop_timer();
    this.#thread?.end();
    this.#thread = null;
  }

  #arm(): void {
    this.#thread?.wake_at(this.#next);
    this.#stop_timer();
    if (this.#thread?.is_up === true) return;
    this.#timer = setTimeout(this.#on_wake, Math.max(1, Math.min(this.#next - now(), MOST_MS)));
  }

  #stop_timer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #on_wake = (): void => {
    this.#stop_timer();
    if (!this.asked) return;
    // a timer that was to sleep for too long, or the thread for an instant that the timer was there for
    if (this.#next - now() > 2 * AHEAD_MS) return this.#arm();
    this.#next = Infinity;
    this.#wake();
  };

  readonly #on_failed = (): void => {
    this.#failed = true;
    this.#thread?.end();
    this.#thread = null;
    if (this.asked) this.#arm();
  };
}

class PacingThread {
  readonly #woke: () => void;
  readonly #cells = new Int32Array(new SharedArrayBuffer(12));
  readonly #at = new Float64Array(new SharedArrayBuffer(8));
  readonly #worker: Worker;
  #woken = 0;
  #listens = false;

  constructor(woke: () => void, failed: () => void) {
    this.#woke = woke;
    const workerData = { cells: this.#cells, at: this.#at };
    this.#worker = new Worker(SOURCE, { eval: true, workerData, env: {}, execArgv: [] });
    this.#worker.on('error', failed).unref();
  }

  get is_up(): boolean {
    return this.#woken > 0;
  }

  wake_at(ms: number): void {
    this.#at[0] = to_machine_ms(ms);
    this.#tell();
    if (this.#listens) return;
    this.#listens = true;
    const waiting = waitAsync!(this.#cells, WOKEN, this.#woken);
    if (typeof waiting.value === 'string') setImmediate(this.#on_woken);
    else void waiting.value.then(this.#on_woken);
  }

  end(): void {
    this.#cells[END] = 1;
    this.#tell();
  }

  #tell(): void {
    Atomics.add(this.#cells, TOLD, 1);
    Atomics.notify(this.#cells, TOLD);
  }

  readonly #on_woken = (): void => {
    this.#listens = false;
    this.#woken = Atomics.load(this.#cells, WOKEN);
    if (this.#cells[END] === 0) this.#woke();
  };
}
