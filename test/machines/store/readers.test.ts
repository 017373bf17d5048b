import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountWriter } from '../../../src/cluster/fork.ts';
import { Refused } from '../../../src/foundation/shape.ts';
import { most_seats } from '../../../src/machines/coordinator/agent-seats.ts';
import { next_shares } from '../../../src/machines/coordinator/agent-shares.ts';
import { first_plan } from '../../../src/machines/coordinator/leader.ts';
import {
  clients_in,
  plan_text,
  to_text,
  type AgentShare,
  type Bundle,
  type Head,
  type MemberShare,
  type Presence,
  type SwarmPlan,
} from '../../../src/machines/store/documents.ts';
import { read_bundle } from '../../../src/machines/store/read-bundle.ts';
import {
  fallen,
  read_desired,
  read_head,
  read_lease,
  read_part,
  read_plan,
  read_presence,
} from '../../../src/machines/store/readers.ts';
import { Collected } from '../../../src/machines/store/results.ts';
import { MAX_GROUPS } from '../../../src/metrics/groups.ts';
import { bury, merge_dead, merge_snapshots, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import { counters_of, type Counters } from '../../../src/metrics/packed.ts';
import { read_summary } from '../../../src/metrics/read-summary.ts';
import { to_summary } from '../../../src/metrics/totals.ts';
import type { Loop } from '../../../src/script/types.ts';
import { AccountReader } from '../../../src/swarm/plan/account-shape.ts';
import type { Account } from '../../../src/swarm/plan/account.ts';
import { rate_key } from '../../../src/swarm/plan/rated-actions.ts';
import { GROUPS } from '../../swarm/specs.ts';
import { main_of, playing } from '../../metrics/one-group.ts';
import { a_head, A_PART, a_snapshot, DESIRED, GOOD, HEADER, PLAN, PRESENCE, SHARE } from './good-documents.ts';
import { mutated } from './mutate.ts';

const READERS = {
  lease: read_lease,
  desired: read_desired,
  plan: read_plan,
  presence: read_presence,
  results: read_head,
  part: read_part,
  bundle: read_bundle,
} as const;
type Kind = keyof typeof READERS;
const KINDS = Object.keys(READERS) as Kind[];
const RUNS = 100_000;

const copies = <T>(group: T, count: number): Record<string, T> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`g${i}`, group]));

const why_of = (found: unknown): string | null => (found instanceof Refused ? found.why : null);
const changed = (kind: Kind, change: (document: never) => void): string => {
  const document = JSON.parse(GOOD[kind]) as never;
  change(document);
  return JSON.stringify(document);
};

/** Of a bundle, the first. */
const rename_group = (bundle: Record<string, unknown>, name: string): void => {
  const [first] = (bundle['run'] as Bundle['run']).what.groups;
  Object.assign(first!, { name });
};

describe.each(KINDS)('a %s', (kind) => {
  const read = READERS[kind];

  it('that is good is taken as it is', () => {
    const good = kind === 'part' ? to_text(A_PART) : GOOD[kind];
    const taken = read(GOOD[kind]);
    const text = kind === 'plan' ? plan_text(taken as SwarmPlan) : to_text(taken);
    expect(JSON.parse(text)).toEqual(JSON.parse(good));
  });

  it.each(['', '{', 'null', '[]', '{}', '{"x":1}', '1e300', '"text"', '{"run":"r1","seq":1}', '['.repeat(100)])(
    'is not made of %s',
    (text) => {
      expect(why_of(read(text))).toMatch(/^(it|\.\w)/);
    },
  );

  it('lacks no field', () => {
    for (const key of Object.keys(JSON.parse(GOOD[kind]) as object)) {
      const without = changed(kind, (document) => delete document[key]);
      expect(why_of(read(without)), key).toContain(`.${key} `);
    }
  });

  it('that is longer than an engine takes is not read', () => {
    expect(why_of(read(`"${'x'.repeat(70_000_000)}"`))).toContain('characters');
  });

  it('that somebody bent is taken or refused, and never throws', () => {
    let taken = 0;
    const one = (seed: number): void => {
      const text = mutated(GOOD[kind], seed);
      const found = read(text);
      if (!(found instanceof Refused)) return void taken++;
      expect(found.why.length).toBeLessThan(400);

      expect(found.why).not.toMatch(/[\u0000-\u001f]/);
    };
    fc.assert(fc.property(fc.integer(), one), { numRuns: RUNS });
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(RUNS / 2);
  }, 600_000);
});

