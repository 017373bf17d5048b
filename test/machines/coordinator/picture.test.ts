import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Refused } from '../../../src/foundation/shape.ts';
import { Picture } from '../../../src/machines/coordinator/picture.ts';
import { View } from '../../../src/machines/coordinator/view.ts';
import {
  plan_text,
  type Departed,
  type Desired,
  type Presence,
  type SwarmPlan,
} from '../../../src/machines/store/documents.ts';
import { LeaseKeeper } from '../../../src/machines/store/lease.ts';
import { counters_of } from '../../../src/metrics/packed.ts';
import { read_summary } from '../../../src/metrics/read-summary.ts';
import { LATEST_MS } from '../../../src/metrics/snapshot-shape.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import * as answers from '../../../src/outputs/tables.ts';
import { NOTHING, of_main } from '../../metrics/one-group.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { a_head, BUNDLE, DESIRED, HEADER, PLAN, PRESENCE, SHARE } from '../store/good-documents.ts';

const WALL_MS = Date.parse('2026-01-01T12:00:00Z');
const NO_STATES = { initial: 0, connect: 0, acting: 0, standby: 0, backoff: 0, fatal: 0 };

interface Seen {
  readonly ahead_ms: number;
  readonly failed: number;
  readonly at: number;
  readonly told?: Partial<Presence>;
  /** connections in its results; null: they never came */
  readonly open?: number | null;
}

/** Agents as a coordinator sees them that reads what they told at a time of its own, ms. */
async function seen(
  now: number,
  agents: Readonly<Record<string, Seen>>,
  plan: Partial<SwarmPlan> = {},
  desired: Partial<Desired> = {},
): Promise<Summary> {
  const engine = new MemoryEngine();
  const clock = { ms: 0 };
  const timers = { now: () => clock.ms, wall: () => WALL_MS + clock.ms, every: () => () => {} };
  const put = (key: string, text: string): unknown => engine.put(key, text, engine.get(key)?.revision ?? 0, 'test');
  const store = engine.store();
  const about = () => ({ console: '', host: '', run: null, run_ms: null, plan: null });
  const lease = new LeaseKeeper({ store, timers, id: 'c', ttl_ms: 1000, margin_ms: 100, about });
  const view = new View(store, timers, lease, () => {});
  const members = Object.fromEntries(Object.keys(agents).map((id) => [id, SHARE]));
  put('plan', plan_text({ ...PLAN, members, departed: [], ...plan }));
  put('desired', JSON.stringify({ ...DESIRED, labelled: {}, own: {}, drained: [], ...desired }));
  for (let seq = 1; seq <= 2; seq++) {
    clock.ms += 1000;
    for (const [id, { ahead_ms, failed, at, told, open = 0 }] of Object.entries(agents)) {
      const wall_ms = timers.wall() + ahead_ms;
      put(`members.${id}`, JSON.stringify({ ...PRESENCE, seq, results: seq, wall_ms, ...told }));
      const errors =
        failed === 0 ? {} : { ECONNREFUSED: { count: failed, last: `of ${id}`, last_at: WALL_MS + at + ahead_ms } };
      if (open === null) continue;
      const connections = { ...NOTHING.connections, open, established: open, attempted: open };
      const snapshot = counters_of(of_main({ connections }, { errors }));
      put(`results.${id}.i1`, JSON.stringify({ ...a_head(), seq, parts: [], snapshot, dead: null }));
    }
    await view.look();
  }
  clock.ms += now;
  return new Picture(view, timers, { swarm: '', node: '' }, HEADER, BUNDLE).summary();
}

it('says whose errors they are, and of wrong clocks when they were by its own', async () => {
  const one = fc.record({
    ahead_ms: fc.integer({ min: -3_600_000, max: 3_600_000 }),
    failed: fc.integer({ min: 0, max: 3 }),
    at: fc.integer({ min: 0, max: 2000 }),
  });
  const check = async (a: typeof one extends fc.Arbitrary<infer T> ? T : never, b: typeof a): Promise<void> => {
    const { errors, agents } = await seen(0, { 'agent-01': a, 'agent-02': b });
    const told = [a, b].filter(({ failed }) => failed > 0);
    const count = a.failed + b.failed;
    const last_at = new Date(WALL_MS + Math.max(...told.map(({ at }) => at)));
    expect(errors.map((kind) => [kind.count, kind.last_at])).toEqual(
      count === 0 ? [] : [[count, last_at.toISOString()]],
    );
    expect(agents!.map((agent) => agent.errors['ECONNREFUSED'] ?? 0)).toEqual([a.failed, b.failed]);
  };
  await fc.assert(fc.asyncProperty(one, one, check), { numRuns: 100 });
});

it('shows them in `errors`, `agents` and `status`, and who has no connection because of them', async () => {
  const told = { open: 0, states: { ...NO_STATES, backoff: 50 } };
  const summary = await seen(0, {
    'agent-01': { ahead_ms: 0, failed: 0, at: 0 },
    'agent-02': { ahead_ms: 0, failed: 1245, at: 0, told },
  });
  expect(answers.error_lines(summary).slice(0, 2)).toEqual([
    'code          count  last at                   agents         last text',
    'ECONNREFUSED   1245  2026-01-01T12:00:00.000Z  agent-02 1245  of agent-02',
  ]);
  const why = 'agent-02: none of its 50 clients is connected: ECONNREFUSED, 1245 times';
  expect(answers.why_lines(summary)).toEqual([why]);
  expect(answers.agent_lines(summary).slice(1)).toEqual([
    expect.stringMatching(/^agent-01 .* 0 {2}1\.50 /),
    expect.stringMatching(/^agent-02 .* 1245 {2}1\.50 /),
    why,
  ]);
});

