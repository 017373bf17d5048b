import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { group_targets } from '../../../src/swarm/plan/numbering.ts';
import { allocate, grant } from '../../../src/swarm/shares/allocate.ts';
import { grant_groups, share_groups, type GroupTarget, type Matrix } from '../../../src/swarm/shares/share-groups.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const column = (table: Matrix, member: number): number => sum(table.map((row) => row[member]!));

const shares = fc.array(fc.constantFrom(1, 1, 2, 3, 9), { minLength: 1, maxLength: 4 });
const members = fc.array(fc.record({ capacity: fc.nat(60), weight: fc.constantFrom(1, 1, 1, 2, 0.5) }), {
  minLength: 1,
  maxLength: 5,
});
/** targets of the groups: those of one target, or any */
const targets = fc.oneof(
  fc.nat(200).map(
    (target) => (all: readonly number[]) =>
      group_targets(
        all.map((share) => ({ share })),
        target,
      ),
  ),
  fc
    .array(fc.nat(80), { minLength: 4, maxLength: 4 })
    .map((any) => (all: readonly number[]) => all.map((_, g) => any[g]!)),
);
const aims = (all: readonly number[], of: (all: readonly number[]) => readonly number[]): GroupTarget[] => {
  const each = of(all);
  return all.map((share, g) => ({ target: each[g]!, share }));
};
const nothing = (groups: readonly unknown[], all: readonly unknown[]): number[][] => groups.map(() => all.map(() => 0));

