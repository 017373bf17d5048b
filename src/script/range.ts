/** Ranges: made once at load, drawn from in every round. */
import type { Range, ThinkTime } from './types.ts';

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
