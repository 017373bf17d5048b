import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clients_here,
  group_targets,
  id_in_turn,
  MAX_SHARE,
  Numbering,
  place_of,
  whole_here,
} from '../../../src/swarm/plan/numbering.ts';
import { parse_segment, part_of, WHOLE, type Segment } from '../../../src/swarm/plan/segment.ts';
import { allocate } from '../../../src/swarm/shares/allocate.ts';

const of = (...shares: number[]) => shares.map((share) => ({ share }));
const groups = fc
  .array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: MAX_SHARE })), {
    minLength: 1,
    maxLength: 6,
  })
  .map((shares) => of(...shares));
const segments: Segment[] = [
  WHOLE,
  ...['1/3', '2/3', '3/3', '1/4:1/2', '2/7', '7/1000', '1234/10000'].map((text) => parse_segment(text)!),
];
const segment = fc.constantFrom(...segments);

describe('group_targets', () => {
  it('are what LOAD 3 says: 1000 clients at 1:9 are 100 and 900, whether they come at once or one by one', () => {
    expect(group_targets(of(1, 9), 1000)).toEqual([100, 900]);
    let held = [0, 0];
    for (let target = 1; target <= 1000; target++)
      held = allocate(target, [
        { held: held[0]!, capacity: 1000, weight: 1 },
        { held: held[1]!, capacity: 1000, weight: 9 },
      ]);
    expect(held).toEqual([100, 900]);
  });

  it('are the parts that allocate deals by share, of any target', () => {
    const same = (shares: { share: number }[], target: number): void => {
      const members = shares.map(({ share }) => ({ held: 0, capacity: target, weight: share }));
      expect(group_targets(shares, target)).toEqual(allocate(target, members));
    };
    fc.assert(fc.property(groups, fc.nat(5000), same), { numRuns: 1000 });
    fc.assert(fc.property(groups, fc.nat(10_000_000), same), { numRuns: 200 });
  });

  it('never shrink a group while the target grows, and are off from the exact part by fewer clients than there are groups', () => {
    fc.assert(
      fc.property(groups, fc.nat(2000), fc.integer({ min: 1, max: 400 }), (shares, from, more) => {
        const all = shares.reduce((sum, { share }) => sum + share, 0);
        for (let target = from; target < from + more; target++) {
          const [now, next] = [group_targets(shares, target), group_targets(shares, target + 1)];
          expect(now.reduce((a, b) => a + b, 0)).toBe(target);
          expect(next.every((clients, g) => clients >= now[g]!)).toBe(true);
          for (const [g, clients] of now.entries())
            expect(Math.abs(clients - (target * shares[g]!.share) / all)).toBeLessThan(shares.length);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('ids', () => {
  it('go to the groups in turn', () => {
    const turns = (...shares: number[]): string =>
      Array.from({ length: 9 }, (_, i) => 'abc'[place_of(of(...shares), WHOLE, i + 1)!.group]).join('');
    expect(turns(1, 3)).toBe('abbbabbba');
    expect(turns(1)).toBe('aaaaaaaaa');
    expect(turns(3, 1, 2)).toBe('abcacaabc');
  });

  it('of a swarm that grew to n are 1…n: each is of one group, and has one index there', () => {
    fc.assert(
      fc.property(groups, fc.nat(600), (shares, n) => {
        const ids = group_targets(shares, n).flatMap((clients, g) =>
          Array.from({ length: clients }, (_, i) => id_in_turn(shares, g, i + 1)),
        );
        expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i + 1));
        for (const id of ids) {
          const { group, index } = place_of(shares, WHOLE, id)!;
          expect(id_in_turn(shares, group, index)).toBe(id);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('stay exact for the largest targets and the most unequal shares', () => {
    const shares = of(1, MAX_SHARE, 7919);
    fc.assert(
      fc.property(fc.nat(2), fc.integer({ min: 1, max: 10_000_000 }), (group, index) => {
        const id = id_in_turn(shares, group, index);
        expect(Number.isSafeInteger(id)).toBe(true);
        expect(place_of(shares, WHOLE, id)).toEqual({ group, index });
        expect(group_targets(shares, id)[group]).toBe(index);
        expect(group_targets(shares, id - 1)[group]).toBe(index - 1);
      }),
      { numRuns: 2000 },
    );
  });

  it('are given back as the index they were taken as, and known as of another group or segment', () => {
    fc.assert(
      fc.property(groups, segment, fc.nat(5), fc.integer({ min: 1, max: 100_000 }), (shares, here, which, index) => {
        const group = which % shares.length;
        const numbering = new Numbering(shares, group, here);
        const id = numbering.id(index);
        expect(numbering.index(id)).toBe(index);
        expect(place_of(shares, here, id)).toEqual({ group, index });
        for (const other of shares.keys())
          if (other !== group) expect(new Numbering(shares, other, here).index(id)).toBe(null);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('segments', () => {
  it('that make up the whole have each group’s clients between them, each with ids of its own', () => {
    const thirds = ['1/3', '2/3', '3/3'].map((text) => parse_segment(text)!);
    fc.assert(
      fc.property(groups, fc.nat(400), (shares, target) => {
        const parts = thirds.map((here) => group_targets(shares, target).map((clients) => part_of(here, clients)));
        const whole = group_targets(shares, target);
        expect(whole.map((_, g) => parts.reduce((all, part) => all + part[g]!, 0))).toEqual(whole);
        const ids = thirds.flatMap((here, i) =>
          parts[i]!.flatMap((clients, g) => {
            const numbering = new Numbering(shares, g, here);
            return Array.from({ length: clients }, (_, k) => numbering.id(k + 1));
          }),
        );
        expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: target }, (_, i) => i + 1));
      }),
      { numRuns: 150 },
    );
  });

  it('fit as many clients as the largest target of which no more are here', () => {
    fc.assert(
      fc.property(groups, segment, fc.nat(20_000), (shares, here, room) => {
        const whole = whole_here(shares, here, room);
        expect(clients_here(shares, here, whole)).toBeLessThanOrEqual(room);
        expect(clients_here(shares, here, whole + 1)).toBeGreaterThan(room);
      }),
      { numRuns: 500 },
    );
  });
});
