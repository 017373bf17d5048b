/** What an operator can ask for, and what the answer is, as data. */

/**
 * `on`: only on agents with that label, in a swarm of many machines; absent = on any. `over_ms`: ramp linearly from the
 * number planned now to the new target in that time; 0 = at the connect rate.
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
  /**
   * in a swarm of many machines: work out the shares anew; let an agent hold nothing, or take part again; declare one
   * dead
   */
  | { op: 'rebalance' }
  | { op: 'drain'; agent: string; off: boolean }
  | { op: 'evict'; agent: string };

/**
 * The answer to a command. When ok, `text` follows `OK `, e.g. `target 900 (asked 1000: …)`. Otherwise `code` and
 * `text` follow `ERR ` (`stopping`, `limit_files`, `bad_command`, `not_yet`, …).
 */
export type Reply = { ok: true; text: string } | { ok: false; code: string; text: string };