describe('share_groups', () => {
  it('of one group is what allocate says', () => {
    fc.assert(
      fc.property(fc.nat(300), members, fc.array(fc.nat(40), { minLength: 5, maxLength: 5 }), (target, all, held) => {
        const before = all.map(({ capacity, weight }, i) => ({ held: Math.min(held[i]!, capacity), capacity, weight }));
        const row = before.map((one) => one.held);
        expect(share_groups([{ target, share: 3 }], [row], all)).toEqual([allocate(target, before)]);
      }),
    );
  });

  it('shares each group out whole if all fits, and the groups in proportion if it does not', () => {
    expect(
      share_groups(
        [
          { target: 2, share: 1 },
          { target: 18, share: 9 },
        ],
        [
          [0, 0],
          [0, 0],
        ],
        [
          { capacity: 100, weight: 1 },
          { capacity: 100, weight: 1 },
        ],
      ),
    ).toEqual([
      [1, 1],
      [9, 9],
    ]);
    expect(
      share_groups(
        [
          { target: 100, share: 1 },
          { target: 900, share: 9 },
        ],
        [[0], [0]],
        [{ capacity: 20, weight: 1 }],
      ),
    ).toEqual([[2], [18]]);
  });

  it.each([
    [8, [1, 1, 1, 1], 12],
    [64, Array.from({ length: 32 }, () => 1), 1000],
    [500, Array.from({ length: 32 }, () => 1), 10_000],
  ])('spreads many small groups over all of %d members', (count, all, target) => {
    const holders = Array.from({ length: count }, () => ({ capacity: 1000, weight: 1 }));
    const each = group_targets(
      all.map((share) => ({ share })),
      target,
    );
    const groups = aims(all, () => each);
    const at_once = share_groups(groups, nothing(all, holders), holders);
    const held = holders.map((_, i) => column(at_once, i));
    expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(Math.max(2, Math.ceil(all.length / 8)));
    expect(sum(held)).toBe(target);
    // shrinking undoes growth
    const half = aims(all, () => each.map((clients) => Math.floor(clients / 2)));
    expect(share_groups(half, at_once, holders)).toEqual(share_groups(half, nothing(all, holders), holders));
  });

  it('property: no group above its target, no member above its capacity, nothing left out that fits', () => {
    const play = (
      all: number[],
      steps: [typeof targets extends fc.Arbitrary<infer T> ? T : never, number[]][],
      holders: { capacity: number; weight: number }[],
    ): void => {
      let held: number[][] = nothing(all, holders);
      for (const [of, capacities] of steps) {
        const now = holders.map((one, i) => ({ ...one, capacity: capacities[i] ?? one.capacity }));
        const groups = aims(all, of);
        const after = share_groups(groups, held, now);
        const room = sum(now.map(({ capacity }) => capacity));
        expect(sum(after.flat())).toBe(Math.min(sum(groups.map(({ target }) => target)), room));
        for (const [g, row] of after.entries()) {
          expect(sum(row)).toBeLessThanOrEqual(groups[g]!.target);
          expect(row.every((clients) => clients >= 0)).toBe(true);
        }
        for (const [i, { capacity }] of now.entries()) expect(column(after, i)).toBeLessThanOrEqual(capacity);
        held = after;
      }
    };
    const step = fc.tuple(targets, fc.array(fc.nat(60), { maxLength: 3 }));
    fc.assert(fc.property(shares, fc.array(step, { minLength: 1, maxLength: 8 }), members, play), { numRuns: 1000 });
  });

  it('property: while the target grows and all stay, nobody has less of any group, and no group shrinks', () => {
    fc.assert(
      fc.property(shares, members, fc.array(fc.nat(40), { maxLength: 12 }), (all, holders, more) => {
        let [held, target]: [number[][], number] = [nothing(all, holders), 0];
        const room = sum(holders.map(({ capacity }) => capacity));
        for (const clients of more) {
          target = Math.min(room, target + clients);
          const after = share_groups(
            aims(all, (each) =>
              group_targets(
                each.map((share) => ({ share })),
                target,
              ),
            ),
            held,
            holders,
          );
          for (const [g, row] of after.entries())
            for (const [i, now] of row.entries()) expect(now).toBeGreaterThanOrEqual(held[g]![i]!);
          held = after;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('grant_groups', () => {
  it('of one group is what grant says', () => {
    fc.assert(
      fc.property(
        fc.nat(200),
        members,
        fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { minLength: 5, maxLength: 5 }),
        (target, all, cells) => {
          const [row, may] = [all.map((_, i) => cells[i]![0]), all.map((_, i) => cells[i]![1])];
          const before = all.map(({ weight }, i) => ({ may: may[i]!, weight }));
          expect(grant_groups([{ target, share: 1 }], [row], [may], all)).toEqual([grant(target, row, before)]);
        },
      ),
    );
  });

  it('lets no group take the room of what another may still be running', () => {
    // a shrinks from 10 to 5 and has not said so; b shall grow from 5 to 10
    const groups = [
      { target: 5, share: 1 },
      { target: 10, share: 1 },
    ];
    expect(grant_groups(groups, [[5], [10]], [[10], [5]], [{ weight: 1 }])).toEqual([[5], [5]]);
    expect(grant_groups(groups, [[5], [10]], [[5], [5]], [{ weight: 1 }])).toEqual([[5], [10]]);
  });

  it('property: whatever is acknowledged when, neither a group nor all can be running more than their target or before', () => {
    const step = fc.record({ of: targets, acknowledged: fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }) });
    fc.assert(
      fc.property(shares, fc.array(step, { minLength: 1, maxLength: 12 }), members, (all, steps, holders) => {
        let held = nothing(all, holders);
        let may = nothing(all, holders);
        let ordered = nothing(all, holders);
        for (const { of, acknowledged } of steps) {
          const groups = aims(all, of);
          held = share_groups(groups, held, holders);
          const granted = grant_groups(groups, held, may, holders);
          const next = may.map((row, g) => row.map((most, i) => Math.max(most, granted[g]![i]!)));
          for (const [g, { target }] of groups.entries())
            expect(sum(next[g]!)).toBeLessThanOrEqual(Math.max(target, sum(may[g]!)));
          const target = sum(groups.map((group) => group.target));
          expect(sum(next.flat())).toBeLessThanOrEqual(Math.max(target, sum(may.flat())));
          ordered = granted;
          may = next.map((row, g) =>
            row.map((most, i) => (acknowledged[g * holders.length + i] ? ordered[g]![i]! : most)),
          );
        }
        // once all have said what they do, all that was shared out is granted
        const groups = aims(all, steps.at(-1)!.of);
        for (let round = 0; round < 3; round++) may = grant_groups(groups, held, may, holders);
        expect(may).toEqual(held);
      }),
      { numRuns: 1000 },
    );
  });
});
