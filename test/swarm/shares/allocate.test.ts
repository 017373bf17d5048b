import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { allocate, grant, split_rate } from '../../../src/swarm/shares/allocate.ts';
import { Outstanding } from '../../../src/swarm/squad/outstanding.ts';

type Allotment = Parameters<typeof allocate>[1][number];

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const member = (held: number, capacity = 1000, weight = 1): Allotment => ({
  held,
  capacity,
  weight,
});

/** The rule as it is said, client by client. */
function one_by_one(target: number, members: readonly Allotment[]): number[] {
  const shares = members.map((one) => Math.min(one.held, one.capacity));
  const weight = (i: number): number => members[i]!.weight;
  const indices = [...shares.keys()];
  while (sum(shares) < target) {
    const open = indices.filter((i) => shares[i]! < members[i]!.capacity);
    if (open.length === 0) break;
    shares[open.reduce((best, i) => (shares[i]! / weight(i) < shares[best]! / weight(best) ? i : best))]!++;
  }
  // undoing growth: the place that was filled last is the highest, counted without the client itself
  const place = (i: number): number => (shares[i]! - 1) / weight(i);
  while (sum(shares) > target) {
    const full = indices.filter((i) => shares[i]! > 0);
    shares[full.reduce((best, i) => (place(i) >= place(best) ? i : best))]!--;
  }
  return shares;
}

const swarm = fc.array(
  fc.record({
    held: fc.integer({ min: 0, max: 60 }),
    capacity: fc.integer({ min: 0, max: 80 }),
    weight: fc.constantFrom(1, 1, 1, 2, 3, 0.5),
  }),
  { minLength: 1, maxLength: 8 },
);

describe('allocate', () => {
  it.each([
    ['deals the remainder to the first', 10, [member(0), member(0), member(0)], [4, 3, 3]],
    ['grows the lowest', 12, [member(5), member(1), member(1)], [5, 4, 3]],
    ['moves nobody who is there', 8, [member(5), member(1), member(1)], [5, 2, 1]],
    ['takes from the highest', 5, [member(5), member(1), member(1)], [3, 1, 1]],
    ['takes back from the last of equals', 5, [member(2), member(2), member(2)], [2, 2, 1]],
    ['weighs', 9, [member(0, 1000, 2), member(0)], [6, 3]],
    ['passes over the full', 9, [member(0, 1), member(0), member(0, 2)], [1, 6, 2]],
    ['stops when all are full', 99, [member(0, 1), member(0, 2)], [1, 2]],
    ['takes a share from who lost its capacity', 6, [member(4, 0), member(2)], [0, 6]],
    ['has nothing to deal to nobody', 9, [], []],
  ])('%s', (_, target, members, shares) => expect(allocate(target, members)).toEqual(shares));

  it('is as quick when there are fewer clients than members', () => {
    const members = Array.from({ length: 500 }, () => member(0));
    // a look at each member is a call of it: halving on towards 0 would be a thousand looks
    const looks = vi.spyOn(Math, 'ceil');
    expect(sum(allocate(312, members))).toBe(312);
    expect(looks.mock.calls.length).toBeLessThan(100 * members.length);
    looks.mockRestore();
    expect(allocate(3, [member(0, 10, 3), member(0, 10, 0.001), member(0)])).toEqual([1, 1, 1]);
  });

  it('does what dealing client by client would', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), swarm, (target, members) => {
        expect(allocate(target, members)).toEqual(one_by_one(target, members));
      }),
      { numRuns: 500 },
    );
  });

  it('is exact, within capacity, and only grows or only shrinks', () => {
    const large = fc.array(fc.tuple(fc.integer({ min: 0, max: 400_000 }), fc.integer({ min: 0, max: 400_000 })), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), large, (target, list) => {
        const members = list.map(([held, capacity]) => member(Math.min(held, capacity), capacity));
        const shares = allocate(target, members);
        expect(sum(shares)).toBe(Math.min(target, sum(members.map((one) => one.capacity))));
        const moves = shares.map((share, i) => share - members[i]!.held);
        expect(moves.every((move) => move >= 0) || moves.every((move) => move <= 0)).toBe(true);
        expect(shares.every((share, i) => share >= 0 && share <= members[i]!.capacity)).toBe(true);
      }),
    );
  });

  it('depends with fixed members on the target alone, whatever came before', () => {
    const fixed = fc.array(fc.tuple(fc.integer({ min: 0, max: 80 }), fc.constantFrom(1, 2, 3, 0.5)), {
      minLength: 1,
      maxLength: 6,
    });
    const targets = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fixed, targets, (list, path) => {
        const fresh = list.map(([capacity, weight]) => member(0, capacity, weight));
        let shares = fresh.map(() => 0);
        for (const target of path)
          shares = allocate(
            target,
            fresh.map((one, i) => ({ ...one, held: shares[i]! })),
          );
        expect(shares).toEqual(allocate(path.at(-1)!, fresh));
      }),
    );
  });

  it('deals ten million to fifty members', () => {
    const shares = allocate(
      10_000_000,
      Array.from({ length: 50 }, () => member(0, 99_999_999)),
    );
    expect(shares).toEqual(Array.from({ length: 50 }, () => 200_000));
  });
});

