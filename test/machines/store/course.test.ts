import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { balance_of, course_of, csv_of, Recording } from '../../../src/machines/store/course.ts';
import { Histogram } from '../../../src/metrics/histogram.ts';
import { bury, merge_actions, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import type { Snapshot } from '../../../src/metrics/snapshot.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import type { SquadAccount } from '../../../src/swarm/squad/ordered-squad.ts';
import { main_of, NOTHING, of_main } from '../../metrics/one-group.ts';
import { MemoryEngine } from '../sim/memory-store.ts';

/** What an agent has measured so far: so many replies, each after so many µs. */
function measured(ok: number, us: number): Snapshot {
  const response = new Histogram();
  for (let i = 0; i < ok; i++) response.record(us);
  return of_main({
    requests: { ...NOTHING.requests, sent: ok + 1, in_flight: 1, ok },
    actions: [{ ...merge_actions([]), ok, response: response.snapshot() }],
  });
}

const report = (snapshot: Snapshot, live: number, dead = NO_DEAD): SquadAccount =>
  ({ snapshot, dead, live, open: live }) as SquadAccount;

function bench(agent = 'a', engine = new MemoryEngine()) {
  const store = engine.store();
  const recording = new Recording(store, agent);
  const lines = async (): Promise<string[]> => csv_of(course_of(await store.appended('r')));
  return { engine, store, recording, lines };
}

/** Lines as records. */
const records = (lines: readonly string[]): Record<string, string>[] =>
  lines.slice(1).map((line) => Object.fromEntries(line.split(',').map((text, i) => [lines[0]!.split(',')[i]!, text])));

describe('the course of a run', () => {
  test('has a line a second: what was done in it, and what there was at its end', async () => {
    const { recording, lines } = bench();
    for (const [i, ok] of [10, 30, 30].entries())
      recording.sample('r', 'i', 2010 + i * 1000, report(measured(ok, 1500), ok));
    await recording.flush(true);
    const [first, ...more] = records(await lines());
    expect(first).toEqual({
      second: '2',
      agents: '1',
      live: '10',
      open: '10',
      established: '0',
      connect_failed: '0',
      sent: '11',
      ok: '10',
      failed: '0',
      noreply: '0',
      bytes_sent: '0',
      bytes_received: '0',
      p50_ms: '1.51',
      p90_ms: '1.51',
      p99_ms: '1.51',
      max_ms: '1.51',
    });
    expect(more.map(({ second, sent, ok, max_ms }) => [second, sent, ok, max_ms])).toEqual([
      ['3', '20', '20', '1.51'],
      ['4', '0', '0', ''],
    ]);
  });

  test('is that of all groups together', async () => {
    const { recording, lines } = bench();
    const [talkers, listeners] = [main_of(measured(10, 1500)), main_of(measured(30, 90_000))];
    recording.sample('r', 'i', 1000, report({ ...measured(0, 1), groups: { talkers, listeners } }, 2));
    await recording.flush(true);
    const [line] = records(await lines());
    expect(line).toMatchObject({ sent: '42', ok: '40' });
    expect(Number(line!['max_ms'])).toBeGreaterThan(80);
  });

  test('counts seconds, however early or late it was asked for', async () => {
    const { recording, lines } = bench();
    for (const [i, late] of [5, 190, 0, 199, 600, 0, 300, 690, 3, 120].entries())
      recording.sample('r', 'i', 900 + i * 1000 + late, report(measured(i, 1), 1));
    await recording.flush(true);
    expect(records(await lines()).map(({ second }) => second)).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  });

  test('names seconds of which nobody told, and keeps what was held in them', async () => {
    const { recording, store, lines } = bench();
    for (const [ms, ok] of [
      [1000, 1],
      [2000, 2],
      [5100, 9],
    ] as const)
      recording.sample('r', 'i', ms, report(measured(ok, 5), 7));
    await recording.flush(true);
    expect(records(await lines()).map(({ second, agents, live, ok }) => [second, agents, live, ok])).toEqual([
      ['1', '1', '7', '1'],
      ['2', '1', '7', '1'],
      ['3', '0', '7', '0'],
      ['4', '0', '7', '0'],
      ['5', '1', '7', '7'],
    ]);
    const course = course_of(await store.appended('r'));
    expect(course.missing).toEqual([{ agent: 'a', from: 3, to: 4 }]);
    expect(balance_of(course, null)).toEqual(['5 seconds; missing: a 3-4', 'the run has no final summary yet']);
  });

  test('keeps on counting over the death of a worker, and begins anew with an incarnation', async () => {
    const { recording, lines } = bench();
    const dead = bury(NO_DEAD, measured(8, 5), { worker: 'w', incarnation: 'i', at: '', silent_ms: 0 });
    recording.sample('r', 'i', 1000, report(measured(8, 5), 1));
    recording.sample('r', 'i', 2000, report(measured(2, 5), 1, dead));
    recording.sample('r', 'next', 3000, report(measured(4, 5), 1));
    await recording.flush(true);
    expect(records(await lines()).map(({ ok }) => ok)).toEqual(['8', '2', '4']);
  });

  test('is kept while nobody takes it, and told later, without a gap', async () => {
    const { recording, store, lines } = bench();
    const append = store.append.bind(store);
    store.append = async () => false;
    for (let i = 0; i < 60; i++) {
      recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
      await recording.flush();
    }
    expect(await lines()).toHaveLength(1);
    store.append = append;
    await recording.flush();
    expect(await lines()).toHaveLength(61);
    expect(course_of(await store.appended('r'))).toMatchObject({ missing: [], totals: { ok: 59 } });
  });

  test('names what was told at its beginning and is too long ago, and an agent of which nobody heard any more', async () => {
    const [a, b] = [bench('a'), bench('b')];
    for (let i = 0; i < 40; i++) {
      a.recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
      if (i < 20) b.recording.sample('r', 'j', i * 1000, report(measured(i, 5), 1));
    }
    for (const { recording } of [a, b]) await recording.flush(true);
    const told = [...a.engine.appended('r').slice(2), ...b.engine.appended('r')];
    expect(course_of(told).missing).toEqual([
      { agent: 'a', from: 0, to: 9 },
      { agent: 'b', from: 20, to: 39 },
    ]);
  });

  test('counts each second once, whatever became of an answer', async () => {
    const { recording, store } = bench();
    const append = store.append.bind(store);
    let tries = 0;
    store.append = async (...told) =>
      ++tries % 3 === 0 ? await append(...told) : tries % 3 === 1 && (await append(...told)) && false;
    for (let i = 0; i < 60; i++) {
      recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
      await recording.flush();
    }
    for (let i = 0; i < 40; i++) await recording.flush(true);
    expect(course_of(await store.appended('r'))).toMatchObject({ missing: [], totals: { ok: 59 } });
  });

  test('does not grow for ever while nobody takes it: the oldest is lost, and that is said', async () => {
    const { recording, store } = bench();
    const append = store.append.bind(store);
    recording.sample('r', 'i', 0, report(measured(0, 5), 1));
    await recording.flush(true);
    store.append = async () => false;
    for (let i = 1; i <= 2000; i++) recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
    store.append = append;
    await recording.flush();
    const course = course_of(await store.appended('r'));
    expect(course.missing).toEqual([{ agent: 'a', from: 1, to: 1000 }]);
    expect(course.totals.ok).toBe(1000);
    const summary = { requests: { sent: 2001, ok: 2000 }, bytes: { received: 0 }, connections: { established: 0 } };
    expect(balance_of(course, summary as Summary)).toEqual([
      '2001 seconds; missing: a 1-1000',
      'does not add up to the summary: sent 1001 of 2001, ok 1000 of 2000',
    ]);
  });

  test('adds up all agents, in whatever order their parts come and however often', async () => {
    const part = fc.record({
      agent: fc.constantFrom('a', 'b', 'c'),
      ok: fc.array(fc.nat(50), { minLength: 1, maxLength: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.nat()),
        async (runs, noise) => {
          const engine = new MemoryEngine();
          const all = new Map<number, number>();
          for (const [n, { agent, ok }] of runs.entries()) {
            const { recording } = bench(agent, engine);
            let sum = 0;
            for (const [second, count] of ok.entries()) {
              recording.sample(
                'r',
                `i${n}`,
                second * 1000,
                report(measured((sum += count), 5), second + 1 < ok.length ? 1 : 0),
              );
              all.set(second, (all.get(second) ?? 0) + count);
            }
            await recording.flush(true);
          }
          const told = engine.appended('r');
          const shuffled = [...told, ...told]
            .map((one) => ({ one, at: noise.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ one }) => one);
          const course = course_of(shuffled);
          expect([...course.seconds].map(([at, { counters }]) => [at, counters[3]]).sort()).toEqual([...all].sort());
          expect(course.missing).toEqual([]);
        },
      ),
    );
  });

  test.each([
    '',
    'null',
    '{}',
    '{"incarnation":"i","n":0,"rows":[[1]]}',
    '{"incarnation":"i","n":0,"rows":[[-1,2,3,4,5,6,7,8,9,10,11]]}',
    '{"incarnation":"i","n":0,"rows":[[1,2,3,4,5,6,7,8,9,10,"x"]]}',
  ])('names an agent that told what is none: %s', async (text) => {
    const { recording, store } = bench();
    recording.sample('r', 'i', 1000, report(measured(3, 5), 1));
    await recording.flush(true);
    await store.append('r', 'b', 'b-0', text);
    const course = course_of(await store.appended('r'));
    expect(course.totals.ok).toBe(3);
    expect(balance_of(course, null)[1]).toBe('some of the data of b cannot be read');
  });

  test('of an agent that names a second in a thousand years is read all the same', async () => {
    const { store } = bench();
    const row = (second: number): string => JSON.stringify([second, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    await store.append('r', 'b', 'b-0', `{"incarnation":"i","n":0,"rows":[${row(1)},${row(31_557_600_000)}]}`);
    expect(course_of(await store.appended('r')).seconds.size).toBe(100_002);
  });

  test('is all told once a flush of the whole has ended, whoever began it', async () => {
    const { recording, store } = bench();
    const append = store.append.bind(store);
    store.append = async (...told) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return await append(...told);
    };
    for (let i = 0; i < 7; i++) {
      recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
      void recording.flush();
    }
    await recording.flush(true);
    expect(course_of(await store.appended('r'))).toMatchObject({ missing: [], totals: { ok: 6 } });
  });

  test('shows times within 2.7 %', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3_600_000_000 }), async (us) => {
        const { recording, lines } = bench();
        recording.sample('r', 'i', 0, report(measured(1, us), 1));
        await recording.flush(true);
        const ms = Number(records(await lines())[0]!['max_ms']);
        expect(Math.abs(ms * 1000 - us) / us).toBeLessThan(us < 30 ? 0.5 : 0.0275);
      }),
    );
  });
});
