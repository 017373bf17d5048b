/** Freezes a value of plain data, and everything in it that is not frozen yet. */
export function deep_freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deep_freeze(inner);
  return value;
}
