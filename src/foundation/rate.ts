/** A rate as users write it: per second, above 0 up to 1000000, at most six decimals. Undefined for any other text. */
export function parse_rate(text: string): number | undefined {
  const rate = /^\d{1,7}(\.\d{1,6})?$/.test(text) ? Number(text) : 0;
  return rate > 0 && rate <= 1e6 ? rate : undefined;
}
