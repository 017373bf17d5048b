/** Rates as users write them. */

/** The highest rate, per second. */
export const MAX_PER_S = 1e6;

/** What may stand for the number of a {@link parse_slot_rate}. */
export const SLOT_RATE_TEXT =
  '`100/s` (per second) or `100/m` (per minute): 0, or above 0 up to 1000000/s, with at most six decimals';

/** A number per second, above 0 up to 1000000, at most six decimals. Undefined for any other text. */
export function parse_rate(text: string): number | undefined {
  const rate = /^\d{1,7}(\.\d{1,6})?$/.test(text) ? Number(text) : 0;
  return rate > 0 && rate <= MAX_PER_S ? rate : undefined;
}

/**
 * `100/s`, `0.5/m`, `0/s`, in either case: per second, a whole number of millionths, 0 only if that was written.
 * Undefined for any other text, and beyond 1000000/s.
 */
export function parse_slot_rate(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,8}(?:\.\d{1,6})?)\/([sm])$/i.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  const per_s = Math.round((Number(amount) * 1e6) / (unit.toLowerCase() === 'm' ? 60 : 1)) / 1e6;
  return per_s <= MAX_PER_S && (per_s > 0 || Number(amount) === 0) ? per_s : undefined;
}

/** `20000/s`, `0.000001/s`; `per_s` as {@link parse_slot_rate} gives it. */
export const slot_rate_text = (per_s: number): string => `${Number.isInteger(per_s) ? per_s : decimals(per_s)}/s`;

// without an exponent, which small numbers would have
const decimals = (per_s: number): string => per_s.toFixed(6).replace(/0+$/, '');
