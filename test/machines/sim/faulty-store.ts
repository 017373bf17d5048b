/** The handle that a simulated process has of the engine: everything takes time, and fails as the world's {@link Faults} say. */
import type { Entry, Store, Written } from '../../../src/machines/store/store.ts';
import { APPLIED_LATE_MS, HINT_LATE_MS, SLOW_MS } from './faults.ts';
import { check_size } from './memory-store.ts';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** When an operation without an answer is given up, ms. */
export const ANSWER_MS = 2000;
export const LIST_MS = 5000;

type Fate = 'answered' | 'request lost' | 'reply lost' | 'applied late' | 'duplicate' | 'read lost';

interface Call<T> {
  /** for the notes of the world */
  readonly what: string;
  readonly fate: Fate;
  readonly deadline_ms: number;
  /** at the engine */
  readonly apply: () => T;
  readonly give_up: (resolve: (value: T) => void, reject: (error: Error) => void) => void;
}

const unknown = (resolve: (value: Written) => void): void => resolve({ outcome: 'unknown', reason: 'no answer' });
const no_answer = (_: unknown, reject: (error: Error) => void): void => reject(new Error('no answer'));
const nothing = (resolve: (value: void) => void): void => resolve();

export class FaultyStore implements Store {
  readonly #world: World;
  readonly #process: Process;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
  }

  get(key: string): Promise<Entry | null> {
    const apply = (): Entry | null => this.#world.engine.get(key);
    return this.#read({
      what: `get ${key}`,
      fate: this.#read_fate(),
      deadline_ms: ANSWER_MS,
      apply,
      give_up: no_answer,
    });
  }

  put(key: string, text: string, revision: number): Promise<Written> {
    check_size(text);
    if (this.#closed && this.#process.alive) return Promise.resolve({ outcome: 'unknown', reason: 'closed' });
    const apply = (): Written => this.#world.engine.put(key, text, revision, this.#process.name);
    const fate = this.#write_fate(this.#world.faults.duplicate);
    return this.#call({ what: `put ${key}@${revision}`, fate, deadline_ms: ANSWER_MS, apply, give_up: unknown });
  }

  list(prefix: string): Promise<Entry[]> {
    const apply = (): Entry[] => this.#world.engine.list(prefix);
    return this.#read({
      what: `list ${prefix}`,
      fate: this.#read_fate(),
      deadline_ms: LIST_MS,
      apply,
      give_up: no_answer,
    });
  }

  remove(key: string): Promise<void> {
    if (this.#closed && this.#process.alive) return Promise.resolve();
    const apply = (): void => this.#world.engine.remove(key, this.#process.name);
    return this.#call({
      what: `remove ${key}`,
      fate: this.#write_fate(0),
      deadline_ms: ANSWER_MS,
      apply,
      give_up: nothing,
    });
  }

  watch(prefix: string, f: (entry: Entry) => void): () => void {
    return this.#until_ended((hint) => this.#world.engine.watch(prefix, (entry) => hint(() => f(entry))));
  }

  nudge(agent: string | null, text?: string): void {
    const [world, process] = [this.#world, this.#process];
    if (this.#closed || process.is_cut('requests') || world.random.chance(world.faults.hint_lost)) return;
    world.schedule(this.#latency(), null, () => {
      if (!world.engine_is_down && !process.is_cut('requests')) world.engine.nudge(agent, text);
    });
  }

  on_nudge(agent: string, f: (text: string) => void): () => void {
    return this.#until_ended((hint) => this.#world.engine.on_nudge(agent, (text) => hint(() => f(text))));
  }

  /** Nothing depends on it: it takes no time and has no faults. */
  async append(run: string, agent: string, id: string, text: string): Promise<boolean> {
    if (!this.#closed) this.#world.engine.append(run, agent, id, text);
    return !this.#closed;
  }

  async appended(run: string): Promise<{ readonly agent: string; readonly text: string }[]> {
    if (this.#closed) throw new Error('closed');
    return this.#world.engine.appended(run);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  #read<T>(call: Call<T>): Promise<T> {
    if (this.#closed && this.#process.alive) return Promise.reject(new Error('closed'));
    return this.#call(call);
  }

  /** Sends a request; of a crashed process it goes nowhere and never settles. */
  #call<T>({ what, fate, deadline_ms, apply, give_up }: Call<T>): Promise<T> {
    const [world, process] = [this.#world, this.#process];
    return new Promise<T>((resolve, reject) => {
      if (!process.alive) return;
      const deadline = world.now + deadline_ms;
      const wait_in_vain = (): void => {
        world.schedule(deadline - world.now, process, () => give_up(resolve, reject));
      };
      const arrive = (): void => {
        if (world.engine_is_down || process.is_cut('requests')) return wait_in_vain();
        const value = apply();
        if (fate === 'reply lost' || process.is_cut('replies')) return wait_in_vain();
        world.schedule(back_ms, process, () => {
          const too_late = world.now > deadline && world.random.chance(world.faults.deadline_first);
          if (too_late || process.is_cut('replies')) wait_in_vain();
          else resolve(value);
        });
      };
      const arrive_unanswered = (): void => {
        if (!world.engine_is_down) apply();
      };

      if (fate !== 'answered') world.note(`${process.name} ${what}: ${fate}`);
      const latency = this.#latency();
      const there_ms = latency * world.random.next();
      const back_ms = latency - there_ms;
      if (fate === 'request lost' || fate === 'read lost' || process.is_cut('requests')) return wait_in_vain();
      if (fate === 'applied late') {
        world.schedule(deadline_ms + world.random.real(0, APPLIED_LATE_MS), null, arrive_unanswered);
        return wait_in_vain();
      }
      world.schedule(there_ms, null, arrive);
      if (fate === 'duplicate') world.schedule(there_ms + this.#latency(), null, arrive_unanswered);
    });
  }

  #read_fate(): Fate {
    return this.#world.random.chance(this.#world.faults.read_lost) ? 'read lost' : 'answered';
  }

  #write_fate(duplicate: number): Fate {
    const { random, faults } = this.#world;
    if (random.chance(faults.request_lost)) return 'request lost';
    if (random.chance(faults.reply_lost)) return 'reply lost';
    if (random.chance(faults.applied_late)) return 'applied late';
    return random.chance(duplicate) ? 'duplicate' : 'answered';
  }

  #latency(): number {
    const { random, faults } = this.#world;
    const [least, most] = faults.latency_ms;
    return random.real(least, random.chance(faults.slow) ? SLOW_MS : most);
  }

  /** Subscribes with a way to bring something from the engine to the process; ends that at the returned call or when the store closes. */
  #until_ended(subscribe: (hint: (f: () => void) => void) => () => void): () => void {
    const [world, process] = [this.#world, this.#process];
    if (this.#closed) return () => {};
    const unsubscribe = subscribe((f) => {
      const { random, faults } = world;
      if (process.is_cut('replies') || random.chance(faults.hint_lost)) return;
      const late_ms = random.chance(faults.hint_late) ? random.real(0, HINT_LATE_MS) : 0;
      world.schedule(late_ms + this.#latency(), process, () => {
        if (this.#ends.has(end) && !process.is_cut('replies')) f();
      });
    });
    const end = (): void => {
      unsubscribe();
      this.#ends.delete(end);
    };
    this.#ends.add(end);
    return end;
  }
}
