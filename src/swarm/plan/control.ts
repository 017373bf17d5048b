/** All that a surface such as the console may do with a swarm. */
import type { Command, Reply } from '../../grammar/command.ts';
import type { Events } from '../../metrics/events.ts';
import type { Series } from '../../metrics/series.ts';
import type { Summary } from '../../metrics/summary.ts';

export interface Control {
  /** what the swarm did in each second, to be read only */
  readonly series: Series;
  /** what happened when, to be read only */
  readonly events: Events;
  /**
   * Carries the command out. Resolves when the members acknowledged, after 2 s at most. Never rejects. `by`: who gave
   * it, for people.
   */
  apply(command: Command, by: string): Promise<Reply>;
  /** Calls `listener` with each new summary, about once a second and after each command. Returns what ends it. */
  watch(listener: (summary: Summary) => void): () => void;
  /**
   * The newest accounts of all members, added up. `histograms`: with those of the actions, which cost a few
   * milliseconds each to encode; default false.
   */
  summary(histograms?: boolean): Summary;
  /**
   * Shows what client `id` sends and receives for `seconds`: calls `on_line` with one escaped line an event, then once
   * with null. A line has at most 256 bytes of data; beyond 200 lines a second the rest is only counted. Resolves when
   * the member has applied it, with an `ERR` reply when there is no such client (ADR 0002).
   */
  trace(id: number, seconds: number, on_line: (line: string | null) => void): Promise<Reply & { stop?: () => void }>;
}
