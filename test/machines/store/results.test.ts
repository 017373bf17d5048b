import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checked, Refused } from '../../../src/foundation/shape.ts';
import type { Head } from '../../../src/machines/store/documents.ts';
import { read_head, read_part } from '../../../src/machines/store/readers.ts';
import { Collected, head_text, ResultsWriter } from '../../../src/machines/store/results.ts';
import { MAX_VALUE_BYTES, type Store } from '../../../src/machines/store/store.ts';
import { MAX_ACTIONS, MAX_GROUPS } from '../../../src/metrics/groups.ts';
import { Histogram } from '../../../src/metrics/histogram.ts';
import { bury, merge_snapshots, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import { counters_of, histograms_of, with_histograms, type Counters } from '../../../src/metrics/packed.ts';
import { Recorder } from '../../../src/metrics/recorder.ts';
import { COUNTERS } from '../../../src/metrics/snapshot-shape.ts';
import type { Snapshot } from '../../../src/metrics/snapshot.ts';
import type { SquadAccount } from '../../../src/swarm/squad/ordered-squad.ts';
import { grouped } from '../../metrics/arbitraries.ts';
import { changed_main, main_of } from '../../metrics/one-group.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { a_head, a_snapshot } from './good-documents.ts';

const report_of = (snapshot: Snapshot, dead = NO_DEAD): SquadAccount => ({
  applied: 0,
  capacity: 1,
  capacity_why: '',
  ids_wanted: {},
  actions: [],
  snapshot,
  dead,
  workers: [],
  traces: [],
  setup: null,
  teardown: null,
  live: 0,
  open: 0,
  may: {},
  slots: {},
  killed_at_end: [],
});

/** What somebody finds who reads the whole store. */
function found_in(engine: MemoryEngine, incarnation = 'i'): Collected {
  const entry = engine.get(`results.a.${incarnation}`)!;
  const head = taken(read_head(entry.text));
  const collected = new Collected('a', incarnation, { entry, doc: head });
  for (const n of head.parts.keys()) {
    const part = engine.get(`latencies.a.${incarnation}.${n}`);
    if (part) collected.take_part(n, { entry: part, doc: taken(read_part(part.text)) });
  }
  return collected;
}

function taken<T>(found: T | Refused): T {
  if (found instanceof Refused) throw new Error(found.why);
  return found;
}

const counted = (snapshot: Snapshot): number[] => histograms_of(snapshot).map(({ count }) => count);
const writes_of = ({ history }: MemoryEngine): string[] => history.writes.map(({ key }) => key);

/** With names and texts that are safe to show. */
function as_read(snapshot: Snapshot): Snapshot {
  const counters = taken(checked(COUNTERS, structuredClone(counters_of(snapshot))));
  return with_histograms(counters, histograms_of(snapshot));
}

/** Two groups of two actions each. */
class Course {
  readonly #all = new Recorder();
  readonly groups = ['main', 'listeners'].map((name) => this.#all.group(name, 2, 4));
  add(action: number, times: readonly number[]): void {
    const group = this.groups[action % 2]!;
    const { service, response } = group.actions[action >> 1]!;
    group.requests.sent += times.length;
    for (const us of times) {
      service.record(us);
      response.record(2 * us);
    }
  }
  get account(): SquadAccount {
    return report_of(this.#all.snapshot({ cpu_s: 0, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 }));
  }
}

describe('what an agent measured', () => {
  it('is read as it was told, whatever the engine lost, refused or answered late', async () => {
    const times = fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 300 });
    const step = fc.record({
      action: fc.nat(3),
      times,
      fault: fc.constantFrom('none', 'none', 'unknown', 'lost', 'wiped'),
    });
    const property = async (steps: readonly { action: number; times: number[]; fault: string }[]): Promise<void> => {
      const engine = new MemoryEngine();
      const store = engine.store();
      let fault = 'none';
      const faulty: Store = {
        ...store,
        get: (key) => store.get(key),
        put: async (key, text, revision) => {
          if (fault === 'lost') return { outcome: 'unknown', reason: 'no answer' };
          const written = await store.put(key, text, revision);
          return fault === 'unknown' ? { outcome: 'unknown', reason: 'no answer' } : written;
        },
      };
      const writer = new ResultsWriter(faulty, 'a');
      const course = new Course();
      for (const one of steps) {
        course.add(one.action, one.times);
        fault = one.fault;
        if (fault === 'wiped') engine.wipe();
        const is_told = await writer.tell('r', 'i', course.account);
        if (fault === 'none' || fault === 'wiped') expect(is_told).toBe(true);
        if (is_told) expect(found_in(engine).results.snapshot).toEqual(course.account.snapshot);
      }
      fault = 'none';
      course.add(0, [1]);
      expect(await writer.tell('r', 'i', course.account)).toBe(true);
      const found = found_in(engine);
      expect(found.missing).toEqual([]);
      expect(found.results).toMatchObject({ run: 'r', seq: steps.length + 1 });
      expect(found.results.snapshot).toEqual(course.account.snapshot);
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), property), { numRuns: 200 });
  }, 120_000);

  it('is told counters first, and of the histograms only the parts that changed', async () => {
    const engine = new MemoryEngine();
    const writer = new ResultsWriter(engine.store(), 'a');
    const course = new Course();
    course.add(0, [1, 2, 3]);
    await writer.tell('r', 'i', course.account);
    expect(writes_of(engine)).toEqual(['results.a.i', 'latencies.a.i.0']);
    course.groups[0]!.requests.sent++;
    await writer.tell('r', 'i', course.account);
    expect(writes_of(engine).slice(2)).toEqual(['results.a.i']);
    course.add(1, [7]);
    await writer.tell('r', 'i', course.account);
    expect(writes_of(engine).slice(3)).toEqual(['results.a.i', 'latencies.a.i.0']);
    expect(found_in(engine).results.seq).toBe(3);
  });

  it('is not there altogether before its last part is', async () => {
    const engine = new MemoryEngine();
    const writer = new ResultsWriter(engine.store(), 'a');
    const course = new Course();
    course.add(0, [1, 2, 3]);
    await writer.tell('r', 'i', course.account);
    const part = engine.get('latencies.a.i.0')!;
    course.add(0, [4]);
    await writer.tell('r', 'i', course.account);
    const entry = engine.get('results.a.i')!;
    const collected = new Collected('a', 'i', { entry, doc: taken(read_head(entry.text)) });
    collected.take_part(0, { entry: part, doc: taken(read_part(part.text)) });
    expect(collected.missing).toEqual(['latencies.a.i.0']);
    expect(collected.results).toMatchObject({ seq: 0, snapshot: { groups: { main: { requests: { sent: 4 } } } } });
    expect(main_of(collected.results.snapshot).actions[0]!.service.count).toBe(3);
  });

  it('of an incarnation that is over is told once the engine answers', async () => {
    const engine = new MemoryEngine();
    const writer = new ResultsWriter(engine.store(), 'a');
    const course = new Course();
    course.add(0, [1]);
    await writer.tell('r', 'i', course.account);
    course.add(2, [5, 6]);
    const { account } = course;
    writer.retire('r', 'i', account);
    expect(writer.seq).toBe(0);
    expect(await writer.send_unsent()).toBe(true);
    expect(found_in(engine).results.snapshot).toEqual(account.snapshot);
    await writer.tell('r', 'i2', new Course().account);
    expect(found_in(engine, 'i2').results.seq).toBe(1);
  });

  it('of groups is theirs again behind the parts, of the living and of the dead', async () => {
    const property = async (more: readonly Snapshot[], fallen: Snapshot): Promise<void> => {
      const living = more.map((_, i) => merge_snapshots(more.slice(0, i + 1)));
      const engine = new MemoryEngine();
      const writer = new ResultsWriter(engine.store(), 'a');
      const dead = bury(NO_DEAD, fallen, null);
      for (const one of living) await writer.tell('r', 'i', report_of(one, dead));
      const { results, missing } = found_in(engine);
      expect(missing).toEqual([]);
      expect(results.snapshot).toEqual(as_read(living.at(-1)!));
      expect(results.dead).toEqual({ ...dead, snapshot: as_read(dead.snapshot) });
    };
    const some = fc.array(grouped, { minLength: 1, maxLength: 3 });
    await fc.assert(fc.asyncProperty(some, grouped, property), { numRuns: 50 });
  });

  it.each([12, 100, 1000])('of %s actions of any latencies is told in parts that an engine takes', async (actions) => {
    const engine = new MemoryEngine();
    const writer = new ResultsWriter(engine.store(), 'a');
    const wide = new Histogram();
    for (let us = 1; us < 4e9; us *= 1.0005) wide.record(us);
    const one = wide.snapshot();
    const action = { ...main_of(a_snapshot()).actions[0]!, service: one, response: one };
    const snapshot = changed_main(a_snapshot(), () => ({ actions: Array.from({ length: actions + 1 }, () => action) }));
    const dead = bury(NO_DEAD, snapshot, null);
    expect(await writer.tell('r', 'i', report_of(snapshot, dead))).toBe(true);
    const keys = writes_of(engine);
    expect(keys.length).toBeLessThanOrEqual(17);
    for (const key of keys) expect(engine.get(key)!.text.length).toBeLessThanOrEqual(256 * 1024);
    const { results } = found_in(engine);
    expect(counted(results.snapshot)).toEqual(counted(snapshot));
    expect(counted(results.dead!.snapshot)).toEqual(counted(dead.snapshot));
    const { service } = main_of(results.snapshot).actions[0]!;
    expect(service).toMatchObject({ sum: one.sum, min: one.min, max: one.max });
    if (actions > 12) expect(service.coarse).toBeGreaterThan(0);
  });
});

