import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';
import { allocate } from '../../../src/swarm/shares/allocate.ts';
import { IdPool } from '../../../src/swarm/shares/id-pool.ts';
import { Ids } from '../../../src/swarm/shares/ids.ts';

const spread = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(([first, last, step]) =>
    Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step),
  );
const needs = (counts: readonly number[]) => counts.map((count, i) => ({ id: `w${i}`, count }));
const all_of = (ids: Ids, n: number): number[] => Array.from({ length: n }, (_, i) => spread(ids.of(`w${i}`))).flat();
const one_to = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const sorted = (list: number[]): number[] => list.sort((a, b) => a - b);

describe('Ids', () => {
  it('deals in turn, so that lists stay short whatever the commands were', () => {
    const at_once = new Ids();
    at_once.ensure(needs([500, 500]));
    expect([at_once.of('w0'), at_once.of('w1')]).toEqual([[[1, 999, 2]], [[2, 1000, 2]]]);
    const by_and_by = new Ids();
    for (let n = 1; n <= 1000; n++) by_and_by.ensure(needs([Math.ceil(n / 2), Math.floor(n / 2)]));
    expect([by_and_by.of('w0'), by_and_by.of('w1')]).toEqual([[[1, 999, 2]], [[2, 1000, 2]]]);
  });

  it('knows the owner', () => {
    const ids = new Ids();
    ids.ensure(needs([3, 3]));
    expect([0, 1, 2, 5, 6, 7, 1.5].map((id) => ids.owner(id))).toEqual([null, 'w0', 'w1', 'w0', 'w1', null, null]);
  });

  it('grants what was given back before anything new, lowest first', () => {
    const ids = new Ids();
    ids.ensure(needs([10, 10]));
    ids.release('w0');
    expect([ids.owner(1), ids.highest]).toEqual([null, 20]);
    ids.ensure([{ id: 'w1', count: 13 }]);
    expect(sorted(spread(ids.of('w1')))).toEqual(sorted([...one_to(10).map((k) => 2 * k), 1, 3, 5]));
    ids.ensure(needs([8, 13]));
    expect(sorted(all_of(ids, 2))).toEqual(one_to(21));
    expect(ids.highest).toBe(21);
  });

  it('grants all up to the limit and none beyond it', () => {
    fc.assert(
      fc.property(
        fc.nat(60),
        fc.array(fc.array(fc.nat(40), { minLength: 3, maxLength: 3 }), { maxLength: 4 }),
        (limit, list) => {
          const ids = new Ids(limit);
          for (const counts of list) ids.ensure(needs(counts));
          const most = [0, 1, 2].map((i) => Math.max(0, ...list.map((counts) => counts[i]!)));
          const wanted = most.reduce((a, b) => a + b, 0);
          expect(sorted(all_of(ids, 3))).toEqual(one_to(Math.min(limit, wanted)));
          for (const [i, count] of most.entries()) expect(ids.count(`w${i}`)).toBeLessThanOrEqual(count);
        },
      ),
    );
  });

  it('costs no more for ten million', () => {
    const ids = new Ids();
    ids.ensure(needs(Array.from({ length: 50 }, () => 200_000)));
    expect(ids.of('w49')).toEqual([[50, 10_000_000, 50]]);
  });

  const targets = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 10 });

  it('with fixed workers has exactly 1…the largest target there was', () => {
    const capacities = fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(targets, capacities, (path, list) => {
        const ids = new Ids();
        let shares = list.map(() => 0);
        let largest = 0;
        for (const target of path) {
          shares = allocate(
            target,
            list.map((capacity, i) => ({ id: '', may: 0, held: shares[i]!, capacity, weight: 1 })),
          );
          ids.ensure(needs(shares));
          largest = Math.max(
            largest,
            shares.reduce((a, b) => a + b, 0),
          );
        }
        expect(sorted(all_of(ids, list.length))).toEqual(one_to(largest));
      }),
    );
  });

  it('never grants an id twice, and a member that goes on drawing from its list draws only its own', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ counts: fc.array(fc.nat(40), { minLength: 3, maxLength: 3 }) }),
        fc.record({ release: fc.nat(2) }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const ids = new Ids();
        const pools = [new IdPool(), new IdPool(), new IdPool()];
        for (const step of list) {
          if ('release' in step) {
            ids.release(`w${step.release}`);
            pools[step.release] = new IdPool();
            continue;
          }
          ids.ensure(needs(step.counts));
          expect(new Set(all_of(ids, 3)).size).toBe(all_of(ids, 3).length);
          for (const [i, count] of step.counts.entries()) {
            expect(spread(ids.of(`w${i}`)).length).toBeGreaterThanOrEqual(count);
            pools[i]!.grant(ids.of(`w${i}`));
            const id = pools[i]!.take();
            if (id !== null) expect(ids.owner(id)).toBe(`w${i}`);
          }
        }
      }),
    );
  });
});
