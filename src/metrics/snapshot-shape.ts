/**
 * Checks what members measured where it is read: another process may run anybody's code, another machine may be
 * anybody's.
 */
import {
  fault,
  fields_of,
  instant,
  integer,
  kinds,
  list,
  number,
  object,
  one_of,
  optional,
  record,
  text,
  yes,
  type Shape,
} from '../foundation/shape.ts';
import { MAX_ACTIONS, MAX_GROUPS } from './groups.ts';
import { MAX_LOST_WORKERS, type Dead, type GroupLost } from './merge-snapshots.ts';
import type { Counters, GroupCounters } from './packed.ts';
import {
  CLOSE_CAUSES,
  DROP_REASONS,
  type EndpointCounts,
  type ErrorKind,
  type GroupSnapshot,
  type Snapshot,
} from './snapshot.ts';
import { STATES } from './state.ts';
import type { LostWorker, WorkerSummary } from './summary.ts';

/** a million events a second for a hundred days; a thousand such counts still add up exactly */
export const COUNT = integer(0, 2 ** 43);
/** two months of 10 Gbit/s */
const BYTES = integer(0, Number.MAX_SAFE_INTEGER);
export const CORES = number(0, 1e6);
/** any length of time that a process measures: thirty years */
export const MS = number(0, 1e12);
/** the last moment that RFC 3339 can write: the end of the year 9999 */
export const LATEST_MS = 253_402_300_799_999;
export const WALL_MS = number(0, LATEST_MS);
/** as many as the recorder keeps, one for all others, and some more of several members */
const MAX_KINDS = 110;
export const MAX_TEXT = 400;

const COUNTS = kinds(COUNT, MAX_KINDS);

const ACTION = object<GroupCounters['actions'][number]>({
  started: COUNT,
  running: COUNT,
  ok: COUNT,
  failed: COUNTS,
  aborted: COUNT,
  slots: optional(
    object<NonNullable<GroupCounters['actions'][number]['slots']>>({
      planned: COUNT,
      waiting: COUNT,
      dropped: fields_of(DROP_REASONS, COUNT),
      tardy: COUNT,
    }),
  ),
});

export const STATE_COUNTS: Shape<GroupSnapshot['clients']['states']> = fields_of(STATES, COUNT);

export type DeadCounters = Omit<Dead, 'snapshot'> & { readonly snapshot: Counters };

const GROUP = object<GroupCounters>({
  clients: object<GroupSnapshot['clients']>({
    created: COUNT,
    killed: object<GroupSnapshot['clients']['killed']>({ decr: COUNT, stop: COUNT }),
    done: COUNT,
    draining: COUNT,
    finished: COUNT,
    peak: COUNT,
    states: STATE_COUNTS,
    entered: COUNTS,
  }),
  connections: object<GroupCounters['connections']>({
    attempted: COUNT,
    connecting: COUNT,
    established: COUNT,
    open: COUNT,
    open_peak: COUNT,
    cancelled: COUNT,
    failed: COUNTS,
    closed: fields_of(CLOSE_CAUSES, COUNT),
    ports_skipped: COUNT,
  }),
  endpoints: kinds(
    object<EndpointCounts>({
      attempted: COUNT,
      connecting: COUNT,
      established: COUNT,
      open: COUNT,
      failed: COUNT,
      cancelled: COUNT,
      closed: COUNT,
      lost: COUNT,
      lost_connecting: COUNT,
    }),
    MAX_KINDS,
  ),
  requests: object<GroupSnapshot['requests']>({
    sent: COUNT,
    in_flight: COUNT,
    ok: COUNT,
    wrong: COUNT,
    timeout: COUNT,
    aborted: COUNT,
    noreply: COUNT,
    unasked_bytes: BYTES,
  }),
  bytes: object<GroupSnapshot['bytes']>({ sent: BYTES, received: BYTES }),
  actions: list(ACTION, MAX_ACTIONS),
});

const ANY_GROUPS = record(GROUP, MAX_GROUPS);
const GROUPS: Shape<Counters['groups']> = (value) => {
  const groups = ANY_GROUPS(value);
  const actions = Object.values(groups).reduce((all, group) => all + group.actions.length, 0);
  return actions <= MAX_ACTIONS ? groups : fault(`have ${actions} actions, at most ${MAX_ACTIONS} can be`);
};

export const COUNTERS = object<Counters>({
  groups: GROUPS,
  errors: kinds(
    object<ErrorKind>({ count: COUNT, last: text(MAX_TEXT), last_at: WALL_MS, sample: optional(text(MAX_TEXT)) }),
    MAX_KINDS,
  ),
  generator: object<Snapshot['generator']>({ cpu_s: MS, cpu: CORES, rss_bytes: BYTES, lag_p99_ms: MS }),
});

export const DEAD = object<DeadCounters>({
  snapshot: COUNTERS,
  lost: record(
    object<GroupLost>({
      clients: COUNT,
      connecting: COUNT,
      open: COUNT,
      in_flight: COUNT,
      running: list(COUNT, MAX_ACTIONS),
      slots: optional(list(COUNT, MAX_ACTIONS)),
    }),
    MAX_GROUPS,
  ),
  workers: list(
    object<LostWorker>({
      worker: text(200),
      incarnation: text(200),
      at: instant,
      silent_ms: MS,
      may_live: optional(yes),
    }),
    MAX_LOST_WORKERS,
  ),
});

export const WORKER = object<WorkerSummary>({
  id: text(64),
  incarnation: text(64),
  pid: integer(0, 2 ** 32),
  live: COUNT,
  open: COUNT,
  capacity: COUNT,
  cpu: CORES,
  rss_bytes: BYTES,
  lag_p99_ms: MS,
  silent_ms: MS,
  state: one_of('starting', 'up', 'stalled', 'restarting', 'given_up', 'gone'),
});
