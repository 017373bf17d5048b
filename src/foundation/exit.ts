/** The end of the process: asked for by swarm, or by code of the module, which has no right to. */
import { writeSync } from 'node:fs';

/** of a run whose load could not be played to its end */
export const EXIT_LOAD = 98;

let is_ours = false;

/** What swarm's own code calls instead of `process.exit`. */
export function exit(code: number): never {
  is_ours = true;
  process.exit(code);
}

/**
 * An end of this process that {@link exit} did not ask for becomes a failure: exit code 1, and stderr says who called
 * `process.exit`. Without this a module that calls `process.exit(0)` would end a run without a summary, as if all had
 * gone well.
 */
export function guard_exit(): void {
  process.on('exit', (code) => {
    if (is_ours) return;
    process.exitCode = 1;
    const frames = (new Error().stack ?? '').split('\n');
    // `process.exit (node:…`, or from a timer `Timeout.exit [as _onTimeout] (node:…`
    const call = frames.findIndex((frame) => /at \S*\bexit\b.*\(node:/.test(frame));
    // an uncaught error, which Node has printed
    if (call < 0) return;
    const callers = frames.slice(call + 1).map((frame) => `\n${frame}`);
    write_last(2, `swarm: ended half-way and without a summary: process.exit(${code}) was called${callers.join('')}\n`);
  });
}

/**
 * Writes at once, as nothing is written later at the end of a process. The module may have replaced `process.stdout`
 * and `process.stderr`.
 */
export function write_last(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // nobody reads it, or there is no room
  }
}
