import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { draw_int, draw_real, to_range } from '../../src/script/range.ts';

const LAST = 1 - 2 ** -53; // the largest number below 1
const unit = fc.double({ min: 0, max: LAST, noNaN: true });
const ends = (max: number): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.nat(max), fc.nat(max)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);

describe('to_range', () => {
  it('makes a range of a number and keeps one', () => {
    expect(to_range(3)).toEqual([3, 3]);
    expect(to_range([1, 5])).toEqual([1, 5]);
    expect(Object.isFrozen(to_range([1, 5]))).toBe(true);
  });
});

describe('draw_int', () => {
  it.each<[number, number]>([
    [0, 2],
    [0.33, 2],
    [0.34, 3],
    [0.66, 3],
    [0.67, 4],
    [LAST, 4],
  ])('unit %d of [2, 4] is %d', (u, expected) => {
    expect(draw_int([2, 4], u)).toBe(expected);
  });

  it('stays an integer inside, both ends reached', () => {
    fc.assert(
      fc.property(ends(1_000_000_000), unit, (range, u) => {
        const drawn = draw_int(range, u);
        expect(Number.isInteger(drawn) && drawn >= range[0] && drawn <= range[1]).toBe(true);
        expect(draw_int(range, 0)).toBe(range[0]);
        expect(draw_int(range, LAST)).toBe(range[1]);
      }),
    );
  });
});

describe('draw_real', () => {
  it('stays inside and is exact for a range of no width', () => {
    expect(draw_real([1, 5], 0.5)).toBe(3);
    expect(draw_real([0.1, 0.1], LAST)).toBe(0.1);
    fc.assert(
      fc.property(ends(2_592_000), unit, ([a, b], u) => draw_real([a, b], u) >= a && draw_real([a, b], u) <= b),
    );
  });
});
