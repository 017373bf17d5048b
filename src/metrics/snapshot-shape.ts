/** What members report, checked where it is read: another process may run anybody's code, another machine may be anybody's. */
import { any_json, checked, exact, fault, fields_of, instant, integer, kinds, lines, list, number, object, one_of, optional, text, token, flag, yes, type Refused, type Shape } from '../foundation/shape.ts'; // prettier-ignore
import type { HookResult, Note, Report } from '../swarm/plan.ts';
import { STATES } from '../swarm/state.ts';
import { BUCKETS, HIGHEST, index_of } from './histogram.ts';
import { MAX_LOST_WORKERS, type Dead, type Lost } from './merge.ts';
import { CLOSE_CAUSES } from './snapshot.ts';
import type { ActionSnapshot, EndpointCounts, ErrorKind, HistogramSnapshot, Snapshot } from './snapshot.ts';
import type { LostWorker, WorkerSummary } from './summary.ts';

/** a million events a second for a hundred days: a thousand of them are added up exactly */
export const COUNT = integer(0, 2 ** 43);
/** two months of 10 Gbit/s */
const BYTES = integer(0, Number.MAX_SAFE_INTEGER);
/** µs of all rounds together: no whole number any more when they are very many */
const SUM_US = number(0, 2 ** 63);
const US = integer(0, Number.MAX_SAFE_INTEGER);
export const CORES = number(0, 1e6);
/** any length of time that a process measures: thirty years */
export const MS = number(0, 1e12);
/** a moment that RFC 3339 can write: until the year 9999 */
export const WALL_MS = number(0, 253_402_300_799_999);
/** as the recorder bounds them, and one more for all others; of several members together */
const MAX_KINDS = 110;
const MAX_ACTIONS = 1001;
const MAX_TEXT = 400;
const MAX_NOTES = 50;
/** characters of a note: all that a process printed in one piece, 64 KiB at most */
const MAX_NOTE = 70_000;
const MAX_TRACES = 16;

const is_list = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || value instanceof Uint32Array || value instanceof Float64Array;

/** Numbers as they are: a list of JSON, or the typed array that it was. */
const numbers =
  <T extends ArrayLike<number>>(): Shape<T> =>
  (value) => {
    if (!is_list(value)) return fault('is not a list');
    if (value.length > BUCKETS) fault(`has ${value.length} entries, at most ${BUCKETS} can be`);
    for (let i = 0; i < value.length; i++)
      if (!Number.isSafeInteger(value[i])) fault(`has an entry that is no whole number`);
    return value as unknown as T;
  };

const BUCKET_LISTS = object<HistogramSnapshot>({
  indices: numbers(),
  counts: numbers(),
  count: COUNT,
  sum: SUM_US,
  min: US,
  max: US,
});

/** What {@link Histogram.snapshot} makes: anything else would be added up to nonsense. */
export const HISTOGRAM: Shape<HistogramSnapshot> = (value) => {
  const histogram = BUCKET_LISTS(value);
  const { indices, counts, count, min, max } = histogram;
  if (indices.length !== counts.length) fault('has not as many counts as buckets');
  let before = -1;
  let all = 0;
  for (let i = 0; i < indices.length; i++) {
    if (indices[i]! <= before || indices[i]! >= BUCKETS)
      fault('has buckets that are not in order, or that there are not');
    if (counts[i]! < 1) fault('has a bucket that counts nothing');
    before = indices[i]!;
    all += counts[i]!;
  }
  if (all !== count) fault(`counts ${all} in its buckets and ${count} in all`);
  const ends = count === 0 ? [-1, -1] : [index_of(Math.min(min, HIGHEST)), index_of(Math.min(max, HIGHEST))];
  if (ends[0] !== (indices[0] ?? -1) || ends[1] !== before) fault('has its least or its highest in another bucket');
  return histogram;
};

const COUNTS = kinds(COUNT, MAX_KINDS);

const ACTION = object<ActionSnapshot>({
  ...{ started: COUNT, running: COUNT, ok: COUNT, failed: COUNTS, aborted: COUNT },
  ...{ service: HISTOGRAM, response: HISTOGRAM },
});

