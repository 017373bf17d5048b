/** Clients that arrive at a rate in one group of one process: each slot brings one, or is dropped at once. */
import { now } from '../../foundation/clock.ts';
import type { ArrivalRecorder } from '../../metrics/recorder.ts';
import type { DropReason } from '../../metrics/snapshot.ts';
import { SlotQueue } from '../load/slot-queue.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { BoundedPiece, RateOrders } from '../plan/orders.ts';
import type { SlotSource } from './dispatcher.ts';

interface ArrivalSlotsOptions {
  readonly recorder: ArrivalRecorder;
  /** see How.max_backlog */
  readonly max_backlog: number | null;
  /** ms of {@link now} at run time 0 */
  readonly zero_ms: number;
  /** Makes a client. False: there is no room, or no id. */
  begin(): boolean;
}

export class ArrivalSlots implements SlotSource {
  readonly #options: ArrivalSlotsOptions;
  readonly #queue: SlotQueue;
  #pieces: readonly BoundedPiece[] = [];
  /** What becomes of slots that are due; null: they bring clients. */
  dropping: DropReason | null = null;
  readonly has_takers = true;

  constructor(options: ArrivalSlotsOptions) {
    this.#options = options;
    this.#queue = new SlotQueue(options.recorder, Infinity, options.max_backlog);
  }

  get next_us(): number {
    return this.#queue.next_us;
  }

  get tenures(): readonly TenureAccount[] {
    return this.#queue.accounts();
  }

  follow(orders: RateOrders): void {
    this.#pieces = orders.pieces;
    this.#queue.follow(orders);
  }

  make(now_us: number): void {
    if (this.dropping !== null) return this.#queue.drop_all(this.dropping, now_us);
    if (this.#queue.next_us <= now_us || this.#queue.waiting > 0) this.#queue.make(now_us);
    const { recorder } = this.#options;
    while (this.#queue.waiting > 0) {
      const due_us = this.#queue.take();
      if (recorder.live < this.#most_at(due_us) && this.#options.begin()) {
        recorder.started++;
        recorder.late.record((now() - this.#options.zero_ms) * 1000 - due_us);
      } else recorder.dropped.no_room++;
    }
  }

  /** None waits. */
  start_one(): boolean {
    return false;
  }

  /** The bound of the piece that owns an instant: not the one that begins with it. */
  #most_at(due_us: number): number {
    const piece = this.#pieces.findLast(({ from_us }) => from_us < due_us) ?? this.#pieces[0];
    return piece?.at_most ?? Infinity;
  }
}
