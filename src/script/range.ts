/** Ranges and think times: made once at load, drawn from in every round. */
import { normal_quantile } from '../foundation/draws.ts';
import type { Range, ThinkTime } from './types.ts';

/** The longest sleep, seconds: 30 days. */
export const MAX_SLEEP = 2_592_000;

/** `n` → `[n, n]`; `[a, b]`, which was validated before, stays. */
export function to_range(value: number | Range): Range {
  return Object.freeze(typeof value === 'number' ? ([value, value] as const) : ([value[0], value[1]] as const));
}

export const is_range = (think: ThinkTime): think is Range => Array.isArray(think);

/** The mean of what is drawn. */
export const mean_of = (think: ThinkTime): number => (is_range(think) ? (think[0] + think[1]) / 2 : think.mean);

/** An integer of an integer range, both ends included, all equally likely. `unit` is random, 0 ≤ unit < 1. */
export function draw_int(range: Range, unit: number): number {
  return range[0] + Math.floor(unit * (range[1] - range[0] + 1));
}

/** A real number of the range. `unit` is a random number, 0 ≤ unit < 1. */
export function draw_real(range: Range, unit: number): number {
  return range[0] + unit * (range[1] - range[0]);
}

/**
 * Seconds of a sleep, at most {@link MAX_SLEEP}: by one random number, 0 ≤ unit < 1, so that a client draws as many
 * numbers as it sleeps. The sleep grows with it.
 */
export function draw_think(think: ThinkTime, unit: number): number {
  if (is_range(think)) return draw_real(think, unit);
  const { mean, distribution, sigma } = think;
  const drawn =
    distribution === 'exponential'
      ? -mean * Math.log1p(-unit)
      : mean * Math.exp(sigma * normal_quantile(unit) - sigma ** 2 / 2);
  return Math.min(drawn, MAX_SLEEP);
}

/** The one number that is drawn each time; undefined: they vary. */
export const fixed_think = (think: ThinkTime): number | undefined =>
  is_range(think) && think[0] === think[1] ? think[0] : undefined;
