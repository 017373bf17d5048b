/** Whose the slots of rated actions are, as the planner of one process deals them. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { after_piece, begin_rate, slots_by, type RatePiece } from '../../../src/swarm/plan/rate-piece.ts';
import type { TenureOrders } from '../../../src/swarm/plan/orders.ts';
import { part_of, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { RateGrants } from '../../../src/swarm/squad/rate-grants.ts';

/** A rate that rises to `per_s` within a second and then stays. */
function pieces(per_s: number, poisson = false): RatePiece[] {
  const { piece } = begin_rate(0, { to_rate: per_s * 1e6, over_us: 1e6, poisson }, 7);
  return [piece, after_piece(piece)!];
}

const weights = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 7 });
const parts = (all: readonly number[]) => all.map((weight, i) => ({ id: `w${i}`, weight }));

test('the members have all places of each rated action together, whatever each holds, and no place twice', () => {
  fc.assert(
    fc.property(weights, weights, (first, second) => {
      const grants = new RateGrants(WHOLE);
      grants.deal([{ 1: pieces(50), 3: pieces(5) }, {}], (group) => parts(group === 0 ? first : second), 10);
      for (const action of [1, 3]) {
        const tenures = parts(first).flatMap(({ id }) => grants.of(0, id)![action]!.tenures);
        expect(tenures.reduce((all, one) => all + part_of(one, 10_000), 0)).toBe(10_000);
        expect(new Set(tenures.map(({ id }) => id)).size).toBe(tenures.length);
      }
      expect(grants.of(1, 'w0')).toBeUndefined();
    }),
  );
});

test('of a member that dies, all that was due since it told of its slots is lost, and others go on behind it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 7 }),
      fc.integer({ min: 200, max: 5000 }),
      fc.nat(3000),
      (members, told_ms, silent_ms) => {
        const list = pieces(500);
        const due = (ms: number): number => slots_by(list[0]!, ms * 1000);
        const grants = new RateGrants(WHOLE);
        const all = parts(Array.from({ length: members }, () => 10));
        grants.deal([{ 0: list }], () => all, 0);
        const [own] = grants.of(0, 'w0')![0]!.tenures;
        const account = { id: own!.id, at: due(told_ms), closed: null };
        const now = told_ms + silent_ms;
        const [lost] = grants.died('w0', [account], now);
        const slots = part_of(own!, due(now)) - part_of(own!, due(told_ms));
        expect(lost).toEqual({ group: 0, action: 0, slots });
        const taken = all.slice(1).flatMap(({ id }) => grants.of(0, id)![0]!.tenures.filter(({ first }) => first > 1));
        expect(taken.every(({ first }) => first === due(now) + 1)).toBe(true);
        expect(taken.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(own!.to - own!.from);
      },
    ),
  );
});

test('what was due at the end and nobody planned is told apart', () => {
  fc.assert(
    fc.property(fc.nat(5000), fc.nat(3000), (run_ms, planned) => {
      const grants = new RateGrants({ from: 250_000, to: 600_000 });
      const list = pieces(500);
      grants.deal([{ 0: list }], () => parts([1, 1]), 0);
      const due = slots_by(list[0]!, run_ms * 1000);
      const own = part_of({ from: 250_000, to: 600_000 }, due);
      expect(grants.unmade(() => planned, run_ms)).toEqual([
        { group: 0, action: 0, slots: Math.max(0, own - planned) },
      ]);
    }),
  );
});

describe('what is ordered', () => {
  it('is the same while nothing changes, but for where the slots of a Poisson process begin to be drawn', () => {
    for (const poisson of [false, true]) {
      const rates = [{ 0: pieces(100, poisson) }];
      const grants = new RateGrants(WHOLE);
      const seen = new Set<string>();
      for (let ms = 0; ms < 300_000; ms += 1000) {
        grants.deal(rates, () => parts([1, 1]), ms);
        seen.add(JSON.stringify(grants.of(0, 'w0')));
      }
      expect(seen.size).toBe(poisson ? 8 : 1);
    }
  });
});

describe('stretches that a process was given of the whole', () => {
  const RATES = [{ 0: pieces(500) }];
  const stretch = (id: number, from: number, to: number, first: number, closing = false): TenureOrders => {
    return { id, from, to, first, closing };
  };

  it('are shared among its members, each from its own first slot on', () => {
    const grants = new RateGrants(WHOLE);
    grants.stretches = () => [stretch(3, 0, 400_000, 7), stretch(8, 600_000, 800_000, 90)];
    grants.deal(RATES, () => parts([1, 1]), 0);
    for (const id of ['w0', 'w1'])
      expect(grants.of(0, id)![0]!.tenures.map(({ from, to, first }) => [to - from, first])).toEqual([
        [200_000, 7],
        [100_000, 90],
      ]);
    expect(grants.accounts()).toEqual([
      {
        group: 0,
        action: 0,
        ended: 0,
        stretches: [
          { id: 3, from: 0, to: 400_000, first: 7, at: 6, closed: null },
          { id: 8, from: 600_000, to: 800_000, first: 90, at: 89, closed: null },
        ],
      },
    ]);
  });

  it('end with one slot, up to which one member makes what others have not, and are counted when they are gone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 10, max: 99 }), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (lasts, dies) => {
          const grants = new RateGrants(WHOLE);
          const members = parts(lasts.map(() => 1));
          let ordered = [stretch(1, 0, 300_000, 5), stretch(2, 500_000, 900_000, 8)];
          grants.stretches = () => ordered;
          grants.deal(RATES, () => members, 0);
          ordered = ordered.map((one) => ({ ...one, closing: true }));
          grants.deal(RATES, () => members, 100);
          for (const [i, last] of lasts.entries()) {
            const id = `w${i}`;
            const tenures = grants.of(0, id)![0]!.tenures;
            expect(tenures.every(({ closing }) => closing)).toBe(true);
            if (dies && i === 0)
              grants.died(
                id,
                tenures.map((one) => ({ id: one.id, at: last, closed: null })),
                200,
              );
            else
              grants.heard(
                id,
                tenures.map((one) => ({ id: one.id, at: last, closed: last })),
              );
          }
          const up = dies ? members.slice(1) : members;
          const closed = (): (number | null)[] => grants.accounts()[0]!.stretches.map((one) => one.closed);
          const most = Math.max(...lasts);
          for (let rounds = 0; rounds < 3 && up.length > 0; rounds++) {
            grants.deal(RATES, () => up, 300);
            for (const { id } of up) {
              const missing = grants.of(0, id)![0]!.tenures;
              expect(missing.every(({ first, last }) => last === most && first <= most)).toBe(true);
              grants.heard(
                id,
                missing.map((one) => ({ id: one.id, at: 200, closed: one.last! })),
              );
            }
          }
          expect(closed()).toEqual(up.length > 0 ? [most, most] : [null, null]);
          ordered = [];
          grants.deal(RATES, () => up, 400);
          if (up.length === 0) return;
          const slots = part_of({ from: 0, to: 300_000 }, most) - part_of({ from: 0, to: 300_000 }, 4);
          const more = part_of({ from: 500_000, to: 900_000 }, most) - part_of({ from: 500_000, to: 900_000 }, 7);
          expect(grants.accounts()[0]).toMatchObject({ stretches: [], ended: slots + more });
        },
      ),
    );
  });
});
