import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ids_within, index_within } from '../../../src/swarm/plan/id-map.ts';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';
import { IdPool } from '../../../src/swarm/shares/id-pool.ts';
import { Ids } from '../../../src/swarm/shares/ids.ts';

const spread = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(([first, last, step]) =>
    Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step),
  );
const needs = (counts: readonly number[]) => counts.map((count, i) => ({ id: `w${i}`, count }));

/** The same by enumeration: up to the first index without an id. */
function by_hand(local: readonly IdRange[], granted: readonly IdRange[]): number[] {
  const ids = spread(granted);
  const indices = spread(local);
  const waits = indices.findIndex((index) => index > ids.length);
  return indices.slice(0, waits < 0 ? undefined : waits).map((index) => ids[index - 1]!);
}

/** Ranges are appended, the end of the last one moves; nothing else. */
function expect_grown(before: readonly IdRange[], after: readonly IdRange[]): void {
  const [first, last, step] = before.at(-1) ?? [0, 0, 0];
  if (before.length === 0) return;
  expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
  expect([after[before.length - 1]![0], after[before.length - 1]![2]]).toEqual([first, step]);
  expect(after[before.length - 1]![1]).toBeGreaterThanOrEqual(last);
}

describe('ids_within', () => {
  it.each<[string, IdRange[], IdRange[], IdRange[]]>([
    ['nothing of nothing', [], [[1, 9, 1]], []],
    ['nothing while nothing is granted', [[1, 9, 1]], [], []],
    ['the same where the ids begin with 1', [[2, 10, 2]], [[1, 100, 1]], [[2, 10, 2]]],
    ['every third of every second', [[2, 11, 3]], [[7, 107, 2]], [[9, 27, 6]]],
    [
      'a piece for each granted range',
      [[1, 7, 2]],
      [
        [1, 3, 1],
        [20, 60, 10],
      ],
      [
        [1, 3, 2],
        [30, 50, 20],
      ],
    ],
    [
      'over a granted range that is too short for a step',
      [[1, 9, 4]],
      [
        [1, 2, 1],
        [5, 5, 1],
        [8, 20, 2],
      ],
      [
        [1, 1, 4],
        [10, 18, 8],
      ],
    ],
    ['as far as ids are granted', [[1, 99, 2]], [[1, 10, 1]], [[1, 9, 2]]],
    [
      'nothing behind what is not granted yet',
      [
        [5, 20, 1],
        [1, 4, 1],
      ],
      [[1, 10, 1]],
      [[5, 10, 1]],
    ],
    ['lone ids, with the step of their successors', [[2, 2, 3]], [[4, 10, 2]], [[6, 6, 6]]],
  ])('is %s', (_, local, granted, ids) => {
    expect(ids_within(local, granted)).toEqual(ids);
    expect(spread(ids)).toEqual(by_hand(local, granted));
  });

  it('costs no more for ten million', () => {
    expect(ids_within([[3, 9_999_999, 4]], [[2, 100_000_000, 5]])).toEqual([[12, 49_999_992, 20]]);
  });

  it('property: names the ids that enumerating names, only grows, and gives no id to two workers', () => {
    const counts = (n: number) => fc.array(fc.nat(30), { minLength: n, maxLength: n });
    const step = fc.oneof(
      fc.record({ workers: counts(3) }),
      fc.record({ agents: counts(2) }),
      fc.record({ dead: fc.nat(2) }),
      fc.record({ lost: fc.constant(1) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        // the swarm's ids, of which agent w0 owns some; and what that agent deals to its workers
        const [swarm, dealt] = [new Ids(), new Ids()];
        const workers = [0, 1, 2].map(() => ({ ids: [] as IdRange[], pool: new IdPool(), used: [] as number[] }));
        for (const one of steps) {
          if ('workers' in one) dealt.ensure(needs(one.workers));
          else if ('agents' in one) swarm.ensure(needs(one.agents));
          else if ('lost' in one) swarm.release('w1');
          else {
            dealt.release(`w${one.dead}`);
            workers[one.dead] = { ids: [], pool: new IdPool(), used: [] };
          }
          const granted = swarm.of('w0');
          for (const [i, worker] of workers.entries()) {
            const local = dealt.of(`w${i}`);
            const ids = ids_within(local, granted);
            expect(spread(ids)).toEqual(by_hand(local, granted));
            expect_grown(worker.ids, ids);
            worker.ids = ids;
            worker.pool.grant(ids);
            for (let id = worker.pool.take(); id !== null; id = worker.pool.take()) worker.used.push(id);
            expect(worker.used).toEqual(spread(ids));
          }
          const used = workers.flatMap((worker) => worker.used);
          expect(new Set(used).size).toBe(used.length);
          expect(used.every((id) => swarm.owner(id) === 'w0')).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('index_within', () => {
  it('is where an id stands among those that were granted, null for any other', () => {
    const ranges = fc.array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 4 }), fc.nat(3)), { maxLength: 4 });
    fc.assert(
      fc.property(ranges, (list) => {
        const granted = list.map(([size, step, gap], i): IdRange => [
          100 * i + gap + 1,
          100 * i + gap + 1 + size * step,
          step,
        ]);
        const ids = spread(granted);
        for (let id = 0; id < 500; id++) {
          const at = ids.indexOf(id);
          expect(index_within(id, granted)).toBe(at < 0 ? null : at + 1);
        }
      }),
      { numRuns: 50 },
    );
  });
});
