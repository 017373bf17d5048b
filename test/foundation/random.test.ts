import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_random } from '../../src/foundation/random.ts';

const seed = fc.string();
const id = fc.oneof(fc.nat(), fc.string());
/** 0 ≤ b − a < 2^53 */
const range = fc
  .tuple(fc.maxSafeInteger(), fc.maxSafeInteger())
  .map(([x, y]): [number, number] => (x < y ? [x, y] : [y, x]))
  .filter(([a, b]) => Number.isSafeInteger(b - a));

const draws = (random: ReturnType<typeof make_random>): number[] => Array.from({ length: 20 }, () => random.real(0, 1));

describe('make_random', () => {
  it('draws the same numbers for the same seed and id', () => {
    fc.assert(
      fc.property(seed, id, (s, i) => {
        expect(draws(make_random(s, i))).toEqual(draws(make_random(s, i)));
      }),
    );
  });

  it('draws other numbers for another id, another seed, and the number 1 and the text "1"', () => {
    const runs = [
      make_random('a', 1),
      make_random('a', 2),
      make_random('b', 1),
      make_random('a', '1'),
      make_random('a1', ''),
    ];
    expect(new Set(runs.map((random) => String(draws(random)))).size).toBe(runs.length);
  });

  it('is the same on every machine: these draws are part of what a seed means', () => {
    const random = make_random('swarm', 7);
    expect([random.int(1, 100), random.int(1, 100), random.int(1, 100)]).toMatchInlineSnapshot(`
      [
        91,
        43,
        56,
      ]
    `);
    expect(random.real(0, 1)).toMatchInlineSnapshot(`0.008597571511573587`);
  });

  it('keeps int in its bounds, whatever they are', () => {
    fc.assert(
      fc.property(seed, range, (s, [a, b]) => {
        const random = make_random(s, 1);
        for (let i = 0; i < 20; i++) {
          const n = random.int(a, b);
          expect(Number.isSafeInteger(n) && a <= n && n <= b).toBe(true);
        }
      }),
    );
  });

  it('reaches both ends of int, each value about equally often', () => {
    const random = make_random('ends', 1);
    const seen = [0, 0, 0, 0, 0];
    for (let i = 0; i < 50_000; i++) seen[random.int(-2, 2) + 2]!++;
    // 10 000 expected, standard deviation 89
    for (const count of seen) expect(Math.abs(count - 10_000)).toBeLessThan(600);
  });

  it('is uniform over ranges beyond 2^32: low bits too', () => {
    const random = make_random('large', 1);
    let odd = 0;
    let upper = 0;
    for (let i = 0; i < 20_000; i++) {
      const n = random.int(0, 2 ** 52 - 1);
      odd += n % 2;
      upper += Number(n >= 2 ** 51);
    }
    // 10 000 expected, standard deviation 71
    expect(Math.abs(odd - 10_000)).toBeLessThan(500);
    expect(Math.abs(upper - 10_000)).toBeLessThan(500);
  });

  it('keeps real in its bounds, the upper one never reached unless they are equal', () => {
    const ends = fc.tuple(
      fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
      fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
    );
    fc.assert(
      fc.property(seed, ends, (s, [x, y]) => {
        const [a, b] = x < y ? [x, y] : [y, x];
        const n = make_random(s, 1).real(a, b);
        expect(a === b ? n === a : a <= n && n < b).toBe(true);
      }),
    );
  });

  it('refuses what has no uniform draw', () => {
    const random = make_random('a', 1);
    for (const [a, b] of [
      [2, 1],
      [0.5, 1],
      [0, Infinity],
      [NaN, 1],
      [-(2 ** 53) + 1, 2 ** 53 - 1],
    ] as const)
      expect(() => random.int(a, b)).toThrow(RangeError);
    for (const [a, b] of [
      [2, 1],
      [NaN, 1],
      [0, Infinity],
      [-1.7e308, 1.7e308],
    ] as const)
      expect(() => random.real(a, b)).toThrow(RangeError);
    expect(() => random.pick([])).toThrow(RangeError);
  });

  it('picks every element of a list', () => {
    const random = make_random('pick', 1);
    expect(new Set(Array.from({ length: 200 }, () => random.pick(['a', 'b', 'c'])))).toEqual(new Set(['a', 'b', 'c']));
  });
});