describe('split_rate', () => {
  it('is exact and even', () => {
    expect(split_rate(1000, 3)).toEqual([333.333333, 333.333333, 333.333334]);
    expect(split_rate(0.5, 2)).toEqual([0.25, 0.25]);
    expect(split_rate(1000, 0)).toEqual([]);
  });
});

/** A member behind a channel that delays, loses and reorders; the truth that the coordinator does not see. */
class Remote {
  readonly orders = new Outstanding();
  capacity = 1000;
  share = 0;
  alive = true;
  running = 0;
  applied = 0;
  orders_out: { revision: number; clients: number }[] = [];
  acks: number[] = [];
}

describe('grant', () => {
  const step = fc.oneof(
    { weight: 2, arbitrary: fc.record({ op: fc.constant('target' as const), n: fc.integer({ min: 0, max: 300 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constantFrom('deliver' as const, 'lose_plan' as const, 'ack' as const, 'late_ack' as const),
        n: fc.nat(20),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        op: fc.constantFrom('die' as const, 'give_up' as const, 'revive' as const),
        n: fc.nat(20),
      }),
    },
  );

  it('never lets more run than the target, and comes to it exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 80 }), (n, steps) => {
        const remotes = Array.from({ length: n }, () => new Remote());
        let [target, revision, allowed] = [0, 0, 0];
        const orders = (): void => {
          const all = remotes.map((one) => ({
            may: one.orders.may,
            held: one.share,
            capacity: one.capacity,
            weight: 1,
          }));
          const shares = allocate(target, all);
          const wanted = shares.map((share, i) => (remotes[i]!.alive ? share : 0));
          const granted = grant(target, wanted, all);
          const may_before = sum(all.map((one) => one.may));
          revision++;
          for (const [i, one] of remotes.entries()) {
            one.share = shares[i]!;
            if (!one.alive) continue;
            one.orders.add(revision, granted[i]!);
            one.orders_out.push({ revision, clients: granted[i]! });
          }
          expect(sum(remotes.map((one) => one.orders.may))).toBeLessThanOrEqual(Math.max(target, may_before));
        };
        const apply = (one: Remote, at: number): void => {
          const [next] = one.orders_out.splice(at, 1);
          if (!next || next.revision <= one.applied) return;
          one.applied = next.revision;
          one.running = next.clients;
          one.acks.push(next.revision);
        };
        const acknowledge = (one: Remote, at: number): void => {
          const [ack] = one.acks.splice(at, 1);
          if (ack !== undefined && one.alive) one.orders.acknowledge(ack);
        };
        const check = (): void => {
          const running = sum(remotes.map((one) => one.running));
          for (const one of remotes) expect(one.running).toBeLessThanOrEqual(one.orders.may);
          // above the target only what an earlier, higher one allowed and a decrease did not reach yet
          allowed = Math.max(target, Math.min(allowed, sum(remotes.map((one) => one.orders.may))));
          expect(running).toBeLessThanOrEqual(allowed);
        };
        for (const { op, n: k } of steps) {
          const one = remotes[k % n]!;
          if (op === 'target') target = k;
          else if (op === 'deliver') apply(one, k % Math.max(1, one.orders_out.length));
          else if (op === 'lose_plan') one.orders_out.pop();
          else if (op === 'ack') acknowledge(one, 0);
          else if (op === 'late_ack') acknowledge(one, one.acks.length - 1);
          else if (op === 'revive') one.alive = true;
          else {
            // exact: attested by who started it
            Object.assign(one, { alive: false, running: 0, applied: 0, orders_out: [], acks: [] });
            one.orders.clear();
            if (op === 'give_up') one.share = 0;
          }
          one.capacity = op === 'give_up' ? 0 : op === 'revive' ? 1000 : one.capacity;
          orders();
          check();
        }
        for (const one of remotes) Object.assign(one, { alive: true, capacity: 1000 });
        for (let round = 0; round < 3; round++) {
          orders();
          for (const one of remotes) {
            apply(one, one.orders_out.length - 1);
            acknowledge(one, one.acks.length - 1);
          }
          check();
        }
        expect(sum(remotes.map((one) => one.running))).toBe(target);
      }),
      { numRuns: 400 },
    );
  });
});
