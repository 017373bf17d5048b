/**
 * What is stored of a swarm of many machines, as it is read: whoever has credentials wrote it, and an agent is a
 * machine that somebody else may own. A document is taken whole or not at all; numbers are bounded, so that sums of
 * them, and counts that go on from them, stay whole numbers.
 */
import {
  any_json,
  checked,
  exact,
  fault,
  flag,
  instant,
  integer,
  list,
  nullable,
  number,
  object,
  one_of,
  optional,
  reader,
  record,
  Refused,
  text,
  token,
  type Shape,
} from '../../foundation/shape.ts';
import { MAX_TARGET, MAX_TRACES } from '../../grammar/command.ts';
import { MAX_LOAD_TEXT, MAX_STEPS, read_load } from '../../grammar/load-text.ts';
import { map_groups, MAX_GROUPS } from '../../metrics/groups.ts';
import { HISTOGRAM, MAX_HISTOGRAMS, type GroupCounters } from '../../metrics/packed.ts';
import { CORES, COUNT, COUNTERS, DEAD, MS, STATE_COUNTS, WALL_MS, WORKER } from '../../metrics/snapshot-shape.ts';
import type { HistogramSnapshot } from '../../metrics/snapshot.ts';
import type { Ramp } from '../../swarm/plan/ramp.ts';
import { HOOK_RESULT, LEVEL, NOTE_TEXT, TRACE_LINES } from '../../swarm/plan/account-shape.ts';
import type { NamedSharing, Play, Sum } from '../../swarm/plan/intent.ts';
import { MAX_SHARE } from '../../swarm/plan/numbering.ts';
import type { IdRange, Orders } from '../../swarm/plan/orders.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { TraceLines } from '../../swarm/squad/ordered-squad.ts';
import {
  MAX_AHEAD,
  MAX_PARTS,
  whole_share,
  type Departed,
  type Desired,
  type Head,
  type LatencyPart,
  type Lease,
  type MemberShare,
  type Presence,
  type ProcessPlace,
  type RunHeader,
  type SaidCommand,
  type Stage,
  type StoredShare,
  type SwarmPlan,
  type TraceOrder,
} from './documents.ts';

import { ACTIONS, RATES, SLOTS_GIVEN, SLOTS_OF_ACTIONS, SLOTS_WORD } from './slot-documents.ts';

/** characters of a value: the engine refuses more bytes */
const MAX_VALUE = 1024 * 1024;
/** counts of writes, terms, commands: whoever goes on from the highest of them still counts whole numbers */
const NUMBER = integer(0, 2 ** 51);
const TARGET = integer(0, MAX_TARGET);
/** clients of one machine: 64 workers without a limit of open files, and more */
const CLIENTS = integer(0, 1e10);
const PER_S = number(0, 1e6);
/** of the swarm: it has an engine's connection each */
export const MAX_AGENTS = 10_000;
const MAX_TEXT = 1000;
const MAX_RANGES = 100_000;
const PHASE: Shape<Orders['phase']> = one_of('run', 'pause', 'drain', 'stop');

const ramp_of = (clients: Shape<number>): Shape<Ramp> => {
  const any = object<Ramp>({ from: clients, to: clients, start_ms: MS, end_ms: MS });
  return (value) => {
    const ramp = any(value);
    return ramp.start_ms <= ramp.end_ms ? ramp : fault('ends before it starts');
  };
};
const RAMP = ramp_of(CLIENTS);

const ID = integer(1, Number.MAX_SAFE_INTEGER);
const THREE = list(ID, 3, 3);
const ID_RANGE: Shape<IdRange> = (value) => {
  const [first, last, step] = THREE(value) as unknown as IdRange;
  return first <= last && (last - first) % step === 0 ? (value as IdRange) : fault('is not a range of ids');
};
const ID_RANGES = list(ID_RANGE, MAX_RANGES);

const TRACES = list(object<TraceOrder>({ token, client: ID, until_ms: MS }), MAX_TRACES);

export const read_lease = reader(
  object<Lease>({
    id: exact(100),
    nonce: exact(200),
    term: NUMBER,
    ttl_ms: number(0, 3_600_000),
    console: text(MAX_TEXT),
    host: text(MAX_TEXT),
    run: nullable(token),
    run_ms: nullable(MS),
    plan: nullable(exact(300)),
  }),
  MAX_VALUE,
);

