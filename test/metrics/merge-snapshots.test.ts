import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bury, live_of, merge_dead, merge_snapshots, NO_DEAD, settle_lost } from '../../src/metrics/merge-snapshots.ts';
import type { ErrorKind, Snapshot } from '../../src/metrics/snapshot.ts';
import { a_snapshot, recorded, snapshots } from './arbitraries.ts';

const worker = (i: number) => ({ worker: `w${i}`, incarnation: `i${i}`, at: '2026-01-02T03:04:05Z', silent_ms: 900 });
const with_errors = (errors: Record<string, ErrorKind>): Snapshot => ({ ...merge_snapshots([]), errors });
const kind = (count: number, last: string, last_at: number): ErrorKind => ({ count, last, last_at });

describe('merge_snapshots', () => {
  it('is zero without members', () => {
    const nothing = merge_snapshots([]);
    expect(live_of(nothing)).toBe(0);
    expect(nothing.connections.connect.count).toBe(0);
    expect(nothing.actions).toEqual([]);
  });

  it('changes nothing about one', () => {
    fc.assert(
      fc.property(snapshots, (one) => {
        expect(merge_snapshots([one])).toEqual(one);
      }),
    );
  });

  it('does not care how members are grouped', () => {
    fc.assert(
      fc.property(snapshots, snapshots, snapshots, (a, b, c) => {
        expect(merge_snapshots([merge_snapshots([a, b]), c])).toEqual(merge_snapshots([a, b, c]));
      }),
      { numRuns: 50 },
    );
  });

  it('adds counters and gauges, takes the highest peak and lag', () => {
    const [a, b] = [a_snapshot(1), a_snapshot(2)];
    const both = merge_snapshots([a, b]);
    expect(both.clients.created).toBe(a.clients.created + b.clients.created);
    expect(both.connections.closed.server).toBe(a.connections.closed.server + b.connections.closed.server);
    expect(both.actions[1]!.ok).toBe(a.actions[1]!.ok + b.actions[1]!.ok);
    expect(live_of(both)).toBe(live_of(a) + live_of(b));
    expect(both.clients.peak).toBe(Math.max(a.clients.peak, b.clients.peak));
    expect(both.generator.lag_p99_ms).toBe(Math.max(a.generator.lag_p99_ms, b.generator.lag_p99_ms));
  });

  it('merges the times of an action', () => {
    const [a, b] = [a_snapshot(1), a_snapshot(2)].map((snapshot, i) => ({
      ...snapshot,
      actions: [{ ...snapshot.actions[0]!, service: recorded([100 + i, 5000]) }],
    }));
    expect(merge_snapshots([a!, b!]).actions[0]!.service).toEqual(recorded([100, 101, 5000, 5000]));
  });

  it('takes a member that does not know its actions yet', () => {
    const one = a_snapshot(3);
    expect(merge_snapshots([{ ...one, actions: [] }, one]).actions).toEqual(one.actions);
  });

  it('adds errors by code with the newest text', () => {
    const merged = merge_snapshots([
      with_errors({ timeout: kind(2, 'newer', 20), wrong_reply: { ...kind(1, 'x', 5), sample: '-ERR' } }),
      with_errors({ timeout: kind(3, 'older', 10), wrong_reply: kind(1, 'y', 6) }),
    ]);
    expect(merged.errors).toEqual({
      timeout: kind(5, 'newer', 20),
      wrong_reply: kind(2, 'y', 6), // not x's bytes beside y's text
    });
  });

  it('keeps the 100 most frequent kinds and the rest as other', () => {
    const many = (from: number): Snapshot['errors'] =>
      Object.fromEntries(
        Array.from({ length: 100 }, (_, i) => [`E${from + i}`, kind(from + i, `e${from + i}`, from + i)]),
      );
    const merged = merge_snapshots([with_errors(many(1)), with_errors({ ...many(51), other: kind(7, 'before', 1) })]);
    expect(Object.keys(merged.errors)).toHaveLength(101);
    // 1…50 are in one member only and least frequent
    expect(merged.errors.other).toEqual(kind(7 + (50 * 51) / 2, 'e50', 50));
    expect(merged.errors.E51).toEqual(kind(102, 'e51', 51));
    expect(merge_snapshots([merged]).errors).toEqual(merged.errors);
  });
});

