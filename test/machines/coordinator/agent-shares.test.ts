import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  may_of,
  RETURN_MS,
  unsure_of,
  type KnownAgent,
  type ShareInput,
} from '../../../src/machines/coordinator/agent-seats.ts';
import { next_shares } from '../../../src/machines/coordinator/agent-shares.ts';
import { first_desired } from '../../../src/machines/coordinator/desired.ts';
import { first_plan } from '../../../src/machines/coordinator/leader.ts';
import type { Desired, Presence, RunHeader, SwarmPlan } from '../../../src/machines/store/documents.ts';
import { by_group, flat, share_of } from '../main-share.ts';
import { group_of, GROUPS } from '../../swarm/specs.ts';
import { map_groups } from '../../../src/metrics/groups.ts';
import { group_targets } from '../../../src/swarm/plan/numbering.ts';
import type { IdRange } from '../../../src/swarm/plan/orders.ts';

const RUN: RunHeader = {
  id: 'r',
  swarm: 's',
  bundle_sha256: '',
  isolation_ms: 10_000,
  agents: 1,
  signature: '',
  started: '2026-01-01T00:00:00Z',
};
const DESIRED = first_desired('r', 100, false);
const FIRST = first_plan(RUN, DESIRED, 1, 'e', null, GROUPS);

type Told = Partial<Omit<Presence, 'may' | 'ids_wanted'>> & {
  readonly may?: number;
  readonly silent_ms?: number;
  readonly known_ms?: number;
};

/** An agent that does as it is told: it says that it took over everything, and holds what it may. */
function agent(id: string, { silent_ms = 0, known_ms = 0, may = 0, ...told }: Told = {}): KnownAgent {
  const presence = {
    incarnation: `${id}-1`,
    replaces: [],
    ready: 'r',
    weight: 1,
    capacity: 100,
    leaving: false,
    accepted: Infinity,
    may: by_group(may),
    open: 0,
    ids_wanted: {},
    refuses: null,
    ...told,
  } as unknown as Presence;
  return { id, presence, silent_ms, known_ms };
}

function next(
  old: SwarmPlan,
  agents: readonly KnownAgent[],
  desired: Partial<Desired> = {},
  run_ms = 0,
  groups = GROUPS,
): SwarmPlan {
  const now: ShareInput = {
    groups,
    desired: { ...DESIRED, ...desired },
    agents,
    run_ms,
    reassign_ms: 11_000,
    at: '2026-01-01T00:00:01Z',
    planned: () => 0,
    silent_ms: (id, incarnation) =>
      agents.find((one) => one.id === id && one.presence.incarnation === incarnation)?.silent_ms ?? 0,
  };
  const revision = old.revision + 1;
  return { ...old, revision, target: now.desired.target, ...next_shares(old, revision, now) };
}

const shares = ({ members }: SwarmPlan) =>
  Object.fromEntries(
    Object.entries(members).map(([id, entry]) => {
      const { share, ramp, may } = flat(entry);
      return [id, [share, ramp.to, may]];
    }),
  );
const all_ids = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(([first, last, step]) =>
    Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step),
  );
const holding = (may: Record<string, number>, told: Record<string, Told> = {}): KnownAgent[] =>
  Object.entries(may).map(([id, held]) => agent(id, { may: held, open: held, ...told[id] }));

