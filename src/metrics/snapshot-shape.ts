/** What members report, checked where it is read: another process may run anybody's code, another machine may be anybody's. */
import { any_json, checked, exact, fault, fields_of, instant, integer, kinds, lines, list, number, object, one_of, optional, text, token, flag, yes, Refused, type Shape } from '../foundation/shape.ts'; // prettier-ignore
import type { HookResult, Note, Report } from '../swarm/plan.ts';
import { STATES } from '../swarm/state.ts';
import { MAX_LOST_WORKERS, type Dead, type Lost } from './merge.ts';
import { HISTOGRAM, MAX_HISTOGRAMS, with_histograms, type Counters } from './packed.ts';
import { CLOSE_CAUSES } from './snapshot.ts';
import type { EndpointCounts, ErrorKind, HistogramSnapshot, Snapshot } from './snapshot.ts';
import type { LostWorker, WorkerSummary } from './summary.ts';

/** a million events a second for a hundred days: a thousand of them are added up exactly */
export const COUNT = integer(0, 2 ** 43);
/** two months of 10 Gbit/s */
const BYTES = integer(0, Number.MAX_SAFE_INTEGER);
export const CORES = number(0, 1e6);
/** any length of time that a process measures: thirty years */
export const MS = number(0, 1e12);
/** a moment that RFC 3339 can write: until the year 9999 */
export const LATEST_MS = 253_402_300_799_999;
export const WALL_MS = number(0, LATEST_MS);
/** as the recorder bounds them, and one more for all others; of several members together */
const MAX_KINDS = 110;
const MAX_ACTIONS = 1001;
const MAX_TEXT = 400;
const MAX_NOTES = 50;
/** characters of a note: all that a process printed in one piece, 64 KiB at most */
const MAX_NOTE = 70_000;
const MAX_TRACES = 16;

const COUNTS = kinds(COUNT, MAX_KINDS);

const ACTION = object<Counters['actions'][number]>({
  ...{ started: COUNT, running: COUNT, ok: COUNT, failed: COUNTS, aborted: COUNT },
});

export const STATE_COUNTS: Shape<Snapshot['clients']['states']> = fields_of(STATES, COUNT);

/** Of the dead, likewise. */
export type DeadCounters = Omit<Dead, 'snapshot'> & { readonly snapshot: Counters };

/** A snapshot but for its histograms: those travel as bytes. */
export const COUNTERS = object<Counters>({
  clients: object<Snapshot['clients']>({
    ...{ created: COUNT, killed: object<Snapshot['clients']['killed']>({ decr: COUNT, stop: COUNT }), done: COUNT },
    ...{ draining: COUNT, peak: COUNT, states: STATE_COUNTS, entered: COUNTS },
  }),
  connections: object<Counters['connections']>({
    ...{ attempted: COUNT, connecting: COUNT, established: COUNT, open: COUNT, open_peak: COUNT, cancelled: COUNT },
    ...{ failed: COUNTS, closed: fields_of(CLOSE_CAUSES, COUNT), ports_skipped: COUNT },
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

export const DEAD = object<DeadCounters>({
  snapshot: COUNTERS,
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

const PACKED: Shape<ReportMessage['packed']> = (value) => {
  if (!(value instanceof Map) || value.size > MAX_HISTOGRAMS) return fault('are not histograms by number');
  const found = new Map<number, HistogramSnapshot>();
  for (const [number, bytes] of value as Map<unknown, unknown>) found.set(HISTOGRAM_NUMBER(number), HISTOGRAM(bytes));
  return found;
};
const HISTOGRAM_NUMBER = integer(0, MAX_HISTOGRAMS - 1);

/** A report on its way: `packed` has the histograms that changed since the last one, by number; as bytes while it travels. */
export type ReportMessage<T = HistogramSnapshot> = Omit<Report, 'snapshot'> & {
  readonly counters: Counters;
  readonly packed: ReadonlyMap<number, T>;
};

const REPORT = object<ReportMessage>({
  ...{ incarnation: token, pid: integer(0, 2 ** 32), seq: COUNT, revision: COUNT, taken: COUNT, capacity: COUNT },
  ...{
    capacity_why: text(MAX_TEXT),
    counters: COUNTERS,
    packed: PACKED,
    notes: list(NOTE, MAX_NOTES),
    notes_dropped: COUNT,
  },
  traces: list(object<Report['traces'][number]>({ token: exact(64), lines: TRACE_LINES }), MAX_TRACES),
  setup: (value) => (value === null ? null : HOOK_RESULT(value)),
  teardown: (value) => (value === null ? null : HOOK_RESULT(value)),
  finished: flag,
});

/** Reads what one worker reports, one after the other: its process runs the user's code. */
export class ReportReader {
  readonly #histograms: HistogramSnapshot[] = [];

  read(message: unknown): Report | Refused {
    const found = checked(REPORT, message);
    if (found instanceof Refused) return found;
    const { counters, packed, ...rest } = found;
    for (const [number, histogram] of packed) this.#histograms[number] = histogram;
    return { ...rest, snapshot: with_histograms(counters, this.#histograms) };
  }
}
