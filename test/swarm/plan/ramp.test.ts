import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planned_at } from '../../../src/swarm/plan/ramp.ts';

describe('planned_at', () => {
  const up = { from: 100, to: 1100, start_ms: 1000, end_ms: 11_000 };
  it.each([
    ['before its start', up, 0, 100],
    ['at its start', up, 1000, 100],
    ['on its way', up, 6000, 600],
    ['a client not yet whole', up, 1009, 100],
    ['at its end', up, 11_000, 1100],
    ['long after', up, 1e9, 1100],
    ['downwards', { from: 10, to: 0, start_ms: 0, end_ms: 1000 }, 250, 8],
    ['nowhere', { from: 5, to: 5, start_ms: 0, end_ms: 1000 }, 500, 5],
    ['in no time', { from: 5, to: 9, start_ms: 10, end_ms: 10 }, 10, 9],
  ])('%s', (_, ramp, now, planned) => expect(planned_at(ramp, now)).toBe(planned));

  it('is an integer, monotone, between its ends', () => {
    const counts = fc.integer({ min: 0, max: 10_000_000 });
    const moments = fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(counts, counts, fc.integer({ min: 1, max: 1e7 }), moments, (from, to, over, times) => {
        const ramp = { from, to, start_ms: 0, end_ms: over };
        const planned = times.sort((a, b) => a - b).map((at) => planned_at(ramp, at));
        const way = Math.sign(to - from);
        for (const [i, n] of planned.entries()) {
          expect(Number.isInteger(n) && n >= Math.min(from, to) && n <= Math.max(from, to)).toBe(true);
          if (i > 0) expect((n - planned[i - 1]!) * way).toBeGreaterThanOrEqual(0);
        }
        expect(planned_at(ramp, over)).toBe(to);
      }),
    );
  });
});
