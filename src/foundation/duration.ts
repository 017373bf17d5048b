/** Durations as a user writes them: `1.5` (seconds), `500ms`, `2s`, `1m`, `1h`, in either case; and spans, `1-20`. */

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
type Unit = keyof typeof UNITS;

/** Shown to whoever wrote another unit. */
export const UNITS_TEXT = 'units are ms, s, m and h, right behind the number';

const AMOUNT = String.raw`(\d+(?:\.\d+)?)(ms|s|m|h)?`;
const DURATION = new RegExp(`^${AMOUNT}$`, 'i');
const SPAN = new RegExp(`^${AMOUNT}-${AMOUNT}$`, 'i');

/** 30 days, the longest wait swarm takes anywhere. */
const MAX_MS = 30 * 24 * 3_600_000;

/**
 * Milliseconds, rounded to whole µs; undefined for anything but a plain decimal number with or without a known unit,
 * and beyond 30 days.
 */
export function parse_duration(text: string): number | undefined {
  const found = DURATION.exec(text);
  return found === null ? undefined : in_ms(found[1]!, found[2]);
}

/**
 * `[from, to]` in milliseconds, from ≤ to; a single duration gives both. A unit on the last part counts for both
 * (`0.5-2s`). One on the first alone (`500ms-2`) could be read in two ways: it is refused.
 */
export function parse_span(text: string): [number, number] | undefined {
  const single = parse_duration(text);
  if (single !== undefined) return [single, single];
  const found = SPAN.exec(text);
  if (found === null || (found[2] !== undefined && found[4] === undefined)) return undefined;
  const unit = found[4];
  const from = in_ms(found[1]!, found[2] ?? unit);
  const to = in_ms(found[3]!, unit);
  return from === undefined || to === undefined || from > to ? undefined : [from, to];
}

function in_ms(amount: string, unit = 's'): number | undefined {
  const ms = Math.round(Number(amount) * UNITS[unit.toLowerCase() as Unit] * 1000) / 1000;
  return ms <= MAX_MS ? ms : undefined;
}

/** Seconds, to a whole millisecond. */
export const whole_ms_in_s = (ms: number): number => Math.round(ms) / 1000;
