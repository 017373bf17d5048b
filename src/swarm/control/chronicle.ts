/** What a coordinator remembers of its run: what the swarm did in each second, and what happened when. */
import { reason_of } from '../../foundation/errors.ts';
import { ErrorWatch, Events, MemberWatch } from '../../metrics/events.ts';
import { SaturationWatch } from '../../metrics/saturation.ts';
import { Series, type Beat } from '../../metrics/series.ts';
import type { Summary } from '../../metrics/summary.ts';
import type { Totals } from '../../metrics/totals.ts';
import type { Note } from '../plan/account.ts';
import type { MemberId } from '../plan/run-spec.ts';

/** Members report each second: from one that is silent for longer, a report is missing. */
export const NOT_TOLD_MS = 1500;

/** ms of run time from which a coordinator that looks for the first time has missed what happened */
const LATE_MS = 5000;

/** What a {@link Chronicle} needs of its process. */
interface ChronicleOptions {
  /** ms since the epoch */
  readonly wall: () => number;
  readonly on_note: (member: MemberId, note: Note) => void;
}

export class Chronicle {
  readonly series = new Series();
  readonly events: Events;
  readonly #on_note: ChronicleOptions['on_note'];
  readonly #members: 'worker' | 'agent';
  readonly #errors = new ErrorWatch();
  readonly #states = new MemberWatch();
  readonly #saturation = new SaturationWatch();
  /** that was said: it would fail in each second */
  #has_failed = false;

  /** `members`: what they are. */
  constructor({ wall, on_note }: ChronicleOptions, members: 'worker' | 'agent') {
    this.events = new Events(wall);
    this.#on_note = on_note;
    this.#members = members;
  }

  /** A command was carried out. `line`: as it may have been typed. `at`: ms since the epoch, if that is not now. */
  commanded(line: string, by: string, at?: number): void {
    this.events.add(/^mark\b/.test(line) ? 'mark' : 'command', line, by, at);
  }

  /**
   * To be called once a second. `states`: how each member fares. Returns which of them fare differently than before.
   * Never throws. What a coordinator that came late finds is no news to it.
   */
  beat(beat: Beat, states: ReadonlyMap<MemberId, string>): readonly { member: MemberId; text: string }[] {
    try {
      const is_late = this.series.newest === 0 && beat.run_ms > LATE_MS;
      const { saturated_s } = this.series;
      const saturation = this.#saturation.look(this.series.beat(beat), saturated_s);
      const errors = this.#errors.look(beat.totals.snapshot.errors);
      const changed = this.#states.look(states);
      if (is_late) return [];
      for (const { code, text } of errors)
        this.events.add('error', `${code}, for the first time: ${text}`, 'coordinator');
      if (saturation !== null) this.events.add('saturated', saturation, 'coordinator');
      for (const { member, text } of changed) this.events.add(this.#members, text, member);
      return changed;
    } catch (error) {
      this.#failed(error);
      return [];
    }
  }

  /** With the seconds that were saturated so far, if there were any. */
  judged(summary: Summary): Summary {
    const { saturated_s } = this.series;
    return saturated_s === 0 ? summary : { ...summary, saturated_seconds: saturated_s };
  }

  /**
   * A final summary, with the seconds that were saturated. It is balanced only if all seconds together are `totals`,
   * which are those of the last beat. Never throws: the run ends in any case.
   */
  checked(summary: Summary, totals: Totals): Summary {
    const final = this.judged(summary);
    try {
      const faults = this.series.adds_up(totals);
      if (faults.length === 0) return final;
      const text = `the series does not add up to what was measured: ${faults.join('; ')}`;
      this.#on_note('coordinator', { level: 'error', text });
    } catch (error) {
      this.#failed(error);
    }
    return { ...final, balanced: false };
  }

  #failed(error: unknown): void {
    if (this.#has_failed) return;
    this.#has_failed = true;
    this.#on_note('coordinator', { level: 'error', text: `the series failed: ${reason_of(error)}` });
  }
}
