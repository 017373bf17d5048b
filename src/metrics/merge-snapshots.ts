/** Adding up what several members measured, those included that died. */
import { merge } from './histogram.ts';
import type { Counters } from './packed.ts';
import {
  CLOSE_CAUSES,
  type ActionSnapshot,
  type Counts,
  type EndpointCounts,
  type ErrorKind,
  type Snapshot,
} from './snapshot.ts';
import { STATES } from './state.ts';
import type { LostWorker } from './summary.ts';

/** Codes kept apart; what is beyond goes under {@link OTHER}. */
const MAX_KINDS = 100;
const OTHER = 'other';
export const MAX_LOST_WORKERS = 100;

/** What was going on in processes when they died: nobody saw how it ended. */
export interface Lost {
  readonly clients: number;
  readonly connecting: number;
  readonly open: number;
  readonly in_flight: number;
  /** rounds, by action as in {@link Snapshot.actions} */
  readonly running: readonly number[];
}

/** All dead incarnations of a run in one, so that restarts do not add up in memory. */
export interface Dead {
  readonly snapshot: Snapshot;
  readonly lost: Lost;
  /** the newest 100 */
  readonly workers: readonly LostWorker[];
}

/** Before the first death. */
export const NO_DEAD: Dead = {
  snapshot: merge_snapshots([]),
  lost: { clients: 0, connecting: 0, open: 0, in_flight: 0, running: [] },
  workers: [],
};

/**
 * The sum of all, histograms included, as if one member had done everything. Three fields have no sum: `peak` and `open_peak` are the
 * highest of any one member (members peak at different times: whoever sees them all tracks the swarm's own), and so is
 * `lag_p99_ms`. A member that does not know its actions yet counts 0 in each. Without members everything is 0.
 */
export function merge_snapshots(list: readonly Snapshot[]): Snapshot {
  const sum = (of: (snapshot: Snapshot) => number): number => list.reduce((all, snapshot) => all + of(snapshot), 0);
  const highest = (of: (snapshot: Snapshot) => number): number => Math.max(0, ...list.map(of));
  const actions = highest((s) => s.actions.length);
  return {
    clients: {
      created: sum((s) => s.clients.created),
      killed: { decr: sum((s) => s.clients.killed.decr), stop: sum((s) => s.clients.killed.stop) },
      done: sum((s) => s.clients.done),
      draining: sum((s) => s.clients.draining),
      peak: highest((s) => s.clients.peak),
      states: record_of(STATES, (state) => sum((s) => s.clients.states[state])),
      entered: merge_counts(list.map((s) => s.clients.entered)),
    },
    connections: {
      attempted: sum((s) => s.connections.attempted),
      connecting: sum((s) => s.connections.connecting),
      established: sum((s) => s.connections.established),
      open: sum((s) => s.connections.open),
      open_peak: highest((s) => s.connections.open_peak),
      cancelled: sum((s) => s.connections.cancelled),
      failed: merge_counts(list.map((s) => s.connections.failed)),
      closed: record_of(CLOSE_CAUSES, (cause) => sum((s) => s.connections.closed[cause])),
      ports_skipped: sum((s) => s.connections.ports_skipped),
      connect: merge(...list.map((s) => s.connections.connect)),
      handshake: merge(...list.map((s) => s.connections.handshake)),
    },
    endpoints: merge_kinds(
      list.map((s) => s.endpoints),
      (counts) => counts.attempted,
      add_endpoints,
    ),
    requests: {
      sent: sum((s) => s.requests.sent),
      in_flight: sum((s) => s.requests.in_flight),
      ok: sum((s) => s.requests.ok),
      wrong: sum((s) => s.requests.wrong),
      timeout: sum((s) => s.requests.timeout),
      aborted: sum((s) => s.requests.aborted),
      noreply: sum((s) => s.requests.noreply),
      unasked_bytes: sum((s) => s.requests.unasked_bytes),
    },
    bytes: { sent: sum((s) => s.bytes.sent), received: sum((s) => s.bytes.received) },
    actions: Array.from({ length: actions }, (_, i) => merge_actions(list.flatMap((s) => s.actions[i] ?? []))),
    errors: merge_errors(list.map((s) => s.errors)),
    generator: {
      cpu_s: sum((s) => s.generator.cpu_s),
      cpu: sum((s) => s.generator.cpu),
      rss_bytes: sum((s) => s.generator.rss_bytes),
      lag_p99_ms: highest((s) => s.generator.lag_p99_ms),
    },
  };
}

/** The last snapshot of a dead incarnation, with its gauges moved to `lost`: the books of both together still balance. */
export function settle_lost(snapshot: Snapshot): { snapshot: Snapshot; lost: Lost } {
  const { clients, connections, requests, actions, generator } = snapshot;
  return {
    snapshot: {
      ...snapshot,
      clients: { ...clients, draining: 0, states: record_of(STATES, () => 0) },
      connections: { ...connections, connecting: 0, open: 0 },
      endpoints: Object.fromEntries(Object.entries(snapshot.endpoints).map(([name, counts]) => [name, lose(counts)])),
      requests: { ...requests, in_flight: 0 },
      actions: actions.map((action) => ({ ...action, running: 0 })),
      generator: { cpu_s: generator.cpu_s, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 },
    },
    lost: {
      clients: live_of(snapshot),
      connecting: connections.connecting,
      open: connections.open,
      in_flight: requests.in_flight,
      running: actions.map((action) => action.running),
    },
  };
}

/** Adds a dead incarnation: its last snapshot, and how it is named in the summary; null: nothing of it is lost. */
export function bury(dead: Dead, last: Snapshot, worker: LostWorker | null): Dead {
  return merge_dead([dead, { ...settle_lost(last), workers: worker === null ? [] : [worker] }]);
}