describe('what agents say', () => {
  const bad: readonly [string, (presence: Record<string, unknown>) => unknown, RegExp][] = [
    ['that it is of no name', (p) => (p['incarnation'] = 'a b'), /\.incarnation/],
    ['a name that every object has', (p) => (p['incarnation'] = 'constructor'), /\.incarnation/],
    ['no labels', (p) => delete p['labels'], /\.labels is not a list/],
    ['no states', (p) => (p['states'] = null), /\.states is not an object/],
    ['its cpu in words', (p) => (p['cpu'] = 'a'), /\.cpu/],
    ['that it has more weight than there is', (p) => (p['weight'] = 1e300), /\.weight/],
    ['that it has hardly any', (p) => (p['weight'] = 1e-300), /\.weight/],
    ['a plan that nobody counts to', (p) => (p['accepted'] = 1e300), /\.accepted/],
    ['half a client', (p) => (p['live'] = 0.5), /\.live/],
    ['that it runs since before there were machines', (p) => (p['run_ms'] = 1e300), /\.run_ms/],
  ];
  it.each(bad)('is refused: %s', (_, change, why) => {
    expect(why_of(read_presence(changed('presence', change)))).toMatch(why);
  });

  it('is shown without what a terminal obeys, and not for ever', () => {
    const found = read_presence(
      changed('presence', (p: Record<string, unknown>) => (p['host'] = `\u001b[2J${'x'.repeat(9999)}`)),
    );
    expect(found).toMatchObject({ host: expect.stringMatching(/^\\u001b\[2Jx{100,}…$|^\\x1b\[2Jx{100,}…$/) as string });
    expect((found as Presence).host.length).toBeLessThan(400);
  });

  it('makes no plan that cannot be read, whatever it is', () => {
    const one = (seed: number): void => {
      const presence = read_presence(mutated(GOOD.presence, seed));
      if (presence instanceof Refused) return;
      const agents = [
        { id: 'agent-01', presence, silent_ms: 0, known_ms: 0 },
        { id: 'agent-03', presence: { ...PRESENCE, incarnation: 'i3' }, silent_ms: 0, known_ms: 0 },
      ];
      const times = { run_ms: 15, reassign_ms: 4000, silent_ms: () => 0, at: HEADER.started, planned: () => 0 };
      const now = { groups: PLAN.groups, desired: DESIRED, agents, ...times };
      const next = { ...PLAN, revision: 10, ...next_shares(PLAN, 10, now) };
      expect(why_of(read_plan(plan_text(next)))).toBe(null);
      const most = Object.values(next.members).reduce(
        (all, entry) => all + clients_in(entry, ({ ramp }) => ramp.to),
        0,
      );
      expect(most).toBeLessThanOrEqual(DESIRED.target);
    };
    fc.assert(fc.property(fc.integer(), one), { numRuns: 20_000 });
  }, 600_000);
});

describe('what agents measured', () => {
  type Bent = { snapshot: Counters; [field: string]: unknown };
  const bad: readonly [string, (results: Bent) => unknown, RegExp][] = [
    ['no snapshot', (r) => (r.snapshot = {} as never), /\.snapshot\.groups is missing/],
    [
      'more parts than there can be',
      (r) => (r['parts'] = Array.from({ length: 17 }, () => 1)),
      /\.parts has 17 entries/,
    ],
    [
      'more than all of them count together',
      (r) => Object.assign(main_of(r.snapshot).requests, { sent: 2 ** 53 }),
      /\.snapshot\.groups\.main\.requests\.sent/,
    ],
    [
      'a group whose name every object has',
      (r) => Object.assign(r.snapshot, { groups: { constructor: main_of(r.snapshot) } }),
      /\.groups cannot have constructor/,
    ],
    [
      'more groups than there can be',
      (r) => Object.assign(r.snapshot, { groups: copies(main_of(r.snapshot), MAX_GROUPS + 1) }),
      new RegExp(`\\.groups has ${MAX_GROUPS + 1} entries`),
    ],
    [
      'more actions in all groups than there can be',
      (r) => {
        const group = main_of(r.snapshot);
        const actions = Array.from({ length: 600 }, () => group.actions[0]!);
        Object.assign(r.snapshot, { groups: copies({ ...group, actions }, 2) });
      },
      /\.groups have 1200 actions/,
    ],
    ['an error at no time', (r) => Object.assign(r.snapshot.errors['wrong_reply']!, { last_at: 1e300 }), /\.last_at/],
    ['no notes', (r) => (r['notes'] = null), /\.notes is not a list/],
    [
      'a result that goes too deep',
      (r) => (r['setup'] = { ok: true, value: JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) }),
      /\.setup.*too deep/,
    ],
  ];
  it.each(bad)('is refused: %s', (_, change, why) => {
    expect(why_of(read_head(changed('results', change)))).toMatch(why);
  });

  it('is added up to a summary that can be read, whatever it is', () => {
    const one = (seed: number): void => {
      const head = read_head(mutated(GOOD.results, seed));
      if (head instanceof Refused) return;
      const part = read_part(mutated(GOOD.part, seed + 1));
      const entry = { key: '', text: '', revision: 1 };
      const collected = new Collected('a', 'i', { entry, doc: head });
      if (!(part instanceof Refused)) collected.take_part(0, { entry, doc: part });
      const found = collected.results;
      const dead = merge_dead([found.dead ?? NO_DEAD, bury(NO_DEAD, found.snapshot, null)]);
      const summary = to_summary({
        final: true,
        run: {
          id: 'r1',
          script_sha256: '',
          module_sha256: '',
          seed: '',
          segment: null,
          servers: [],
          versions: { swarm: '1', node: '1' },
          started: HEADER.started,
          seconds: 1,
        },
        phase: 'run',
        target: 1,
        planned: 1,
        connect_per_s: 1,
        workers: [...found.workers],
        peaks: { live: 0, open: 0 },
        limits: { capacity: 1, open_files_per_process: 1, reserved_files: 1, why: '', bounds: [] },
        groups: playing('ping', 'connected'),
        members: [found.snapshot, a_snapshot()],
        dead,
        mark: null,
        interval: null,
        histograms: seed % 10 === 0,
      });
      expect(why_of(read_summary(JSON.stringify(summary)))).toBe(null);
    };
    // the example wrote of the year 275760
    fc.assert(fc.property(fc.integer(), one), { numRuns: 5000, examples: [[-303_553_057]] });
  }, 600_000);

  it('counts on: what is less than it was is no later one', () => {
    const before = a_head();
    const group = main_of(before.snapshot);
    const requests = { ...group.requests, sent: group.requests.sent - 1 };
    const with_groups = (groups: Counters['groups']): Head => ({
      ...before,
      seq: 13,
      snapshot: { ...before.snapshot, groups },
    });
    const after = with_groups({ main: { ...group, requests } });
    expect(fallen(before, after)).toBe('main.sent');
    expect(fallen(after, before)).toBe(null);
    expect(fallen(before, before)).toBe(null);
    // another group does not make up for it
    expect(fallen(before, with_groups({ main: { ...group, requests }, other: group }))).toBe('main.sent');
    expect(fallen(before, with_groups({ main: group, other: group }))).toBe(null);
    expect(fallen(with_groups({ main: group, other: group }), before)).toBe('other.created');
  });

  it('counts on when a worker died: what it counted is told of the dead', () => {
    const before: Head = { ...a_head(), dead: null };
    const dead = { ...bury(NO_DEAD, a_snapshot(), null), snapshot: before.snapshot };
    const after: Head = { ...before, seq: 13, snapshot: counters_of(merge_snapshots([])), dead };
    expect(fallen(before, after)).toBe(null);
  });
});

describe('what leaders say', () => {
  it('is refused where it says that a million agents are there', () => {
    const members = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`a${i}`, 0]));
    expect(why_of(read_plan(changed('plan', (plan: Record<string, unknown>) => (plan['members'] = members))))).toMatch(
      /\.members has 40000 entries/,
    );
  });

  it.each<[string, Kind, (document: Record<string, unknown>) => unknown, RegExp]>([
    ['a term without end', 'plan', (d) => (d['term'] = 1e300), /\.term/],
    [
      'a share of half a client',
      'plan',
      (d) => (d['members'] = { a: { ...SHARE, groups: { main: { share: 1, may: 0.5 } } } }),
      /\.members\.a\.groups\.main\.may/,
    ],
    ['a group that is a number', 'bundle', (d) => rename_group(d, '2'), /groups\.0\.name is no name/],
    ['a group twice', 'bundle', (d) => rename_group(d, 'more'), /groups has a group twice/],
    [
      'more actions than a script can have',
      'bundle',
      (d) => {
        const { groups } = (d as unknown as Bundle).run.what;
        const loops = groups[1]!.script.loops as Loop[];
        const [loop] = loops;
        for (const name of ['b', 'c']) loops.push({ ...loop!, name, actions: Array(500).fill(loop!.actions[0]) });
      },
      /groups have 1002 actions, at most 1000 can be/,
    ],
    [
      'ids that go backwards',
      'plan',
      (d) => (d['ids'] = { main: { next: 10, free: [[9, 3, 1]] } }),
      /free\.0 is not a range of ids/,
    ],
    [
      'a ramp that ends before it starts',
      'desired',
      (d) => (d['ramp'] = { from: 1, to: 2, start_ms: 5, end_ms: 4 }),
      /\.ramp ends/,
    ],
    ['a lease for ever', 'lease', (d) => (d['ttl_ms'] = 1e300), /\.ttl_ms/],
    [
      'what a run is, as it was before it had parts',
      'bundle',
      (d) => {
        const { id, what, where, how } = d['run'] as Bundle['run'];
        d['run'] = { id, ...what, ...where, ...how, connect_per_s: 1000, setup_by: null, shared: null };
      },
      /\.run\.what is missing/,
    ],
    [
      'a member whose name every object has',
      'plan',
      (d) => (d['members'] = JSON.parse('{"__proto__":{}}')),
      /\.members cannot have __proto__/,
    ],
  ])('is refused: %s', (_, kind, change, why) => {
    expect(why_of(READERS[kind](changed(kind, change)))).toMatch(why);
  });

  it('is a plan that can be read, from any wish that can be read', () => {
    const one = (seed: number): void => {
      const desired = read_desired(mutated(GOOD.desired, seed));
      if (desired instanceof Refused) return;
      expect(why_of(read_plan(plan_text(first_plan(HEADER, desired, 3, 'e', null, GROUPS))))).toBe(null);
    };
    fc.assert(fc.property(fc.integer(), one), { numRuns: 20_000 });
  }, 600_000);
});

