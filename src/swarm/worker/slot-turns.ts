/** When slots start, in all groups of a process: at their instants, and when clients become free for those that wait. */
import { now } from '../../foundation/clock.ts';
import type { Permit } from '../plan/permit.ts';
import { Dispatcher, type QueuedAction, type SlotSource } from './dispatcher.ts';
import { Pacing } from './pacing.ts';

/** Most slots that start in one turn of the event loop, so that replies are read in between. */
const SLOT_BATCH = 100;
/** ms from one look at what is due to the next: at a high rate, slots start in groups */
const LEAST_MS = 0.25;
/** ms, while no client is free: who becomes free asks by itself */
const BUSY_MS = 20;

export class SlotTurns {
  readonly #permit: Permit;
  /** of {@link now} at run time 0 */
  zero_ms: number;
  readonly #sources: SlotSource[] = [];
  readonly #pacing = new Pacing(() => this.#turn());
  #immediate: NodeJS.Immediate | null = null;
  /** which of them begins in the next turn */
  #first = 0;

  constructor(permit: Permit, zero_ms: number) {
    this.#permit = permit;
    this.zero_ms = zero_ms;
  }

  /** `actions` share their takers. */
  dispatcher(actions: readonly QueuedAction[]): Dispatcher {
    const dispatcher = new Dispatcher({ actions, zero_ms: () => this.zero_ms, wanted: () => this.go_on() });
    this.#sources.push(dispatcher);
    return dispatcher;
  }

  add(source: SlotSource): void {
    this.#sources.push(source);
  }

  /** To be called when there may be slots to start, or others are known. */
  go_on(): void {
    this.#immediate ??= setImmediate(this.#on_turn);
  }

  /** Counts all slots that are due by now, unless they may be others' by now. */
  make(): void {
    const us = this.#permit.has_run_out ? -1 : Math.floor((now() - this.zero_ms) * 1000);
    for (const source of this.#sources) source.make(us);
  }

  close(): void {
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#immediate = null;
    this.#sources.length = 0;
    this.#pacing.rest();
  }

  readonly #on_turn = (): void => {
    this.#immediate = null;
    this.#turn();
  };

  #turn(): void {
    this.#permit.check();
    if (this.#permit.is_over) return;
    this.make();
    if (this.#start() === 0) this.go_on();
    this.#pace();
  }

  /** Starts what it can; returns how many more it might have started. */
  #start(): number {
    const { length } = this.#sources;
    let left = SLOT_BATCH;
    for (let i = 0; i < length; i++) {
      const source = this.#sources[(this.#first + i) % length]!;
      while (left > 0 && source.start_one()) left--;
    }
    this.#first++;
    return left;
  }

  #pace(): void {
    const at = now();
    let next = Infinity;
    for (const source of this.#sources) {
      const due = this.zero_ms + source.next_us / 1000;
      next = Math.min(next, Math.max(due, at + (source.has_takers ? LEAST_MS : BUSY_MS)));
    }
    if (next < Infinity) this.#pacing.wake_at(next);
    else this.#pacing.rest();
  }
}
