/** Snapshots for property tests: random, but with books that balance. */
import fc from 'fast-check';
import { Histogram } from '../../src/metrics/histogram.ts';
import { MAIN } from '../../src/metrics/groups.ts';
import { NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import {
  CLOSE_CAUSES,
  DROP_REASONS,
  type ActionSnapshot,
  type Counts,
  type ErrorKind,
  type GroupSnapshot,
  type HistogramSnapshot,
  type Snapshot,
} from '../../src/metrics/snapshot.ts';
import { ENDS, STATES } from '../../src/metrics/state.ts';
import type { SummaryInput } from '../../src/metrics/totals.ts';
import { playing } from './one-group.ts';

/** µs from every octave, some of them out of range or not whole */
export const times = fc.array(
  fc.oneof(
    fc.double({ min: 0, max: 33, noNaN: true }).map((log2) => 2 ** log2),
    fc.integer({ min: -5, max: 3_000 }),
    fc.double({ min: 0, max: 1e6, noNaN: true }),
  ),
  { maxLength: 200 },
);

export function recorded(values: readonly number[]): HistogramSnapshot {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram.snapshot();
}

export const histograms = times.map(recorded);

const n = fc.nat(1000);
const by = <K extends string>(keys: readonly K[]): fc.Arbitrary<Record<K, number>> =>
  fc
    .tuple(...keys.map(() => n))
    .map((counts) => Object.fromEntries(keys.map((key, i) => [key, counts[i]!])) as Record<K, number>);
const codes = fc.dictionary(fc.constantFrom('ECONNREFUSED', 'ECONNRESET', 'timeout', 'wrong_reply', '__proto__'), n);
export const sum = (counts: Counts): number => Object.values(counts).reduce((a, b) => a + b, 0);

const action: fc.Arbitrary<ActionSnapshot> = fc
  .record({ running: n, ok: n, failed: codes, aborted: n, service: histograms, response: histograms })
  .map((a) => ({ ...a, started: a.running + a.ok + sum(a.failed) + a.aborted }));

/** one that has a rate: each of its rounds is a slot that was started */
export const rated: fc.Arbitrary<ActionSnapshot> = fc
  .record({ action, waiting: n, dropped: by(DROP_REASONS), tardy: n, late: histograms })
  .map(({ action: one, ...slots }) => ({
    ...one,
    slots: { ...slots, planned: one.started + slots.waiting + sum(slots.dropped) },
  }));

/** often at the same instant */
const error: fc.Arbitrary<ErrorKind> = fc.record(
  { count: n, last: fc.string(), last_at: fc.oneof(fc.nat(2 ** 41), fc.nat(2)), sample: fc.string() },
  { requiredKeys: ['count', 'last', 'last_at'] },
);

const group_with = (actions: fc.Arbitrary<ActionSnapshot[]>): fc.Arbitrary<GroupSnapshot> =>
  fc
    .record({
      clients: fc.record({
        killed: by(['decr', 'stop']),
        done: n,
        draining: n,
        finished: n,
        peak: n,
        states: by(STATES),
        entered: by([...STATES, ...ENDS]),
      }),
      connections: fc.record({
        connecting: n,
        open: n,
        open_peak: n,
        cancelled: n,
        failed: codes,
        closed: by(CLOSE_CAUSES),
        ports_skipped: n,
        connect: histograms,
        handshake: histograms,
      }),
      requests: fc.record({ in_flight: n, ok: n, wrong: n, timeout: n, aborted: n, noreply: n, unasked_bytes: n }),
      bytes: by(['sent', 'received']),
      actions,
    })
    .map((s) => {
      const established = s.connections.open + sum(s.connections.closed);
      const { in_flight, ok, wrong, timeout, aborted } = s.requests;
      const { connecting, open, cancelled } = s.connections;
      const failed = sum(s.connections.failed);
      return {
        ...s,
        endpoints: {
          '10.0.0.1:7000': {
            attempted: established + connecting + failed + cancelled,
            connecting,
            established,
            open,
            failed,
            cancelled,
            closed: sum(s.connections.closed),
            lost: 0,
            lost_connecting: 0,
          },
        },
        clients: { ...s.clients, created: sum(s.clients.states) + sum(s.clients.killed) + s.clients.done },
        connections: {
          ...s.connections,
          established,
          attempted: established + connecting + failed + cancelled,
        },
        requests: { ...s.requests, sent: in_flight + ok + wrong + timeout + aborted },
      };
    });

/** whose first action has a rate */
export const groups = group_with(fc.tuple(rated, action));

const of_process = {
  errors: fc.dictionary(fc.constantFrom('timeout', 'fatal', 'other'), error),
  generator: by(['cpu_s', 'cpu', 'rss_bytes', 'lag_p99_ms']),
};

/** of a run without groups and rates */
export const snapshots: fc.Arbitrary<Snapshot> = fc.record({
  groups: fc.record({ [MAIN]: group_with(fc.tuple(action, action)) }),
  ...of_process,
});

/** the names of groups, in the order in which a run has them */
export const NAMES = ['talkers', 'main', 'listeners'] as const;

/** of two or three groups, or, as of a process that was not ordered to play them yet, of fewer */
export const grouped: fc.Arbitrary<Snapshot> = fc
  .record({ ...of_process, all: fc.tuple(groups, groups, groups), size: fc.constantFrom(0, 1, 2, 2, 3, 3) })
  .map(({ all, size, ...rest }) => ({
    groups: Object.fromEntries(NAMES.slice(0, size).map((name, i) => [name, all[i]!])),
    ...rest,
  }));

/** One of them, always the same. */
export const a_snapshot = (seed: number): Snapshot => fc.sample(snapshots, { seed, numRuns: 1 })[0]!;

/** Summary fields that no measurement touches. */
export const INPUT: Omit<SummaryInput, 'members'> = {
  final: false,
  run: {
    id: 'run-1',
    script_sha256: 'ab'.repeat(32),
    module_sha256: 'cd'.repeat(32),
    seed: 'seed',
    segment: null,
    servers: ['127.0.0.1:6379'],
    versions: { swarm: '0.1.0', node: '20.19.0' },
    started: '2026-01-02T03:04:05.678Z',
    seconds: 12.5,
  },
  phase: 'run',
  target: 10,
  planned: 5,
  connect_per_s: 1000,
  workers: [],
  limits: {
    capacity: 1000,
    open_files_per_process: 1024,
    reserved_files: 24,
    why: 'open files 1024 per process',
    bounds: [
      { code: 'limit_files', what: 'open files', connections: 1000, hard: true, why: 'soft 1024', lift: '--workers 2' },
    ],
  },
  peaks: { live: 0, open: 0 },
  groups: playing('heartbeat', 'connected'),
  dead: NO_DEAD,
  mark: null,
  interval: null,
  histograms: false,
};
