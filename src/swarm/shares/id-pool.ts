/** Hands out the ids that one member owns: freed ones first, lowest first, then fresh ones of its ranges. */
import type { IdRange } from '../plan/orders.ts';

export class IdPool {
  #ranges: readonly IdRange[] = [];
  /** the next fresh id of #ranges[#range]; null: the first of that range, which may be still to come */
  #range = 0;
  #next: number | null = null;
  /** freed ids: a binary heap, lowest on top */
  readonly #freed: number[] = [];

  /** Takes the ranges of the newest orders. They only grow: the last one at its end, or by more ranges. */
  grant(ranges: readonly IdRange[]): void {
    this.#ranges = ranges;
  }

  /** The lowest freed id, else the next fresh one; null when all are in use. */
  take(): number | null {
    if (this.#freed.length > 0) return this.#pop();
    for (;;) {
      const range = this.#ranges[this.#range];
      if (range === undefined) return null;
      const [first, last, step] = range;
      const id = this.#next ?? first;
      if (id <= last) {
        this.#next = id + step;
        return id;
      }
      if (this.#range + 1 >= this.#ranges.length) return null; // this range may still grow
      this.#range++;
      this.#next = null;
    }
  }

  free(id: number): void {
    const heap = this.#freed;
    let i = heap.push(id) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= id) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = id;
  }

  #pop(): number {
    const heap = this.#freed;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= last) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
    return top;
  }
}
