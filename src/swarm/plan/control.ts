/** All that a surface (the console, later HTTP) may touch of a swarm. */
import type { Command, Reply } from '../../grammar/command.ts';
import type { Summary } from '../../metrics/summary.ts';

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
