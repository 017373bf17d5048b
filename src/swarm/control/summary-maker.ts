/** The summaries of a run, from what a coordinator knows now and from what it must have seen before. */
import { whole_ms_in_s as seconds } from '../../foundation/duration.ts';
import type { PlayedGroup } from '../../metrics/groups.ts';
import type { Summary } from '../../metrics/summary.ts';
import { to_summary, type Mark, type SummaryInput, type Totals } from '../../metrics/totals.ts';
import type { Intent } from '../plan/intent.ts';

/** What is known now. */
export interface Known extends Omit<
  SummaryInput,
  'final' | 'run' | 'peaks' | 'groups' | 'totals' | 'mark' | 'interval' | 'histograms'
> {
  readonly totals: Totals;
  /** of the run, ms */
  readonly run_ms: number;
  /** clients and connections; the highest since the last time, if somebody looked in between */
  readonly live: number;
  readonly open: number;
}

/** Holds what only moments show: the highest numbers, what was measured until a mark or the last state line. */
export class SummaryMaker {
  readonly #run: Omit<Summary['run'], 'seconds'>;
  readonly #groups: readonly PlayedGroup[];
  #live = 0;
  #open = 0;
  #mark: Mark | null = null;
  #mark_seq = 0;
  #interval: Totals | null = null;

  /** `run`: what it says of the run, whenever it is asked */
  constructor(run: Omit<Summary['run'], 'seconds'>, groups: readonly PlayedGroup[]) {
    this.#run = run;
    this.#groups = groups;
  }

  /** So many there are now, or were at most since the last call. */
  raise(live: number, open: number): void {
    this.#live = Math.max(this.#live, live);
    this.#open = Math.max(this.#open, open);
  }

  /** Counts from now what happened since the operator's mark, unless it does already. */
  mark(mark: Intent['mark'], run_ms: number, totals: () => Totals): void {
    if (mark === null || mark.seq <= this.#mark_seq) return;
    this.#mark_seq = mark.seq;
    this.#mark = { text: mark.text, at_ms: mark.at_ms, run_seconds: seconds(run_ms), base: totals() };
  }

  make(known: Known, { final = false, histograms = false } = {}): Summary {
    return this.#make(known, final, histograms, null);
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(known: Known): Summary {
    const summary = this.#make(known, false, false, this.#interval);
    this.#interval = known.totals;
    return summary;
  }

  #make(
    { run_ms, live, open, ...known }: Known,
    final: boolean,
    histograms: boolean,
    interval: Totals | null,
  ): Summary {
    this.raise(live, open);
    const run = { ...this.#run, seconds: seconds(run_ms) };
    const peaks = { live: this.#live, open: this.#open };
    return to_summary({ ...known, final, run, peaks, groups: this.#groups, mark: this.#mark, interval, histograms });
  }
}
