/**
 * Catches what the user's module does outside a call: it prints, throws from its own timers, rejects promises nobody
 * awaits. None of it reaches stdout or ends the process; it is counted, and logged within bounds.
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

/** Most kinds of bugs that are logged; more are only counted. */
const MAX_KINDS = 100;
/** Most stacks that are searched for new kinds: a source-mapped stack costs up to a millisecond. */
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

/** Whether the module's code threw: a frame is in a file that is neither Node's nor swarm's, or there are no frames. */
export function is_module_error(error: unknown): boolean {
  const frames = frames_of(error instanceof Error ? (error.stack ?? '') : '').filter((frame) => !is_node(frame));
  return frames.length === 0 || frames.some((frame) => !is_own(frame));
}

/** Logs the first stack of each kind of bug; a kind is an error name and the innermost frame in the user's file. */
export class BugLog {
  readonly #kinds = new Set<string>();
  #looked = 0;
  readonly #note: (note: Note) => void;
  constructor(note: (note: Note) => void) {
    this.#note = note;
  }

  /** `whose`: whom it happened to first; not part of the kind. */
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
 * Sends what the module prints to `note`, as far as {@link PrintLimit} lets it, and its stray errors to `stray`; errors
 * of swarm itself go to `internal`. swarm's own output took its streams before. Returns the undo, and how many lines
 * were dropped so far.
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
      // a module that ends the stream and writes on hears of it by its callback
    }).on('error', () => {});
  const streams = { stdout: sink('info'), stderr: sink('warn') };
  const real = globalThis.console;
  const guarded = new Console({ ...streams, colorMode: false });
  globalThis.console = guarded;
  const restore_streams = lend_streams(streams);
  const restore_shared = lend_methods(guarded);
  const on_error = (error: unknown): void => {
    // a failed call, passed on by a promise of the module: the round was counted already
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

/**
 * Replaces `process.stdout` and `process.stderr`, however they are imported. Returns the undo. Node's own are made on
 * first use and not changed.
 */
function lend_streams(streams: Readonly<Record<'stdout' | 'stderr', Writable>>): () => void {
  const names = ['stdout', 'stderr'] as const;
  const own = names.map((name) => Object.getOwnPropertyDescriptor(process, name)!);
  for (const name of names)
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => streams[name] });
  return () => names.forEach((name, i) => Object.defineProperty(process, name, own[i]!));
}

/** Makes `import … from 'node:console'`, an object of Node's own, print as `guarded` does. Returns the undo. */
function lend_methods(guarded: Console): () => void {
  const own = { ...shared_console };
  Object.assign(shared_console, guarded);
  syncBuiltinESMExports();
  return () => {
    Object.assign(shared_console, own);
    syncBuiltinESMExports();
  };
}
