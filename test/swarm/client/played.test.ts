import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { make_draws } from '../../../src/foundation/draws.ts';
import type { Loop } from '../../../src/script/types.ts';
import { part_of_iterations, played_loops } from '../../../src/swarm/client/played.ts';
import { action_of } from '../specs.ts';

const loop = (name: string, actions: number, iterations: number | null = null): Loop => ({
  name,
  actions: Array.from({ length: actions }, () => action_of()),
  iterations,
  sleep_between_iterations: [0, 0],
});
const script = (...loops: Loop[]) => ({ protocol: 'p', loops, iterations_in_all: null });

describe('played_loops', () => {
  it('numbers the actions of all loops one after the other', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 16 }), (sizes) => {
        const loops = played_loops(script(...sizes.map((size, i) => loop(`l${i}`, size))), 'seed', false);
        expect(loops.map(({ first, end }) => end - first)).toEqual(sizes);
        expect(loops.map(({ first }) => first)).toEqual([0, ...loops.map(({ end }) => end).slice(0, -1)]);
      }),
    );
  });

  it('draws for `main` what a script without loops draws, for each other loop by its name alone', () => {
    const draw = (one: ReturnType<typeof played_loops>[number]): number => one.draws(7, 3);
    const [main, ping] = played_loops(script(loop('main', 1), loop('ping', 1)), 'seed', false);
    expect(draw(main!)).toBe(make_draws('seed')(7, 3));
    expect(draw(ping!)).not.toBe(draw(main!));
    const others = played_loops(script(loop('listen', 2), loop('ping', 1)), 'seed', false);
    expect(draw(others[1]!)).toBe(draw(ping!));
    expect(draw(others[0]!)).not.toBe(draw(main!));
  });

  it('plays each once where that is asked for', () => {
    const loops = played_loops(script(loop('a', 1, 5), loop('b', 1)), 'seed', true);
    expect(loops.map(({ iterations }) => iterations)).toEqual([1, 1]);
  });
});

describe('part_of_iterations', () => {
  it('divides all iterations among the clients, evenly, and leaves none to those beyond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 300 }), (all, among) => {
        const parts = Array.from({ length: among + 3 }, (_, i) => part_of_iterations(all, among, i + 1));
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(all);
        expect(parts.slice(among)).toEqual([0, 0, 0]);
        expect(parts[0]! - parts[among - 1]!).toBeLessThanOrEqual(1);
        expect([...parts].sort((a, b) => b - a)).toEqual(parts);
      }),
    );
  });

  it('gives all to the first client when nobody knows how many there will be', () => {
    expect([1, 2].map((index) => part_of_iterations(12, null, index))).toEqual([12, 0]);
  });
});
