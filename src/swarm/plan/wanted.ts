/** What the members of one process shall do at a moment, of what is wanted of the swarm. Pure. */
import {
  MAX_PIECES,
  planned_of,
  targets_of,
  type KeptRate,
  type NamedSharing,
  type Steered,
  type Wanted,
  type WantedRates,
} from './intent.ts';
import { due_ms, next_step } from './load-play.ts';
import { after_piece, slots_by } from './rate-piece.ts';
import { ARRIVALS, type BoundedPiece } from './orders.ts';
import { rate_key, rates_in } from './rated-actions.ts';
import { part_of, rate_of, type Segment } from './segment.ts';

/** What this process has to do of it, whose clients are those of `segment`. */
export function wanted_of(intent: Steered, groups: readonly NamedSharing[], segment: Segment, run_ms: number): Wanted {
  const { phase, graceful, connect_per_s, retry_fatal } = intent;
  const planned = planned_of(intent, groups, run_ms);
  const targets = targets_of(intent, groups);
  return {
    phase,
    groups: targets.map((target, g) => ({ target: part_of(segment, target), planned: part_of(segment, planned[g]!) })),
    graceful,
    connect_per_s: rate_of(segment, connect_per_s),
    retry_fatal,
    rates: rates_ahead(intent, groups, run_ms),
  };
}

/**
 * ms: steps of a load are told so long before they begin. Members begin them in time although they hear of them late. Not
 * longer, as slots of a Poisson process have to be drawn up to there.
 */
const AHEAD_MS = 2000;
const MAX_STEPS_AHEAD = 100;

interface KnownRates {
  /** after so many steps more */
  readonly state: Steered;
  readonly steps: number;
  readonly rates: WantedRates;
}

/** Of each state that was asked for: who asks again gets no farther than time does. */
const known = new WeakMap<Steered, KnownRates>();

/** `intent`: as `advance` gave it for `run_ms`. */
export function rates_ahead(intent: Steered, groups: readonly NamedSharing[], run_ms: number): WantedRates {
  let ahead = known.get(intent) ?? { state: intent, steps: 0, rates: joined([], intent.rates, groups) };
  const has_rates = rates_in(groups).length > 0;
  // drawn as time passes: nobody has to draw the slots of an hour at once when the rate changes
  for (const { piece } of Object.values(intent.rates)) if (piece.poisson !== null) slots_by(piece, run_ms * 1000);
  for (;;) {
    const due = has_rates && ahead.steps < MAX_STEPS_AHEAD ? due_ms(ahead.state) : null;
    if (due === null || due > run_ms + AHEAD_MS) break;
    const state = next_step(ahead.state, groups, due);
    const news = Object.entries(state.rates).filter(([key, { piece }]) => piece !== ahead.state.rates[key]?.piece);
    const rates = joined(ahead.rates, Object.fromEntries(news), groups);
    ahead = { state, steps: ahead.steps + 1, rates };
  }
  known.set(intent, ahead);
  return ahead.rates;
}

/** Empty: no rate has begun. */
function joined(before: WantedRates, news: Steered['rates'], groups: readonly NamedSharing[]): WantedRates {
  if (Object.keys(news).length === 0) return before;
  return groups.map(({ name, actions = [] }, g) => {
    const lists = { ...before[g] };
    for (const index of [...actions.map((action) => action.index), ARRIVALS]) {
      const rate = news[rate_key(name, index)];
      if (rate !== undefined) lists[index] = behind(lists[index] ?? [], rate);
    }
    return lists;
  });
}

/** What does not begin before `rate` does will not begin. */
function behind(pieces: readonly BoundedPiece[], { piece, at_most }: KeptRate): readonly BoundedPiece[] {
  // to count the slots of a Poisson process up to its end they would all be drawn; after it they go on at the last rate
  const after = piece.poisson === null ? after_piece(piece) : null;
  const earlier = pieces.filter(({ from_us }) => from_us < piece.from_us);
  const news = after === null ? [piece] : [piece, after];
  const bounded = at_most === undefined ? news : news.map((one) => ({ ...one, at_most }));
  return [...earlier, ...bounded].slice(0, MAX_PIECES);
}
