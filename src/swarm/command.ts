/** What an operator can ask for, as data; and `Control`, all that a surface may touch (DESIGN 3.2). */
import type { Summary } from '../metrics/summary.ts';

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

export interface Control {
  /** Carries the command out; resolves when the members acknowledged, after 2 s at most. Never rejects. */
  apply(command: Command): Promise<Reply>;
  /** Calls `listener` with each new summary (about once a second, and after each acknowledged command) until the returned function is called. */
  watch(listener: (summary: Summary) => void): () => void;
  /**
   * The summary of now: the newest reports of all members, added up. `histograms`: with those of its actions, which costs a few
   * milliseconds each to encode.
   */
  summary(histograms?: boolean): Summary;
  /**
   * Sends what client `id` sends and receives to `on_line`, one escaped line an event (at most 256 bytes of data each, 200 lines a
   * second, the rest counted), for `seconds`; then `null` once. Resolves when the member took it. ADR 0002.
   */
  trace(id: number, seconds: number, on_line: (line: string | null) => void): Promise<Reply & { stop?: () => void }>;
}