describe('a plan as it is stored', () => {
  const clients = fc.nat(3);
  const ramp = fc.oneof(
    clients.map((n) => ({ from: n, to: n, start_ms: 0, end_ms: 0 })),
    fc.record({ from: clients, to: clients, start_ms: fc.constant(1), end_ms: fc.constantFrom(1, 2.5) }),
  );
  const share = fc.record(
    {
      share: clients,
      labelled: fc.constantFrom({}, { eu: 1 }),
      ramp,
      may: clients,
      ids: fc.constantFrom([], [[1, 9, 2]] as const),
      at: fc.constantFrom([], [1, 2]),
    },
    { requiredKeys: ['share', 'labelled', 'ramp', 'may', 'ids'] },
  );

  it('is what it was when it is read again, whatever was left out', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c'), share), (groups) => {
        const plan = { ...PLAN, members: { one: { ...SHARE, groups } } };
        const read = read_plan(plan_text(plan));
        expect(read instanceof Refused ? read.why : read.members).toEqual(plan.members);
      }),
    );
  });

  it('fits into the store with as many agents as a run with many groups has room for, on their way', () => {
    const groups = Array.from({ length: MAX_GROUPS }, (_, g) => ({
      ...{ name: `group_${g}`, share: 1 },
      actions: [{ index: 0, loop: 'main', name: 'say', rate: { to_rate: 1e9, is_poisson: false, draws: 1 } }],
    }));
    const own = (agent: number): AgentShare => {
      const ids = [[agent + 1, agent + 50_001, 500] as const];
      return {
        share: 202,
        labelled: {},
        ramp: { from: 101, to: 202, start_ms: 12_345_678.125, end_ms: 12_399_999.25 },
        may: 212,
        at: [202, 404],
        ids,
      };
    };
    const member = (agent: number): MemberShare => ({
      ...SHARE,
      groups: Object.fromEntries(groups.map(({ name }) => [name, own(agent)])),
    });
    const names = Array.from({ length: most_seats(groups) }, (_, i) => `agent-${i}`);
    const members = Object.fromEntries(names.map((name, i) => [name, member(i)]));
    // each has two tenures, one of them on its way to somebody else
    const places = (i: number) => ({ from: 900_000 + i, to: 900_001 + i });
    const held = names.flatMap((owner, i) =>
      [false, true].map((closing) => ({ id: 1e6 + i, ...places(i), first: 1e9, owner, closing })),
    );
    const layout = names.map((owner, i) => ({ ...places(i), owner }));
    const ended = Object.fromEntries(names.map((name) => [name, 1e9]));
    const slots = Object.fromEntries(
      groups.map(({ name }) => [
        rate_key(name, 0),
        { held, free: [], layout, dealt_ms: 12_345_678.125, last_id: 1e6, ended, lost: 0 },
      ]),
    );
    const text = plan_text({ ...PLAN, groups, members, slots });
    console.log(`measured: a plan of ${names.length} agents and ${MAX_GROUPS} groups has ${text.length} bytes`);
    expect(text.length).toBeLessThan(1024 * 1024);
    expect(read_plan(text)).toMatchObject({ members });
  });
});

