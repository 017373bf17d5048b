/** Adds up what several members measured, dead ones included. */
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

/** Codes counted apart; the rest is counted under {@link OTHER}. */
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

/** All dead incarnations of a run, added up so that restarts take no more memory. */
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
 * The sum of all, histograms included, as if one member had done everything. Three fields have no sum: `peak`,
 * `open_peak` and `lag_p99_ms` are the highest of any one member. Members peak at different times: whoever sees them
 * all tracks the swarm's own. A member that does not know its actions yet counts 0 in each. Without members everything
 * is 0.
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

/**
 * The last snapshot of a dead incarnation, with its gauges moved to `lost`, so that the books of both together still
 * balance.
 */
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

/** Adds a dead incarnation: its last snapshot, and its entry in the summary, null if nothing of it is lost. */
export function bury(dead: Dead, last: Snapshot, worker: LostWorker | null): Dead {
  return merge_dead([dead, { ...settle_lost(last), workers: worker === null ? [] : [worker] }]);
}

/** Counts an error that no process can count itself: it is about its own death. */
export function count_error(dead: Dead, code: string, last: string, last_at: number): Dead {
  const errors = { [code]: { count: 1, last, last_at } };
  return merge_dead([dead, { ...NO_DEAD, snapshot: { ...NO_DEAD.snapshot, errors } }]);
}

/** The dead of several members in one, which names the newest. */
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

/** Whether nothing is going on: if the process ends now, nothing is lost. */
export function is_idle(snapshot: Snapshot): boolean {
  const { connections, requests, actions } = snapshot;
  const running = actions.reduce((all, action) => all + action.running, 0);
  return live_of(snapshot) + connections.open + connections.connecting + requests.in_flight + running === 0;
}

/** The sum for one action; all 0 for an empty list. */
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

/** The sums by code. All but the most frequent are counted under {@link OTHER}. */
export function merge_counts(list: readonly Counts[], most = MAX_KINDS): Counts {
  return merge_kinds(
    list,
    (count) => count,
    (a, b) => a + b,
    most,
  );
}

/**
 * Keeps the `most` most frequent kinds of each sort and counts the rest under {@link OTHER}, so that sums stay the
 * same.
 */
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

/** Sums by code, with the newest text of each. */
function merge_errors(list: readonly Snapshot['errors'][], most = MAX_KINDS): Snapshot['errors'] {
  return merge_kinds(list, (kind) => kind.count, join_errors, most);
}

/** Each member bounds its kinds, but together they may have more. */
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

/** Counts as lost what was going on. */
function lose(counts: EndpointCounts): EndpointCounts {
  return {
    ...counts,
    connecting: 0,
    open: 0,
    lost: counts.lost + counts.open,
    lost_connecting: counts.lost_connecting + counts.connecting,
  };
}

/**
 * Text and sample come from the newer one, never from both; at the same instant from the same one, in whatever order
 * they are joined.
 */
function join_errors(a: ErrorKind, b: ErrorKind): ErrorKind {
  const is_newer = a.last_at === b.last_at ? told(a) > told(b) : a.last_at > b.last_at;
  return { ...(is_newer ? a : b), count: a.count + b.count };
}

const told = ({ last, sample }: ErrorKind): string => JSON.stringify([last, sample]);

function record_of<K extends string>(keys: readonly K[], value: (key: K) => number): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<K, number>;
}
