/** Adds up what several members measured, dead ones included. */
import { arrival_drops, merge_arrivals } from './arrival-counts.ts';
import { join_groups, map_groups } from './groups.ts';
import { EMPTY, merge } from './histogram.ts';
import type { Counters, GroupCounters } from './packed.ts';
import { merge_slots, NO_SLOTS } from './slots.ts';
import {
  CLOSE_CAUSES,
  type ActionSnapshot,
  type Counts,
  type EndpointCounts,
  type ErrorKind,
  type GroupSnapshot,
  type Snapshot,
} from './snapshot.ts';
import { STATES } from './state.ts';
import type { LostWorker } from './summary.ts';

/** Codes counted apart; the rest is counted under {@link OTHER}. */
const MAX_KINDS = 100;
const OTHER = 'other';
export const MAX_LOST_WORKERS = 100;

/** What of a group was going on in processes when they died: nobody saw how it ended. */
export interface GroupLost {
  readonly clients: number;
  readonly connecting: number;
  readonly open: number;
  readonly in_flight: number;
  /** rounds, by action as in {@link GroupSnapshot.actions} */
  readonly running: readonly number[];
  /** slots that waited or that nobody came to make, by action; left out: none of the actions has a rate */
  readonly slots?: readonly number[];
  /** slots of clients that arrive that nobody came to make; left out: there are none */
  readonly arrivals?: number;
}

/** by group */
export type Lost = Readonly<Record<string, GroupLost>>;

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
  lost: {},
  workers: [],
};

/**
 * The sum of all, group by group, histograms included, as if one member had done everything. Three fields have no sum:
 * `peak`, `open_peak` and `lag_p99_ms` are the highest of any one member. Members peak at different times: whoever sees
 * them all tracks the swarm's own. A member that does not know its groups yet counts 0 in each. Without members there
 * are no groups, and everything is 0.
 */
export function merge_snapshots(list: readonly Snapshot[]): Snapshot {
  const sum = (of: (snapshot: Snapshot) => number): number => list.reduce((all, snapshot) => all + of(snapshot), 0);
  return {
    groups: join_groups(
      list.map((s) => s.groups),
      merge_groups,
    ),
    errors: merge_errors(list.map((s) => s.errors)),
    generator: {
      cpu_s: sum((s) => s.generator.cpu_s),
      cpu: sum((s) => s.generator.cpu),
      rss_bytes: sum((s) => s.generator.rss_bytes),
      lag_p99_ms: Math.max(0, ...list.map((s) => s.generator.lag_p99_ms)),
    },
  };
}

/** The sum of what several members measured of one group; all 0 for an empty list. */
export function merge_groups(list: readonly GroupSnapshot[]): GroupSnapshot {
  const actions = Math.max(0, ...list.map((s) => s.actions.length));
  return {
    ...add_groups(list),
    actions: Array.from({ length: actions }, (_, i) => merge_actions(list.flatMap((s) => s.actions[i] ?? []))),
  };
}

/**
 * The sum of all groups, with the actions of one group after another; peaks are the highest of any group. Of a single
 * group it is that very object.
 */
export function whole_of({ groups }: Snapshot): GroupSnapshot {
  const list = Object.values(groups);
  if (list.length === 1) return list[0]!;
  return { ...add_groups(list), actions: list.flatMap(({ actions }) => actions) };
}

function add_groups(list: readonly GroupSnapshot[]): Omit<GroupSnapshot, 'actions'> {
  const sum = (of: (group: GroupSnapshot) => number): number => list.reduce((all, group) => all + of(group), 0);
  const highest = (of: (group: GroupSnapshot) => number): number => Math.max(0, ...list.map(of));
  return {
    clients: {
      created: sum((s) => s.clients.created),
      killed: { decr: sum((s) => s.clients.killed.decr), stop: sum((s) => s.clients.killed.stop) },
      done: sum((s) => s.clients.done),
      draining: sum((s) => s.clients.draining),
      finished: sum((s) => s.clients.finished),
      peak: highest((s) => s.clients.peak),
      states: record_of(STATES, (state) => sum((s) => s.clients.states[state])),
      entered: merge_counts(list.map((s) => s.clients.entered)),
    },
    ...merge_arrivals(list),
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
  };
}

/**
 * The last snapshot of a dead incarnation, with its gauges moved to `lost`, so that the books of both together still
 * balance.
 */
export function settle_lost({ groups, errors, generator }: Snapshot): { snapshot: Snapshot; lost: Lost } {
  return {
    snapshot: {
      groups: map_groups(groups, settle),
      errors,
      generator: { cpu_s: generator.cpu_s, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 },
    },
    lost: map_groups(groups, (group) => ({
      clients: live_in(group),
      connecting: group.connections.connecting,
      open: group.connections.open,
      in_flight: group.requests.in_flight,
      running: group.actions.map((action) => action.running),
      ...(group.actions.some(({ slots }) => slots) && {
        slots: group.actions.map(({ slots }) => slots?.waiting ?? 0),
      }),
    })),
  };
}

