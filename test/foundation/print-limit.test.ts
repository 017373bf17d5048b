import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHARACTERS_PER_S, LINES_PER_S, MAX_LINE, PrintLimit } from '../../src/foundation/print-limit.ts';

describe('what is printed', () => {
  it('is told line by line, within lines and characters a second, and the rest is counted', () => {
    const line = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.nat(5000).map((n) => 'x'.repeat(n)),
    );
    const piece = fc.record({ wait: fc.nat(700), lines: fc.array(line, { maxLength: 200 }), ends: fc.boolean() });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        let now = 0;
        const limit = new PrintLimit(() => now);
        const by_second = new Map<number, string[]>();
        let asked = 0;
        for (const { wait, lines, ends } of pieces) {
          now += wait;
          const clean = lines.length === 0 ? [''] : lines.map((text) => text.replaceAll('\n', ' '));
          const told = limit.take(clean.join('\n') + (ends ? '\n' : ''));
          // an empty line at the end that nothing ends is none
          asked += !ends && clean.length > 1 && clean.at(-1) === '' ? clean.length - 1 : clean.length;
          const second = Math.floor(now / 1000);
          by_second.set(second, [...(by_second.get(second) ?? []), ...told]);
          for (const text of told) expect(clean.some((one) => one.slice(0, MAX_LINE) === text)).toBe(true);
        }
        const all = [...by_second.values()];
        for (const told of all) {
          expect(told.length).toBeLessThanOrEqual(LINES_PER_S);
          expect(told.join('').length).toBeLessThanOrEqual(CHARACTERS_PER_S);
        }
        expect(all.flat().length + limit.dropped).toBe(asked);
      }),
      { numRuns: 200 },
    );
  });
});
