import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacer } from '../../../src/swarm/load/pacer.ts';

/** Asks each `step` ms until `until`, always wanting more; returns the turns taken by then. */
function run(pacer: Pacer, until: number, step: number, from = 0): number {
  let taken = 0;
  for (let i = 0; from + i * step < until; i++) taken += pacer.take(from + i * step, Infinity);
  return taken;
}

describe('Pacer', () => {
  it.each([
    [0.5, 10_000, 5],
    [1, 10_000, 10],
    [3, 10_000, 30],
    [1000, 10_000, 10_000],
    [1_000_000, 1000, 1_000_000],
  ])('at %d per second gives in %d ms %d turns', (rate, ms, turns) => {
    const taken = run(new Pacer(rate, 0), ms, 4);
    // what falls between the last two questions is missing
    expect(taken).toBeLessThanOrEqual(turns);
    expect(taken).toBeGreaterThanOrEqual(turns - 1 - rate * 0.004);
  });

  it('gives the first turn at once, the others evenly', () => {
    const pacer = new Pacer(100, 5000);
    const at: number[] = [];
    for (let now = 5000; now < 5100; now++) if (pacer.take(now, 10) > 0) at.push(now - 5000);
    expect(at).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  });

  it('saves nothing up while idle', () => {
    const pacer = new Pacer(1000, 0);
    expect(pacer.take(0, 1)).toBe(1);
    expect(pacer.take(60_000, 500)).toBe(1);
    expect(run(pacer, 60_101, 1, 60_001)).toBe(100);
  });

  it('forgives a stall but for 20 ms', () => {
    const pacer = new Pacer(1000, 0);
    expect(pacer.take(0, Infinity)).toBe(1);
    expect(pacer.take(500, Infinity)).toBe(21);
    expect(pacer.take(500, Infinity)).toBe(0);
  });

  it('never gives more than its rate and 20 ms of arrears, however it is asked', () => {
    const asks = fc.array(fc.tuple(fc.double({ min: 0, max: 100, noNaN: true }), fc.integer({ min: 0, max: 1000 })), {
      maxLength: 50,
    });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 1e6, noNaN: true }), asks, (rate, list) => {
        const pacer = new Pacer(rate, 0);
        let now = 0;
        let taken = 0;
        for (const [wait, want] of list) {
          now += wait;
          const turns = pacer.take(now, want);
          expect(turns <= want && Number.isInteger(turns)).toBe(true);
          taken += turns;
        }
        expect(taken).toBeLessThanOrEqual(1 + (now / 1000) * rate * (1 + 1e-6) + 0.001);
      }),
    );
  });

  it('says when the next turn is due', () => {
    const pacer = new Pacer(2, 0);
    expect(pacer.next_in(0)).toBe(0);
    pacer.take(0, 1);
    expect(pacer.next_in(100)).toBe(400);
    expect(pacer.take(499, 1)).toBe(0);
    expect(pacer.take(500, 1)).toBe(1);
    expect(pacer.next_in(5000)).toBe(0);
  });

  it('goes on from its last turn at a new rate', () => {
    const pacer = new Pacer(1, 0);
    pacer.take(0, 1);
    pacer.set_rate(10, 50);
    expect(pacer.next_in(50)).toBe(50);
    pacer.take(100, 1);
    pacer.set_rate(0.5, 200);
    expect(pacer.next_in(200)).toBe(1900);
  });

  it('gives no turns at rate 0, and none extra after it', () => {
    const pacer = new Pacer(0, 0);
    expect([pacer.take(1000, 5), pacer.next_in(1000)]).toEqual([0, Infinity]);
    pacer.set_rate(10, 2000);
    expect(pacer.take(2000, 5)).toBe(0);
    expect(pacer.take(2100, 5)).toBe(1);
    pacer.set_rate(0, 2150);
    expect(pacer.take(9000, 5)).toBe(0);
    pacer.set_rate(10, 9000);
    expect(pacer.take(9000, 5)).toBe(1);
    expect(pacer.take(9000, 5)).toBe(0);
  });
});