describe('the shares of the next plan', () => {
  const two = next(FIRST, holding({ a: 0, b: 0 }), { target: 10 });

  test('grow with the target, ids with them', () => {
    expect(shares(two)).toEqual({ a: [5, 5, 5], b: [5, 5, 5] });
    expect(flat(two.members['a']).ids).toEqual([[1, 9, 2]]);
    expect(flat(two.members['b']).ids).toEqual([[2, 10, 2]]);
    expect(two.members['a']!.connect_per_s + two.members['b']!.connect_per_s).toBe(100);
  });

  test('go by weight, as far as there is capacity', () => {
    const agents = [agent('a', { weight: 3 }), agent('b'), agent('c', { capacity: 1 })];
    expect(shares(next(FIRST, agents, { target: 9 }))).toEqual({ a: [6, 6, 6], b: [2, 2, 2], c: [1, 1, 1] });
  });

  test('shrink at once, but what may run stays until the agent says otherwise', () => {
    const less = next(two, holding({ a: 5, b: 5 }), { target: 4 });
    expect(shares(less)).toEqual({ a: [2, 2, 5], b: [2, 2, 5] });
    expect(shares(next(less, holding({ a: 2, b: 5 }), { target: 4 }))).toEqual({ a: [2, 2, 2], b: [2, 2, 5] });
  });

  test('grow only out of what nobody may be running', () => {
    const drained = next(two, holding({ a: 5, b: 5 }), { target: 10, drained: ['a'] });
    expect(shares(drained)).toEqual({ a: [0, 0, 5], b: [10, 5, 5] });
    const later = next(drained, holding({ a: 2, b: 5 }), { target: 10, drained: ['a'] });
    expect(shares(later)).toEqual({ a: [0, 0, 2], b: [10, 8, 8] });
  });

  test('wait for an agent that is away, and go to the others when it is written off', () => {
    const away = next(two, holding({ a: 5, b: 5 }, { a: { silent_ms: 9000 } }), { target: 10 });
    expect(shares(away)).toEqual({ a: [5, 5, 5], b: [5, 5, 5] });
    const off = next(away, holding({ a: 5, b: 5 }, { a: { silent_ms: 11_000 } }), { target: 10 });
    expect(shares(off)).toEqual({ b: [10, 10, 10] });
    expect(off.departed).toMatchObject([{ agent: 'a', incarnation: 'a-1', attested: false, open: 5 }]);
    expect(unsure_of(off, new Map(), [])).toEqual([{ agent: 'a', incarnation: 'a-1', open: 5 }]);
    expect(unsure_of(off, new Map([['a', agent('a', { replaces: ['a-1'] }).presence]]), [])).toEqual([]);
    // it may live, and be logged in at the server with what it owned
    expect(flat(off.members['b']).ids).toEqual([
      [2, 10, 2],
      [11, 15, 1],
    ]);
    expect(off.ids['main']!.free).toEqual([]);
  });

  test('are opened elsewhere with the ids of an agent only if its death is attested', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 }), fc.constantFrom('silent', 'evicted', 'dead'), (target, how) => {
        const before = next(FIRST, holding({ a: 0, b: 0 }), { target });
        const may = { a: flat(before.members['a']).may, b: flat(before.members['b']).may };
        const told: Record<typeof how, Told> = {
          silent: { silent_ms: 11_000 },
          evicted: {},
          dead: { incarnation: 'a-2', replaces: ['a-1'], capacity: 0, may: 0 },
        };
        const evicted = how === 'evicted' ? ['a.a-1'] : [];
        const after = next(before, holding(may, { a: told[how] }), { target, evicted });
        expect(shares(after)['b']).toEqual([target, target, target]);
        const owned = new Set(all_ids(flat(before.members['a']).ids));
        const again = all_ids(flat(after.members['b']).ids).filter((id) => owned.has(id));
        expect(again.length).toBe(how === 'dead' ? owned.size : 0);
      }),
    );
  });

  test('wait for an agent that was started anew until its workers are up, but not for ever', () => {
    const loading: Told = { incarnation: 'a-2', replaces: ['a-1'], ready: null, capacity: 0 };
    const agents = (told: Told): KnownAgent[] => holding({ a: 0, b: 5 }, { a: { ...loading, ...told } });
    const waits = next(two, agents({}), { target: 10 });
    expect(shares(waits)).toEqual({ a: [5, 0, 0], b: [5, 5, 5] });
    expect(waits.members['a']!.incarnation).toBe('a-2');
    const up = next(waits, agents({ ready: 'r', capacity: 100, known_ms: 9000 }), { target: 10 });
    expect(shares(up)).toEqual({ a: [5, 5, 5], b: [5, 5, 5] });
    // as when it died, no other id
    expect(flat(up.members['a']).ids).toEqual(flat(two.members['a']).ids);
    const over: Told[] = [{ known_ms: RETURN_MS }, { refuses: 'no module' }, { leaving: true }, { silent_ms: 6000 }];
    for (const told of over.slice(0, 3))
      expect(shares(next(waits, agents(told), { target: 10 }))['b']).toEqual([10, 10, 10]);
    for (const told of over.slice(1))
      expect(shares(next(two, agents(told), { target: 10 }))).toEqual({ b: [10, 10, 10] });
  });

  test('count what one may hold that did not confirm the end, too', () => {
    const plan = { ...two, unconfirmed: ['a'] };
    const told = (may: number, more: Told = {}) => new Map([['a', agent('a', { may, open: may, ...more }).presence]]);
    expect(unsure_of(plan, new Map(), [])).toEqual([{ agent: 'a', incarnation: 'a-1', open: 5 }]);
    expect(unsure_of(plan, told(5), [])).toEqual([{ agent: 'a', incarnation: 'a-1', open: 5 }]);
    // it was told less, and has not said that it does it
    expect(unsure_of(plan, told(7), [])).toEqual([{ agent: 'a', incarnation: 'a-1', open: 7 }]);
    expect(unsure_of(plan, told(0, { incarnation: 'a-2' }), [])).toEqual([{ agent: 'a', incarnation: 'a-1', open: 5 }]);
    expect(unsure_of(plan, told(0, { incarnation: 'a-2', replaces: ['a-1'] }), [])).toEqual([]);
    expect(unsure_of(plan, told(5), ['a.a-1'])).toEqual([]);
  });

  test('take it from the dead as soon as that is attested, and give the next one a new seat', () => {
    const again = holding({ a: 0, b: 5 }, { a: { incarnation: 'a-2', replaces: ['a-1'] } });
    const plan = next(two, again, { target: 10 });
    expect(plan.departed).toMatchObject([{ incarnation: 'a-1', attested: true, open: 0 }]);
    expect(plan.members['a']).toMatchObject({ incarnation: 'a-2', groups: { main: { share: 5, may: 5 } } });
  });

  test('do not trust an incarnation that only says it is another one', () => {
    const plan = next(two, holding({ a: 0, b: 5 }, { a: { incarnation: 'a-2' } }), { target: 10 });
    expect(plan.members['a']).toMatchObject({ incarnation: 'a-1', groups: { main: { may: 5 } } });
    expect(plan.departed).toEqual([]);
  });

  test('are those of an agent whose incarnation another one, which was evicted, claimed to be', () => {
    const evicted = next(two, holding({ a: 5, b: 5 }), { target: 10, evicted: ['b.a-1'] });
    expect(shares(evicted)).toEqual(shares(next(two, holding({ a: 5, b: 5 }), { target: 10 })));
  });

  test('go on without one that was evicted, which never comes back as it was', () => {
    const evicted = next(two, holding({ a: 5, b: 5 }), { target: 10, evicted: ['a.a-1'] });
    expect(shares(evicted)).toEqual({ b: [10, 10, 10] });
    expect(shares(next(evicted, holding({ a: 5, b: 10 }), { target: 10, evicted: ['a.a-1'] }))).toEqual({
      b: [10, 10, 10],
    });
    expect(unsure_of(evicted, new Map(), ['a.a-1'])).toEqual([]);
  });

  test('move to a newcomer only when asked to', () => {
    const three = { a: 5, b: 5, c: 0 };
    const plan = next(two, holding(three), { target: 10 });
    expect(shares(plan)).toEqual({ a: [5, 5, 5], b: [5, 5, 5], c: [0, 0, 0] });
    const anew = next(plan, holding(three), { target: 10, rebalance: 1 });
    expect(shares(anew)).toEqual({ a: [4, 4, 5], b: [3, 3, 5], c: [3, 0, 0] });
    expect(shares(next(anew, holding({ a: 4, b: 3, c: 0 }), { target: 10, rebalance: 1 }))).toEqual({
      a: [4, 4, 4],
      b: [3, 3, 3],
      c: [3, 3, 3],
    });
  });

  test('follow a ramp from where each is, and keep it while nothing changes', () => {
    const ramp = { from: 10, to: 30, start_ms: 1000, end_ms: 3000 };
    const up = next(two, holding({ a: 5, b: 5 }), { target: 30, ramp }, 1000);
    expect(flat(up.members['a']).ramp).toEqual({ from: 5, to: 15, start_ms: 1000, end_ms: 3000 });
    const later = next(up, holding({ a: 10, b: 10 }), { target: 30, ramp }, 2000);
    expect(later.members).toEqual(up.members);
    const over = next(up, holding({ a: 15, b: 15 }), { target: 30, ramp }, 3500);
    expect(flat(over.members['a']).ramp).toEqual(flat(up.members['a']).ramp);
  });

  test('never begin a ramp above what the agent may be running', () => {
    const down = next(two, holding({ a: 5, b: 5 }), {
      target: 2,
      ramp: { from: 10, to: 2, start_ms: 0, end_ms: 8000 },
    });
    // its clock is ahead: it holds 2 already
    const bent = next(
      down,
      holding({ a: 2, b: 5 }),
      { target: 3, ramp: { from: 8, to: 3, start_ms: 1000, end_ms: 8000 } },
      1000,
    );
    expect(flat(bent.members['a'])).toMatchObject({ may: 2, ramp: { from: 2, to: 2 } });
  });

  test('give nothing more after a memory was lost, until everybody has taken the new plan over', () => {
    const seeded = { ...two, revision: 50, seeded: 50 };
    const waiting = next(seeded, holding({ a: 5, b: 5 }, { b: { accepted: 49 } }), { target: 20 });
    expect([waiting.seeded, shares(waiting)]).toEqual([50, { a: [10, 5, 5], b: [10, 5, 5] }]);
    const told = next(waiting, holding({ a: 5, b: 7 }), { target: 20 });
    expect([told.seeded, shares(told)]).toEqual([0, { a: [10, 10, 10], b: [10, 10, 10] }]);
  });
});