const SUM = {
  target: TARGET,
  labelled: record(TARGET, 64),
  ramp: nullable(RAMP),
};
/** of a group by its name: more or fewer than its part of the others */
const OWN_TARGET = integer(-MAX_TARGET, MAX_TARGET);
const OWN = object<Sum>({ ...SUM, target: OWN_TARGET, ramp: nullable(ramp_of(OWN_TARGET)) });
const ANY_LOAD = exact(MAX_LOAD_TEXT);
const LOAD_TEXT: Shape<string> = (value) => {
  const given = ANY_LOAD(value);
  return read_load(given).faults.length === 0 ? given : fault('is not a load');
};
const PLAY = object<Play>({
  text: LOAD_TEXT,
  number: NUMBER,
  step: integer(0, MAX_STEPS),
  step_ms: MS,
  epoch_ms: WALL_MS,
  frozen_ms: nullable(MS),
  most: TARGET,
  most_per_s: PER_S,
  failed: nullable(text(1000)),
  is_ended: flag,
});
/** What a load steers. */
const STEERED = {
  ...SUM,
  own: record(OWN, MAX_GROUPS),
  phase: PHASE,
  graceful: flag,
  connect_per_s: PER_S,
  retry_fatal: NUMBER,
  mark: nullable(object<NonNullable<Desired['mark']>>({ text: text(MAX_TEXT), at_ms: WALL_MS, seq: NUMBER })),
  rates: RATES,
  load: nullable(PLAY),
};

export const read_desired = reader(
  object<Desired>({
    ...STEERED,
    run: token,
    seq: NUMBER,
    rebalance: NUMBER,
    drained: list(token, MAX_AGENTS),
    evicted: list(exact(200), 200),
    traces: TRACES,
    sessions: record(object<Desired['sessions'][string]>({ seq: NUMBER, at_ms: MS }), 64),
    said: list(object<SaidCommand>({ seq: NUMBER, at_ms: WALL_MS, by: text(MAX_TEXT), text: text(MAX_TEXT) }), 100),
  }),
  MAX_VALUE,
);

const HEADER = object<RunHeader>({
  id: token,
  swarm: text(64),
  bundle_sha256: token,
  isolation_ms: nullable(MS),
  agents: integer(0, MAX_AGENTS),
  signature: exact(200),
  started: instant,
});

const STAGE: Shape<Stage> = one_of('gather', 'setup', 'open', 'ending', 'teardown', 'ended');

const PLACE = { machine: exact(300), pid: integer(0, 2 ** 32) };
const BY_GROUP = record(CLIENTS, MAX_GROUPS);
const FOUR = list(number(0, 1e15), 4, 4);
const STORED_RAMP: Shape<NonNullable<StoredShare['ramp']>> = (value) => {
  const [from, to, start_ms, end_ms] = FOUR(value) as unknown as NonNullable<StoredShare['ramp']>;
  RAMP({ from, to, start_ms, end_ms });
  return [from, to, start_ms, end_ms];
};
const STORED_SHARE = object<StoredShare>({
  share: optional(CLIENTS),
  labelled: optional(record(CLIENTS, 64)),
  ramp: optional(STORED_RAMP),
  may: optional(CLIENTS),
  ids: optional(ID_RANGES),
  at: optional(list(CLIENTS, MAX_AHEAD)),
});
type StoredMember = Omit<MemberShare, 'groups'> & { readonly groups: Readonly<Record<string, StoredShare>> };
const SHARE = object<StoredMember>({
  incarnation: token,
  groups: record(STORED_SHARE, MAX_GROUPS),
  since: NUMBER,
  connect_per_s: PER_S,
  place: optional(object<ProcessPlace>(PLACE)),
});

const DEPARTED = object<Departed>({
  agent: token,
  incarnation: token,
  at: instant,
  silent_ms: MS,
  attested: flag,
  open: CLIENTS,
  slots: SLOTS_GIVEN,
});

type StoredPlan = Omit<SwarmPlan, 'members'> & { readonly members: Readonly<Record<MemberId, StoredMember>> };
const read_stored_plan = reader(
  object<StoredPlan>({
    format: one_of('swarm-plan/1'),
    epoch: exact(200),
    term: NUMBER,
    revision: NUMBER,
    seeded: NUMBER,
    run: HEADER,
    stage: STAGE,
    ending_ms: nullable(MS),
    ...STEERED,
    desired: NUMBER,
    groups: list(
      // clients do not arrive here yet
      object<Omit<NamedSharing, 'arrivals'>>({
        name: token,
        share: integer(0, MAX_SHARE),
        actions: optional(ACTIONS),
      }),
      MAX_GROUPS,
    ),
    piece_ms: nullable(MS),
    ahead: list(list(TARGET, MAX_GROUPS), MAX_AHEAD),
    rebalance: NUMBER,
    traces: TRACES,
    setup_by: nullable(token),
    teardown_by: nullable(token),
    failed: nullable(text(4000)),
    shared: nullable(object<NonNullable<SwarmPlan['shared']>>({ value: any_json })),
    unconfirmed: list(token, MAX_AGENTS),
    run_ms: MS,
    ids: record(object<SwarmPlan['ids'][string]>({ next: ID, free: ID_RANGES }), MAX_GROUPS),
    slots: SLOTS_OF_ACTIONS,
    members: record(SHARE, MAX_AGENTS),
    departed: list(DEPARTED, 500),
  }),
  MAX_VALUE,
);

