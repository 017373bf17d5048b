/** What a simulated world has yet to do, earliest first; of one instant, first come first. */
import type { Process } from './process.ts';

export interface SimEvent {
  /** ms of the world */
  readonly at: number;
  readonly seq: number;
  /** whose it is: not run while that one is paused, never once it crashed; null: nobody's */
  readonly owner: Process | null;
  /** null: cancelled */
  run: (() => void) | null;
}

const before = (a: SimEvent, b: SimEvent): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq);

/** A binary heap. */
export class EventQueue {
  readonly #heap: SimEvent[] = [];

  first(): SimEvent | undefined {
    return this.#heap[0];
  }

  push(event: SimEvent): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up]!;
      if (!before(event, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = event;
  }

  pop(): SimEvent | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || last === first) return first;
    const size = heap.length;
    let i = 0;
    for (let down = 1; down < size; down = 2 * i + 1) {
      if (down + 1 < size && before(heap[down + 1]!, heap[down]!)) down++;
      const child = heap[down]!;
      if (!before(child, last)) break;
      heap[i] = child;
      i = down;
    }
    heap[i] = last;
    return first;
  }
}
