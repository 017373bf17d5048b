/**
 * A world in which time is an event queue: processes that await its clocks and its store run the same way for the same seed, and a
 * minute takes as long as what happens in it. Nothing in it may await real time: no sockets, no native timers, no process.nextTick.
 *
 * Measured under vitest, Node 20, on one core: 0.9 to 1.05 million events a second, whether six processes write, read and watch
 * (0.2 accepted writes an event) with or without faults, or a hundred only sleep.
 */
import { EventQueue, type SimEvent } from './event-queue.ts';
import { NO_FAULTS, type Faults } from './faults.ts';
import { MemoryEngine } from './memory-store.ts';
import { Process, type ProcessOptions } from './process.ts';
import { SimRandom } from './random.ts';

/** Events after which native timers and messages get a turn. */
const YIELD = 8192;

const drained = Promise.resolve();

export class World {
  /** ms, monotonic */
  now = 0;
  /** that were run */
  events = 0;
  faults: Faults;
  readonly random: SimRandom;
  readonly engine = new MemoryEngine(() => this.now);
  readonly processes: Process[] = [];
  /** what went wrong and when, for people and for comparing two runs */
  readonly notes: string[] = [];
  readonly #queue = new EventQueue();
  /** before anything of the queue */
  readonly #next: SimEvent[] = [];
  #seq = 0;
  #down_until = 0;

  constructor(seed: number, faults: Faults = NO_FAULTS) {
    this.random = new SimRandom(seed);
    this.faults = faults;
  }

  /** Starts a process; one that crashed may be followed by another of its name. */
  process(name: string, options: ProcessOptions = {}): Process {
    const process = new Process(this, name, options);
    this.processes.push(process);
    return process;
  }

  /** Calls `f` in `ms` ms, in the name of `owner`. Setting `run` of what it returns to null cancels that. */
  schedule(ms: number, owner: Process | null, run: () => void): SimEvent {
    const event: SimEvent = { at: ms > 0 ? this.now + ms : this.now, seq: this.#seq++, owner, run };
    this.#queue.push(event);
    return event;
  }

  /** Calls `f` at an instant of the world, of no process. */
  at(ms: number, f: () => void): void {
    this.schedule(ms - this.now, null, f);
  }

  /** Runs events now, in this order, before any other. */
  run_next(events: readonly SimEvent[]): void {
    this.#next.push(...events);
  }

  /**
   * Runs everything that is due up to an instant, which the clock then shows. Between two events all promises that can settle do, however many
   * awaits deep. Rejects with what an event throws.
   *
   * The next event is a tick that a microtask queues: Node runs ticks when no microtask is left. About 0.3 µs; setImmediate takes 2.5,
   * a MessageChannel 1.7.
   */
  run_until(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const event = this.#take(ms);
        if (event === null) {
          this.now = Math.max(this.now, ms);
          return resolve();
        }
        try {
          event.run!();
        } catch (error) {
          return reject(error);
        }
        if (++this.events % YIELD === 0) setImmediate(step);
        else void drained.then(after_microtasks);
      };
      const after_microtasks = (): void => process.nextTick(step);
      void drained.then(after_microtasks);
    });
  }

  /** Nobody hears from the engine for so long; it keeps what it has. */
  stop_engine(for_ms = Infinity): void {
    this.note(`the engine stops for ${for_ms}`);
    this.#down_until = Math.max(this.#down_until, this.now + for_ms);
  }

  start_engine(): void {
    this.#down_until = 0;
  }

  get engine_is_down(): boolean {
    return this.now < this.#down_until;
  }

  wipe_engine(): void {
    this.note('the engine is wiped');
    this.engine.wipe();
  }

  /** Ends all faults, cuts, pauses and outages. Who crashed stays dead; writes that are applied late are yet to come. */
  heal(): void {
    this.note('all is well again');
    this.faults = NO_FAULTS;
    this.start_engine();
    for (const process of this.processes) {
      process.mend();
      if (process.asleep) process.resume();
    }
  }

  note(text: string): void {
    this.notes.push(`${this.now} ${text}`);
  }

  /** The next event to run, due by `until`; null: there is none. */
  #take(until: number): SimEvent | null {
    for (;;) {
      let event = this.#next.shift();
      if (event === undefined) {
        event = this.#queue.first();
        if (event === undefined || event.at > until) return null;
        this.#queue.pop();
        this.now = event.at;
      }
      if (event.run === null || event.owner?.alive === false) continue;
      if (event.owner?.asleep !== true) return event;
      event.owner.hold(event);
    }
  }
}