it('says how many files a process of an agent may have open, the least of them', async () => {
  const told = (open_files?: number): Seen => ({
    ahead_ms: 0,
    failed: 0,
    at: 0,
    told: { ready: PLAN.run.id, ...(open_files && { open_files }) },
  });
  const files = async (...all: Seen[]): Promise<number> =>
    (await seen(0, Object.fromEntries(all.map((one, i) => [`agent-0${i}`, one])))).limits.open_files_per_process;
  expect(await files(told(20_000), told(1024), told())).toBe(1024);
  expect(await files(told())).toBe(0);
});

it('says what of the target waits, and for what', async () => {
  const ready = { ready: PLAN.run.id, capacity: 100, labels: ['eu'] };
  const agents = {
    'agent-01': { ahead_ms: 0, failed: 0, at: 0, told: ready },
    'agent-02': { ahead_ms: 0, failed: 0, at: 0, told: { ...ready, labels: [] } },
  };
  const waiting = async (desired: Partial<Desired>) => (await seen(0, agents, {}, desired)).waiting;
  expect(await waiting({ target: 200 })).toBeUndefined();
  expect(await waiting({ target: 230, labelled: { eu: 110, us: 15 } })).toEqual([
    { clients: 10, label: 'eu' },
    { clients: 15, label: 'us' },
    { clients: 5, label: null },
  ]);
  expect(await waiting({ target: 150, drained: ['agent-02'] })).toEqual([{ clients: 50, label: null }]);
});

it('knows no clock of an agent that is lost, and says until when it waits for one that is silent', async () => {
  const agents = { 'agent-01': { ahead_ms: 7000, failed: 0, at: 0 } };
  const at = async (ms: number) => (await seen(ms, agents)).agents![0]!;
  expect(await at(0)).toMatchObject({ health: 'ok', offset_ms: 7000, why: '' });
  expect(await at(3500)).toMatchObject({
    health: 'suspect',
    offset_ms: 7000,
    why: 'it may still hold its 50 clients: they wait for it 1 s more, or until `evict agent-01`',
  });
  expect(await at(4500)).toMatchObject({ health: 'lost', offset_ms: null });
});

it('says no instant that nobody can read, whatever an agent says its clock is', async () => {
  const moment = fc.oneof(fc.constantFrom(0, LATEST_MS), fc.integer({ min: 0, max: LATEST_MS }));
  const check = async (wall_ms: number, last_at: number): Promise<void> => {
    const summary = await seen(0, { 'agent-01': { ahead_ms: 0, failed: 1, at: last_at - WALL_MS, told: { wall_ms } } });
    const found = read_summary(JSON.stringify({ ...summary, final: true }));
    expect(found instanceof Refused ? found.why : null).toBe(null);
  };
  await fc.assert(fc.asyncProperty(moment, moment, check), {
    numRuns: 200,
    examples: [
      [0, LATEST_MS],
      [LATEST_MS, 0],
    ],
  });
});

// killed right behind its first clients, an agent has told of none: the summary said `complete: true` and `possibly_open: 50`
it('names everybody who may hold connections, whatever it told last, and calls nothing complete then', async () => {
  const agent = fc.record({
    open: fc.constantFrom(null, 0, 3),
    end: fc.constantFrom('well', 'unconfirmed', 'silent', 'silent, held nothing', 'dead'),
  });
  const check = async (drawn: readonly { open: number | null; end: string }[]): Promise<void> => {
    const all = drawn.map((one, i) => ({ ...one, id: `agent-0${i + 1}` }));
    const departed = all
      .filter(({ end }) => /silent|dead/.test(end))
      .map(({ id, end }): Departed => {
        const at = new Date(WALL_MS).toISOString();
        const held = end === 'silent' ? 50 : 0;
        return { agent: id, incarnation: 'i1', at, silent_ms: 4000, attested: end === 'dead', open: held };
      });
    const unconfirmed = all.filter(({ end }) => end === 'unconfirmed').map(({ id }) => id);
    const agents = Object.fromEntries(all.map(({ id, open }) => [id, { ahead_ms: 0, failed: 0, at: 0, open }]));
    const members = Object.fromEntries(
      all.filter(({ id }) => !departed.some((one) => one.agent === id)).map(({ id }) => [id, SHARE]),
    );
    const summary = await seen(0, agents, { members, departed, unconfirmed });
    const may_hold = ({ end }: { end: string }): boolean => end === 'unconfirmed' || end === 'silent';
    const lost = all.filter((one) => may_hold(one) || (one.end !== 'well' && one.open === 3));
    expect(summary.possibly_open).toBe(50 * all.filter(may_hold).length);
    expect(summary.lost_workers.map(({ worker, may_live }) => [worker, may_live ?? false]).sort()).toEqual(
      lost.map(({ id, end }) => [id, end !== 'dead']),
    );
    expect(summary.complete).toBe(lost.length === 0);
  };
  await fc.assert(fc.asyncProperty(fc.array(agent, { minLength: 1, maxLength: 4 }), check), { numRuns: 200 });
});
