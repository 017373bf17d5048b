/** What a coordinator remembers of its run: what the swarm did in each second, and what happened when. */
import { ErrorWatch, Events, MemberWatch } from '../../metrics/events.ts';
import { Series, type Beat } from '../../metrics/series.ts';
import type { Summary } from '../../metrics/summary.ts';
import type { Totals } from '../../metrics/totals.ts';
import type { Note } from '../plan/account.ts';
import type { MemberId } from '../plan/run-spec.ts';

/** Members report each second: from one that is silent for longer, a report is missing. */
export const NOT_TOLD_MS = 1500;

/** What a {@link Chronicle} needs of its process. */
export interface ChronicleOptions {
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

  /** `members`: what they are. */
  constructor({ wall, on_note }: ChronicleOptions, members: 'worker' | 'agent') {
    this.events = new Events(wall);
    this.#on_note = on_note;
    this.#members = members;
  }

  /** A command was carried out. `line`: as it may have been typed. */
  commanded(line: string, by: string): void {
    this.events.add(/^mark\b/.test(line) ? 'mark' : 'command', line, by);
  }

  /** To be called once a second. `states`: how each member fares. Returns which of them fare differently than before. */
  beat(beat: Beat, states: ReadonlyMap<MemberId, string>): readonly { member: MemberId; text: string }[] {
    this.series.beat(beat);
    for (const { code, text } of this.#errors.look(beat.totals.snapshot.errors))
      this.events.add('error', `${code}, for the first time: ${text}`, 'coordinator');
    const changed = this.#states.look(states);
    for (const { member, text } of changed) this.events.add(this.#members, text, member);
    return changed;
  }

  /** A final summary. It is balanced only if all seconds together are `totals`, which are those of the last beat. */
  checked(final: Summary, totals: Totals): Summary {
    const faults = this.series.adds_up(totals);
    if (faults.length === 0) return final;
    const text = `the series does not add up to what was measured: ${faults.join('; ')}`;
    this.#on_note('coordinator', { level: 'error', text });
    return { ...final, balanced: false };
  }
}
