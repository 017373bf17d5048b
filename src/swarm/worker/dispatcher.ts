/**
 * Brings slots to takers: the slot that is due first, of all rated actions that share the takers, goes to who is free
 * longest.
 */
import { now } from '../../foundation/clock.ts';
import type { SlotRecorder } from '../../metrics/recorder.ts';
import { TARDY_MS } from '../../metrics/saturation.ts';
import type { DropReason } from '../../metrics/snapshot.ts';
import type { SlotDesk, SlotTaker } from '../client/slot-desk.ts';
import type { SlotQueue } from '../load/slot-queue.ts';
import { LinkedQueue } from './linked-queue.ts';

/** What has slots to start. */
export interface SlotSource {
  /** when the next slot is due that is not yet, µs of run time; Infinity: none is known */
  readonly next_us: number;
  /** when a turn is of use: none is while nobody is free */
  readonly has_takers: boolean;
  /** Counts the slots whose instant has come. */
  make(now_us: number): void;
  /** Starts a slot that waits. False: there is none, or no taker is free. */
  start_one(): boolean;
}

/** A rated action of a group in this process. */
export interface QueuedAction {
  readonly index: number;
  readonly queue: SlotQueue;
  readonly recorder: SlotRecorder;
}

interface DispatcherOptions {
  /** at least one */
  readonly actions: readonly QueuedAction[];
  /** ms of {@link now} at run time 0 */
  zero_ms(): number;
  /** There may be a slot to start: a taker became free while slots wait, or while no other one was. */
  wanted(): void;
}

export class Dispatcher implements SlotDesk, SlotSource {
  readonly #options: DispatcherOptions;
  readonly #free = new LinkedQueue<SlotTaker>();
  /** Until then slots waited and nobody was free, ms; before that they are late for want of takers. */
  #short_until = -Infinity;
  /** What becomes of slots that are due; null: they wait for a taker. */
  dropping: DropReason | null = null;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get next_us(): number {
    let next = Infinity;
    for (const { queue } of this.#options.actions) next = Math.min(next, queue.next_us);
    return next;
  }

  get has_takers(): boolean {
    return this.#free.size > 0;
  }

  free(taker: SlotTaker): void {
    const is_waited_for = this.#oldest() !== null;
    if (this.#free.size === 0 && is_waited_for) this.#short_until = now();
    if (this.#free.size === 0 || is_waited_for) this.#options.wanted();
    this.#free.add(taker);
  }

  busy(taker: SlotTaker): void {
    this.#free.remove(taker);
  }

  goes_first(taker: SlotTaker, due: number): boolean {
    const action = this.#oldest();
    if (action === null || this.#due_ms(action.queue.oldest_us) >= due) return false;
    if (this.#free.size > (taker.queued ? 1 : 0)) return false;
    this.#start(action, taker, Infinity);
    return true;
  }

  make(now_us: number): void {
    for (const { queue } of this.#options.actions)
      if (this.dropping !== null) queue.drop_all(this.dropping, now_us);
      else if (queue.next_us <= now_us || queue.waiting > 0) queue.make(now_us);
  }

  start_one(): boolean {
    const action = this.#oldest();
    if (action === null) return false;
    let taker = this.#free.take();
    while (taker !== null && !taker.takes_slots) taker = this.#free.take();
    if (taker === null) return false;
    this.#start(action, taker, this.#short_until);
    return true;
  }

  /** `short_until`: takers were missing until then, ms */
  #start({ index, queue, recorder }: QueuedAction, taker: SlotTaker, short_until: number): void {
    const due = this.#due_ms(queue.take());
    const at = now();
    recorder.late.record((at - due) * 1000);
    if (at - Math.max(due, short_until) > TARDY_MS) recorder.tardy++;
    taker.take_slot(index, due, at);
  }

  #due_ms(us: number): number {
    return this.#options.zero_ms() + us / 1000;
  }

  /** The action whose slot waits longest. */
  #oldest(): QueuedAction | null {
    let oldest: QueuedAction | null = null;
    let at = Infinity;
    for (const action of this.#options.actions) {
      const { oldest_us } = action.queue;
      if (oldest_us >= at) continue;
      oldest = action;
      at = oldest_us;
    }
    return oldest;
  }
}
