/**
 * Who waits for a turn, in order: a list linked through its members, so that any can leave it at once. A member is in
 * one list at a time.
 */
export interface Queued<T> {
  queued: boolean;
  queue_next: T | null;
  queue_prev: T | null;
}

export class LinkedQueue<T extends Queued<T>> {
  #first: T | null = null;
  #last: T | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Does nothing if it is in the queue already. */
  add(one: T): void {
    if (one.queued) return;
    one.queued = true;
    one.queue_prev = this.#last;
    if (this.#last === null) this.#first = one;
    else this.#last.queue_next = one;
    this.#last = one;
    this.#size++;
  }

  remove(one: T): void {
    if (!one.queued) return;
    one.queued = false;
    if (one.queue_prev === null) this.#first = one.queue_next;
    else one.queue_prev.queue_next = one.queue_next;
    if (one.queue_next === null) this.#last = one.queue_prev;
    else one.queue_next.queue_prev = one.queue_prev;
    one.queue_next = one.queue_prev = null;
    this.#size--;
  }

  /** Removes the first one and returns it; null: the queue is empty. */
  take(): T | null {
    const one = this.#first;
    if (one !== null) this.remove(one);
    return one;
  }
}
