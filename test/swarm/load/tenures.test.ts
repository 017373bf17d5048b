import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nobodys, Tenures, type Weighted } from '../../../src/swarm/load/tenures.ts';
import type { TenureAccount } from '../../../src/swarm/plan/account.ts';
import type { TenureOrders } from '../../../src/swarm/plan/orders.ts';
import { is_in } from './naive-slots.ts';

const WHOLE = { from: 0, to: 1_000_000 };
const made = (whole = WHOLE): Tenures => {
  let id = 0;
  return new Tenures(nobodys(whole), () => ++id);
};
const parts = (...weights: number[]): Weighted[] => weights.map((weight, i) => ({ id: `m${i}`, weight }));
const places = (tenures: Tenures, member: string): number[][] => tenures.of(member).map(({ from, to }) => [from, to]);
const width = (list: readonly TenureOrders[]): number => list.reduce((sum, { from, to }) => sum + to - from, 0);
/** It closes what it is asked to. */
const answers = (list: readonly TenureOrders[], at: number): TenureAccount[] =>
  list.map(({ id, first, closing }) => ({ id, at, closed: closing ? Math.max(at, first - 1) : null }));

describe('Tenures', () => {
  it('deals all places by weight, from slot 1 on', () => {
    const tenures = made();
    expect(tenures.deal(parts(1, 0, 3), 0)).toBe(true);
    expect(tenures.of('m0')).toEqual([{ id: 1, from: 0, to: 250_000, first: 1, closing: false }]);
    expect(tenures.of('m1')).toEqual([]);
    expect(tenures.of('m2')).toEqual([{ id: 2, from: 250_000, to: 1_000_000, first: 1, closing: false }]);
  });

  it('deals equally when nobody has any weight, and only the places of a segment', () => {
    const tenures = made({ from: 200_000, to: 400_000 });
    tenures.deal(parts(0, 0, 0, 0), 0);
    expect([0, 1, 2, 3].map((i) => places(tenures, `m${i}`))).toEqual([
      [[200_000, 250_000]],
      [[250_000, 300_000]],
      [[300_000, 350_000]],
      [[350_000, 400_000]],
    ]);
  });

  it.each([
    ['a fifth more', parts(119, 100), 5000, false],
    ['more than that', parts(250, 100), 5000, true],
    ['more than that, too early', parts(250, 100), 4999, false],
    ['a new one', parts(1, 1, 1), 5000, true],
    ['one that left', parts(1), 5000, true],
    ['one that shall do nothing', parts(0, 5), 5000, true],
    ['nobody', [], 5000, false],
  ])('deals anew: %s', (_, then, at_ms, is_new) => {
    const tenures = made();
    tenures.deal(parts(100, 100), 0);
    expect(tenures.deal(then, at_ms)).toBe(is_new);
  });

  it('hands over what its owner closed, from the next slot on', () => {
    const tenures = made();
    tenures.deal(parts(1, 1), 0);
    tenures.deal(parts(3, 1), 9000);
    expect(tenures.of('m0')).toMatchObject([{ from: 0, to: 500_000, closing: false }]);
    const [theirs] = tenures.of('m1');
    expect(theirs).toMatchObject({ from: 500_000, to: 1_000_000, first: 1, closing: true });
    const silent = { id: theirs!.id, at: 70, closed: null };
    expect(tenures.closed('m1', [silent])).toBe(false);
    expect(tenures.closed('m0', [{ ...silent, closed: 77 }])).toBe(false);
    expect(tenures.closed('m1', [{ ...silent, closed: 77 }])).toBe(true);
    expect(tenures.of('m0')).toMatchObject([{ from: 0 }, { from: 500_000, to: 750_000, first: 78, closing: false }]);
    expect(tenures.of('m1')).toMatchObject([{ from: 750_000, to: 1_000_000, first: 78, closing: false }]);
  });

  it('never reopens what it asked for, whatever is dealt meanwhile', () => {
    const tenures = made();
    tenures.deal(parts(1, 1), 0);
    tenures.deal(parts(3, 1), 5000);
    tenures.deal(parts(1, 1), 10_000);
    expect(tenures.of('m1')).toMatchObject([{ closing: true }]);
    tenures.closed('m1', answers(tenures.of('m1'), 9));
    expect(tenures.of('m1')).toMatchObject([{ from: 500_000, to: 1_000_000, first: 10, closing: false }]);
  });

  it('gives the places of a dead member to the others at once; its last slots are lost', () => {
    const tenures = made();
    tenures.deal(parts(1, 1), 0);
    const [dead] = tenures.of('m1');
    const lost = tenures.died('m1', [{ id: dead!.id, at: 40, closed: null }], 100);
    expect(lost).toBe(Array.from({ length: 60 }, (_, i) => 41 + i).filter((n) => is_in(dead!, n)).length);
    expect(tenures.of('m0')).toMatchObject([{ first: 1 }, { from: 500_000, to: 1_000_000, first: 101 }]);
    expect(tenures.of('m1')).toEqual([]);
  });

  it.each<[string, TenureAccount[], number, number, number]>([
    ['nothing of it, so it may have begun', [], 30, 30, 31],
    ['that it ran ahead', [{ id: 1, at: 50, closed: null }], 30, 0, 51],
    ['that it closed it', [{ id: 1, at: 50, closed: 20 }], 30, 0, 21],
  ])('takes for true what a dead member said: %s', (_, accounts, slots, lost, first) => {
    const tenures = made();
    tenures.deal(parts(1), 0);
    expect(tenures.died('m0', accounts, slots)).toBe(lost);
    expect(tenures.deal(parts(1), 1)).toBe(true); // nobody had any: at once
    expect(tenures.of('m0')).toMatchObject([{ first }]);
  });

  it('chooses another heir when the first one died', () => {
    const tenures = made();
    tenures.deal(parts(1, 1, 0), 0);
    tenures.deal(parts(0, 1, 1), 5000); // m1 to m2, m0 to m1
    const asked = tenures.of('m0');
    tenures.died('m1', answers(tenures.of('m1'), 10), 10);
    tenures.closed('m0', answers(asked, 12));
    expect(tenures.of('m2')).toMatchObject([
      { from: 500_000, first: 11 },
      { from: 0, to: 500_000, first: 13 },
    ]);
  });

  const moves = fc.array(
    fc.record({
      weights: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 })), { minLength: 1, maxLength: 7 }),
      after_ms: fc.integer({ min: 1000, max: 20_000 }),
      slots: fc.nat(500),
      silent: fc.nat(6),
      dies: fc.option(fc.nat(6), { freq: 3 }),
    }),
    { minLength: 1, maxLength: 40 },
  );

  it('gives each place one owner at a time, who goes on where the last one ended', () => {
    fc.assert(
      fc.property(moves, (list) => {
        const tenures = made();
        const probes = Array.from({ length: 20 }, (_, i) => i * 51_001);
        const ended = new Map(probes.map((place) => [place, 0]));
        const owner_of = (place: number): TenureOrders[] =>
          Array.from({ length: 7 }, (_, i) => tenures.of(`m${i}`))
            .flat()
            .filter(({ from, to }) => from <= place && place < to);
        let [now, slots] = [0, 0];
        const began = new Map<number, number>();
        const check = (): void => {
          const all = Array.from({ length: 7 }, (_, i) => tenures.of(`m${i}`)).flat();
          expect(width(all)).toBe(1_000_000);
          expect(all.length).toBeLessThan(120);
          for (const place of probes) {
            const [tenure, ...more] = owner_of(place);
            expect(more).toEqual([]);
            if (began.get(place) === tenure!.id) continue;
            began.set(place, tenure!.id);
            expect(tenure!.first).toBe(ended.get(place)! + 1);
          }
        };
        const note = (closed: readonly TenureOrders[], end: (one: TenureOrders) => number): void => {
          for (const one of closed)
            for (const place of probes) if (one.from <= place && place < one.to) ended.set(place, end(one));
        };
        for (const { weights, after_ms, slots: more, silent, dies } of list) {
          now += after_ms;
          slots += more;
          tenures.deal(parts(...weights), now);
          check();
          for (const i of weights.keys()) {
            if (i === silent) continue;
            const orders = tenures.of(`m${i}`);
            note(
              orders.filter(({ closing }) => closing),
              ({ first }) => Math.max(slots, first - 1),
            );
            tenures.closed(`m${i}`, answers(orders, slots));
            check();
          }
          if (dies === null || weights.length < 2 || !weights.some((w, i) => i !== dies && w > 0)) continue;
          const orders = tenures.of(`m${dies}`);
          note(orders, ({ first }) => Math.max(slots, first - 1));
          expect(tenures.died(`m${dies}`, [], slots)).toBeGreaterThanOrEqual(0);
          expect(tenures.of(`m${dies}`)).toEqual([]);
          check();
        }
      }),
      { numRuns: 60 },
    );
  });

  it('holds few pieces however often it is dealt', () => {
    const tenures = made();
    let most = 0;
    for (let k = 0; k < 2000; k++) {
      tenures.deal(parts(...[5, 6, 7, 8, 9].map((n, i) => 1 + ((k * n * (i + 3)) % 11))), k * 5000);
      for (const member of ['m0', 'm1', 'm2', 'm3', 'm4']) {
        tenures.closed(member, answers(tenures.of(member), k * 10 + 1));
        most = Math.max(most, tenures.of(member).length);
      }
    }
    expect(most).toBeLessThan(30);
  });
});
