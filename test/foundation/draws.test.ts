import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_draws, normal_quantile, philox } from '../../src/foundation/draws.ts';

describe('philox', () => {
  it.each([
    ['zeros', 0, 0, 0, 0xff1dae59, 0x6cd10df2],
    ['ones', 0xffffffff, 0xffffffff, 0xffffffff, 0x2c3f628b, 0xab4fd7ad],
    ['digits of π', 0x243f6a88, 0x85a308d3, 0x13198a2e, 0xdd7ce038, 0xf62a4c12],
  ])('makes what its authors publish (kat_vectors of Random123): %s', (_, c0, c1, key, high, low) => {
    expect([...philox(c0, c1, key)]).toEqual([high, low]);
  });
});

describe('make_draws', () => {
  it('draws the same for the same seed, client and count, in any order of asking', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1 }), (seed, asked) => {
        const here = make_draws(seed);
        const there = make_draws(seed);
        const drawn = asked.map(([id, draw]) => here(id, draw));
        expect([...asked].reverse().map(([id, draw]) => there(id, draw))).toEqual(drawn.reverse());
      }),
    );
  });

  it('draws other numbers for another seed, stream, client or count, those of clients beyond 2^32 too', () => {
    const drawn = new Set<number>();
    for (const draws of [make_draws('a'), make_draws('b'), make_draws('a', 'ping'), make_draws('a', 'listen')])
      for (const id of [1, 2, 3, 2 ** 32 + 1, 2 ** 40 + 1]) for (let i = 0; i < 100; i++) drawn.add(draws(id, i));
    expect(drawn.size).toBe(4 * 5 * 100);
  });

  it.each([
    ['of one client', (i: number): [number, number] => [7, i]],
    ['first ones of many clients', (i: number): [number, number] => [i + 1, 0]],
  ])('draws evenly: %s', (_, place) => {
    const draws = make_draws('evenly');
    const bins = new Array<number>(64).fill(0);
    const N = 64_000;
    for (let i = 0; i < N; i++) bins[Math.floor(draws(...place(i)) * 64)]!++;
    const chi_squared = bins.reduce((sum, n) => sum + (n - N / 64) ** 2 / (N / 64), 0);
    expect(chi_squared).toBeLessThan(121); // 63 degrees of freedom: 1 in 100 000 is above; the seed is fixed
  });

  it('is the same on every machine: these draws are part of what a seed means', () => {
    const draws = make_draws('swarm');
    expect([0, 1, 2].map((draw) => Math.floor(draws(7, draw) * 1000))).toMatchInlineSnapshot(`
      [
        467,
        132,
        993,
      ]
    `);
  });
});

describe('normal_quantile', () => {
  /** How much of the standard normal distribution lies beyond `z` ≥ 0: a series (Marsaglia 2004), then Laplace's fraction. */
  const tail_beyond = (z: number): number => {
    const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
    if (z > 3) {
      let below = z;
      for (let term = 200; term > 0; term--) below = z + term / below;
      return density / below;
    }
    let [sum, term] = [z, z];
    for (let odd = 3; term > 1e-18; odd += 2) sum += term *= (z * z) / odd;
    return 0.5 - density * sum;
  };
  const oracle = (unit: number): number => {
    const tail = Math.min(unit, 1 - unit);
    let [low, high] = [0, 10];
    for (let halved = 0; halved < 60; halved++) {
      const middle = (low + high) / 2;
      if (tail_beyond(middle) > tail) low = middle;
      else high = middle;
    }
    return unit < 0.5 ? -low : low;
  };

  it('is what tables of the distribution say', () => {
    for (const [unit, z] of [
      [0.5, 0],
      [0.9, 1.2815515655],
      [0.975, 1.9599639845],
      [0.999, 3.0902323062],
    ] as const) {
      expect(normal_quantile(unit)).toBeCloseTo(z, 6);
      expect(normal_quantile(1 - unit)).toBeCloseTo(-z, 6);
    }
    expect(normal_quantile(0)).toBe(-Infinity);
  });

  it('keeps its error bound, in the tails too', () => {
    const tail = fc.tuple(fc.integer({ min: 2, max: 53 }), fc.double({ min: 0.5, max: 1, noNaN: true }));
    const unit = fc.oneof(
      fc.double({ min: 0.001, max: 0.999, noNaN: true }),
      tail.map(([bits, part]) => part * 2 ** -bits),
      tail.map(([bits, part]) => 1 - Math.max(2 ** -53, part * 2 ** -bits)),
    );
    fc.assert(
      fc.property(unit, (u) => {
        // near the middle the oracle loses digits to 1/2
        const allowed = Math.max(1.2e-7 * Math.abs(oracle(u)), 1e-12);
        expect(Math.abs(normal_quantile(u) - oracle(u))).toBeLessThanOrEqual(allowed);
      }),
      { numRuns: 1000 },
    );
  });
});
