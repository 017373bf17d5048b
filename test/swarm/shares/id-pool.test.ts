import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdPool } from '../../../src/swarm/shares/id-pool.ts';

describe('IdPool', () => {
  it('hands out its ranges in order, and what is granted later behind them', () => {
    const pool = new IdPool();
    expect(pool.take()).toBeNull();
    pool.grant([[1, 5, 2]]);
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([1, 3, 5, null]);
    pool.grant([
      [1, 9, 2],
      [20, 20, 1],
    ]);
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([7, 9, 20, null]);
  });

  it('property: never hands out an id twice at a time, and the lowest freed one first', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant('take'), fc.nat()), { maxLength: 200 }), (steps) => {
        const pool = new IdPool();
        pool.grant([[1, 100, 1]]);
        const used = new Set<number>();
        const freed = new Set<number>();
        for (const step of steps) {
          if (typeof step === 'string') {
            const id = pool.take();
            if (id === null) continue;
            if (used.has(id)) return false;
            if (freed.size > 0 && id !== Math.min(...freed)) return false;
            freed.delete(id);
            used.add(id);
          } else if (used.size > 0) {
            const id = [...used][step % used.size]!;
            used.delete(id);
            freed.add(id);
            pool.free(id);
          }
        }
        return true;
      }),
    );
  });
});
