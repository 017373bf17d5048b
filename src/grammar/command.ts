/** What an operator can ask for, and what the answer is, as data. */

/**
 * `on`: of a swarm of many machines, only on agents with that label; otherwise on any. `over_ms`: ramp linearly from planned-now to the new target in that time; 0 = at the connect
 * rate.
 */
export type Command =
  | { op: 'incr'; count: number; over_ms: number; on?: string }
  | { op: 'decr'; count: number; graceful: boolean; over_ms: number; on?: string }
  | { op: 'set'; count: number; over_ms: number; on?: string }
  /** clients that may connect per second, over the whole swarm; > 0 */
  | { op: 'connect_rate'; per_s: number }
  | { op: 'pause' }
  | { op: 'resume' }
  | { op: 'mark'; text: string }
  | { op: 'retry_fatal' }
  | { op: 'stop'; now: boolean }
  /** of a swarm of many machines: shares worked out anew; an agent that shall hold nothing, or may again; one that is declared dead */
  | { op: 'rebalance' }
  | { op: 'drain'; agent: string; off: boolean }
  | { op: 'evict'; agent: string };

/**
 * The answer to a command. Ok: `text` follows `OK `, e.g. `target 900 (asked 1000: …)`. Not ok: `code` and `text` follow `ERR `
 * (`stopping`, `limit_files`, `bad_command`, `not_yet`, …).
 */
export type Reply = { ok: true; text: string } | { ok: false; code: string; text: string };
