/** The seeded generator of a simulated world: small and fast, nothing depends on its quality. */
import type { Random } from '../../../src/foundation/random.ts';

/** mulberry32 (Tommy Ettinger, public domain). */
export class SimRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0 ≤ x < 1 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  int(a: number, b: number): number {
    return a + Math.floor(this.next() * (b - a + 1));
  }

  real(a: number, b: number): number {
    return a + this.next() * (b - a);
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from');
    return list[this.int(0, list.length - 1)] as T;
  }

  /** True with probability p; draws nothing for p = 0. */
  chance(p: number): boolean {
    return p > 0 && this.next() < p;
  }

  /** A generator of its own: what it draws does not change what this one draws next. */
  fork(): SimRandom {
    return new SimRandom(this.next() * 2 ** 32);
  }
}
