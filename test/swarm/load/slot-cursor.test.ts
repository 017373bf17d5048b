import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotCursor } from '../../../src/swarm/load/slot-cursor.ts';
import { at_slot, begin_rate, change_rate, poisson_key, type RatePiece } from '../../../src/swarm/plan/rate-piece.ts';
import { dues_of } from './naive-slots.ts';

const KEY = poisson_key('cursor', 'main.0');

const plans: fc.Arbitrary<RatePiece[]> = fc
  .array(
    fc.record({
      to_rate: fc.integer({ min: 0, max: 5e8 }),
      over_us: fc.oneof(fc.constant(0), fc.nat(3e6)),
      poisson: fc.boolean(),
      after_us: fc.integer({ min: 1, max: 3e6 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .map((changes) => {
    let rate = begin_rate(0, changes[0]!, KEY);
    let at_us = 0;
    return changes.map((change, i) => {
      at_us += change.after_us;
      if (i > 0) rate = change_rate(rate, at_us, change, KEY);
      return rate.piece;
    });
  });

describe('SlotCursor', () => {
  it('knows when each slot is due, and how many are, over all pieces', () => {
    fc.assert(
      fc.property(plans, fc.array(fc.nat(20e6), { minLength: 1, maxLength: 20 }), (pieces, instants) => {
        const dues = dues_of(pieces, 3000);
        const cursor = new SlotCursor();
        cursor.follow(pieces);
        expect(dues.findIndex((due, n) => n > 0 && cursor.due(n) !== due)).toBe(-1);
        for (const at of instants) {
          const by = cursor.by(at);
          if (by < 3000) expect([dues[by]! <= at, dues[by + 1]! > at]).toEqual([true, true]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is the same when it hears of pieces one by one, and of late ones drawn from where they are', () => {
    fc.assert(
      fc.property(plans, fc.nat(3e6), (pieces, back_us) => {
        const [whole, told] = [new SlotCursor(), new SlotCursor()];
        whole.follow(pieces);
        for (const piece of pieces) {
          told.follow([piece]);
          told.follow([at_slot(piece, piece.from_us + back_us)]);
        }
        const slots = Array.from({ length: 500 }, (_, i) => i + 1);
        expect(slots.find((n) => told.due(n) !== whole.due(n))).toBeUndefined();
      }),
    );
  });

  it('takes back what new orders begin before', () => {
    const first = begin_rate(0, { to_rate: 1e9, over_us: 0, poisson: false }, KEY);
    const [late, early] = [5e6, 2e6].map((at) => {
      return change_rate(first, at, { to_rate: 1e8, over_us: 0, poisson: false }, KEY);
    });
    const cursor = new SlotCursor();
    cursor.follow([first.piece, late!.piece]);
    expect(cursor.due(3000)).toBe(3e6);
    cursor.follow([early!.piece]);
    expect(cursor.due(2000)).toBe(2e6);
    expect(cursor.due(3000)).toBe(12e6);
    expect(cursor.by(12e6)).toBe(3000);
    expect([cursor.rate_at(1e6), cursor.rate_at(2e6), cursor.rate_at(9e6)]).toEqual([1e9, 1e8, 1e8]);
  });

  it('keeps the newest 64 pieces: older slots are due when they begin', () => {
    const cursor = new SlotCursor();
    let rate = begin_rate(0, { to_rate: 1e9, over_us: 0, poisson: false }, KEY);
    for (let k = 1; k <= 100; k++) {
      cursor.follow([rate.piece]);
      rate = change_rate(rate, k * 1e6, { to_rate: 1e9 + k, over_us: 0, poisson: false }, KEY);
    }
    expect(cursor.due(1)).toBe(36e6);
    expect(cursor.due(37_000)).toBeCloseTo(37e6, -1);
    expect([cursor.by(35e6), cursor.by(36e6)]).toEqual([0, 36_000]);
  });

  it('knows of nothing before it hears of something', () => {
    const cursor = new SlotCursor();
    cursor.follow([]);
    expect([cursor.due(1), cursor.by(1e9), cursor.rate_at(1)]).toEqual([Infinity, 0, 0]);
  });
});
