/**
 * What the user's module does outside a call: prints, throws from its own timers, rejects promises nobody awaits. Kept away from
 * stdout and from the life of the process: counted, logged within bounds.
 */
import { syncBuiltinESMExports } from 'node:module';
import shared_console, { Console } from 'node:console';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { reason_of } from '../../foundation/errors.ts';
import { PrintLimit } from '../../foundation/print-limit.ts';
import { WrongReply } from '../../protocols/parser.ts';
import { CallError } from '../client/call-error.ts';
import type { Note } from '../plan/account.ts';

/** Different bugs told in full; more are only counted. */
const MAX_KINDS = 100;
/** Stacks looked at before giving up on finding new kinds: a source-mapped stack costs up to a millisecond. */
const MAX_STACKS = 2000;

/** swarm's own code: this file is two folders below src/ or dist/. */
const OWN = fileURLToPath(new URL('../..', import.meta.url));

const frames_of = (stack: string): string[] =>
  stack
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line.startsWith('at '));

const is_own = (frame: string): boolean => frame.includes(OWN);
const is_node = (frame: string): boolean =>
  frame.includes('(node:') || frame.startsWith('at node:') || frame.includes('(<anonymous>)');

/** Was it the module's code that threw? A frame in a file that is neither Node's nor ours says so; an error without frames is not ours. */
export function is_module_error(error: unknown): boolean {
  const frames = frames_of(error instanceof Error ? (error.stack ?? '') : '').filter((frame) => !is_node(frame));
  return frames.length === 0 || frames.some((frame) => !is_own(frame));
}

/** Logs the first stack of each kind of bug: error name and innermost frame in the user's file. */
export class BugLog {
  readonly #kinds = new Set<string>();
  #looked = 0;
  readonly #note: (note: Note) => void;
  constructor(note: (note: Note) => void) {
    this.#note = note;
  }

  /** `whose`: who it happened to first; not part of the kind. */
  add(what: string, error: unknown, whose = ''): void {
    if (this.#kinds.size >= MAX_KINDS || ++this.#looked > MAX_STACKS) return;
    const stack = error instanceof Error ? (error.stack ?? '') : '';
    const users = frames_of(stack).filter((line) => !is_node(line) && !is_own(line));
    const name = error instanceof Error ? error.name : typeof error;
    const kind = `${what} ${name} ${users[0] ?? reason_of(error)}`;
    if (this.#kinds.has(kind)) return;
    this.#kinds.add(kind);
    const where = users.slice(0, 10).map((line) => `\n    ${line}`);
    const shown = error instanceof Error ? `${name}: ${reason_of(error)}` : `threw ${name} ${reason_of(error)}`;
    this.#note({ level: 'error', text: `${what}${whose && ` in ${whose}`}: ${shown}${where.join('')}`.slice(0, 4000) });
  }
}

/**
 * Sends what the module prints to `note`, as much as {@link PrintLimit} lets through, and its stray errors to `stray`; errors that are not
 * the module's go to `internal`. Whoever prints with swarm's own right has taken its stream before. Returns the undo, and how many lines were
 * dropped so far.
 */
export function guard_module(options: {
  note(note: Note): void;
  stray(error: unknown): void;
  internal(error: unknown): void;
}): { dropped(): number; undo(): void } {
  const limit = new PrintLimit();
  const sink = (level: Note['level']): Writable =>
    new Writable({
      decodeStrings: false,
      write(chunk: string | Buffer, _encoding, done) {
        for (const text of limit.take(String(chunk))) options.note({ level, text });
        done();
      },
      // a module that ended it and writes on is told so by its callback
    }).on('error', () => {});
  const streams = { stdout: sink('info'), stderr: sink('warn') };
  const real = globalThis.console;
  const guarded = new Console({ ...streams, colorMode: false });
  globalThis.console = guarded;
  const restore_streams = lend_streams(streams);
  const restore_shared = lend_methods(guarded);
  const on_error = (error: unknown): void => {
    // a call that failed, and somebody's own promise behind it: the round was counted already
    if (error instanceof CallError || error instanceof WrongReply) return;
    if (is_module_error(error)) options.stray(error);
    else options.internal(error);
  };
  process.on('uncaughtException', on_error);
  process.on('unhandledRejection', on_error);
  return {
    dropped: () => limit.dropped,
    undo() {
      globalThis.console = real;
      restore_streams();
      restore_shared();
      process.off('uncaughtException', on_error);
      process.off('unhandledRejection', on_error);
    },
  };
}

/** What `process.stdout` and `process.stderr` are, however they are imported: Node's own are made on first use and stay as they are. */
function lend_streams(streams: Readonly<Record<'stdout' | 'stderr', Writable>>): () => void {
  const names = ['stdout', 'stderr'] as const;
  const own = names.map((name) => Object.getOwnPropertyDescriptor(process, name)!);
  for (const name of names)
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => streams[name] });
  return () => names.forEach((name, i) => Object.defineProperty(process, name, own[i]!));
}

/** What `import … from 'node:console'` gives prints as `guarded` does: it is Node's own object, whatever the global is. Returns the undo. */
function lend_methods(guarded: Console): () => void {
  const own = { ...shared_console };
  Object.assign(shared_console, guarded);
  syncBuiltinESMExports();
  return () => {
    Object.assign(shared_console, own);
    syncBuiltinESMExports();
  };
}