describe('a report of a worker', () => {
  const GOOD_REPORT: Account = {
    incarnation: 'i',
    pid: 7,
    seq: 1,
    revision: 2,
    taken: 2,
    capacity: 100,
    capacity_why: 'open files',
    snapshot: a_snapshot(),
    notes: [],
    notes_dropped: 0,
    tenures: [],
    traces: [],
    setup: null,
    teardown: null,
    finished: false,
  };

  const good_message = () => structuredClone(new AccountWriter().message_of(GOOD_REPORT));

  it('is taken as it comes over the channel', () => {
    expect(new AccountReader().read(good_message())).toEqual(GOOD_REPORT);
  });

  it('that the module made up is refused', () => {
    const bad = [
      ...[{ counters: null }, { notes: {} }, { capacity: NaN }, { setup: { ok: true, value: () => 1 } }],
      ...[{ packed: {} }, { packed: new Map([[-1, new Uint8Array()]]) }, { packed: new Map([[0, 'x']]) }],
      { packed: new Map([[0, Uint8Array.of(1, 2, 3)]]) },
    ];
    for (const more of bad) expect(new AccountReader().read({ ...good_message(), ...more })).toBeInstanceOf(Refused);
    expect(new AccountReader().read({ incarnation: 'i' })).toBeInstanceOf(Refused);
  });

  it('that somebody bent is taken or refused, and never throws', () => {
    const { packed, ...rest } = good_message();
    const good = JSON.stringify(rest);
    const one = (seed: number): void => {
      let value: object;
      try {
        value = JSON.parse(mutated(good, seed)) as object;
      } catch {
        return;
      }
      new AccountReader().read({ ...value, packed });
    };
    fc.assert(fc.property(fc.integer(), one), { numRuns: RUNS });
  }, 600_000);
});
