/** Where a load is, in words. Pure. */
import { escape_text } from '../foundation/escape.ts';
import type { LoadSummary, Summary } from '../metrics/summary.ts';

const MAX_STEP = 100;

/** `2 h 5 min`, `1 min 30 s`, `12 s`, `0.5 s` */
export function span(seconds: number): string {
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(whole / 3600), 'h'],
    [Math.floor((whole % 3600) / 60), 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  const shown = parts.slice(first, first + 2).filter(([n]) => n > 0);
  return shown.map(([n, unit]) => `${n} ${unit}`).join(' ');
}

/** `load: step 3 of 7, hold 5m: 12 s of it, 4 min 48 s left, 10 min 3 s in all` */
export function load_line(load: LoadSummary): string {
  return `load: ${about(load)}`;
}

function about({ state, step, steps, text, seconds, left_seconds, all_left_seconds, why }: LoadSummary): string {
  const place = `step ${step} of ${steps}, ${escape_text(text, MAX_STEP)}`;
  switch (state) {
    case 'playing':
      return `${place}: ${span(seconds)} of it, ${span(left_seconds ?? 0)} left, ${span(all_left_seconds)} to its end`;
    case 'waiting':
      return `${place}: for ${span(seconds)} now`;
    case 'paused':
      return `${place}: paused by hand, goes on after \`resume\``;
    case 'over':
      return `over, after ${steps} steps`;
    case 'stopped':
      return `stopped in ${place}`;
    case 'failed':
      return `failed in ${place}: ${escape_text(why ?? '', 2 * MAX_STEP)}`;
  }
}

/** The answer to `load`. */
export const load_lines = ({ load }: Summary): string[] =>
  load === undefined ? ['no load was begun'] : [load_line(load)];
