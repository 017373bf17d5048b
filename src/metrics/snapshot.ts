/**
 * What a member has measured since it started: cumulative counters, gauges and histograms, taken in one synchronous
 * turn.
 */
import type { State } from './state.ts';

/**
 * A histogram that travels: parallel arrays of bucket index and count, in rising order, without empty buckets; times in
 * µs. The buckets are those of an HDR histogram with 3 significant digits (see histogram.ts).
 */
export interface HistogramSnapshot {
  readonly indices: Uint32Array;
  readonly counts: Uint32Array | Float64Array;
  readonly count: number;
  readonly sum: number;
  /** exact; 0 when empty */
  readonly min: number;
  readonly max: number;
  /**
   * set when the histogram is coarse: 2^coarse buckets are counted in the last of them, apart from `min` and `max`,
   * which are in their own
   */
  readonly coarse?: number;
}

export const CLOSE_CAUSES = [
  'script',
  'decr',
  'stop',
  'server',
  'reset',
  'timeout',
  'wrong_reply',
  'fatal',
  'limit',
] as const;
export type CloseCause = (typeof CLOSE_CAUSES)[number];

export type Counts = Readonly<Record<string, number>>;

export const DROP_REASONS = ['no_free_client', 'backlog', 'stopped', 'paused'] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** What became of the slots of a rated action: planned = started rounds + waiting + dropped, in each snapshot. */
export interface SlotSnapshot {
  /** whose instant has come */
  readonly planned: number;
  readonly waiting: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** of those that were started: more than 10 ms late although a client was free */
  readonly tardy: number;
  /** from a slot's instant to its start, of those that were started */
  readonly late: HistogramSnapshot;
}

export interface ActionSnapshot {
  readonly started: number;
  readonly running: number;
  readonly ok: number;
  readonly failed: Counts;
  readonly aborted: number;
  readonly service: HistogramSnapshot;
  readonly response: HistogramSnapshot;
  /** of a rated action: each of its rounds is a slot that was started */
  readonly slots?: SlotSnapshot;
}

/**
 * One kind of error: how often, its last text and when (ms since the epoch). `sample`: the first 64 bytes of a wrong
 * reply, escaped.
 */
export interface ErrorKind {
  readonly count: number;
  readonly last: string;
  readonly last_at: number;
  readonly sample?: string;
}

/**
 * The connections to one address of a server. `lost` and `lost_connecting` were lost with their worker; 0 while it
 * lives.
 */
export interface EndpointCounts {
  readonly attempted: number;
  readonly connecting: number;
  readonly established: number;
  readonly open: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly closed: number;
  readonly lost: number;
  readonly lost_connecting: number;
}

/** What the clients of one group did. */
export interface GroupSnapshot {
  readonly clients: {
    readonly created: number;
    readonly killed: { readonly decr: number; readonly stop: number };
    readonly done: number;
    readonly draining: number;
    /** places whose clients played all their iterations: they count for the share, though nobody is there */
    readonly finished: number;
    readonly peak: number;
    /** gauges by state; their sum is live */
    readonly states: Readonly<Record<State, number>>;
    /** how often each state was entered, ends (`killed`, `done`) included */
    readonly entered: Counts;
  };
  readonly connections: {
    readonly attempted: number;
    readonly connecting: number;
    readonly established: number;
    readonly open: number;
    readonly open_peak: number;
    readonly cancelled: number;
    readonly failed: Counts;
    readonly closed: Readonly<Record<CloseCause, number>>;
    readonly ports_skipped: number;
    readonly connect: HistogramSnapshot;
    /** of TLS, not part of `connect` */
    readonly handshake: HistogramSnapshot;
  };
  /** by address; at most 100, the rest under `other` */
  readonly endpoints: Readonly<Record<string, EndpointCounts>>;
  readonly requests: {
    readonly sent: number;
    readonly in_flight: number;
    readonly ok: number;
    readonly wrong: number;
    readonly timeout: number;
    readonly aborted: number;
    readonly noreply: number;
    readonly unasked_bytes: number;
  };
  readonly bytes: { readonly sent: number; readonly received: number };
  /** one per action of the group, then one more for `connected` */
  readonly actions: readonly ActionSnapshot[];
}

/** What a member measured. */
export interface Snapshot {
  /** by name, in the order in which the run has them; none before the member knows them */
  readonly groups: Readonly<Record<string, GroupSnapshot>>;
  /** by code; at most 100 kinds, the rest under `other` */
  readonly errors: Readonly<Record<string, ErrorKind>>;
  /** of the process: CPU seconds since it started; share of one core in the last interval (1 = one core); bytes; ms */
  readonly generator: {
    readonly cpu_s: number;
    readonly cpu: number;
    readonly rss_bytes: number;
    readonly lag_p99_ms: number;
  };
}
