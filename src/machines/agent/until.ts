import type { Clock } from '../../foundation/clock.ts';

const LOOK_MS = 50;

/** Resolves once `is_so` is true; checks every 50 ms. */
export function until(timers: Clock, is_so: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const stop = timers.every(LOOK_MS, () => {
      if (!is_so()) return;
      stop();
      resolve();
    });
  });
}
