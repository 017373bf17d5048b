/** How long things may take, ms: the same on one machine and on many. */

/** Commands are answered within that, whoever has not acknowledged by then. */
export const ACK_WITHIN_MS = 2000;
/** for `setup` and `teardown` of the module */
export const HOOK_WITHIN_MS = 60_000;
/** at the end of a run a worker that is silent for so long is killed */
export const SILENT_AT_END_MS = 2000;
/**
 * Ending every client at once: for so long no client may end, and so long may it take in all (a million take half a
 * minute). An agent ends its own workers that do not answer in less than half of it.
 */
export const STOP_WITHIN_MS = 5000;
export const STOP_AT_MOST_MS = 120_000;

/** Whether the end has come to a stop: nothing ended for `stuck_ms`, or it took `all_ms` already. */
export const is_stuck = (stuck_ms: number, all_ms: number): boolean =>
  stuck_ms >= STOP_WITHIN_MS || all_ms >= STOP_AT_MOST_MS;
