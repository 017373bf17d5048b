/** Actions that are played at a rate: what they are called, and what a command or a pause makes of their rates. Pure. */
import { nearest } from '../../foundation/suggest.ts';
import type { Command, NoRate } from '../../grammar/command.ts';
import { full_name } from '../../metrics/groups.ts';
import { actions_of, type GroupScript } from '../../script/types.ts';
import {
  is_ending,
  target_of,
  type KeptRate,
  type NamedAction,
  type NamedArrivals,
  type NamedSharing,
  type Steered,
} from './intent.ts';
import type { Sharing } from './numbering.ts';
import { ARRIVALS } from './orders.ts';
import {
  begin_rate,
  change_rate,
  end_rate,
  hold_rate,
  poisson_key,
  rate_at,
  release_rate,
  type PlayedRate,
  type RateChange,
} from './rate-piece.ts';
import type { Played } from './run-spec.ts';
import { rate_of, type Segment } from './segment.ts';

export type RateCommand = Extract<Command, { readonly op: 'rate' }>;

/** One that has a rate. */
export interface RatedAction extends NonNullable<NamedAction['rate']> {
  /** of its rate, in {@link Steered.rates} */
  readonly key: string;
  /** `[group.][loop.]action` */
  readonly called: string;
}

/** The key of a rate: `index` as in orders. */
export const rate_key = (group: string, index: number): string => `${group}.${index === ARRIVALS ? 'arrive' : index}`;

export function parts_of_key(key: string): { readonly group: string; readonly action: number } {
  const dot = key.lastIndexOf('.');
  return { group: key.slice(0, dot), action: Number(key.slice(dot + 1)) };
}

/**
 * The groups of a script, with what they play. `seed`: of the run; null: the rates are only looked at, and the slots of a
 * Poisson process come evenly.
 */
export const named_groups = (
  groups: readonly (Sharing & { readonly name: string } & Omit<GroupScript, 'protocol'>)[],
  seed: string | null,
): NamedSharing[] =>
  groups.map(({ name: group, share, loops, iterations_in_all }) => {
    const key_of = (index: number): number | null => (seed === null ? null : poisson_key(seed, rate_key(group, index)));
    const loop_of = loops.flatMap(({ name, actions }) => actions.map(() => name));
    const actions = actions_of({ loops }).map(({ index, name, rate }, i): NamedAction => {
      const own = rate && { to_rate: millionths(rate.per_s), is_poisson: rate.poisson, draws: key_of(index) };
      return { index, loop: loop_of[i]!, name, rate: own };
    });
    const ends = loops.every(({ iterations }) => iterations !== null);
    const never = iterations_in_all === null ? 'no_iterations' : 'iterations_in_all';
    const arrivals: NamedArrivals = ends ? { draws: key_of(ARRIVALS) } : never;
    return { name: group, share, actions, arrivals };
  });

/** Those of a run. */
export const groups_in_run = ({ groups, seed }: Pick<Played, 'groups' | 'seed'>): NamedSharing[] =>
  named_groups(
    groups.map(({ name, share, script }) => ({ ...script, name, share })),
    seed,
  );

const millionths = (per_s: number): number => Math.round(per_s * 1e6);
const in_us = (ms: number): number => Math.round(ms * 1000);

interface Called {
  readonly group: string;
  readonly action: NamedAction;
}

const all_in = (groups: readonly NamedSharing[]): Called[] =>
  groups.flatMap(({ name: group, actions = [] }) => actions.map((action) => ({ group, action })));

const called = ({ group, action: { loop, name } }: Called): string => full_name({ group, loop, action: name });

const rated = (one: Called): RatedAction[] => {
  const { group, action } = one;
  return action.rate === null ? [] : [{ ...action.rate, key: rate_key(group, action.index), called: called(one) }];
};

/** All that have a rate, in the order of the script. */
export const rated_in = (groups: readonly NamedSharing[]): RatedAction[] => all_in(groups).flatMap(rated);

/** A rate that commands can steer. */
export type SteeredRate = Pick<RatedAction, 'key' | 'draws'>;

/** Those of clients that arrive, of groups where they may. */
const arrivals_in = (groups: readonly NamedSharing[]): SteeredRate[] =>
  groups.flatMap(({ name, arrivals }) =>
    typeof arrivals === 'object' ? [{ ...arrivals, key: rate_key(name, ARRIVALS) }] : [],
  );

export const rates_in = (groups: readonly NamedSharing[]): SteeredRate[] => [
  ...rated_in(groups),
  ...arrivals_in(groups),
];

/**
 * The one whose rate `name` is about, `[group.][loop.]action`. Of several that are called so, those count that have a
 * rate.
 */
