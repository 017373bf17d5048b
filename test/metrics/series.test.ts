import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latency_ms, merge } from '../../src/metrics/histogram.ts';
import { whole_of } from '../../src/metrics/merge-snapshots.ts';
import { Series, type Beat } from '../../src/metrics/series.ts';
import type { SeriesAction, SeriesRow } from '../../src/metrics/series-row.ts';
import { DROP_REASONS, type HistogramSnapshot } from '../../src/metrics/snapshot.ts';
import type { Totals } from '../../src/metrics/totals.ts';
import { beat, FakeRecorder, names, totals_now } from './beats.ts';

/** Everything that a row counts, as text. */
function counted(
  rounds: { row: Pick<SeriesRow, 'counters' | 'connect_failed' | 'slots'>; actions: readonly SeriesAction[] }[],
): string[] {
  const counts = new Map<string, number>();
  const add = (what: string, count: number): void => void counts.set(what, (counts.get(what) ?? 0) + count);
  const add_times = (what: string, times: HistogramSnapshot): void => {
    add(`${what} µs`, times.sum);
    times.indices.forEach((index, i) => add(`${what} ${index}`, times.counts[i]!));
  };
  for (const { row, actions } of rounds) {
    for (const [name, count] of Object.entries(row.counters)) add(name, count);
    for (const [code, count] of Object.entries(row.connect_failed)) add(`connect ${code}`, count);
    for (const { index, planned, dropped, late } of row.slots) {
      add(`${index} planned`, planned);
      for (const [reason, count] of Object.entries(dropped)) add(`${index} dropped ${reason}`, count);
      add_times(`${index} late`, late);
    }
    for (const { index, started, ok, aborted, failed, service, response } of actions) {
      add(`${index} started`, started);
      add(`${index} ok`, ok);
      add(`${index} aborted`, aborted);
      for (const [code, count] of Object.entries(failed)) add(`${index} ${code}`, count);
      add_times(`${index} service`, service);
      add_times(`${index} response`, response);
    }
  }
  return [...counts]
    .filter(([, count]) => count !== 0)
    .map(([what, count]) => `${what}: ${count}`)
    .sort();
}

const of_rows = (rows: readonly SeriesRow[]): string[] => counted(rows.map((row) => ({ row, actions: row.actions() })));

/** What one beat after nothing would say. */
function of_totals(totals: Totals): string[] {
  const naive = new Series();
  naive.beat(beat(1000, totals));
  return of_rows([...naive.rows()]);
}

const ACTIONS = 4;
const MEMBERS = 3;
const step = fc.record({
  ms: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 980, max: 1030 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 5, 300, 700) },
    { weight: 1, arbitrary: fc.constantFrom(2500, 7000, 45_000, 900_000, 40_000_000) },
  ),
  does: fc.array(
    fc.record({
      member: fc.nat(MEMBERS - 1),
      action: fc.nat(ACTIONS - 1),
      what: fc.constantFrom('ok', 'ok', 'fire', 'fire', 'drop', 'fail', 'abort', 'connect', 'refuse'),
      code: fc.constantFrom('timeout', 'wrong_reply', '__proto__'),
      us: fc.nat(3_000_000),
      reason: fc.constantFrom(...DROP_REASONS),
    }),
    { maxLength: 12 },
  ),
  /** what this one told is gone */
  leaves: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(MEMBERS - 1) }),
  /** how many actions are known by now */
  known: fc.oneof({ weight: 5, arbitrary: fc.constant(ACTIONS) }, fc.integer({ min: 1, max: ACTIONS })),
  silent: fc.subarray(['w1', 'w2']),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function act(members: FakeRecorder[], { does, leaves }: Step): void {
  if (leaves !== null) members[leaves] = new FakeRecorder(ACTIONS);
  for (const { member, action, what, code, us, reason } of does) {
    const one = members[member]!;
    if (what === 'ok') one.ok(action, us);
    else if (what === 'fire') one.fire(action, us % 20_000, us);
    else if (what === 'drop') one.drop(action, reason);
    else if (what === 'fail') one.fail(action, code);
    else if (what === 'abort') one.abort(action);
    else if (what === 'refuse') one.refused++;
    else {
      one.connected++;
      one.open++;
    }
  }
}

