/** Looks through a load before it is played. A wait for clients takes no time then: nobody can say how long. Pure. */
import { MAX_TARGET } from '../../grammar/command.ts';
import { rates_steered, read_load, type LoadStep } from '../../grammar/load-text.ts';
import type { LoadOutline, StepTime } from '../../outputs/load-table.ts';
import { first_intent, is_ending, planned_of, type Intent, type NamedSharing } from './intent.ts';
import { awaited, begin, due_ms, next_step, peaks_of, piece_at, step_of } from './load-play.ts';
import { rate_at } from './rate-piece.ts';
import { find_rated, type RatedAction } from './rated-actions.ts';

/** A time in which the number of clients goes straight. */
interface Slope {
  readonly state: Intent;
  readonly from_ms: number;
  readonly until_ms: number;
}

/** no step has said a connect rate */
const UNSAID = 0;

/** `text`: a load without fault. `points`: of its course, at least 1. `groups` without a seed: nobody draws slots. */
export function outline_of(text: string, groups: readonly NamedSharing[], points: number): LoadOutline {
  const load = { text, epoch_ms: 0, most: MAX_TARGET, most_per_s: Infinity };
  const start = begin(first_intent(UNSAID), load, groups, 0);
  const rates = rates_in(text, groups);
  const rows = new Map<number, Repeated>();
  const slopes: Slope[] = [];
  const waits_ms = new Set<number>();
  let state = start;
  let played = 0;
  let end_ms = 0;
  for (let step = step_of(state); step !== null; step = step_of(state)) {
    const begins_ms = state.load!.step_ms;
    end_ms = due_ms(state) ?? begins_ms;
    played++;
    if (awaited(state) !== null) waits_ms.add(begins_ms);
    // what is gone at once is not seen
    if (end_ms > begins_ms || awaited(state) !== null) slopes.push(...slopes_of(state, groups, end_ms));
    const time = {
      begins_ms,
      clients: is_ending(state) ? [] : planned_of(state, groups, end_ms),
      connect_per_s: state.connect_per_s === UNSAID ? null : state.connect_per_s,
      rates: is_ending(state) ? [] : rates.map(({ key }) => in_force(state, key, end_ms)),
    };
    const row = rows.get(step.offsets[0]!);
    if (row === undefined) rows.set(step.offsets[0]!, { step, number: played, times: 1, first: time, last: time });
    else rows.set(step.offsets[0]!, { ...row, times: row.times + 1, last: time });
    if (is_ending(state)) break;
    state = next_step(state, groups, end_ms);
  }
  if (!is_ending(state)) slopes.push({ state, from_ms: end_ms, until_ms: end_ms });
  return {
    groups: groups.map(({ name }) => name),
    steps: [...rows.values()].map(({ step, ...row }) => ({ ...row, ...about(step) })),
    played,
    ms: end_ms,
    waits_ms: [...waits_ms],
    most: peaks_of(start, groups).all,
    last: all_at(state, groups, end_ms),
    stops: is_ending(state),
    course: course_of(slopes, end_ms, points, (at, ms) => all_at(at, groups, ms)),
    rates: rates.map(({ key, called }) => ({
      action: called,
      course: course_of(slopes, end_ms, points, (at, ms) => in_force(at, key, ms)),
    })),
  };
}

/** Those that it changes, in the order in which it does. */
function rates_in(text: string, groups: readonly NamedSharing[]): RatedAction[] {
  const found = new Map<string, RatedAction>();
  for (const name of rates_steered(read_load(text))) {
    const action = find_rated(groups, name);
    if ('key' in action) found.set(action.key, action);
  }
  return [...found.values()];
}

/** A rate, per second: 0 in a pause. */
function in_force({ rates }: Intent, key: string, ms: number): number {
  const rate = rates[key];
  return rate === undefined ? 0 : Math.round(rate_at(rate.piece, ms * 1000)) / 1e6;
}

interface Repeated {
  readonly step: LoadStep;
  readonly number: number;
  readonly times: number;
  readonly first: StepTime;
  readonly last: StepTime;
}

function about({ text, ms, commands }: LoadStep): Pick<LoadOutline['steps'][number], 'text' | 'ms' | 'within_ms'> {
  const [command] = commands;
  return { text, ms: ms === Infinity ? null : ms, within_ms: command?.op === 'wait' ? command.within_ms : null };
}

/** Of the step that goes on. */
function slopes_of(state: Intent, groups: readonly NamedSharing[], end_ms: number): Slope[] {
  const found: Slope[] = [];
  for (let from_ms = state.load!.step_ms; ;) {
    const until_ms = Math.min(piece_at(state, groups, from_ms).until_ms ?? end_ms, end_ms);
    found.push({ state, from_ms, until_ms });
    if (until_ms >= end_ms) return found;
    from_ms = until_ms;
  }
}

/** The most there is of something in each of `points` equal parts of the time. In a slope it only grows, or falls. */
function course_of(
  slopes: readonly Slope[],
  end_ms: number,
  points: number,
  of: (state: Intent, ms: number) => number,
): number[] {
  const course = Array.from({ length: points }, () => 0);
  const begin_of = (part: number): number => (part * end_ms) / points;
  for (const { state, from_ms, until_ms } of slopes) {
    // one sooner, as divisions round
    let part = Math.max(0, Math.floor((from_ms * points) / end_ms || 0) - 1);
    for (; part < points && begin_of(part) <= until_ms; part++) {
      const [from, until] = [Math.max(from_ms, begin_of(part)), Math.min(until_ms, begin_of(part + 1))];
      // the end of a part is the beginning of the next one
      const is_in = from_ms === until_ms ? from === until : from < until;
      if (is_in) course[part] = Math.max(course[part]!, of(state, from), of(state, until));
    }
  }
  return course;
}

const all_at = (state: Intent, groups: readonly NamedSharing[], ms: number): number =>
  planned_of(state, groups, ms).reduce((all, clients) => all + clients, 0);
