import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BoundedPiece } from '../../../src/swarm/plan/orders.ts';
import { SLOT } from '../../../src/swarm/plan/rate-piece.ts';
import { parse_segment, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { most_of, share_arrivals, type ArrivalHolder } from '../../../src/swarm/squad/arrival-shares.ts';

const piece = (from_us: number, per_s: number, at_most?: number): BoundedPiece => ({
  ...{ from_us, to_us: null, from_rate: per_s * 1e6, to_rate: per_s * 1e6, slots: 0, first: SLOT, poisson: null },
  ...(at_most !== undefined && { at_most }),
});
const sum = (list: readonly number[]): number => list.reduce((all, one) => all + one, 0);
const shares_of = (at_most: number | undefined, holders: readonly ArrivalHolder[]): readonly number[] =>
  share_arrivals([piece(0, 1, at_most)], WHOLE, holders)[0]!.shares;
const fresh = (capacity: number, free = capacity): ArrivalHolder => ({ capacity, free, may: 0 });

test('of alike members each has an equal part, and none more than is free', () => {
  expect(shares_of(10, [fresh(100), fresh(100), fresh(100)])).toEqual([3, 3, 4]);
  expect(shares_of(undefined, [fresh(100, 60), fresh(100, 0), fresh(0)])).toEqual([60, 0, 0]);
  expect(shares_of(10, [fresh(0), fresh(0)])).toEqual([0, 0]);
});

test('where nothing comes, nobody may hold any', () => {
  expect(share_arrivals([piece(0, 0, 5), piece(9, 0)], WHOLE, [fresh(9)]).map(({ shares }) => shares)).toEqual([
    [0],
    [0],
  ]);
});

test('the parts of all segments are the whole', () => {
  const parts = ['1/3', '2/3', '3/3'].map((text) => {
    return sum(share_arrivals([piece(0, 1, 10)], parse_segment(text)!, [fresh(50), fresh(50)])[0]!.shares);
  });
  expect(sum(parts)).toBe(10);
});

test('whatever each has, all together never have more than at_most, once those left that were too many', () => {
  const member = fc.record({ capacity: fc.nat(50), used: fc.nat(50), may: fc.nat(30) });
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), fc.nat(120), (members, at_most) => {
      let holders = members.map(({ capacity, used, may }): ArrivalHolder => {
        return { capacity, free: Math.max(0, capacity - used), may };
      });
      for (let round = 0; round < 3; round++) {
        const shares = shares_of(at_most, holders);
        for (const [i, share] of shares.entries()) expect(share).toBeLessThanOrEqual(holders[i]!.free);
        // those that were ordered more may have it until they have heard of it
        const running = holders.map(({ may }, i) => Math.max(may, shares[i]!));
        expect(sum(running)).toBeLessThanOrEqual(Math.max(at_most, sum(holders.map(({ may }) => may))));
        holders = holders.map((holder, i) => ({ ...holder, may: shares[i]! }));
      }
      // nothing is left over where all had room
      const all_fit = holders.every(({ capacity, free }) => free === capacity);
      if (all_fit)
        expect(sum(shares_of(at_most, holders))).toBe(Math.min(at_most, sum(holders.map(({ free }) => free))));
    }),
  );
});

test('what is over counts no more, what comes does', () => {
  const shares = share_arrivals([piece(0, 1, 9), piece(5, 1, 4), piece(8, 1, 6)], WHOLE, [fresh(50)]);
  expect([0, 4, 5, 8].map((at_us) => most_of(shares, at_us, 1))).toEqual([[9], [9], [6], [6]]);
});