/** Counts an error that no process can count itself, as it is about its own death. */
export function count_error(dead: Dead, code: string, last: string, last_at: number): Dead {
  const errors = { [code]: { count: 1, last, last_at } };
  return merge_dead([dead, { ...NO_DEAD, snapshot: { ...NO_DEAD.snapshot, errors } }]);
}

/** The dead of several, of which each names its newest, as one. */
export function merge_dead(all: readonly Dead[]): Dead {
  const list = all.filter((dead) => dead !== NO_DEAD);
  if (list.length <= 1) return list[0] ?? NO_DEAD;
  const sum = (of: (lost: Lost) => number): number => list.reduce((before, { lost }) => before + of(lost), 0);
  const actions = Math.max(0, ...list.map(({ lost }) => lost.running.length));
  return {
    snapshot: merge_snapshots(list.map(({ snapshot }) => snapshot)),
    lost: {
      clients: sum((lost) => lost.clients),
      connecting: sum((lost) => lost.connecting),
      open: sum((lost) => lost.open),
      in_flight: sum((lost) => lost.in_flight),
      running: Array.from({ length: actions }, (_, i) => sum((lost) => lost.running[i] ?? 0)),
    },
    workers: list
      .flatMap(({ workers }) => workers)
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
      .slice(-MAX_LOST_WORKERS),
  };
}

/** Clients that exist, in any state. */
export function live_of(snapshot: Snapshot): number {
  return STATES.reduce((all, state) => all + snapshot.clients.states[state], 0);
}

/** Nothing is going on: a process that ends now takes nothing with it. */
export function is_idle(snapshot: Snapshot): boolean {
  const { connections, requests, actions } = snapshot;
  const running = actions.reduce((all, action) => all + action.running, 0);
  return live_of(snapshot) + connections.open + connections.connecting + requests.in_flight + running === 0;
}

/** Likewise for one action; of none, nothing happened. */
export function merge_actions(list: readonly ActionSnapshot[]): ActionSnapshot {
  const sum = (of: (action: ActionSnapshot) => number): number => list.reduce((all, action) => all + of(action), 0);
  return {
    started: sum((a) => a.started),
    running: sum((a) => a.running),
    ok: sum((a) => a.ok),
    failed: merge_counts(list.map((a) => a.failed)),
    aborted: sum((a) => a.aborted),
    service: merge(...list.map((a) => a.service)),
    response: merge(...list.map((a) => a.response)),
  };
}

/** The sums by code; what is beyond the most frequent goes under {@link OTHER}. */
export function merge_counts(list: readonly Counts[], most = MAX_KINDS): Counts {
  return merge_kinds(
    list,
    (count) => count,
    (a, b) => a + b,
    most,
  );
}

/** The `most` most frequent kinds of each sort, the rest of them under {@link OTHER}: sums stay what they are. */
export function fewer_kinds(counters: Counters, most: number): Counters {
  const { connections, endpoints, actions, errors } = counters;
  return {
    ...counters,
    connections: { ...connections, failed: merge_counts([connections.failed], most) },
    endpoints: merge_kinds([endpoints], (counts) => counts.attempted, add_endpoints, most),
    actions: actions.map((action) => ({ ...action, failed: merge_counts([action.failed], most) })),
    errors: merge_errors([errors], most),
  };
}

/** Of each kind the newest text. */
function merge_errors(list: readonly Snapshot['errors'][], most = MAX_KINDS): Snapshot['errors'] {
  return merge_kinds(list, (kind) => kind.count, join_errors, most);
}

/** The most frequent kinds by code; each member bounds its own, but together they may have more. */
function merge_kinds<T>(
  list: readonly Readonly<Record<string, T>>[],
  count_of: (kind: T) => number,
  join: (a: T, b: T) => T,
  most = MAX_KINDS,
): Record<string, T> {
  const kinds = new Map<string, T>();
  const add = (code: string, kind: T): void => {
    const known = kinds.get(code);
    kinds.set(code, known === undefined ? kind : join(known, kind));
  };
  for (const member of list) for (const [code, kind] of Object.entries(member)) add(code, kind);
  const ranked = [...kinds].filter(([code]) => code !== OTHER).sort(([, a], [, b]) => count_of(b) - count_of(a));
  for (const [code, kind] of ranked.slice(most)) {
    kinds.delete(code);
    add(OTHER, kind);
  }
  return Object.fromEntries(kinds);
}

function add_endpoints(a: EndpointCounts, b: EndpointCounts): EndpointCounts {
  return {
    attempted: a.attempted + b.attempted,
    connecting: a.connecting + b.connecting,
    established: a.established + b.established,
    open: a.open + b.open,
    failed: a.failed + b.failed,
    cancelled: a.cancelled + b.cancelled,
    closed: a.closed + b.closed,
    lost: a.lost + b.lost,
    lost_connecting: a.lost_connecting + b.lost_connecting,
  };
}

/** What was going on when the process died. */
function lose(counts: EndpointCounts): EndpointCounts {
  return {
    ...counts,
    connecting: 0,
    open: 0,
    lost: counts.lost + counts.open,
    lost_connecting: counts.lost_connecting + counts.connecting,
  };
}

/** Text and bytes are the newer one's, never one's text beside the other's bytes; of two at the same instant, whoever is joined first, the same. */
function join_errors(a: ErrorKind, b: ErrorKind): ErrorKind {
  const is_newer = a.last_at === b.last_at ? told(a) > told(b) : a.last_at > b.last_at;
  return { ...(is_newer ? a : b), count: a.count + b.count };
}

const told = ({ last, sample }: ErrorKind): string => JSON.stringify([last, sample]);

function record_of<K extends string>(keys: readonly K[], value: (key: K) => number): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, number>;
}
