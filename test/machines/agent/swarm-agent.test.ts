import { afterEach, describe, expect, it } from 'vitest';
import type { Crew } from '../../../src/machines/agent/holding.ts';
import { Agent } from '../../../src/machines/agent/swarm-agent.ts';
import { first_desired } from '../../../src/machines/coordinator/desired.ts';
import { first_plan } from '../../../src/machines/coordinator/leader.ts';
import { plan_text, type Presence, type RunHeader, type SwarmPlan } from '../../../src/machines/store/documents.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { merge_snapshots, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import type { SquadAccount, SquadOrder } from '../../../src/swarm/squad/ordered-squad.ts';
import { eventually } from '../../cluster/built.ts';
import { share_of } from '../main-share.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { GROUPS } from '../../swarm/specs.ts';

const HEADER: RunHeader = {
  id: 'r1',
  swarm: 'v1',
  bundle_sha256: '00',
  isolation_ms: 3000,
  agents: 0,
  signature: '',
  started: '2026-01-01T00:00:00Z',
};

/** Does at once what it is ordered. */
class FakeCrew implements Crew {
  order_of: SquadOrder | null = null;
  permits: number[] = [];
  is_closed = false;
  #changed: () => void = () => {};

  order(order: SquadOrder): void {
    this.order_of = order;
    setImmediate(this.#changed);
  }
  refresh(): void {}
  permit(until: number): void {
    this.permits.push(until);
  }
  on_change(f: () => void): void {
    this.#changed = f;
  }
  async close(): Promise<void> {
    this.is_closed = true;
  }
  account(): SquadAccount {
    const live = this.is_closed || this.order_of?.phase === 'stop' ? 0 : (this.order_of?.groups[MAIN]?.clients ?? 0);
    return {
      applied: this.order_of?.revision ?? 0,
      capacity: 100,
      capacity_why: '',
      ids_wanted: { [MAIN]: live },
      actions: [],
      snapshot: merge_snapshots([]),
      dead: NO_DEAD,
      workers: [],
      traces: [],
      setup: null,
      teardown: null,
      live,
      open: live,
      may: { [MAIN]: live },
      slots: {},
      killed_at_end: [],
    };
  }
}

/** One agent, on an engine in memory; its clocks only go on when they are told to. */
class Bench {
  readonly engine = new MemoryEngine();
  readonly store = this.engine.store();
  readonly crews: FakeCrew[] = [];
  readonly said: string[] = [];
  now = 10_000;
  slept = 500;
  readonly agent: Agent;
  #timers: (() => void)[] = [];
  #plan: SwarmPlan = {
    ...first_plan(HEADER, first_desired('r1', 100, false), 1, 'epoch', null, GROUPS),
    stage: 'open',
  };

