import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAIN } from '../../../src/metrics/groups.ts';
import { NOTHING_WANTED, type Wanted } from '../../../src/swarm/plan/intent.ts';
import { group_targets } from '../../../src/swarm/plan/numbering.ts';
import { ARRIVALS, clients_of, type IdRange, type Orders } from '../../../src/swarm/plan/orders.ts';
import { SLOT } from '../../../src/swarm/plan/rate-piece.ts';
import type { MemberId } from '../../../src/swarm/plan/run-spec.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { Traces } from '../../../src/swarm/plan/traces.ts';
import type { Members } from '../../../src/swarm/squad/members.ts';
import { Planner } from '../../../src/swarm/squad/planner.ts';
import { account, members_of } from '../accounts.ts';
import { MACHINE } from '../fake-swarm.ts';
import { group_of, LIVE, run_of } from '../specs.ts';

/** `main`, `g2`, `g3`, … */
const groups_of = (shares: readonly number[]) =>
  shares.map((share, g) => group_of({ name: g === 0 ? MAIN : `g${g + 1}`, share }));

/** A planner and what it published. */
class Bench {
  readonly orders_out: Orders[] = [];
  readonly traces = new Traces();
  readonly members: Members;
  readonly planner: Planner;
  #seq = 1;

  /** `shares`: of the groups of the run */
  constructor(ids: readonly MemberId[], up = true, shares: readonly number[] = [1]) {
    this.members = members_of(ids, up, shares.length);
    const nothing = (): void => {};
    const publish = (orders: Orders): void => void this.orders_out.push(orders);
    const hub = { publish, want: nothing, onAccount: nothing, onGone: nothing, close: async () => [] };
    this.planner = new Planner(hub, this.members, this.traces, run_of({ groups: groups_of(shares) }), MACHINE, {
      now: () => 0,
    });
  }

  /** `planned`: how many of them at a moment; all if left out. */
  aim(target: number, planned = (_now: number): number => target, more: Partial<Wanted> = {}): void {
    this.planner.follow((now) => {
      const parts = group_targets(this.planner.run.what.groups, planned(now));
      const groups = group_targets(this.planner.run.what.groups, target).map((part, g) => {
        return { target: part, planned: parts[g]! };
      });
      return { ...NOTHING_WANTED, connect_per_s: 1000, groups, ...more };
    }, 0);
    this.planner.replan(false);
  }

