/** Waiting for what nobody tells. */
import type { Clock } from '../../foundation/clock.ts';

const LOOK_MS = 50;

/** Resolves at the first look at which it is so. */
export function until(timers: Clock, is_so: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = timers.every(LOOK_MS, () => {
      if (!is_so()) return;
      stop();
      resolve();
    });
  });
}
