/** A process of a simulated world: its clocks, its handle of the store, and what may happen to it. */
import type { SimEvent } from './event-queue.ts';
import { FaultyStore } from './faulty-store.ts';
import type { SimRandom } from './random.ts';
import type { World } from './world.ts';

export interface SimClock {
  /** ms, monotonic */
  now(): number;
  /** ms since the epoch, as this machine believes */
  wall(): number;
  sleep(ms: number): Promise<void>;
  /** Calls `f` each `ms` ms, counted from the last call. Returns the end of it. */
  every(ms: number, f: () => void): () => void;
}

/** requests: what it sends does not arrive; replies: what is sent to it does not. */
export type Cut = 'requests' | 'replies' | 'both';

export interface ProcessOptions {
  /** of its wall clock */
  readonly skew_ms?: number;
  /** what its monotonic clock shows when that of the world shows 0 */
  readonly origin_ms?: number;
}

/** 2026-01-01: the wall clock of the world at its start. */
const WALL_START_MS = 1_767_225_600_000;

/** Made by {@link World.process}. Whatever happens to it takes effect between two of its events: one that runs goes on to its next wait. */
export class Process {
  readonly name: string;
  readonly clock: SimClock;
  readonly store: FaultyStore;
  /** for what it draws itself */
  readonly random: SimRandom;
  /** of its wall clock; may be changed at any time */
  skew_ms: number;
  alive = true;
  /** stopped by {@link pause}: its events are held */
  asleep = false;
  readonly #world: World;
  readonly #held: SimEvent[] = [];
  #wakes_at = 0;
  readonly #cut_until = { requests: 0, replies: 0 };

  constructor(world: World, name: string, { skew_ms = 0, origin_ms = 0 }: ProcessOptions) {
    this.#world = world;
    this.name = name;
    this.skew_ms = skew_ms;
    this.random = world.random.fork();
    this.store = new FaultyStore(world, this);
    this.clock = {
      now: () => world.now + origin_ms,
      wall: () => WALL_START_MS + world.now + this.skew_ms,
      sleep: (ms) =>
        new Promise((resolve) => {
          world.schedule(ms, this, resolve);
        }),
      every: (ms, f) => {
        const fire = (): void => {
          event = world.schedule(Math.max(1, ms), this, fire);
          f();
        };
        let event = world.schedule(Math.max(1, ms), this, fire);
        return () => void (event.run = null);
      },
    };
  }

  /** SIGKILL: its timers never fire, its calls of the store never settle. What it has sent arrives. */
  crash(): void {
    this.#world.note(`${this.name} crashes`);
    this.alive = false;
    this.#held.length = 0;
    void this.store.close();
  }

  /** SIGSTOP for so long: what is due meanwhile comes when it wakes, in order. Its clocks go on. */
  pause(ms: number): void {
    this.#world.note(`${this.name} pauses for ${ms}`);
    this.asleep = true;
    this.#wakes_at = Math.max(this.#wakes_at, this.#world.now + ms);
    this.#world.schedule(ms, null, () => {
      if (this.asleep && this.#world.now >= this.#wakes_at) this.resume();
    });
  }

  /** Ends a pause. */
  resume(): void {
    this.asleep = false;
    this.#wakes_at = 0;
    this.#world.run_next(this.#held.splice(0));
  }

  /** Keeps an event that came due during a pause. */
  hold(event: SimEvent): void {
    this.#held.push(event);
  }

  /** Separates it from the engine for so long. */
  cut(cut: Cut, for_ms = Infinity): void {
    this.#world.note(`${this.name} is cut off for ${for_ms}: ${cut}`);
    const until = this.#world.now + for_ms;
    if (cut !== 'replies') this.#cut_until.requests = Math.max(this.#cut_until.requests, until);
    if (cut !== 'requests') this.#cut_until.replies = Math.max(this.#cut_until.replies, until);
  }

  is_cut(way: 'requests' | 'replies'): boolean {
    return this.#world.now < this.#cut_until[way];
  }

  /** Ends all cuts. */
  mend(): void {
    this.#cut_until.requests = this.#cut_until.replies = 0;
  }
}