describe('the series', () => {
  it('adds up to what was measured, whatever came between and however it was folded', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 150 }),
        fc.constantFrom(0, 30_000, 60_000, 64 * 2 ** 20),
        (steps, most_bytes) => {
          const series = new Series(most_bytes);
          const members = Array.from({ length: MEMBERS }, () => new FakeRecorder(ACTIONS));
          const kept: { to: number; row: SeriesRow; open: number; silent: readonly string[] }[] = [];
          let run_ms = 0;
          let before: Series | null = null;
          for (const one of steps) {
            run_ms += one.ms;
            act(members, one);
            const totals = totals_now(members);
            const seen = beat(run_ms, totals, { actions: names(one.known), not_told: one.silent });
            series.beat(seen);
            expect(series.adds_up(totals)).toEqual([]);
            // the oracle: this beat alone after the one before, nothing ever folded
            const alone: Series = before ?? new Series();
            alone.beat({ ...seen, run_ms: alone.newest === 0 ? 1000 : 2000 });
            const [newest] = series.last(1);
            const to = newest!.second + newest!.length_s;
            kept.push({
              to,
              row: [...alone.rows()].at(-1)!,
              open: whole_of(totals.snapshot).connections.open,
              silent: one.silent,
            });
            before = new Series();
            before.beat({ ...seen, run_ms: 1000 });
          }
          const totals = totals_now(members);
          const rows = [...series.rows()];
          expect(of_rows([series.totals()!])).toEqual(of_rows(rows));
          expect(series.totals()!.saturated_s).toBe(series.saturated_s);
          if (steps.at(-1)!.known === ACTIONS) expect(of_rows(rows)).toEqual(of_totals(totals));
          let end = 0;
          for (const row of rows) {
            expect(row.second).toBe(end);
            end += row.length_s;
            const mine = kept.filter(({ to }) => to > row.second && to <= end);
            expect(of_rows([row])).toEqual(of_rows(mine.map((one) => one.row)));
            expect(row.gauges.open).toBe(mine.at(-1)!.open);
            expect(row.highest.open).toBe(Math.max(...mine.map(({ open }) => open)));
            const looked = new Set(mine.map(({ to }) => to));
            expect(row.gap_s).toBe(row.length_s - looked.size);
            for (const id of ['w1', 'w2']) {
              const silent = [...looked].filter((to) => mine.findLast((one) => one.to === to)!.silent.includes(id));
              expect(row.not_told[id] ?? 0).toBe(silent.length);
            }
            const rounds = row.actions().reduce((all, { started }) => all + started, 0);
            expect(row.rounds.started).toBe(rounds);
            const saturated = new Set(mine.filter((one) => one.row.saturated_s > 0).map((one) => one.to));
            const seconds = [...saturated].map((to) => to - (kept.findLast((one) => one.to < to)?.to ?? to - 1));
            expect(row.saturated_s).toBe(seconds.reduce((all, one) => all + one, 0));
            const by = new Set(mine.flatMap((one) => one.row.saturated_by));
            expect(new Set(row.saturated_by)).toEqual(by);
          }
          if (most_bytes === 0) expect(rows.length).toBeLessThanOrEqual(2);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has what happened in a second, and how it was at its end', () => {
    const series = new Series();
    const member = new FakeRecorder(2);
    member.ok(0, 100);
    member.connected = member.open = 2;
    series.beat(beat(1000, totals_now([member])));
    member.ok(1, 300);
    member.ok(1, 1_000_000);
    member.fail(1, 'timeout');
    member.abort(0);
    member.connected++;
    member.refused = 4;
    member.open = 1;
    series.beat(beat(2001, totals_now([member])));
    const [row] = series.last(1);
    const { actions, members, response, saturated_by, ...head } = row!;
    expect(head).toEqual({
      n: 2,
      second: 1,
      length_s: 1,
      gap_s: 0,
      states: { initial: 0, connect: 0, acting: 1, standby: 0, backoff: 0, fatal: 0 },
      gauges: { open: 1, cpu: 0, lag_p99_ms: 0 },
      highest: { open: 1, cpu: 0, lag_p99_ms: 0 },
      counters: { connected: 1, bytes_sent: 20, bytes_received: 40, sent: 4, ok: 2, wrong: 0, timeout: 0, noreply: 0 },
      connect_failed: { ECONNREFUSED: 4 },
      rounds: { started: 4, ok: 2, failed: 1, aborted: 1 },
      not_told: {},
      saturated_s: 0,
      slots: [],
    });
    expect([members(), saturated_by]).toEqual([[], []]);
    expect(latency_ms(response)).toMatchObject({ count: 2, p50: 0.603, max: 2007.039, mean: 1000.3 });
    expect(actions()).toMatchObject([
      { index: 0, started: 1, ok: 0, failed: {}, aborted: 1, response: { count: 0 } },
      { index: 1, started: 3, ok: 2, failed: { timeout: 1 }, aborted: 0, service: { count: 2, sum: 1_000_300 } },
    ]);
  });

  it('has what became of slots in a second, and only of those that came', () => {
    const series = new Series();
    const member = new FakeRecorder(3);
    member.fire(1, 200, 5000);
    member.fire(2, 100, 5000);
    series.beat(beat(1000, totals_now([member])));
    for (const late_us of [300, 400, 9000]) member.fire(1, late_us, 5000);
    member.drop(1, 'no_free_client');
    member.slots(1).planned += 2;
    member.slots(1).waiting += 2;
    series.beat(beat(2000, totals_now([member])));
    member.slots(1).waiting = 0;
    series.beat(beat(3000, totals_now([member])));
    const [first, second, third] = series.rows();
    expect(first!.slots.map(({ name, planned }) => [name, planned])).toEqual([
      ['say_1', 1],
      ['say_2', 1],
    ]);
    expect(second!.slots).toMatchObject([
      {
        ...{ group: 'main', index: 1, name: 'say_1', planned: 6 },
        dropped: { no_free_client: 1, backlog: 0, stopped: 0, paused: 0 },
        late: { count: 3, sum: 9700 },
      },
    ]);
    expect(third!.slots).toEqual([]);
    expect(series.totals()!.slots.map(({ planned, late }) => [planned, late.count])).toEqual([
      [7, 4],
      [1, 1],
    ]);
    expect(series.adds_up(totals_now([member]))).toEqual([]);
  });

  it('says which seconds were saturated, by what, and how many there were', () => {
    const series = new Series();
    const member = new FakeRecorder(2);
    const second = (at: number, more: Partial<Beat> = {}): string[] =>
      series.beat(beat(at * 1000, totals_now([member]), more)).map(({ by }) => by);
    const busy = { id: 'w1', open: 0, cpu: 0.95, lag_p99_ms: 60 };
    expect(second(1, { members: [busy] })).toEqual(['cpu', 'lag']);
    expect(second(2)).toEqual([]);
    // one that is silent said so before
    expect(second(3, { members: [busy], not_told: ['w1'] })).toEqual([]);
    // an agent is as busy as all its processes together
    const calm = { id: 'a/w1', cpu: 0.6, lag_p99_ms: 1 };
    expect(second(4, { members: [{ ...busy, cpu: 1.2, lag_p99_ms: 1 }], processes: [calm, calm] })).toEqual([]);
    // late for want of free clients is nobody's fault here
    member.fire(1, 11_000, 5);
    expect(second(4.5)).toEqual([]);
    member.fire(1, 11_000, 5);
    member.slots(1).tardy++;
    expect(second(5)).toEqual(['late']);
    // again in the same second
    expect(second(5.01, { members: [{ ...busy, lag_p99_ms: 1 }] })).toEqual(['cpu']);
    member.drop(1, 'no_free_client');
    expect(second(6)).toEqual([]);
    // nobody looked for two seconds
    expect(second(9, { members: [busy] })).toEqual(['cpu', 'lag']);
    expect([...series.rows()].map((row) => [row.length_s, row.saturated_s, row.saturated_by.join()])).toEqual([
      [1, 1, 'cpu,lag'],
      [1, 0, ''],
      [1, 0, ''],
      [1, 0, ''],
      [1, 1, 'cpu,late'],
      [1, 0, ''],
      [3, 3, 'cpu,lag'],
    ]);
    expect(series.saturated_s).toBe(5);
    expect(series.totals()).toMatchObject({ saturated_s: 5, saturated_by: ['cpu', 'lag', 'late'] });
  });

  it('has percentiles of many seconds as if they were merged', () => {
    const [fine, folded] = [new Series(), new Series(0)];
    const member = new FakeRecorder(2);
    for (let second = 1; second <= 300; second++) {
      for (let i = 0; i < 20; i++) member.ok(i % 2, (second * 7919 * (i + 1)) % 100_000);
      for (const series of [fine, folded]) series.beat(beat(second * 1000, totals_now([member])));
    }
    const rows = [...fine.rows()];
    expect(rows).toHaveLength(300);
    expect([...folded.rows()]).toHaveLength(2);
    const whole = folded.totals()!;
    expect(latency_ms(whole.response)).toEqual(latency_ms(merge(...rows.map(({ response }) => response))));
    for (const action of whole.actions()) {
      const parts = rows.flatMap((row) => row.actions().filter(({ index }) => index === action.index));
      expect(latency_ms(action.service)).toEqual(latency_ms(merge(...parts.map(({ service }) => service))));
    }
  });

  it('adds up over histograms that become coarser, and never counts below 0 for that', () => {
    const series = new Series();
    const fine = new FakeRecorder(2);
    const members = [fine];
    for (let second = 1; second <= 30; second++) {
      if (second % 10 === 0) members.push(new FakeRecorder(2, second / 5));
      for (const member of members) for (let i = 0; i < 9; i++) member.ok(i % 2, (second * 6007 * (i + 1)) % 50_000);
      const totals = totals_now(members);
      series.beat(beat(second * 1000, totals));
      expect(series.adds_up(totals)).toEqual([]);
    }
    for (const row of series.rows())
      for (const { response } of row.actions()) expect(Math.min(...response.counts)).toBeGreaterThan(0);
  });

  it('names what does not add up', () => {
    const series = new Series();
    const member = new FakeRecorder(2);
    member.ok(0, 100);
    series.beat(beat(1000, totals_now([member])));
    member.ok(1, 5000);
    member.fail(0, 'timeout');
    member.refused++;
    expect(series.adds_up(totals_now([member]))).toEqual([
      'bytes_sent: 10 in the series, 20 in all',
      'bytes_received: 20 in the series, 40 in all',
      'sent: 1 in the series, 3 in all',
      'ok: 1 in the series, 2 in all',
      'connect failed ECONNREFUSED: 0 in the series, 1 in all',
      'rounds started: 1 in the series, 3 in all',
      'rounds ok: 1 in the series, 2 in all',
      'rounds failed: 0 in the series, 1 in all',
      'response: other times in the series than in all',
      'response, µs together: 200 in the series, 10200 in all',
      'main say_0 started: 1 in the series, 2 in all',
      'main say_0 failed timeout: 0 in the series, 1 in all',
      'main say_1 started: 0 in the series, 1 in all',
      'main say_1 ok: 0 in the series, 1 in all',
      'main say_1 service: other times in the series than in all',
      'main say_1 service, µs together: 0 in the series, 5000 in all',
      'main say_1 response: other times in the series than in all',
      'main say_1 response, µs together: 0 in the series, 10000 in all',
    ]);
    series.beat(beat(2000, totals_now([member])));
    member.drop(1, 'backlog');
    member.slots(1).late.record(300);
    expect(series.adds_up(totals_now([member]))).toEqual([
      'slots of main say_1 planned: 0 in the series, 1 in all',
      'slots of main say_1 dropped backlog: 0 in the series, 1 in all',
      'slots of main say_1 late: other times in the series than in all',
      'slots of main say_1 late, µs together: 0 in the series, 300 in all',
    ]);
    expect(new Series().adds_up(totals_now([]))).toEqual([]);
  });

  it('has a row for each second with a timer that is a little late or early', () => {
    const series = new Series();
    const late = (i: number): number => ((i * 37) % 250) - 20;
    for (let i = 1; i <= 500; i++) series.beat(beat(i * 1000 + 640 + late(i), totals_now([])));
    expect([...series.rows()].map(({ second, length_s }) => [second, length_s])).toEqual(
      Array.from({ length: 500 }, (_, second) => [second, 1]),
    );
  });

  it('says of a late start how long nobody looked', () => {
    const series = new Series();
    const member = new FakeRecorder(1);
    member.ok(0, 5);
    series.beat(beat(90_000, totals_now([member])));
    expect([...series.rows()]).toMatchObject([{ second: 0, length_s: 90, gap_s: 89, rounds: { ok: 1 } }]);
  });

  it('keeps an hour of seconds, then rows of ten and of sixty', () => {
    const series = new Series();
    const totals = totals_now([new FakeRecorder(1)]);
    for (let second = 1; second <= 40_000; second++) series.beat(beat(second * 1000, totals));
    const rows = [...series.rows()];
    const of = (step_s: number) => rows.filter(({ length_s }) => length_s === step_s);
    expect([60, 10, 1].map((step_s) => of(step_s)[0]!.second)).toEqual([0, 21_960, 36_400]);
    expect([...of(60), ...of(10), ...of(1)]).toEqual(rows);
    expect(series.fine_s).toBe(3600);
    expect(rows.every(({ second, length_s }) => second % length_s === 0)).toBe(true);
    expect(series.last(5).map(({ second }) => second)).toEqual([39_995, 39_996, 39_997, 39_998, 39_999]);
    expect([...series.rows(100, 130)].map(({ second }) => second)).toEqual([60, 120]);
  });

  it('is read on from where somebody was', () => {
    const series = new Series();
    for (let second = 1; second <= 5; second++) series.beat(beat(second * 1000, totals_now([])));
    expect([...series.since(3)].map(({ n, second }) => [n, second])).toEqual([
      [4, 3],
      [5, 4],
    ]);
    expect(series.newest).toBe(5);
    // again in the same second: it is news
    series.beat(beat(5010, totals_now([])));
    expect([...series.since(5)].map(({ n, second }) => [n, second])).toEqual([[6, 4]]);
    expect([...series.since(6)]).toEqual([]);
    expect([...series.since(0)]).toHaveLength(5);
  });

  it('has members by name, and who did not tell', () => {
    const series = new Series();
    const members = [
      { id: 'w1', open: 12, cpu: 0.123, lag_p99_ms: 1.5 },
      { id: 'w2', open: 0, cpu: 1, lag_p99_ms: 0 },
    ];
    series.beat(beat(1000, totals_now([]), { members, not_told: ['w2', 'w3'] }));
    const [row] = series.last(1);
    expect(row!.members()).toEqual(members);
    expect(row!.not_told).toEqual({ w2: 1, w3: 1 });
  });

  it('has of folded rows the members of the last one', () => {
    const [fine, folded] = [new Series(), new Series(0)];
    const many = (second: number) =>
      Array.from({ length: second * 40 }, (_, i) => ({
        id: `a${i}`,
        open: second * i,
        cpu: i / 1000,
        lag_p99_ms: 0.25,
      }));
    for (let second = 1; second <= 30; second++)
      for (const series of [fine, folded]) series.beat(beat(second * 1000, totals_now([]), { members: many(second) }));
    const [first] = folded.rows();
    expect(first!.length_s).toBeGreaterThan(1);
    expect(first!.members()).toEqual(many(first!.second + first!.length_s));
    expect(folded.totals()!.members()).toEqual(many(30));
    expect([...fine.rows()].map((row) => row.members().length)).toEqual(
      Array.from({ length: 30 }, (_, i) => (i + 1) * 40),
    );
  });

  it('tells two actions of one command and two groups apart', () => {
    const series = new Series();
    const member = new FakeRecorder(3);
    member.ok(0, 5);
    member.ok(2, 5);
    const actions = ['ping', 'pong', 'ping'].map((name) => ({ group: 'main', name }));
    series.beat(beat(1000, totals_now([member]), { actions }));
    expect(series.last(1)[0]!.actions()).toMatchObject([
      { group: 'main', index: 0, name: 'ping', ok: 1 },
      { group: 'main', index: 2, name: 'ping', ok: 1 },
    ]);
  });
});
