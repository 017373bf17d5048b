import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Recording } from '../../../src/machines/store/course-writer.ts';
import { balance_of, course_of, csv_of } from '../../../src/machines/store/course.ts';
import { Histogram } from '../../../src/metrics/histogram.ts';
import { bury, merge_actions, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import type { Snapshot } from '../../../src/metrics/snapshot.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import type { SquadAccount } from '../../../src/swarm/squad/ordered-squad.ts';
import type { ActionName } from '../../../src/metrics/counted.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { main_of, NOTHING, of_main } from '../../metrics/one-group.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { mutated } from './mutate.ts';

/** What an agent has measured so far: so many replies, each after so many µs. */
function measured(ok: number, us: number): Snapshot {
  const response = new Histogram();
  for (let i = 0; i < ok; i++) response.record(us);
  return of_main({
    requests: { ...NOTHING.requests, sent: ok + 1, in_flight: 1, ok },
    actions: [{ ...merge_actions([]), started: ok, ok, response: response.snapshot() }],
  });
}

const PING: readonly ActionName[] = [{ group: MAIN, name: 'ping' }];
/** With so many clients, of the first group. */
function report(snapshot: Snapshot, live: number, dead = NO_DEAD, actions = PING): SquadAccount {
  const [first, ...others] = Object.entries(snapshot.groups);
  const [name, group] = first!;
  const states = { ...group.clients.states, standby: live };
  const holding = {
    ...group,
    clients: { ...group.clients, states },
    connections: { ...group.connections, open: live },
  };
  const groups = Object.fromEntries([[name, holding], ...others]);
  return { snapshot: { ...snapshot, groups }, dead, actions } as SquadAccount;
}

function bench(agent = 'a', engine = new MemoryEngine()) {
  const store = engine.store();
  const recording = new Recording(store, agent);
  const lines = async (): Promise<string[]> => [...csv_of(course_of(await store.appended('r'), null))];
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
      p50_ms: '1.50',
      p90_ms: '1.50',
      p99_ms: '1.50',
      max_ms: '1.50',
      cpu: '0.00',
      lag_p99_ms: '0',
      'ping.ok': '10',
      'ping.failed': '0',
      'ping.p50_ms': '1.50',
      'ping.p99_ms': '1.50',
      'ping.max_ms': '1.50',
    });
    expect(more.map(({ second, sent, ok, max_ms }) => [second, sent, ok, max_ms])).toEqual([
      ['3', '20', '20', '1.50'],
      ['4', '0', '0', ''],
    ]);
  });

  test('is that of all groups together', async () => {
    const { recording, lines } = bench();
    const [talkers, listeners] = [main_of(measured(10, 1500)), main_of(measured(30, 90_000))];
    recording.sample(
      'r',
      'i',
      1000,
      report({ ...measured(0, 1), groups: { talkers, listeners } }, 2, NO_DEAD, [
        { group: 'talkers', name: 'say' },
        { group: 'listeners', name: 'listen' },
      ]),
    );
    await recording.flush(true);
    const [line] = records(await lines());
    expect(line).toMatchObject({ sent: '42', ok: '40', 'talkers.say.ok': '10', 'listeners.listen.ok': '30' });
    expect([Number(line!['talkers.say.max_ms']), Number(line!['listeners.listen.max_ms'])]).toEqual([1.5, 90.1]);
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
    const course = course_of(await store.appended('r'), null);
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
    expect(course_of(await store.appended('r'), null)).toMatchObject({ missing: [], totals: { ok: 59 } });
  });

  test('names what was told at its beginning and is too long ago, and an agent of which nobody heard any more', async () => {
    const [a, b] = [bench('a'), bench('b')];
    for (let i = 0; i < 40; i++) {
      a.recording.sample('r', 'i', i * 1000, report(measured(i, 5), 1));
      if (i < 20) b.recording.sample('r', 'j', i * 1000, report(measured(i, 5), 1));
    }
    for (const { recording } of [a, b]) await recording.flush(true);
    const told = [...a.engine.appended('r').slice(2), ...b.engine.appended('r')];
    expect(course_of(told, null).missing).toEqual([
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
    expect(course_of(await store.appended('r'), null)).toMatchObject({ missing: [], totals: { ok: 59 } });
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
    const course = course_of(await store.appended('r'), null);
    expect(course.missing).toEqual([{ agent: 'a', from: 1, to: 1000 }]);
    expect(course.totals.ok).toBe(1000);
    const summary = {
      requests: { sent: 2001, ok: 2000 },
      bytes: { received: 0 },
      connections: { established: 0 },
      actions: [{ group: MAIN, loop: MAIN, action: 'ping', started: 2000, ok: 2000 }],
    };
    expect(balance_of(course, summary as unknown as Summary)).toEqual([
      '2001 seconds; missing: a 1-1000',
      'does not add up to the summary: sent 1001 of 2001, ok 1000 of 2000, ping started 1000 of 2000, ping ok 1000 of 2000',
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
          const course = course_of(shuffled, null);
          expect([...course.seconds].map(([at, second]) => [at, second.counter('ok')]).sort()).toEqual([...all].sort());
          expect(course.missing).toEqual([]);
        },
      ),
    );
  });

  test.each([
    '',
    'null',
    '{}',
    part_text({}),
    part_text({ rows: [[1, 128, '']] }),
    part_text({ rows: [[1, 128, 'AAAA']] }),
  ])('names an agent that told what is none: %s', async (text) => {
    const { recording, store } = bench();
    recording.sample('r', 'i', 1000, report(measured(3, 5), 1));
    await recording.flush(true);
    await store.append('r', 'b', 'b-0', text);
    const course = course_of(await store.appended('r'), null);
    expect(course.totals.ok).toBe(3);
    expect(balance_of(course, null)[1]).toBe('some of the data of b cannot be read');
  });

  test('of an agent that names a second in a thousand years is read all the same', async () => {
    const { recording, store } = bench();
    for (const ms of [1000, 31_557_600_000_000]) recording.sample('r', 'i', ms, report(measured(1, 5), 1));
    await recording.flush(true);
    expect(course_of(await store.appended('r'), null).seconds.size).toBe(100_002);
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
    expect(course_of(await store.appended('r'), null)).toMatchObject({ missing: [], totals: { ok: 6 } });
  });

  test('shows times within 1.3 %', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3_600_000_000 }), async (us) => {
        const { recording, lines } = bench();
        recording.sample('r', 'i', 0, report(measured(1, us), 1));
        await recording.flush(true);
        const ms = Number(records(await lines())[0]!['max_ms']);
        expect(Math.abs(ms * 1000 - us)).toBeLessThanOrEqual(0.013 * us);
      }),
    );
  });

  test('is told in less room when there are many different times, which are then within 4.5 %, and says so', async () => {
    const { recording, store, engine } = bench();
    const response = new Histogram();
    const times: number[] = [];
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 2000; i++) {
        const us = Math.round(200 * 1.002 ** ((i * 7919 + second) % 3000));
        times.push(us);
        response.record(us);
      }
      const action = { ...merge_actions([]), ok: times.length, response: response.snapshot() };
      recording.sample('r', 'i', second * 1000, report(of_main({ actions: [action] }), 1));
    }
    await recording.flush(true);
    expect(engine.appended('r')[0]!.text.length).toBeLessThan(5000);
    const course = course_of(await store.appended('r'), null);
    expect(balance_of(course, null)).toContain('times are within 4.5 %');
    const [first] = records([...csv_of(course)]);
    const sorted = times.slice(0, 2000).sort((a, b) => a - b);
    for (const [name, q] of [
      ['p50_ms', 0.5],
      ['p99_ms', 0.99],
    ] as const) {
      const exact = sorted[Math.ceil(q * sorted.length) - 1]! / 1000;
      expect(Math.abs(Number(first![name]) - exact) / exact).toBeLessThan(0.045);
    }
  });

  test('has each action of each group, and is all of it, whatever was counted when', async () => {
    const actions: ActionName[] = [
      { group: MAIN, name: 'say' },
      { group: MAIN, name: 'say' },
      { group: 'b', name: 'hear, "all"' },
    ];
    const counts = fc.array(fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20), fc.nat(3)), { minLength: 1, maxLength: 12 });
    const play = async (seconds: readonly (readonly number[])[]): Promise<void> => {
      const { recording, store, lines } = bench();
      const sums = [0, 0, 0, 0];
      for (const [second, more] of seconds.entries()) {
        more.forEach((count, i) => (sums[i]! += count));
        const action = (ok: number) => ({ ...main_of(measured(ok, 100)).actions[0]!, failed: { timeout: sums[3]! } });
        const groups = {
          [MAIN]: { ...main_of(measured(0, 1)), actions: [action(sums[0]!), action(sums[1]!)] },
          b: { ...main_of(measured(0, 1)), actions: [action(sums[2]!)] },
        };
        recording.sample('r', 'i', second * 1000, report({ ...measured(0, 1), groups }, 1, NO_DEAD, actions));
      }
      await recording.flush(true);
      const course = course_of(await store.appended('r'), null);
      const told = course.actions.map(({ group, name, ok, failed }) => [group, name, ok, failed]);
      const all = actions.map(({ group, name }, i) => [group, name, sums[i], sums[3]]);
      const happened = all.filter(([, , ok, failed]) => ok !== 0 || failed !== 0);
      expect(told.sort()).toEqual(happened.sort());
      const [head] = await lines();
      if (sums[0]! > 0 && sums[1]! > 0 && sums[2]! > 0) expect(head).toMatch(/,say\.ok,.*,say#2\.ok,.*/);
      if (sums[2]! > 0) expect(head).toContain('"b.hear, ""all"".ok"');
    };
    await fc.assert(fc.asyncProperty(counts, play));
  });

  test('of a thousand actions with times of every size fits into what the engine takes, and so does all behind it', async () => {
    const actions = Array.from({ length: 1000 }, (_, i): ActionName => ({
      group: MAIN,
      name: i === 7 ? `a${'ü'.repeat(900)}` : `action_number_${i}`,
    }));
    const { recording, store, engine } = bench();
    const append = store.append.bind(store);
    store.append = async (...told) => Buffer.byteLength(told[3]) < 1024 * 1024 && (await append(...told));
    const response = new Histogram();
    for (let second = 0; second < 12; second++) {
      if (second < 6) for (let us = 1 + second; us < 4e9; us *= 1.004) response.record(Math.round(us));
      const snapshot = response.snapshot();
      const ok = second < 6 ? second + 1 : 6;
      const action = { ...merge_actions([]), started: ok, ok, service: snapshot, response: snapshot };
      recording.sample(
        'r',
        'i',
        second * 1000,
        report(of_main({ actions: actions.map(() => action) }), 1, NO_DEAD, actions),
      );
    }
    await recording.flush(true);
    const course = course_of(await store.appended('r'), null);
    expect([course.missing, course.seconds.size, course.actions.length]).toEqual([[], 12, 1000]);
    expect(course.actions.every(({ ok }) => ok === 6)).toBe(true);
    expect(engine.appended('r').length).toBeGreaterThan(6);
    expect(balance_of(course, null)).toContain('times are within 14 %');
  });

  test('of a run that has a summary is of its actions only, whatever agents make up', async () => {
    const engine = new MemoryEngine();
    const [good, bad] = [bench('good', engine), bench('bad', engine)];
    const made_up = Array.from({ length: 1032 }, (_, i) => ({ group: `A${i}`, name: 'evil' }));
    const of_all = report(of_main({ actions: [] }), 1, NO_DEAD, made_up);
    const { snapshot } = of_all;
    const groups = Object.fromEntries(made_up.map(({ group }) => [group, main_of(measured(1, 5))]));
    bad.recording.sample('r', 'i', 1000, { ...of_all, snapshot: { ...snapshot, groups } });
    await bad.recording.flush(true);
    good.recording.sample('r', 'i', 1000, report(measured(3, 5), 1));
    await good.recording.flush(true);
    const actions = [{ group: MAIN, loop: MAIN, action: 'ping', started: 3, ok: 3 }];
    const course = course_of(engine.appended('r'), { actions } as unknown as Summary);
    expect(course.actions.map(({ name, ok }) => [name, ok])).toEqual([['ping', 3]]);
    expect(course.unreadable).toEqual(['bad']);
  });

  test('is refused or read whatever an agent makes of it, and never throws', async () => {
    const { recording, engine } = bench();
    for (let i = 0; i < 5; i++) recording.sample('r', 'i', i * 1000, report(measured(i * 3, 100 * (i + 1)), 1));
    await recording.flush(true);
    const { text } = engine.appended('r')[0]!;
    const part = JSON.parse(text) as { rows: [number, number, string][] };
    fc.assert(
      fc.property(fc.nat(4), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.boolean(), (row, at, byte, cuts) => {
        const bytes = Buffer.from(part.rows[row]![2], 'base64');
        bytes[at % bytes.length] = byte;
        const changed = cuts ? bytes.subarray(0, at % bytes.length) : bytes;
        const rows = part.rows.map((one, i) => (i === row ? [one[0], one[1], changed.toString('base64')] : one));
        const course = course_of([{ agent: 'b', text: JSON.stringify({ ...part, rows }) }], null);
        for (const count of Object.values(course.totals)) expect(Number.isSafeInteger(count)).toBe(true);
        for (const line of csv_of(course)) expect(line).not.toContain('NaN');
      }),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const course = course_of([{ agent: 'b', text: mutated(text, seed) }], null);
        for (const line of csv_of(course)) expect(line).not.toContain('NaN');
      }),
      { numRuns: 5000 },
    );
  });
});

/** A stored part with other fields. */
function part_text(change: object): string {
  return JSON.stringify({ incarnation: 'i', n: 0, actions: [], codes: [], ...change });
}
