/**
 * In a simulated world all processes are one: what each of them would parse for itself is parsed once. Nothing that was stored is ever changed by
 * who reads it.
 */
const MAX_KEPT = 500;
/** characters; below it a look-up costs as much */
const LEAST = 100;

/** Until the returned function is called. */
export function parse_once(): () => void {
  const parse = JSON.parse;
  const kept = new Map<string, unknown>();
  JSON.parse = (text: string, reviver?: Parameters<typeof parse>[1]): unknown => {
    if (reviver || text.length < LEAST) return parse(text, reviver);
    if (kept.has(text)) return kept.get(text);
    if (kept.size >= MAX_KEPT) kept.clear();
    const value: unknown = parse(text);
    kept.set(text, value);
    return value;
  };
  return () => void (JSON.parse = parse);
}
