/** One good document of each kind, as its author writes it: every field is there. */
import {
  plan_text,
  to_text,
  type Bundle,
  type Desired,
  type Head,
  type LatencyPart,
  type Lease,
  type MemberShare,
  type Presence,
  type RunHeader,
  type SwarmPlan,
} from '../../../src/machines/store/documents.ts';
import { MAIN } from '../../../src/metrics/groups.ts';
import { bury, merge_snapshots, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import { counters_of, histograms_of, pack } from '../../../src/metrics/packed.ts';
import { Recorder } from '../../../src/metrics/recorder.ts';
import type { Snapshot } from '../../../src/metrics/snapshot.ts';
import type { Play } from '../../../src/swarm/plan/intent.ts';
import { action_of, group_of, run_of } from '../../swarm/specs.ts';

export const HEADER: RunHeader = {
  id: 'r1',
  swarm: '0.1.0',
  bundle_sha256: 'ab'.repeat(32),
  isolation_ms: 3000,
  agents: 1,
  signature: 'c2ln',
  started: '2026-01-01T00:00:00.000Z',
};

export const LEASE: Lease = {
  id: 'c1',
  nonce: 'c1-7',
  term: 3,
  ttl_ms: 5000,
  console: '127.0.0.1:8411',
  host: 'load1',
  run: 'r1',
  run_ms: 1234.5,
  plan: 'epoch 3 9',
};

const LOAD: Play = {
  text: 'set 10 over 5s; wait ready within 1m; repeat 2 (incr 3; hold 1m); stop',
  number: 1,
  step: 3,
  step_ms: 20_000,
  epoch_ms: 1.7e12,
  frozen_ms: null,
  most: 100,
  most_per_s: 1e6,
  is_ended: false,
  failed: null,
};

const RATES: Desired['rates'] = {
  [`${MAIN}.1`]: {
    piece: { from_us: 5, to_us: 90_000, from_rate: 0, to_rate: 5e6, slots: 3, first: 1.5e12, poisson: 77 },
    held: { from_rate: 3, to_rate: 5, over_us: 1000 },
  },
};

export const DESIRED: Desired = {
  run: 'r1',
  seq: 4,
  target: 50,
  labelled: { eu: 10 },
  ramp: { from: 0, to: 50, start_ms: 10, end_ms: 20.5 },
  own: { [MAIN]: { target: -3, ramp: { from: 0, to: -3, start_ms: 10, end_ms: 20 }, labelled: {} } },
  load: LOAD,
  phase: 'run',
  graceful: true,
  connect_per_s: 1000,
  retry_fatal: 0,
  mark: { text: 'x', at_ms: 1, seq: 1 },
  rates: RATES,
  rebalance: 0,
  drained: ['agent-02'],
  evicted: ['a.i'],
  traces: [{ token: 't', client: 3, until_ms: 9 }],
  sessions: { c1: { seq: 3, at_ms: 12.5 } },
  said: [{ seq: 4, at_ms: 12.5, by: 'anna', text: 'incr 50' }],
};

export const SHARE: MemberShare = {
  incarnation: 'i1',
  groups: {
    [MAIN]: {
      share: 50,
      labelled: { eu: 10 },
      ramp: { from: 0, to: 50, start_ms: 10, end_ms: 20 },
      may: 50,
      ids: [[1, 99, 2]],
      at: [50, 53],
    },
  },
  since: 9,
  connect_per_s: 500,
};

export const PLAN: SwarmPlan = {
  format: 'swarm-plan/1',
  epoch: 'epoch',
  term: 3,
  revision: 9,
  seeded: 0,
  run: HEADER,
  stage: 'open',
  phase: 'run',
  desired: 4,
  target: 50,
  ramp: null,
  labelled: {},
  own: {},
  mark: null,
  rates: RATES,
  load: LOAD,
  groups: [
    {
      name: MAIN,
      share: 1,
      actions: [{ index: 1, loop: MAIN, name: 'say', rate: { to_rate: 5e6, is_poisson: true, draws: 77 } }],
    },
  ],
  piece_ms: 21_000,
  ahead: [[50], [53]],
  graceful: false,
  connect_per_s: 1000,
  retry_fatal: 0,
  rebalance: 0,
  traces: [],
  setup_by: null,
  teardown_by: 'agent-01',
  shared: { value: { room: [1, null] } },
  failed: null,
  unconfirmed: [],
  ending_ms: null,
  run_ms: 1234.5,
  ids: { [MAIN]: { next: 101, free: [[2, 100, 2]] } },
  slots: {
    [`${MAIN}.1`]: {
      held: [{ id: 4, from: 0, to: 600_000, first: 12, owner: 'agent-01', closing: true }],
      free: [{ from: 600_000, to: 1_000_000, first: 20 }],
      layout: [{ from: 0, to: 1_000_000, owner: 'agent-01' }],
      dealt_ms: 1000,
      last_id: 4,
      ended: { 'agent-01': 11 },
      lost: 3,
    },
  },
  members: { 'agent-01': SHARE },
  departed: [
    {
      ...{ agent: 'agent-02', incarnation: 'i0', at: HEADER.started, silent_ms: 4000, attested: false, open: 3 },
      slots: { [`${MAIN}.1`]: 7 },
    },
  ],
};

export const PRESENCE: Presence = {
  incarnation: 'i1',
  replaces: ['i0'],
  seq: 17,
  host: 'load1',
  machine: 'boot pid:[1]',
  pid: 77,
  swarm: '0.1.0',
  node: '20.20.0',
  labels: ['eu'],
  weight: 2,
  capacity: 100,
  capacity_why: 'open files',
  ready: 'r1',
  refuses: null,
  accepted: 9,
  applied: 9,
  may: { [MAIN]: 50 },
  ids_wanted: { [MAIN]: 50 },
  slots: {
    [`${MAIN}.1`]: { stretches: [{ id: 4, from: 0, to: 600_000, first: 12, at: 15, closed: null }], ended: 11 },
  },
  results: 12,
  live: 50,
  open: 49,
  states: { initial: 0, connect: 1, acting: 9, standby: 40, backoff: 0, fatal: 0 },
  cpu: 1.5,
  rss_bytes: 2 ** 27,
  lag_p99_ms: 1.25,
  leaving: false,
  run_ms: 1200,
  wall_ms: 1.7e12,
  fenced: 0,
};

export function a_snapshot(): Snapshot {
  const all = new Recorder();
  const recorder = all.group(MAIN, 2);
  Object.assign(recorder.clients, { created: 60, killed_decr: 10, live: 50, peak: 60 });
  recorder.states[3] = 50;
  Object.assign(recorder.requests, { sent: 200, ok: 190, wrong: 10 });
  recorder.connect_failed.add('ECONNREFUSED');
  recorder.endpoint('127.0.0.1:1').attempted = 60;
  recorder.error('wrong_reply', 'not OK', '-ERR\\r\\n');
  for (let us = 1; us < 1e6; us *= 20) {
    recorder.connect.record(us);
    recorder.actions[0]!.service.record(us);
    recorder.actions[0]!.response.record(2 * us);
  }
  return all.snapshot({ cpu_s: 1.5, cpu: 0.25, rss_bytes: 2 ** 26, lag_p99_ms: 0.5 });
}

export function a_head(): Head {
  const dead = bury(NO_DEAD, a_snapshot(), { worker: 'w2', incarnation: 'x', at: HEADER.started, silent_ms: 900 });
  return {
    run: 'r1',
    seq: 12,
    parts: [11],
    snapshot: counters_of(merge_snapshots([a_snapshot()])),
    dead: { ...dead, snapshot: counters_of(dead.snapshot) },
    workers: [
      {
        id: 'w1',
        incarnation: 'y',
        pid: 78,
        live: 50,
        open: 49,
        capacity: 100,
        cpu: 0.5,
        rss_bytes: 2 ** 26,
        lag_p99_ms: 1,
        silent_ms: 120,
        state: 'up',
      },
    ],
    notes: [{ level: 'error', text: 'Error: oh\n    at x', n: 1, worker: 'w1' }],
    traces: [{ token: 't', lines: ['sent 5 bytes'], before: 0, is_over: false }],
    setup: { ok: true, value: { room: 7 } },
    teardown: { ok: false, reason: 'it threw' },
  };
}

export const A_PART: LatencyPart = { run: 'r1', seq: 11, histograms: [...histograms_of(a_snapshot()).entries()] };

/** As its author writes it. */
export const part_text = ({ histograms, ...part }: LatencyPart): string =>
  JSON.stringify({
    ...part,
    histograms: histograms.map(([number, one]) => [number, Buffer.from(pack(one)).toString('base64')]),
  });

export const BUNDLE: Bundle = {
  run: run_of({
    servers: [
      { host: 'chat.example', port: 7000, tls: true },
      { host: '', port: 0, path: '/tmp/s' },
    ],
    tls: {
      ca: 'PEM',
      cert: null,
      key: null,
      servername: 'chat',
      insecure: false,
      min_version: 'TLSv1.3',
      alpn: ['h2'],
    },
    connection_limits: { up_bytes_per_s: 1000, down_bytes_per_s: null, lifetime_ms: [1, 2], idle_ms: 500 },
    groups: [
      group_of({
        commands: ['ping', 'connected'],
        actions: [{ command: 'ping', args: { uid: [1] }, rounds: [1, 2], sleep_between_rounds: [0, 0.5] }],
      }),
      group_of({
        name: 'more',
        share: 9,
        commands: ['ping'],
        script: {
          protocol: 'p',
          loops: [
            {
              name: 'listen',
              actions: [
                action_of({
                  command: 'ping',
                  sleep_between_rounds: { mean: 1, distribution: 'exponential', sigma: 1 },
                  sleep_after_action: { mean: 0.5, distribution: 'lognormal', sigma: 2 },
                }),
              ],
              iterations: 20,
              sleep_between_iterations: [30, 60],
            },
          ],
          iterations_in_all: 1000,
        },
        among: 40,
      }),
    ],
  }),
  module_text: 'export const ping = 1;\u0000',
  has_setup: true,
  has_teardown: false,
  script_sha256: 'cd',
};

/** By kind, as texts. */
export const GOOD = {
  lease: JSON.stringify(LEASE),
  desired: to_text(DESIRED),
  plan: plan_text(PLAN),
  presence: JSON.stringify(PRESENCE),
  results: JSON.stringify(a_head()),
  part: part_text(A_PART),
  bundle: to_text(BUNDLE),
} as const;