function settle(group: GroupSnapshot): GroupSnapshot {
  const { clients, arrivals, connections, endpoints, requests, actions } = group;
  return {
    ...group,
    clients: { ...clients, draining: 0, finished: 0, states: record_of(STATES, () => 0) },
    ...(arrivals && { arrivals: { ...arrivals, live: 0 } }),
    connections: { ...connections, connecting: 0, open: 0 },
    endpoints: Object.fromEntries(Object.entries(endpoints).map(([name, counts]) => [name, lose(counts)])),
    requests: { ...requests, in_flight: 0 },
    actions: actions.map((action) => ({
      ...action,
      running: 0,
      ...(action.slots && { slots: { ...action.slots, waiting: 0 } }),
    })),
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

/**
 * Counts slots that were due and that nobody made, because who should have made them had died: they were planned, and
 * are lost. `action`: its place in the group.
 */
export function lose_slots(dead: Dead, group: string, action: number, count: number): Dead {
  if (count === 0) return dead;
  const nothing = merge_actions([]);
  const before = Array.from({ length: action }, () => nothing);
  const actions = [...before, { ...nothing, slots: { ...NO_SLOTS, planned: count } }];
  const lost = { ...add_lost([]), slots: [...before.map(() => 0), count] };
  const snapshot = { ...NO_DEAD.snapshot, groups: { [group]: { ...merge_groups([]), actions } } };
  return merge_dead([dead, { ...NO_DEAD, snapshot, lost: { [group]: lost } }]);
}

/** The same of clients that should have arrived. */
export function lose_arrivals(dead: Dead, group: string, count: number): Dead {
  if (count === 0) return dead;
  const arrivals = { planned: count, started: 0, live: 0, dropped: arrival_drops(() => 0), late: EMPTY };
  const snapshot = { ...NO_DEAD.snapshot, groups: { [group]: { ...merge_groups([]), arrivals } } };
  const lost = { [group]: { ...add_lost([]), arrivals: count } };
  return merge_dead([dead, { ...NO_DEAD, snapshot, lost }]);
}

/** The dead of several members in one, which names the newest. */
export function merge_dead(all: readonly Dead[]): Dead {
  const list = all.filter((dead) => dead !== NO_DEAD);
  if (list.length <= 1) return list[0] ?? NO_DEAD;
  return {
    snapshot: merge_snapshots(list.map(({ snapshot }) => snapshot)),
    lost: merge_lost(list.map(({ lost }) => lost)),
    workers: list
      .flatMap(({ workers }) => workers)
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
      .slice(-MAX_LOST_WORKERS),
  };
}

export const merge_lost = (list: readonly Lost[]): Lost => join_groups(list, add_lost);

/** The sum; all 0 for an empty list. Of several groups, rounds of different actions are added. */
export function add_lost(list: readonly GroupLost[]): GroupLost {
  const sum = (of: (lost: GroupLost) => number): number => list.reduce((all, lost) => all + of(lost), 0);
  const by_action = (all: readonly (readonly number[])[]): number[] =>
    Array.from({ length: Math.max(0, ...all.map(({ length }) => length)) }, (_, i) =>
      all.reduce((before, counts) => before + (counts[i] ?? 0), 0),
    );
  const slots = list.flatMap((lost) => (lost.slots ? [lost.slots] : []));
  const arrivals = sum((lost) => lost.arrivals ?? 0);
  return {
    clients: sum((lost) => lost.clients),
    connecting: sum((lost) => lost.connecting),
    open: sum((lost) => lost.open),
    in_flight: sum((lost) => lost.in_flight),
    running: by_action(list.map(({ running }) => running)),
    ...(slots.length > 0 && { slots: by_action(slots) }),
    ...(arrivals > 0 && { arrivals }),
  };
}

/** Clients of a group that exist, in any state. */
export const live_in = ({ clients }: GroupSnapshot): number =>
  STATES.reduce((all, state) => all + clients.states[state], 0);

export const live_of = (snapshot: Snapshot): number => sum_of(snapshot, live_in);

export const open_of = (snapshot: Snapshot): number => sum_of(snapshot, ({ connections }) => connections.open);

/** A number of all groups together. */
export function sum_of({ groups }: Snapshot, of: (group: GroupSnapshot) => number): number {
  return Object.values(groups).reduce((all, group) => all + of(group), 0);
}

/** Whether nothing is going on: if the process ends now, nothing is lost. */
export function is_idle(snapshot: Snapshot): boolean {
  const going_on = ({ connections, requests, actions }: GroupSnapshot): number =>
    connections.open +
    connections.connecting +
    requests.in_flight +
    actions.reduce((all, { running, slots }) => all + running + (slots?.waiting ?? 0), 0);
  return live_of(snapshot) + sum_of(snapshot, going_on) === 0;
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
    ...merge_slots(list),
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
 * Keeps the `most` most frequent kinds of each sort in each group and counts the rest under {@link OTHER}, so that sums stay the
 * same.
 */
export function fewer_kinds({ groups, errors, generator }: Counters, most: number): Counters {
  const fewer = (group: GroupCounters): GroupCounters => ({
    ...group,
    connections: { ...group.connections, failed: merge_counts([group.connections.failed], most) },
    endpoints: merge_kinds([group.endpoints], (counts) => counts.attempted, add_endpoints, most),
    actions: group.actions.map((action) => ({ ...action, failed: merge_counts([action.failed], most) })),
  });
  return { groups: map_groups(groups, fewer), errors: merge_errors([errors], most), generator };
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
