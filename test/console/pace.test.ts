import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pace } from '../../src/console/pace.ts';

describe('Pace', () => {
  it('lets so much through at once, then at its rate, whatever comes when', () => {
    const step = fc.record({ cost: fc.integer({ min: 1, max: 50 }), after: fc.integer({ min: 0, max: 400 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.array(step),
        (burst, per_s, all) => {
          let at = 5;
          const pace = new Pace(burst, per_s, () => at);
          let passed = 0;
          for (const { cost, after } of all) {
            at += after;
            passed += cost;
            // who waits as told
            at += pace.take(cost);
            expect(passed).toBeLessThanOrEqual(burst + ((at - 5) * per_s) / 1000 + 1e-6);
          }
        },
      ),
    );
  });

  it('does not make anybody wait who is slower', () => {
    let at = 0;
    const pace = new Pace(3, 10, () => at);
    for (let i = 0; i < 100; i++, at += 100) expect(pace.take(1)).toBe(0);
  });
});
