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

/** `load: step 3 of 7, hold 5m: 12 s of it, 4 min 48 s left, 10 min 3 s to its end` */
export function load_line(load: LoadSummary): string {
  return `load: ${about(load)}`;
}

const place_of = ({ step, steps, text }: LoadSummary): string =>
  `step ${step} of ${steps}, ${escape_text(text, MAX_STEP)}`;

const left_of = ({ left_seconds, all_left_seconds }: LoadSummary): string =>
  `${span(left_seconds ?? 0)} left, ${span(all_left_seconds)} to its end`;

function about(load: LoadSummary): string {
  const { state, step, steps, seconds, why } = load;
  const place = place_of(load);
  switch (state) {
    case 'playing':
      return `${place}: ${span(seconds)} of it, ${left_of(load)}`;
    case 'waiting':
      return `${place}: for ${span(seconds)} now`;
    case 'paused':
      return `${place}: paused by hand, goes on after \`resume\``;
    case 'over':
      return `over, after ${steps} step${steps === 1 ? '' : 's'}`;
    case 'stopped':
      return `stopped in ${place}`;
    case 'failed':
      // it names the step
      return `failed in step ${step} of ${steps}: ${escape_text(why ?? '', 2 * MAX_STEP)}`;
  }
}

/** The answer to `load`. */
export const load_lines = ({ load }: Summary): string[] =>
  load === undefined ? ['no load was begun'] : [load_line(load)];

/** It goes on, or will. */
export const is_played = ({ state }: LoadSummary): boolean =>
  state === 'playing' || state === 'waiting' || state === 'paused';

/** What is new since `before`, when somebody looked last; null: nothing but the time. */
export function load_news(load: LoadSummary, before: LoadSummary | null): string | null {
  const { state, step, steps, text, seconds, left_seconds, all_left_seconds } = load;
  if (state !== 'playing' && state !== 'waiting') return before?.state === state ? null : load_line(load);
  const last = before === null || !is_played(before) || before.step > step ? 0 : before.step;
  if (before?.state === state && last === step) return null;
  // those between took no time
  const place = step - last > 1 ? `steps ${last + 1} to ${step} of ${steps}, now` : `step ${step} of ${steps},`;
  const left =
    left_seconds === null ? '' : `: ${span(seconds + left_seconds)}, ${span(seconds + all_left_seconds)} to its end`;
  return `load: ${place} ${escape_text(text, MAX_STEP)}${left}`;
}

const BAR = 12;

/** `[███·········] step 3 of 7, hold 5m: 4 min 48 s left, …`, at most `columns` characters; empty if it is not played. */
export function load_bar(load: LoadSummary, columns: number): string {
  if (!is_played(load)) return '';
  const { seconds, left_seconds } = load;
  const part = left_seconds === null ? 0 : seconds / (seconds + left_seconds || 1);
  const full = Math.round(part * BAR);
  const said = load.state === 'playing' ? `${place_of(load)}: ${left_of(load)}` : about(load);
  const line = `[${'█'.repeat(full)}${'·'.repeat(BAR - full)}] ${said}`;
  return line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line;
}
