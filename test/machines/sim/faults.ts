/** How unreliable a simulated engine and the way to it are. Probabilities are of each operation, hint or nudge. */

export interface Faults {
  /** round trip of an operation, one way of a hint or nudge: [least, most] */
  readonly latency_ms: readonly [number, number];
  /** the latency is anything up to {@link SLOW_MS} */
  readonly slow: number;
  /** of a write: it never arrives, its outcome is unknown */
  readonly request_lost: number;
  /** of a write: it is applied or refused, its outcome is unknown */
  readonly reply_lost: number;
  /** of a put: it arrives twice */
  readonly duplicate: number;
  /** of a write: its outcome is unknown, and up to {@link APPLIED_LATE_MS} after that was said it is applied or refused */
  readonly applied_late: number;
  /** of get and list: rejects at its deadline */
  readonly read_lost: number;
  /** what a watch tells, or a nudge: never comes */
  readonly hint_lost: number;
  /** comes up to {@link HINT_LATE_MS} late, so out of order too */
  readonly hint_late: number;
  /** of a reply to a process that was paused beyond the deadline: it sees the deadline first */
  readonly deadline_first: number;
}

export const SLOW_MS = 1900;
export const APPLIED_LATE_MS = 8000;
export const HINT_LATE_MS = 10_000;

/** Every operation takes 1 ms and is answered. */
export const NO_FAULTS: Faults = {
  latency_ms: [1, 1],
  slow: 0,
  request_lost: 0,
  reply_lost: 0,
  duplicate: 0,
  applied_late: 0,
  read_lost: 0,
  hint_lost: 0,
  hint_late: 0,
  deadline_first: 0,
};

/** A bit of everything. */
export const ROUGH: Faults = {
  latency_ms: [1, 50],
  slow: 0.01,
  request_lost: 0.02,
  reply_lost: 0.02,
  duplicate: 0.02,
  applied_late: 0.01,
  read_lost: 0.02,
  hint_lost: 0.1,
  hint_late: 0.1,
  deadline_first: 0.5,
};