describe('a head', () => {
  const actions_of = ({ groups }: Counters) => Object.values(groups).flatMap(({ actions }) => actions);
  const many = (length: number): number[] => Array.from({ length }, (_, i) => i);
  const LARGE = 2 ** 35;

  function a_large_head(actions: number, workers: number, kinds: number, length: number, groups: number): Head {
    const head = a_head();
    const group = main_of(head.snapshot);
    const counts = Object.fromEntries(many(kinds).map((i) => [`E_${'x'.repeat(length)}_${i}`, LARGE - i]));
    const error = { count: LARGE, last: '"\\'.repeat(150), last_at: 1, sample: '\\x00'.repeat(64) };
    const endpoint = Object.values(group.endpoints)[0]!;
    const action = { started: LARGE, running: LARGE, ok: LARGE, failed: counts, aborted: LARGE };
    const large = (n: number) => ({
      ...group,
      actions: many(actions)
        .filter((i) => i % groups === n)
        .map(() => action),
      endpoints: Object.fromEntries(
        many(kinds).map((i) => [`${'h'.repeat(60)}:${i}`, { ...endpoint, attempted: LARGE }]),
      ),
    });
    const snapshot = {
      ...head.snapshot,
      groups: Object.fromEntries(many(groups).map((n) => [`${'g'.repeat(60)}${n}`, large(n)])),
      errors: Object.fromEntries(Object.keys(counts).map((code) => [code, error])),
    };
    return {
      ...head,
      snapshot,
      dead: { ...head.dead!, snapshot },
      workers: many(workers).map((i) => ({ ...head.workers[0]!, id: `w${i + 1}`, pid: 2 ** 31 })),
      notes: many(50).map((n) => ({ level: 'error' as const, text: '\n"'.repeat(length * 100), n, worker: 'w1' })),
      traces: many(4).map((i) => ({
        token: `t${i}`,
        lines: many(200).map((n) => `${n} ${'\\x00'.repeat(length)}`),
        before: 7,
        is_over: false,
      })),
    };
  }
  const failed = ({ snapshot }: Head): number =>
    actions_of(snapshot).reduce(
      (all, one) => all + Object.values(one.failed).reduce((sum, count) => sum + count / 1024, 0),
      0,
    );

  it('fits whatever an agent has to tell, and counts all of it', () => {
    const property = (...size: [number, number, number, number, number]): void => {
      const [, workers] = size;
      const head = a_large_head(...size);
      const text = head_text(head);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_VALUE_BYTES);
      const found = taken(read_head(text));
      expect(failed(found)).toBeCloseTo(failed(head));
      expect(found.workers).toHaveLength(workers);
      expect(found.traces.map(({ lines, before }) => lines.length + before)).toEqual([207, 207, 207, 207]);
    };
    const groups = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: MAX_GROUPS }));
    const sizes = [fc.nat(MAX_ACTIONS), fc.nat(100), fc.nat(100), fc.nat(290), groups] as const;
    const [actions, ...most] = [MAX_ACTIONS, 100, 100, 290] as const;
    const examples: [number, number, number, number, number][] = [1, MAX_GROUPS].map((n) => [actions, ...most, n]);
    fc.assert(fc.property(...sizes, property), { numRuns: 25, examples });
  }, 300_000);

  it('that is small is told whole', () => {
    const head = a_head();
    expect(JSON.parse(head_text(head))).toEqual(JSON.parse(JSON.stringify(head)));
  });
});
