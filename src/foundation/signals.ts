/** SIGINT and SIGTERM: the first asks for an orderly end, the second ends the process. */

const CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Calls `first` for the first signal, and `again` with the exit code for each later one. Returns the undo. */
export function on_signals(first: (signal: string) => void, again: (exit: 130 | 143) => void): () => void {
  let asked = false;
  const handle = (signal: keyof typeof CODES): void => {
    if (asked) return again(CODES[signal]);
    asked = true;
    first(signal);
  };
  const signals = Object.keys(CODES) as (keyof typeof CODES)[];
  for (const signal of signals) process.on(signal, handle);
  return () => {
    for (const signal of signals) process.off(signal, handle);
  };
}