  /** The member has applied `revision`, the newest if none is named; planning follows. */
  acknowledge(id: MemberId, revision = this.planner.revision): void {
    this.members.accept(
      id,
      account(this.members.get(id)!.account!.incarnation, 0, { seq: ++this.#seq, revision }),
      0,
      0,
    );
    this.planner.replan(false);
  }

  /** What the newest plan orders: clients by member. */
  get ordered(): Record<MemberId, number> {
    const entries = Object.entries(this.orders_out.at(-1)?.members ?? {});
    return Object.fromEntries(entries.map(([id, entry]) => [id, clients_of(entry)]));
  }
}

describe('Planner', () => {
  it('shares the target, with ids and a part of the connect rate for those that have clients', () => {
    const bench = new Bench(['w1', 'w2', 'w3']);
    bench.aim(2);
    expect(bench.ordered).toEqual({ w1: 1, w2: 1, w3: 0 });
    const entries = Object.values(bench.orders_out[0]!.members).map(({ groups }) => groups.main!);
    expect(entries.map(({ connect_per_s }) => connect_per_s)).toEqual([500, 500, 0]);
    expect(entries.map(({ rate_parts }) => rate_parts)).toEqual([2, 2, 2]);
    expect(entries.map(({ ids }) => ids.map(([first]) => first))).toEqual([[1], [2], []]);
    expect(bench.orders_out[0]).toMatchObject({
      revision: 1,
      phase: 'run',
      run: bench.planner.run,
      machine: MACHINE,
      live: { ...LIVE, zero_ms: expect.any(Number) as number },
    });
  });

  it('publishes nothing that would order the same again, unless it shall anyway', () => {
    const bench = new Bench(['w1']);
    bench.aim(5);
    bench.planner.replan(false);
    expect(bench.orders_out).toHaveLength(1);
    bench.planner.replan(true);
    expect(bench.orders_out.map(({ revision }) => revision)).toEqual([1, 2]);
  });

  it('orders no increase before the decrease that makes room for it was acknowledged', () => {
    const bench = new Bench(['w1', 'w2']);
    bench.aim(20);
    for (const id of ['w1', 'w2']) bench.acknowledge(id);
    bench.members.depart(bench.members.get('w2')!, 'w2-1', 'given_up', 0, 0);
    bench.planner.replan(false);
    // attested dead: nothing of it can still run
    expect(bench.ordered).toEqual({ w1: 20 });
    bench.acknowledge('w1');
    bench.members.accept('w2', account('w2-2'), 0, 0);
    bench.aim(4);
    bench.aim(20);
    // w1 may still run its 20: it is told 10, and w2 waits until it has heard that
    expect(bench.ordered).toEqual({ w1: 10, w2: 0 });
    bench.acknowledge('w1');
    expect(bench.ordered).toEqual({ w1: 10, w2: 10 });
  });

  it('keeps the share of a member that restarts for it, with its ids', () => {
    const bench = new Bench(['w1', 'w2']);
    bench.aim(10);
    const ids = bench.orders_out.at(-1)!.members.w2!.groups.main!.ids;
    bench.members.depart(bench.members.get('w2')!, 'w2-1', 'restarting', 0, 0);
    bench.planner.replan(false);
    expect(bench.ordered).toEqual({ w1: 5 });
    bench.members.accept('w2', account('w2-2'), 0, 0);
    bench.planner.replan(false);
    expect(bench.ordered).toEqual({ w1: 5, w2: 5 });
    expect(bench.orders_out.at(-1)!.members.w2).toMatchObject({ incarnation: 'w2-2', groups: { main: { ids } } });
  });

  it('orders nothing of a member that has not said hello', () => {
    const bench = new Bench(['w1'], false);
    bench.aim(10);
    expect(bench.ordered).toEqual({});
    bench.members.accept('w1', account('a'), 0, 0);
    bench.planner.replan(false);
    expect(bench.ordered).toEqual({ w1: 10 });
  });

  it('goes along a ramp, and gives ids for its end at once', () => {
    const bench = new Bench(['w1', 'w2']);
    bench.aim(100, (now) => Math.min(100, now / 10));
    expect([bench.planner.target, bench.planner.planned]).toEqual([100, 0]);
    const steps = [250, 500, 1000].map((now) => {
      const is_ramp = bench.planner.step(now);
      bench.planner.replan(false);
      return [is_ramp, bench.planner.planned];
    });
    expect(steps).toEqual([
      [true, 25],
      [true, 50],
      [true, 100],
    ]);
    expect(bench.planner.step(1100)).toBe(false);
    const ids = bench.orders_out.filter(({ members }) => members.w1!.groups.main!.clients > 0);
    expect(new Set(ids.map(({ members }) => JSON.stringify(members.w1!.groups.main!.ids))).size).toBe(1);
  });

  it('gives the ids that dealt numbers stand for', () => {
    const bench = new Bench(['w1', 'w2']);
    bench.planner.to_indices = (_, dealt) => dealt.map(([first, last, step]) => [first + 100, last + 100, step]);
    bench.aim(4);
    const ids = Object.values(bench.orders_out.at(-1)!.members).map(({ groups }) => groups.main!.ids);
    expect(ids).toEqual([[[101, 103, 2]], [[102, 104, 2]]]);
  });

  it('carries phase, traces, graceful shrinking and retries to the members', () => {
    const bench = new Bench(['w1']);
    bench.aim(3);
    const token = bench.traces.start('w1', 2, 1000, () => {});
    bench.aim(3, () => 3, { phase: 'drain', graceful: true, retry_fatal: 1 });
    bench.planner.replan(true);
    expect(bench.planner.is_ending).toBe(true);
    expect(bench.orders_out.at(-1)).toMatchObject({
      phase: 'drain',
      live: { retry_fatal: 1 },
      members: { w1: { traces: [{ token, client: 2 }], groups: { main: { graceful: true } } } },
    });
  });

  it('gives each group its part of the target, with ids and a part of the rate, in the order of the run', () => {
    const bench = new Bench(['w1', 'w2'], true, [1, 9]);
    bench.aim(20);
    const { w1, w2 } = bench.orders_out.at(-1)!.members;
    expect([w1, w2].map((entry) => Object.entries(entry!.groups).map(([name, one]) => [name, one.clients]))).toEqual([
      [
        [MAIN, 1],
        ['g2', 9],
      ],
      [
        [MAIN, 1],
        ['g2', 9],
      ],
    ]);
    expect(w1!.groups['g2']!.ids).toEqual([[1, 17, 2]]);
    expect(w2!.groups['g2']!.ids).toEqual([[2, 18, 2]]);
    const rates = [w1, w2].flatMap((entry) => Object.values(entry!.groups).map((one) => one.connect_per_s));
    expect(rates).toEqual([250, 250, 250, 250]);
    // id 1 is of main, 2 to 10 are of g2
    expect([1, 2, 3, 11].map((id) => bench.planner.owner(id))).toEqual(['w1', 'w1', 'w2', 'w2']);
  });

  it('gives members parts of those that arrive, with ids and a part of the connect rate, and lets no slot be of two', () => {
    const bench = new Bench(['w1', 'w2', 'w3']);
    const piece = { from_us: 0, to_us: null, from_rate: 1e6, to_rate: 1e6, slots: 0, first: SLOT, poisson: null };
    const rates = (at_most?: number): Wanted['rates'] => [
      { [ARRIVALS]: [at_most === undefined ? piece : { ...piece, at_most }] },
    ];
    const shares = () => Object.values(bench.orders_out.at(-1)!.members).map(({ groups }) => groups.main!);
    const bounds = () => shares().map((one) => one.rates![ARRIVALS]!.pieces[0]!.at_most);
    bench.aim(3, undefined, { rates: rates(10) });
    expect(bounds()).toEqual([3, 3, 4]);
    expect(shares().map(({ connect_per_s }) => Math.round(connect_per_s))).toEqual([333, 333, 333]);
    const numbers = shares().map(({ ids }) => spread(ids));
    expect(numbers.map(({ length }) => length)).toEqual([4, 4, 5]);
    expect(new Set(numbers.flat()).size).toBe(13);
    const tenures = shares().flatMap((one) => one.rates![ARRIVALS]!.tenures);
    expect(tenures.reduce((all, { from, to }) => all + to - from, 0)).toBe(WHOLE.to - WHOLE.from);
    // as many as fit: 1000 of each, less the target
    bench.aim(6, undefined, { rates: rates() });
    expect(bounds()).toEqual([998, 998, 998]);
    bench.aim(6, undefined, { rates: [{ [ARRIVALS]: [{ ...piece, from_rate: 0, to_rate: 0 }] }] });
    expect(bounds()).toEqual([0, 0, 0]);
  });

  it('connects those that arrive where there are no other clients', () => {
    const bench = new Bench(['w1', 'w2']);
    const piece = { from_us: 0, to_us: null, from_rate: 1e6, to_rate: 1e6, slots: 0, first: SLOT, poisson: null };
    bench.aim(0, undefined, { rates: [{ [ARRIVALS]: [{ ...piece, at_most: 1 }] }] });
    const [w1, w2] = Object.values(bench.orders_out.at(-1)!.members).map(({ groups }) => groups.main!);
    expect([w1!.connect_per_s, w2!.connect_per_s]).toEqual([0, 1000]);
    // who may have none fires no slots
    expect([w1!, w2!].map((one) => one.rates![ARRIVALS]!.tenures.length)).toEqual([0, 1]);
  });

  it('property: never above a target, nor a group above its part, nor an id twice, whatever is acknowledged when', () => {
    const ids = ['w1', 'w2', 'w3'];
    const step = fc.oneof(
      fc.record({ aim: fc.integer({ min: 0, max: 60 }) }),
      fc.record({ who: fc.constantFrom(...ids), lag: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ dies: fc.constantFrom(...ids) }),
    );
    const shares = fc.constantFrom([1], [1, 9], [3, 1, 2], [1, 1, 1, 50]);
    fc.assert(
      fc.property(shares, fc.array(step, { maxLength: 40 }), (all, steps) => {
        const bench = new Bench(ids, true, all);
        const groups = groups_of(all);
        /** what all members could be running of a group, and of all */
        const may = (): number[] =>
          [...groups.keys(), null].map((g) =>
            bench.members.all.reduce((sum, one) => sum + (g === null ? one.may : one.parts[g]!.outstanding.may), 0),
          );
        const aims = (): number[] => {
          const { target } = bench.planner;
          return [...group_targets(groups, target), target];
        };
        let births = 1;
        let allowed = may();
        for (const one of steps) {
          const before = may();
          if ('aim' in one) bench.aim(one.aim);
          else if ('who' in one) bench.acknowledge(one.who, Math.max(0, bench.planner.revision - one.lag));
          else {
            const member = bench.members.get(one.dies)!;
            bench.members.depart(member, member.account!.incarnation, 'restarting', 0, 0);
            bench.members.accept(one.dies, account(`${one.dies}-${++births}`), 0, 0);
            bench.planner.replan(false);
          }
          // what a smaller target finds running may go on until it is acknowledged, and nothing is added to it
          allowed = aims().map((target, g) => Math.max(target, Math.min(allowed[g]!, before[g]!)));
          for (const [g, most] of may().entries()) expect(most).toBeLessThanOrEqual(allowed[g]!);
        }
        for (const id of ids) bench.acknowledge(id);
        for (const id of ids) bench.acknowledge(id);
        const entries = Object.values(bench.orders_out.at(-1)?.members ?? {});
        const parts = groups.map(({ name }) => entries.map((entry) => entry.groups[name]!));
        if (entries.length > 0)
          expect(parts.map((row) => row.reduce((sum, { clients }) => sum + clients, 0))).toEqual(aims().slice(0, -1));
        for (const row of parts) {
          const owned = row.map((one) => spread(one.ids));
          expect(owned.every((own, i) => own.length >= row[i]!.clients)).toBe(true);
          expect(new Set(owned.flat()).size).toBe(owned.flat().length);
        }
      }),
      { numRuns: 200 },
    );
  });
});

const spread = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(([first, last, step]) =>
    Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step),
  );