describe('settle_lost', () => {
  it('moves every gauge and nothing else', () => {
    fc.assert(
      fc.property(snapshots, (last) => {
        const { snapshot, lost } = settle_lost(last);
        expect(lost).toEqual({
          clients: live_of(last),
          connecting: last.connections.connecting,
          open: last.connections.open,
          in_flight: last.requests.in_flight,
          running: last.actions.map((action) => action.running),
        });
        expect(live_of(snapshot) + snapshot.clients.draining).toBe(0);
        expect([snapshot.connections.connecting, snapshot.connections.open, snapshot.requests.in_flight]).toEqual([
          0, 0, 0,
        ]);
        expect(snapshot.actions.every((action) => action.running === 0)).toBe(true);
        expect(snapshot.generator).toEqual({ cpu_s: last.generator.cpu_s, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 });
        expect(snapshot.clients.created).toBe(last.clients.created);
        expect(snapshot.requests.sent).toBe(last.requests.sent);
        expect(settle_lost(snapshot).lost.clients).toBe(0);
      }),
    );
  });
});

describe('bury', () => {
  it('adds up what was lost, also of one that did not know its actions', () => {
    const [a, b] = [a_snapshot(1), { ...a_snapshot(2), actions: [] }];
    const dead = bury(bury(NO_DEAD, b, worker(1)), a, worker(2));
    expect(dead.lost.clients).toBe(live_of(a) + live_of(b));
    expect(dead.lost.running).toEqual(a.actions.map((action) => action.running));
    expect(dead.snapshot).toEqual(merge_snapshots([settle_lost(a).snapshot, settle_lost(b).snapshot]));
    expect(dead.workers).toEqual([worker(1), worker(2)]);
  });

  it('does not grow with restarts: the newest 100 are named', () => {
    let dead = NO_DEAD;
    const last = a_snapshot(1);
    for (let i = 1; i <= 150; i++) dead = bury(dead, last, worker(i));
    expect(dead.workers).toHaveLength(100);
    expect(dead.workers.at(-1)).toEqual(worker(150));
    expect(dead.lost.open).toBe(150 * last.connections.open);
  });
});

describe('merge_dead', () => {
  const at = (second: number, i: number) => ({ ...worker(i), at: new Date(second * 1000).toISOString() });

  it('is nothing of none, and changes nothing about one', () => {
    expect(merge_dead([])).toEqual(NO_DEAD);
    const one = bury(NO_DEAD, a_snapshot(1), worker(1));
    expect(merge_dead([one])).toEqual(one);
    expect(merge_dead([NO_DEAD, one, NO_DEAD])).toEqual(one);
  });

  it('is what one would have buried that saw all die', () => {
    fc.assert(
      fc.property(snapshots, snapshots, snapshots, (a, b, c) => {
        const [first, second] = [bury(bury(NO_DEAD, a, at(1, 1)), c, at(3, 3)), bury(NO_DEAD, b, at(2, 2))];
        const all = bury(bury(bury(NO_DEAD, a, at(1, 1)), b, at(2, 2)), c, at(3, 3));
        expect(merge_dead([first, second])).toEqual(all);
        expect(merge_dead([second, first])).toEqual(all);
      }),
      { numRuns: 50 },
    );
  });

  it('adds up what was lost by action, also of those that did not know theirs', () => {
    const lost = { clients: 1, connecting: 2, open: 3, in_flight: 4, running: [5, 6] };
    const merged = merge_dead([{ ...NO_DEAD, lost }, NO_DEAD, { ...NO_DEAD, lost: { ...lost, running: [1] } }]);
    expect(merged.lost).toEqual({ clients: 2, connecting: 4, open: 6, in_flight: 8, running: [6, 6] });
  });

  it('names the newest 100, wherever they died', () => {
    const dead = (seconds: number[]) => ({ ...NO_DEAD, workers: seconds.map((second) => at(second, second)) });
    const every = (from: number) => Array.from({ length: 90 }, (_, i) => from + 2 * i);
    const { workers } = merge_dead([dead(every(0)), dead(every(1))]);
    expect(workers.map((one) => one.worker)).toEqual(Array.from({ length: 100 }, (_, i) => `w${80 + i}`));
  });
});
