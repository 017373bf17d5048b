import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refused } from '../../src/foundation/shape.ts';
import { check_books } from '../../src/metrics/books.ts';
import { decode_hdr, encode_hdr } from '../../src/metrics/hdr.ts';
import { latency_ms, merge as merge_histograms } from '../../src/metrics/histogram.ts';
import { bury, lose_arrivals, merge_actions, merge_snapshots, NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import { read_summary } from '../../src/metrics/read-summary.ts';
import type { Snapshot } from '../../src/metrics/snapshot.ts';
import type { ActionSummary, Latency, Summary } from '../../src/metrics/summary.ts';
import { to_summary, totals_of, type SummaryInput } from '../../src/metrics/totals.ts';
import { merge_summaries, type SegmentSummary } from '../../src/runs/merge-summaries.ts';
import {
  a_snapshot,
  arrivals,
  grouped,
  histograms,
  INPUT,
  NAMES,
  rated,
  recorded,
  snapshots,
  times,
} from '../metrics/arbitraries.ts';
import { group_playing, main_of, NOTHING, of_main, playing } from '../metrics/one-group.ts';

const DEATH = { worker: 'w2', incarnation: 'i1', at: '2026-01-02T03:04:05Z', silent_ms: 900 };

/** The final summary of a process that held this segment: what was still going on was lost with a worker. */
function final(segment: string | null, last: Snapshot, change: Partial<SummaryInput> = {}): Summary {
  return to_summary({
    ...INPUT,
    final: true,
    histograms: true,
    members: [],
    dead: bury(NO_DEAD, last, DEATH),
    ...change,
    run: { ...INPUT.run, id: `run of ${segment}`, segment, ...change.run },
  });
}
const part = (summary: Summary, file = `${summary.run.segment}.json`): SegmentSummary => ({ file, summary });
const roundtrip = (summary: Summary): Summary => JSON.parse(JSON.stringify(summary)) as Summary;
const merge = (...summaries: Summary[]): Summary =>
  merge_summaries(summaries.map((one) => part(roundtrip(one)))).summary;

/** A snapshot whose connects, handshakes and rounds took these times. */
const timed = (values: readonly number[]): Snapshot => {
  const histogram = recorded(values);
  const action = { started: values.length, running: 0, ok: values.length, failed: {}, aborted: 0 };
  return of_main({
    connections: { ...NOTHING.connections, connect: histogram, handshake: histogram },
    actions: [{ ...action, service: histogram, response: histogram }],
  });
};

const same_but_mean = ({ mean: a, ...one }: Latency, { mean: b, ...other }: Latency): void => {
  expect(one).toEqual(other);
  expect(Math.abs(a - b)).toBeLessThanOrEqual(0.001_001);
};

describe('merge_summaries', () => {
  it('makes of recordings split over several summaries the one of a single recorder', () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 5 }), (split) => {
        const groups = playing('ping');
        const parts = split.map((values, i) => final(`${i + 1}/${split.length}`, timed(values), { groups }));
        const whole = final(null, timed(split.flat()), { groups });
        const merged = merge(...parts);
        expect(merged.run.segment).toBeNull();
        for (const of of [
          (s: Summary) => s.actions[0]!.service_ms,
          (s: Summary) => s.actions[0]!.response_ms,
          (s: Summary) => s.connections.connect_ms,
          (s: Summary) => s.connections.handshake_ms,
        ])
          same_but_mean(of(merged), of(whole));
        expect(merged.actions[0]!.histograms).toEqual(whole.actions[0]!.histograms);
        expect(merged.connections.histograms).toEqual(whole.connections.histograms);
      }),
      { numRuns: 50 },
    );
  });

  it('is what one coordinator would have made of all members, and balances', () => {
    fc.assert(
      fc.property(snapshots, snapshots, snapshots, (a, b, c) => {
        const merged = merge(final('1/3', a), final('2/3', b), final('3/3', c));
        const dead = [a, b, c].reduce((before, last) => bury(before, last, DEATH), NO_DEAD);
        const one = final(null, a, { dead });
        expect(check_books(merged, true)).toEqual([]);
        expect(merged.balanced).toBe(true);
        for (const key of ['endpoints', 'requests', 'bytes', 'errors'] as const) expect(merged[key]).toEqual(one[key]);
        const { peak: _, ...clients } = merged.clients;
        expect(one.clients).toMatchObject(clients);
        expect(merged.connections.failed).toEqual(one.connections.failed);
        expect(merged.actions.map(({ started, lost, failed }) => [started, lost, failed])).toEqual(
          one.actions.map(({ started, lost, failed }) => [started, lost, failed]),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('is, of groups, what one coordinator would have made of all members', () => {
    const groups = NAMES.map((name) => group_playing(name, 'say', 'connected'));
    const base = totals_of([], NO_DEAD);
    const mark = { text: 'up', at_ms: 0, run_seconds: 0, base };
    fc.assert(
      fc.property(grouped, grouped, (a, b) => {
        const merged = merge(final('1/2', a, { groups, mark }), final('2/2', b, { groups, mark }));
        const dead = [a, b].reduce((before, last) => bury(before, last, DEATH), NO_DEAD);
        const one = final(null, a, { dead, groups, mark });
        expect(merged.balanced).toBe(true);
        for (const key of ['endpoints', 'requests', 'bytes'] as const) expect(merged[key]).toEqual(one[key]);
        const told = (actions: ActionSummary[]) =>
          actions.map(({ group, started, lost, failed, slots, histograms }) => [
            ...[group, started, lost, failed, histograms],
            slots && { ...slots, late_ms: 0 },
          ]);
        expect(told(merged.actions)).toEqual(told(one.actions));
        expect(told(merged.mark!.actions)).toEqual(told(one.mark!.actions));
      }),
      { numRuns: 20 },
    );
  });

  it('takes summaries of a swarm that knew no groups, no names and no iterations', () => {
    const base = totals_of([], NO_DEAD);
    const mark = { text: 'up', at_ms: 0, run_seconds: 0, base };
    const parts = [1, 2].map((n) => final(`${n}/2`, a_snapshot(n), { mark }));
    const unnamed = (actions: ActionSummary[]) => actions.map(({ group: _, loop: __, action: ___, ...one }) => one);
    const read = (summary: Summary): Summary => {
      const { actions, mark } = summary;
      const { finished: _, ...clients } = summary.clients;
      const { ready: __, ...connections } = summary.connections;
      const unmarked = { ...mark, actions: unnamed(mark!.actions) };
      const old = { ...summary, clients, connections, actions: unnamed(actions), mark: unmarked };
      const found = read_summary(JSON.stringify(old));
      if (found instanceof Refused) throw new Error(found.why);
      return found;
    };
    for (const part of parts) expect(read(part)).toEqual(JSON.parse(JSON.stringify(part)));
    expect(merge(read(parts[0]!), parts[1]!)).toEqual(merge(parts[0]!, parts[1]!));
  });

  it('adds up slots, their rates and the seconds that were saturated', () => {
    const { slots } = fc.sample(rated, { seed: 1, numRuns: 1 })[0]!;
    const last = of_main({ actions: [{ ...merge_actions([]), slots: { ...slots!, planned: 9, waiting: 9 } }] });
    const groups = playing('say');
    const more = { groups, rates: { 'main.0': 0.1 } };
    const merged = merge(
      final('1/3', last, { ...more, saturated_seconds: 2 }),
      final('2/3', last, { groups, rates: { 'main.0': 0.2 } }),
      final('3/3', last, { groups, saturated_seconds: 3 }),
    );
    expect(merged.saturated_seconds).toBe(5);
    expect(merged.actions[0]).toMatchObject({
      rate_per_s: 0.3,
      slots: { planned: 27, waiting: 0, lost: 27, dropped: { backlog: 3 * slots!.dropped.backlog } },
    });
    same_but_mean(
      merged.actions[0]!.slots!.late_ms,
      latency_ms(merge_histograms(slots!.late, slots!.late, slots!.late)),
    );
  });

  it('adds up clients that arrive, by group', () => {
    const [some] = fc.sample(arrivals, { seed: 1, numRuns: 1 });
    const groups = [group_playing('a', 'go'), group_playing('b', 'go')];
    const last: Snapshot = {
      ...merge_snapshots([]),
      groups: { a: NOTHING, b: { ...NOTHING, arrivals: { ...some!, live: 0 } } },
    };
    const dead = lose_arrivals(NO_DEAD, 'b', 4);
    const one = (segment: string, per_s: number): Summary =>
      final(segment, last, { groups, rates: { 'b.arrive': per_s }, members: [last], dead });
    const merged = merge(one('1/2', 0.1), one('2/2', 0.2));
    const { planned, started, dropped, late } = some!;
    expect(merged.arrivals).toMatchObject([
      {
        ...{ group: 'b', planned: 2 * (planned + 4), started: 2 * started, live: 0, lost: 8, rate_per_s: 0.3 },
        dropped: { no_room: 2 * dropped.no_room },
      },
    ]);
    same_but_mean(merged.arrivals![0]!.late_ms, latency_ms(merge_histograms(late, late)));
    const { histograms: _, ...bare } = one('1/2', 1).arrivals![0]!;
    expect(() => merge({ ...one('1/2', 1), arrivals: [bare] }, one('2/2', 1))).toThrow(
      /arrivals in b have no histograms/,
    );
  });

  it('changes nothing but names about one', () => {
    const one = final(null, a_snapshot(1));
    const { lost_workers, limits, ...rest } = merge(one);
    const { lost_workers: _, limits: __, ...same } = one;
    expect(rest).toEqual(same);
    expect(lost_workers).toEqual([{ ...DEATH, worker: '1/w2' }]);
    expect(limits).toEqual({ ...one.limits, bounds: [] });
  });

  it('does not care how parts are grouped', () => {
    const parts = [1, 2, 3].map((n) => final(`${n}/3`, a_snapshot(n))) as [Summary, Summary, Summary];
    const at_once = merge(...parts);
    const in_turn = merge(merge(parts[2], parts[0]), parts[1]);
    expect(in_turn.run.segment).toBeNull();
    for (const key of ['endpoints', 'requests', 'bytes', 'errors', 'target', 'planned', 'balanced'] as const)
      expect(in_turn[key]).toEqual(at_once[key]);
    expect(in_turn.actions.map((a) => a.histograms)).toEqual(at_once.actions.map((a) => a.histograms));
  });

  it('adds targets, rates, peaks and capacity; takes the earliest start, the longest time, the worst lag', () => {
    const run = { ...INPUT.run, started: '2026-01-02T03:04:04.000Z', seconds: 20, servers: ['127.0.0.1:1'] };
    const last = (lag_p99_ms: number): Snapshot => ({
      ...merge_snapshots([]),
      generator: { cpu_s: 0, cpu: 0.25, rss_bytes: 100, lag_p99_ms },
    });
    const of = (segment: string, lag: number, change: Partial<SummaryInput>): Summary =>
      final(segment, last(lag), { dead: NO_DEAD, members: [last(lag)], groups: [], ...change });
    const merged = merge(
      of('1/2', 3, { target: 4, planned: 4, connect_per_s: 0.1, peaks: { live: 4, open: 3 } }),
      of('2/2', 5, {
        target: 3,
        planned: 3,
        connect_per_s: 0.2,
        peaks: { live: 3, open: 2 },
        run: { ...run, id: 'b', segment: '2/2' },
      }),
    );
    expect(merged).toMatchObject({
      target: 7,
      planned: 7,
      connect_per_s: 0.3,
      balanced: true,
      complete: true,
      final: true,
      run: {
        id: 'run of 1/2+b',
        segment: null,
        started: run.started,
        seconds: 20,
        servers: ['127.0.0.1:6379', '127.0.0.1:1'],
      },
      clients: { peak: 7 },
      connections: { open_peak: 5 },
      generator: { cpu: 0.5, rss_bytes: 200, lag_p99_ms: 5 },
      limits: { capacity: 2000, why: 'open files 1024 per process', bounds: [] },
    });
  });

  it('names workers by the position of their file', () => {
    const worker = { id: 'local', incarnation: 'i', pid: 1, live: 0, open: 0, capacity: 10, cpu: 0, rss_bytes: 1 };
    const workers = [{ ...worker, lag_p99_ms: 0, silent_ms: 0, state: 'up' as const }];
    const merged = merge(...['1/2', '2/2'].map((segment) => final(segment, a_snapshot(1), { workers })));
    expect(merged.workers.map(({ id }) => id)).toEqual(['1/local', '2/local']);
    expect(merged.lost_workers.map((lost) => lost.worker)).toEqual(['1/w2', '2/w2']);
    expect(merged.complete).toBe(false);
  });

  it('is balanced only if every part is', () => {
    const off = { ...final('2/2', a_snapshot(2)), balanced: false };
    expect(merge(final('1/2', a_snapshot(1)), off).balanced).toBe(false);
  });

  it('merges marks with one text, and says so when they differ', () => {
    const base = totals_of([], NO_DEAD);
    const marked = (segment: string, text: string, at_ms: number): Summary =>
      final(segment, a_snapshot(1), { mark: { text, at_ms, run_seconds: 2.5, base } });
    const { mark } = merge(marked('1/2', 'up', 2000), marked('2/2', 'up', 1000));
    expect(mark).toMatchObject({ text: 'up', at: '1970-01-01T00:00:01.000Z', seconds: 10 });
    const { service, ok } = main_of(a_snapshot(1)).actions[0]!;
    expect(mark!.actions[0]).toMatchObject({ index: 0, ok: 2 * ok });
    expect(mark!.actions[0]!.service_ms.count).toBe(2 * service.count);
    expect(mark!.actions[0]!.service_ms.p99).toBe(latency_ms(service).p99);
    const differ = merge_summaries([marked('1/2', 'up', 0), marked('2/2', 'down', 0)].map((one) => part(one)));
    expect(differ.summary.mark).toBeNull();
    expect(differ.notes).toEqual(['the marks differ: the merged summary has none']);
  });

  it('says which part is missing, and of what the rest is', () => {
    const { summary, notes } = merge_summaries(['3/4', '1/4'].map((segment) => part(final(segment, a_snapshot(1)))));
    expect(summary.run.segment).toBe('0/4:1/4,2/4:3/4');
    expect(notes).toEqual([
      'no summary of segment 1/4:2/4 is among them: this is not the whole swarm',
      'no summary of segment 3/4:1 is among them: this is not the whole swarm',
    ]);
  });

  it.each<[string, (a: Summary) => Summary, RegExp]>([
    [
      'the same run',
      (a) => a,
      /^a.json and b.json cannot be merged: both hold the run run of 1\/2 \(summaries_differ: /,
    ],
    ['another script', (a) => ({ ...a, run: { ...a.run, id: 'b', script_sha256: 'x' } }), /their scripts differ/],
    [
      'another module',
      (a) => ({ ...a, run: { ...a.run, id: 'b', module_sha256: 'x' } }),
      /their protocol modules differ/,
    ],
    ['another seed', (a) => ({ ...a, run: { ...a.run, id: 'b', seed: 'x' } }), /their seeds differ/],
    ['other actions', (a) => ({ ...a, run: { ...a.run, id: 'b' }, actions: [] }), /their actions differ/],
    [
      'the same actions of another group',
      (a) => ({ ...a, run: { ...a.run, id: 'b' }, actions: a.actions.map((one) => ({ ...one, group: 'talkers' })) }),
      /their actions differ/,
    ],
    [
      'the same part',
      (a) => ({ ...a, run: { ...a.run, id: 'b' } }),
      /segment 1\/2 and segment 1\/2 have clients in common/,
    ],
    [
      'the whole',
      (a) => ({ ...a, run: { ...a.run, id: 'b', segment: null } }),
      /the whole swarm and segment 1\/2 have|segment 1\/2 and the whole swarm have/,
    ],
    [
      'no segment',
      (a) => ({ ...a, run: { ...a.run, id: 'b', segment: 'half' } }),
      /^b.json is not .*: its segment is not valid/,
    ],
    [
      'an id in both',
      (a) => ({ ...a, run: { ...a.run, id: `x+${a.run.id}`, segment: '2/2' } }),
      /both hold the run run of 1\/2/,
    ],
  ])('refuses %s', (_, change, text) => {
    const a = final('1/2', a_snapshot(1));
    expect(() => merge_summaries([part(a, 'a.json'), part(change(a), 'b.json')])).toThrow(text);
  });

  it('refuses histograms that are none, are missing, or do not belong there', () => {
    const good = final(null, a_snapshot(1));
    const other = encode_hdr(recorded([1, 2, 3]));
    const with_service = (service: string): Summary => ({
      ...good,
      actions: [{ ...good.actions[0]!, histograms: { service, response: service } }, ...good.actions.slice(1)],
    });
    for (const bad of ['', 'AAAA', other, `${other.slice(0, -8)}`, 'x'.repeat(1000)])
      expect(() => merge(with_service(bad)), bad).toThrow(
        /^null.json is not a summary that can be merged: .*bad_summary/,
      );
    const { histograms: _, ...action } = good.actions[0]!;
    expect(() => merge({ ...good, actions: [action, good.actions[1]!] })).toThrow(/action heartbeat has no histograms/);
    const dropped = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
    const slots = { planned: 0, started: 0, waiting: 0, dropped, lost: 0, late_ms: action.service_ms };
    expect(() => merge({ ...good, actions: [{ ...good.actions[0]!, slots }] })).toThrow(
      /action heartbeat has no histograms/,
    );
    const { histograms: __, ...connections } = good.connections;
    expect(() => merge({ ...good, connections: connections })).toThrow(/connections have no histograms/);
    expect(() => merge({ ...good, run: { ...good.run, started: '2026-99-01T00:00:00Z' } })).toThrow(
      /there is no 2026-99/,
    );
  });
});

describe('decode_hdr', () => {
  it('reads what encode_hdr wrote', () => {
    fc.assert(
      fc.property(histograms, (snapshot) => {
        const { indices, counts } = decode_hdr(encode_hdr(snapshot));
        expect([...indices]).toEqual([...snapshot.indices]);
        expect([...counts]).toEqual([...snapshot.counts]);
      }),
    );
    const many = { ...recorded([10, 20]), counts: Float64Array.of(2 ** 40, 1), count: 2 ** 40 + 1 };
    expect([...decode_hdr(encode_hdr(many)).counts]).toEqual([2 ** 40, 1]);
  });

  it('throws an Error at anything else', () => {
    const good = Buffer.from(encode_hdr(recorded([5, 70, 900])), 'base64');
    const read = (bytes: Uint8Array): void => {
      try {
        decode_hdr(Buffer.from(bytes).toString('base64'));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), read));
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const bent = Buffer.from(good);
        bent[at] = byte;
        read(bent);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        const header = Buffer.alloc(40);
        header.writeInt32BE(0x1c849313, 0);
        header.writeInt32BE(payload.length, 4);
        header.writeInt32BE(3, 12);
        header.writeBigInt64BE(1n, 16);
        header.writeBigInt64BE(2n ** 32n - 1n, 24);
        const packed = deflateSync(Buffer.concat([header, payload]));
        const outer = Buffer.alloc(8);
        outer.writeInt32BE(0x1c849314, 0);
        outer.writeInt32BE(packed.length, 4);
        read(Buffer.concat([outer, packed]));
      }),
    );
  });

  it('does not unpack more than a histogram can be', () => {
    const bomb = deflateSync(Buffer.alloc(50_000_000));
    const outer = Buffer.alloc(8);
    outer.writeInt32BE(0x1c849314, 0);
    outer.writeInt32BE(bomb.length, 4);
    expect(() => decode_hdr(Buffer.concat([outer, bomb]).toString('base64'))).toThrow(/larger than/);
  });
});