describe('the shares of several groups', () => {
  const groups = [group_of({ name: 'talkers' }), group_of({ name: 'listeners', share: 9 })];
  const planned = (old: SwarmPlan, agents: readonly KnownAgent[], desired: Partial<Desired>): SwarmPlan =>
    next(old, agents, desired, 0, groups);
  /** agents that do as the plan says */
  const obeying = ({ members }: SwarmPlan, ids: readonly string[], told: Record<string, Partial<Presence>> = {}) =>
    ids.map((id) => {
      const one = agent(id, {});
      const may = map_groups(members[id]?.groups ?? {}, ({ ramp }) => ramp.to);
      return { ...one, presence: { ...one.presence, may, ...told[id] } };
    });
  const by_agent = ({ members }: SwarmPlan) =>
    Object.fromEntries(
      Object.entries(members).map(([id, entry]) => [id, groups.map(({ name }) => entry.groups[name]!.share)]),
    );

  test('are each group’s part, on all agents alike, with indices of its own', () => {
    const plan = planned(FIRST, obeying(FIRST, ['a', 'b']), { target: 40 });
    expect(by_agent(plan)).toEqual({ a: [2, 18], b: [2, 18] });
    expect(map_groups(plan.members['a']!.groups, ({ ids }) => ids)).toEqual({
      talkers: [[1, 3, 2]],
      listeners: [[1, 35, 2]],
    });
    expect(map_groups(plan.ids, (one) => one.next)).toEqual({ talkers: 5, listeners: 37 });
  });

  test('share an agent’s room, and are cut in proportion when there is too little', () => {
    const small = { a: { capacity: 10 }, b: { capacity: 20 } };
    const plan = planned(FIRST, obeying(FIRST, ['a', 'b'], small), { target: 300 });
    const shares = Object.values(by_agent(plan));
    expect(shares.map(([talkers, listeners]) => talkers! + listeners!)).toEqual([10, 20]);
    expect(shares.reduce((all, [talkers]) => all + talkers!, 0)).toBe(3);
  });

  test('of clients for a label are in proportion too, and only where the label is', () => {
    const told = { a: { labels: [] }, b: { labels: ['eu'] } };
    const plan = planned(FIRST, obeying(FIRST, ['a', 'b'], told), { target: 60, labelled: { eu: 20 } });
    const labelled = map_groups(plan.members['b']!.groups, (own) => own.labelled);
    expect(labelled).toEqual({ talkers: { eu: 2 }, listeners: { eu: 18 } });
    expect(map_groups(plan.members['a']!.groups, (own) => own.labelled)).toEqual({ talkers: {}, listeners: {} });
    expect(by_agent(plan)).toEqual({ a: [2, 18], b: [4, 36] });
  });

  test('property: whatever is asked for and whoever comes and goes, each group comes to its part and never above it', () => {
    const step = fc.record({
      target: fc.nat(150),
      capacities: fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 3, maxLength: 3 }),
      here: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
      eu: fc.nat(60),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
        let plan = FIRST;
        for (const { target, capacities, here, eu } of steps) {
          const drained = ['a', 'b', 'c'].filter((id) => !here.includes(id));
          const desired = { target, drained, labelled: eu > 0 && eu <= target ? { eu } : {} };
          const told = Object.fromEntries(
            ['a', 'b', 'c'].map((id, i) => [id, { capacity: capacities[i]!, labels: id === 'a' ? [] : ['eu'] }]),
          );
          for (let turn = 0; turn < 4; turn++) {
            const before = plan;
            plan = planned(plan, obeying(plan, ['a', 'b', 'c'], told), desired);
            for (const [g, most] of group_targets(groups, target).entries()) {
              const may = ({ members }: SwarmPlan): number =>
                Object.values(members).reduce((all, entry) => all + entry.groups[groups[g]!.name]!.may, 0);
              expect(may(plan)).toBeLessThanOrEqual(Math.max(most, before === FIRST ? 0 : may(before)));
            }
          }
          const room = here.reduce((all, id) => all + told[id]!.capacity, 0);
          const of_eu = here.reduce((all, id) => all + (id === 'a' ? 0 : told[id]!.capacity), 0);
          const waiting = Math.max(0, (desired.labelled.eu ?? 0) - of_eu);
          const held = Object.values(by_agent(plan));
          const sum = (of: readonly (readonly number[])[]): number => of.flat().reduce((a, b) => a + b, 0);
          expect(sum(held)).toBe(Math.min(target - waiting, room));
          if (target - waiting <= room && waiting === 0)
            expect(groups.map((_, g) => held.reduce((all, parts) => all + parts[g]!, 0))).toEqual(
              group_targets(groups, target),
            );
          for (const [id, parts] of Object.entries(by_agent(plan)))
            expect(sum([parts])).toBeLessThanOrEqual(here.includes(id) ? told[id]!.capacity : 0);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('an agent may be running what it says once it took its order over, before that what all its orders allow', () => {
  const entry = share_of({
    incarnation: 'a-1',
    share: 3,
    labelled: {},
    ramp: { from: 3, to: 3, start_ms: 0, end_ms: 0 },
    may: 9,
    since: 7,
    ids: [],
    connect_per_s: 1,
  });
  expect(may_of(entry, 'main', undefined)).toBe(9);
  expect(may_of(entry, 'main', agent('a', { accepted: 6, may: 1 }))).toBe(9);
  expect(may_of(entry, 'main', agent('a', { accepted: 7, may: 4 }))).toBe(4);
  expect(may_of(entry, 'main', agent('a', { accepted: 7, may: 0 }))).toBe(3);
  expect(may_of(entry, 'main', agent('a', { accepted: 7, may: 0, incarnation: 'a-2' }))).toBe(9);
});
