/** The states of a client and the legal moves between them, as data (docs/summary.md). */

/** Gauges: their sum is `live`. The numbers index the state counters of a snapshot. */
export const STATES = ['initial', 'connect', 'acting', 'standby', 'backoff', 'fatal'] as const;
export const ENDS = ['killed', 'done'] as const;

/** Their numbers: those of ENDS follow those of STATES. */
export const INITIAL = 0;
export const CONNECT = 1;
export const ACTING = 2;
export const STANDBY = 3;
export const BACKOFF = 4;
export const FATAL = 5;
export const KILLED = 6;
export const DONE = 7;

export type State = (typeof STATES)[number];
export type End = (typeof ENDS)[number];

/** from → to. Every live state may also end: killed (decr, stop) or done (left gracefully). */
const MOVES: Record<State, readonly State[]> = {
  initial: ['connect'], //                         its turn came
  connect: ['acting', 'backoff'], //               established | refused, timed out
  acting: ['standby', 'backoff', 'fatal'], //      sleeps | lost or closed its connection | the module threw
  standby: ['acting', 'backoff', 'fatal'], //      woke up | lost its connection | the module threw in on_message
  backoff: ['connect'], //                         its delay is over and its turn came
  fatal: ['backoff'], //                           `retry fatal`
};

export function is_legal(from: State | null, to: State | End): boolean {
  if (from === null) return to === 'initial';
  return (ENDS as readonly string[]).includes(to) || MOVES[from].includes(to as State);
}
