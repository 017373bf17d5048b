import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_draws, philox } from '../../src/foundation/draws.ts';

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

  it('draws other numbers for another seed, client or count, those of clients beyond 2^32 too', () => {
    const drawn = new Set<number>();
    for (const seed of ['a', 'b']) {
      const draws = make_draws(seed);
      for (const id of [1, 2, 3, 2 ** 32 + 1, 2 ** 40 + 1]) for (let i = 0; i < 100; i++) drawn.add(draws(id, i));
    }
    expect(drawn.size).toBe(2 * 5 * 100);
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
