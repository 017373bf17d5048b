/** How tests wait: for what shall happen, not for a time in which it should have. A machine may be as busy as it likes. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Only what never happens takes so long. Shorter than what a test may take, so that it is the wait that says what is missing. */
export const PATIENCE_MS = 180_000;
const LOOK_MS = 5;

/** Looks until `f` is true; resolves with the ms it took. `what`: for the error, asked when it is over. */
export async function until(
  what: string | (() => string),
  f: () => unknown,
  within_ms = PATIENCE_MS,
  look_ms = LOOK_MS,
): Promise<number> {
  const start = performance.now();
  for (;;) {
    if (await f()) return performance.now() - start;
    if (performance.now() - start > within_ms)
      throw new Error(`in vain for ${within_ms} ms: ${typeof what === 'string' ? what : what()}`);
    await sleep(look_ms);
  }
}