export function read_plan(text: string): SwarmPlan | Refused {
  const found = read_stored_plan(text);
  if (found instanceof Refused) return found;
  const whole = (entry: StoredMember): MemberShare => ({ ...entry, groups: map_groups(entry.groups, whole_share) });
  return { ...found, members: map_groups(found.members, whole) };
}

export const read_presence = reader(
  object<Presence>({
    incarnation: token,
    replaces: list(token, 100),
    seq: NUMBER,
    host: text(300),
    ...PLACE,
    swarm: text(64),
    node: text(64),
    labels: list(text(64), 1000),
    weight: number(1e-6, 1e6),
    capacity: CLIENTS,
    capacity_why: text(MAX_TEXT),
    open_files: optional(COUNT),
    ready: nullable(token),
    refuses: nullable(text(MAX_TEXT)),
    accepted: NUMBER,
    applied: NUMBER,
    may: BY_GROUP,
    ids_wanted: BY_GROUP,
    slots: SLOTS_WORD,
    results: NUMBER,
    live: CLIENTS,
    open: CLIENTS,
    states: STATE_COUNTS,
    cpu: CORES,
    rss_bytes: COUNT,
    lag_p99_ms: MS,
    leaving: flag,
    run_ms: nullable(MS),
    wall_ms: WALL_MS,
    fenced: COUNT,
  }),
  MAX_VALUE,
);

export const read_head = reader(
  object<Head>({
    run: token,
    seq: NUMBER,
    parts: list(NUMBER, MAX_PARTS),
    snapshot: COUNTERS,
    dead: nullable(DEAD),
    workers: list(WORKER, 1000),
    notes: list(object<Head['notes'][number]>({ level: LEVEL, text: NOTE_TEXT, n: COUNT, worker: text(64) }), 100),
    traces: list(object<TraceLines>({ token, lines: TRACE_LINES, before: COUNT, is_over: flag }), MAX_TRACES),
    setup: nullable(HOOK_RESULT),
    teardown: nullable(HOOK_RESULT),
    killed_at_end: optional(list(token, 1000)),
  }),
  MAX_VALUE,
);

type Base64 = readonly (readonly [number, string])[];
const ANY_PAIR = list<unknown>((value) => value, 2, 2);
const NUMBER_OF_ONE = integer(0, 2 * MAX_HISTOGRAMS - 1);
const read_packed_part = reader(
  object<Omit<LatencyPart, 'histograms'> & { readonly histograms: Base64 }>({
    run: token,
    seq: NUMBER,
    histograms: list((value) => {
      const [number, base64] = ANY_PAIR(value);
      return [NUMBER_OF_ONE(number), exact(MAX_VALUE)(base64)];
    }, 2 * MAX_HISTOGRAMS),
  }),
  MAX_VALUE,
);

export function read_part(text: string): LatencyPart | Refused {
  const found = read_packed_part(text);
  if (found instanceof Refused) return found;
  const histograms: [number, HistogramSnapshot][] = [];
  for (const [number, base64] of found.histograms) {
    const histogram = checked(HISTOGRAM, Buffer.from(base64, 'base64'));
    if (histogram instanceof Refused) return histogram;
    histograms.push([number, histogram]);
  }
  return { ...found, histograms };
}

/** What only ever grows. */
const RISING = {
  created: ({ clients }: GroupCounters) => clients.created,
  done: ({ clients }: GroupCounters) => clients.done + clients.killed.decr + clients.killed.stop,
  attempted: ({ connections }: GroupCounters) => connections.attempted,
  established: ({ connections }: GroupCounters) => connections.established,
  sent: ({ requests }: GroupCounters) => requests.sent,
  ok: ({ requests }: GroupCounters) => requests.ok,
  bytes_sent: ({ bytes }: GroupCounters) => bytes.sent,
  bytes_received: ({ bytes }: GroupCounters) => bytes.received,
  rounds: ({ actions }: GroupCounters) => actions.reduce((total, { started }) => total + started, 0),
} as const;

/**
 * Which of the counters of an incarnation is lower than it was, as `group.counter`: they only ever grow, and a swarm's
 * sums with them. Null: none is.
 */
export function fallen(before: Head, now: Head): string | null {
  const [old, next] = [counters_of(before), counters_of(now)];
  for (const [name, count] of old) if ((next.get(name) ?? 0) < count) return name;
  return null;
}

/** By group and counter. */
function counters_of({ snapshot, dead }: Head): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { groups } of dead ? [snapshot, dead.snapshot] : [snapshot])
    for (const [group, counters] of Object.entries(groups))
      for (const [name, of] of Object.entries(RISING)) {
        const key = `${group}.${name}`;
        counts.set(key, (counts.get(key) ?? 0) + of(counters));
      }
  return counts;
}
