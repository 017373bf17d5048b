/** The end of the process: asked for by swarm, or by code of the module that had no right to. */
import { writeSync } from 'node:fs';

let is_ours = false;

/** What swarm's own code calls instead of `process.exit`. */
export function exit(code: number): never {
  is_ours = true;
  process.exit(code);
}

/**
 * Makes an end of this process that {@link exit} did not ask for a failure: exit code 1, and a word on stderr about who called
 * `process.exit`. Without it a module that calls `process.exit(0)` would end a run without a summary, as if all had gone well.
 */
export function guard_exit(): void {
  process.on('exit', (code) => {
    if (is_ours) return;
    process.exitCode = 1;
    const frames = (new Error().stack ?? '').split('\n');
    // `process.exit (node:…`, or from a timer `Timeout.exit [as _onTimeout] (node:…`
    const call = frames.findIndex((frame) => /at \S*\bexit\b.*\(node:/.test(frame));
    // an uncaught error: Node has said it
    if (call < 0) return;
    const callers = frames.slice(call + 1).map((frame) => `\n${frame}`);
    write_last(2, `swarm: ended half-way and without a summary: process.exit(${code}) was called${callers.join('')}\n`);
  });
}

/** At the end of a process nothing is written later any more; `process.stdout` and `process.stderr` may be the module's by then. */
export function write_last(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, text);
  } catch {
    // nobody reads it, or it is full
  }
}