export const STATE_COUNTS: Shape<Snapshot['clients']['states']> = fields_of(STATES, COUNT);

export const SNAPSHOT = object<Snapshot>({
  clients: object<Snapshot['clients']>({
    ...{ created: COUNT, killed: object<Snapshot['clients']['killed']>({ decr: COUNT, stop: COUNT }), done: COUNT },
    ...{ draining: COUNT, peak: COUNT, states: STATE_COUNTS, entered: COUNTS },
  }),
  connections: object<Snapshot['connections']>({
    ...{ attempted: COUNT, connecting: COUNT, established: COUNT, open: COUNT, open_peak: COUNT, cancelled: COUNT },
    ...{ failed: COUNTS, closed: fields_of(CLOSE_CAUSES, COUNT), ports_skipped: COUNT },
    ...{ connect: HISTOGRAM, handshake: HISTOGRAM },
  }),
  endpoints: kinds(
    object<EndpointCounts>({
      ...{ attempted: COUNT, connecting: COUNT, established: COUNT, open: COUNT, failed: COUNT, cancelled: COUNT },
      ...{ closed: COUNT, lost: COUNT, lost_connecting: COUNT },
    }),
    MAX_KINDS,
  ),
  requests: object<Snapshot['requests']>({
    ...{ sent: COUNT, in_flight: COUNT, ok: COUNT, wrong: COUNT, timeout: COUNT, aborted: COUNT, noreply: COUNT },
    unasked_bytes: BYTES,
  }),
  bytes: object<Snapshot['bytes']>({ sent: BYTES, received: BYTES }),
  actions: list(ACTION, MAX_ACTIONS),
  errors: kinds(
    object<ErrorKind>({ count: COUNT, last: text(MAX_TEXT), last_at: WALL_MS, sample: optional(text(MAX_TEXT)) }),
    MAX_KINDS,
  ),
  generator: object<Snapshot['generator']>({ cpu_s: MS, cpu: CORES, rss_bytes: BYTES, lag_p99_ms: MS }),
});

export const DEAD = object<Dead>({
  snapshot: SNAPSHOT,
  lost: object<Lost>({ clients: COUNT, connecting: COUNT, open: COUNT, in_flight: COUNT, running: list(COUNT, MAX_ACTIONS) }), // prettier-ignore
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
  ...{ id: text(64), incarnation: text(64), pid: integer(0, 2 ** 32), live: COUNT, open: COUNT, capacity: COUNT },
  ...{ cpu: CORES, rss_bytes: BYTES, lag_p99_ms: MS, silent_ms: MS },
  state: one_of('starting', 'up', 'stalled', 'restarting', 'given_up', 'gone'),
});

export const LEVEL = one_of('info', 'warn', 'error');
export const NOTE_TEXT = lines(MAX_NOTE);
const NOTE = object<Note>({ level: LEVEL, text: NOTE_TEXT });
/** bounded where they are made, see Worker */
export const TRACE_LINES = list(text(2000), 210);

const GOOD = object<Extract<HookResult, { ok: true }>>({ ok: (value) => value as true, value: any_json });
const BAD = object<Extract<HookResult, { ok: false }>>({ ok: (value) => (flag(value) ? fault('is true') : false), reason: text(1000) }); // prettier-ignore
export const HOOK_RESULT: Shape<HookResult> = (value) =>
  (value as Partial<HookResult> | null)?.ok === true ? GOOD(value) : BAD(value);

const REPORT = object<Report>({
  ...{ incarnation: token, pid: integer(0, 2 ** 32), seq: COUNT, revision: COUNT, taken: COUNT, capacity: COUNT },
  ...{ capacity_why: text(MAX_TEXT), snapshot: SNAPSHOT, notes: list(NOTE, MAX_NOTES), notes_dropped: COUNT },
  traces: list(object<Report['traces'][number]>({ token: exact(64), lines: TRACE_LINES }), MAX_TRACES),
  setup: (value) => (value === null ? null : HOOK_RESULT(value)),
  teardown: (value) => (value === null ? null : HOOK_RESULT(value)),
  finished: flag,
});

/** Of a worker: its process runs the user's code. */
export const read_report = (message: unknown): Report | Refused => checked(REPORT, message);