export function find_rated(groups: readonly NamedSharing[], name: string): RatedAction | NoRate {
  const action = name.slice(name.lastIndexOf('.') + 1);
  const before = name.split('.').slice(0, -1);
  const meant = all_in(groups).filter((one) => {
    const { loop } = one.action;
    const is_there = before.length < 2 ? [one.group, loop].includes(before[0] ?? loop) : before[0] === one.group;
    return one.action.name === action && is_there && (before[1] ?? loop) === loop;
  });
  const [found, ...more] = meant.flatMap(rated);
  if (found === undefined && meant.length > 0) return { ok: false, code: 'no_rate', action: name };
  if (found === undefined) {
    const known = [...new Set(rated_in(groups).map((one) => one.called))];
    const words = [...known, ...known.map((one) => one.slice(one.lastIndexOf('.') + 1))];
    return { ok: false, code: 'no_such_action', action: name, near: nearest(name, words) ?? null, rated: known };
  }
  if (more.length === 0) return found;
  return { ok: false, code: 'ambiguous_action', action: name, names: [found, ...more].map((one) => one.called) };
}

/** Of the whole swarm, per second; while the swarm is paused: that with which it goes on. */
export const rate_now = (rate: PlayedRate | undefined, run_ms: number): number =>
  rate === undefined ? 0 : (rate.held?.from_rate ?? Math.round(rate_at(rate.piece, in_us(run_ms)))) / 1e6;

/** In force at `run_ms`, per second, by key: of the clients of a segment. */
export const rates_now = (rates: Steered['rates'], segment: Segment, run_ms: number): Record<string, number> =>
  Object.fromEntries(
    Object.entries(rates).map(([key, { piece }]) => [
      key,
      rate_of(segment, Math.round(rate_at(piece, in_us(run_ms))) / 1e6),
    ]),
  );

/** What a command makes of a rate, at `run_ms`. */
export function retimed(
  rates: Steered['rates'],
  { key, draws }: SteeredRate,
  { per_s, over_ms, poisson }: Pick<RateCommand, 'per_s' | 'over_ms' | 'poisson'>,
  run_ms: number,
): Steered['rates'] {
  const how = { to_rate: millionths(per_s), over_us: in_us(over_ms), poisson: poisson && draws !== null };
  return { ...rates, [key]: changed(rates[key], how, draws, run_ms) };
}

const changed = (rate: PlayedRate | undefined, how: RateChange, draws: number | null, run_ms: number): PlayedRate =>
  rate === undefined ? begin_rate(in_us(run_ms), how, draws ?? 0) : change_rate(rate, in_us(run_ms), how, draws ?? 0);

/** Each rate stays what it is at `run_ms`. */
export const steady = (rates: Steered['rates'], groups: readonly NamedSharing[], run_ms: number): Steered['rates'] =>
  rates_in(groups).reduce((all, { key, draws }) => {
    const rate = rates[key];
    const is_ramp = rate !== undefined && (rate.held?.over_us ?? (rate.piece.to_us ?? 0) - in_us(run_ms)) > 0;
    if (!is_ramp) return all;
    const how = { to_rate: millionths(rate_now(rate, run_ms)), over_us: 0, poisson: rate.piece.poisson !== null };
    return { ...all, [key]: { ...rate, ...changed(rate, how, draws, run_ms) } };
  }, rates);

/**
 * What the rates are after a command or a step at `run_ms`: those of the script begin as soon as clients are wanted or
 * arrive, in a pause all stand still, and with the end of the run they end.
 */
export function with_rates<State extends Steered>(
  state: State,
  groups: readonly NamedSharing[],
  run_ms: number,
): State {
  const actions = rated_in(groups);
  const arrivals = arrivals_in(groups).filter(({ key }) => key in state.rates);
  if (actions.length === 0 && arrivals.length === 0) return state;
  const begins = !is_ending(state) && (arrivals.length > 0 || target_of(state, groups) > 0);
  const rates: Record<string, KeptRate> = {};
  for (const { key } of arrivals)
    rates[key] = { ...state.rates[key], ...in_phase(state.rates[key]!, state.phase, in_us(run_ms)) };
  for (const { key, to_rate, is_poisson, draws } of actions) {
    const how = { to_rate, over_us: 0, poisson: is_poisson && draws !== null };
    const rate = state.rates[key] ?? (begins ? changed(undefined, how, draws, run_ms) : undefined);
    if (rate !== undefined) rates[key] = in_phase(rate, state.phase, in_us(run_ms));
  }
  return { ...state, rates };
}

function in_phase(rate: PlayedRate, phase: Steered['phase'], at_us: number): PlayedRate {
  if (phase === 'run') return rate.held === null ? rate : release_rate(rate, at_us);
  if (phase === 'pause') return hold_rate(rate, at_us);
  return has_ended(rate) ? rate : end_rate(rate, at_us);
}

/** nothing comes any more, and nothing is held back */
const has_ended = ({ piece, held }: PlayedRate): boolean =>
  piece.to_us === null && piece.to_rate === 0 && held === null;