  constructor() {
    this.agent = new Agent({
      store: this.store,
      id: 'a',
      max_connections: null,
      log: (_, text) => this.said.push(text),
      is_dead: () => false,
      facts: { host: 'h', machine: 'm', pid: 1, swarm: 'v1', node: 'n', labels: [], weight: 1 },
      timers: {
        now: () => this.now,
        wall: () => 0,
        slept: () => this.slept,
        every: (_, f) => {
          this.#timers.push(f);
          return () => (this.#timers = this.#timers.filter((one) => one !== f));
        },
      },
      make: async () => {
        const crew = new FakeCrew();
        this.crews.push(crew);
        return crew;
      },
    });
  }

  get crew(): FakeCrew | undefined {
    return this.crews.at(-1);
  }

  get presence(): Presence {
    return JSON.parse(this.engine.get('members.a')!.text) as Presence;
  }

  /** Of the next plan, with so many clients for the agent. */
  next(clients: number): SwarmPlan {
    const { incarnation } = this.presence;
    const share = share_of({
      incarnation,
      share: clients,
      labelled: {},
      may: clients,
      since: 1,
      connect_per_s: 10,
      ramp: { from: clients, to: clients, start_ms: 0, end_ms: 0 },
      ids: [[1, 100, 1]],
    });
    return (this.#plan = { ...this.#plan, revision: this.#plan.revision + 1, members: { a: share } });
  }

  store_plan(plan: SwarmPlan): void {
    this.engine.put('plan', plan_text(plan), this.engine.get('plan')?.revision ?? 0, 'test');
  }

  /** Steps of 200 ms, each with time for what it begins. */
  async steps(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.now += 200;
      for (const f of [...this.#timers]) f();
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Plays with 5 clients. */
  static async playing(): Promise<Bench> {
    const bench = new Bench();
    await eventually(() => bench.engine.get('members.a') !== null);
    bench.store_plan(bench.next(0));
    await bench.steps(10);
    bench.store_plan(bench.next(5));
    await bench.steps(10);
    expect(bench.presence).toMatchObject({ live: 5, ready: 'r1', fenced: 0 });
    return bench;
  }
}

let bench: Bench;
afterEach(() => bench.agent.close());

describe('a plan that is sent', () => {
  it('is taken at once and acknowledged, without a look at what is stored', async () => {
    bench = await Bench.playing();
    const { revision, ...plan } = bench.next(7);
    bench.store.nudge('a', plan_text({ ...plan, revision }));
    await eventually(() => bench.presence.applied === revision);
    expect(bench.presence).toMatchObject({ live: 7, accepted: revision });
    expect(bench.crew!.order_of!.groups[MAIN]!.clients).toBe(7);
  });

  it('is nothing once a later one was taken', async () => {
    bench = await Bench.playing();
    const late = bench.next(50);
    const later = bench.next(6);
    bench.store_plan(later);
    await bench.steps(10);
    bench.store.nudge('a', plan_text(late));
    await bench.steps(1);
    expect(bench.crew!.order_of!.groups[MAIN]!.clients).toBe(6);
    expect(bench.presence.accepted).toBe(later.revision);
  });

  it.each([
    ['run', { run: { ...HEADER, id: 'r0' } }],
    ['life of the store', { epoch: 'before' }],
  ])('of another %s only makes it look', async (_, other) => {
    bench = await Bench.playing();
    bench.store.nudge('a', plan_text({ ...bench.next(50), ...other }));
    await bench.steps(2);
    expect(bench.crew!.order_of!.groups[MAIN]!.clients).toBe(5);
    expect(bench.presence).toMatchObject({ ready: 'r1', fenced: 0 });
  });
});

describe('a nudge that is no plan', () => {
  it.each(['', 'look', 'null', '[]', '{"format":"swarm-plan/1"}'])('(%j) only makes it look', async (text) => {
    bench = await Bench.playing();
    bench.store_plan(bench.next(8));
    bench.store.nudge('a', text);
    await eventually(() => bench.crew!.order_of!.groups[MAIN]!.clients === 8);
    expect(bench.presence).toMatchObject({ ready: 'r1', fenced: 0 });
  });
});

describe('an agent whose machine was suspended', () => {
  it('for long closes everything before it does anything else', async () => {
    bench = await Bench.playing();
    const [crew, { incarnation }] = [bench.crew!, bench.presence];
    bench.slept += 3000;
    await bench.steps(1);
    expect(crew.order_of!.phase).toBe('stop');
    await bench.steps(10);
    expect(crew.is_closed).toBe(true);
    expect(bench.presence).toMatchObject({ fenced: 1, replaces: [incarnation] });
  });

  it('for a moment goes on, for as much less time by itself', async () => {
    bench = await Bench.playing();
    await bench.steps(1);
    bench.slept += 1500;
    await bench.steps(5);
    expect(bench.presence).toMatchObject({ live: 5, fenced: 0 });
    expect(bench.crew!.is_closed).toBe(false);
    expect(bench.crew!.permits.at(-1)! - bench.now).toBeLessThanOrEqual(3400);
  });
});

describe('an agent that cuts itself off while the engine has not answered yet', () => {
  it('says so only once all that it measured is stored', async () => {
    bench = await Bench.playing();
    const { incarnation } = bench.presence;
    const put = bench.store.put.bind(bench.store);
    let answer: (() => void) | null = null;
    bench.store.put = async (key, ...rest) => {
      const written = await put(key, ...rest);
      if (key.startsWith('results.') && !answer) await new Promise<void>((resolve) => (answer = resolve));
      return written;
    };
    await bench.steps(30);
    expect(bench.crew!.is_closed).toBe(true);
    answer!();
    await bench.steps(10);
    const { writes } = bench.engine.history;
    const says_so = writes.findIndex(
      ({ key, text }) => key === 'members.a' && (JSON.parse(text!) as Presence).replaces.includes(incarnation),
    );
    const last = writes.findLastIndex(({ key }) => key === `results.a.${incarnation}`);
    expect(says_so).toBeGreaterThan(-1);
    expect(last).toBeLessThan(says_so);
  });
});

describe('an agent that reads what it cannot', () => {
  it.each(['', 'null', '{}', '[]', '1e300', '{"format":"swarm-plan/1","run":{},"members":{}}'])(
    'keeps its load, and says why: %s',
    async (text) => {
      bench = await Bench.playing();
      const write = (key: string): unknown => bench.engine.put(key, text, bench.engine.get(key)?.revision ?? 0, 'test');
      write('plan');
      write('lease');
      // longer than it would wait for an engine that is away
      await bench.steps(40);
      expect(bench.presence).toMatchObject({ live: 5, ready: 'r1', fenced: 0 });
      expect(bench.presence.refuses).toMatch(/^(lease|plan): .*; (lease|plan): /);
      expect(bench.said.filter((line) => line.includes('refused'))).toHaveLength(2);
      bench.store_plan(bench.next(8));
      bench.engine.remove('lease', 'test');
      await bench.steps(40);
      expect(bench.presence).toMatchObject({ live: 8, refuses: null, fenced: 0 });
    },
  );

  it('writes its presence anew, and goes on', async () => {
    bench = await Bench.playing();
    for (const text of ['{"x":1}', '[]', 'null']) {
      bench.engine.put('members.a', text, bench.engine.get('members.a')!.revision, 'test');
      await bench.steps(10);
      expect(bench.presence).toMatchObject({ live: 5, ready: 'r1', fenced: 0 });
      await bench.steps(20);
    }
  });

  it('ends when another one writes such again and again', async () => {
    bench = await Bench.playing();
    let error: unknown = null;
    bench.agent.failed.catch((why: unknown) => (error = why));
    for (let i = 0; i < 100 && error === null; i++) {
      bench.engine.put('members.a', '{"version":2}', bench.engine.get('members.a')!.revision, 'test');
      await bench.steps(5);
    }
    expect(String(error)).toContain('another agent plays as a');
  });
});
