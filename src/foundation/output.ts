/** stdout or stderr as a sink that can neither end the run nor grow: a reader that is gone or slow loses lines, nothing else. */
import type { Writable } from 'node:stream';
import { within } from './within.ts';

/** Bytes that may wait for a slow reader; what comes beyond is dropped. */
const MAX_WAITING = 1024 * 1024;

type Sink = Writable & { isTTY?: boolean; columns?: number };

/**
 * Makes writes to a pipe return at once again. O_NONBLOCK belongs to the open pipe, not to this process: whoever shares it may clear
 * it, and libuv does so in each child that inherits stdout or stderr, as esbuild's does. The next write to a pipe that is full would
 * then stop this process until somebody reads. Node has no public call for it; streams without such a handle (files, which never
 * block) are left alone, and terminals, which Node makes blocking on purpose.
 */
function unblock(stream: Sink): void {
  if (stream.isTTY === true) return;
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (is_blocking: boolean) => unknown } | null };
  handle?.setBlocking?.(false);
}

export class Output {
  readonly #stream: Sink;
  #failed = false;
  #dropped = 0;

  constructor(stream: Sink) {
    this.#stream = stream;
    // EPIPE, ENOSPC, EIO of a terminal that went away: there is nobody left to tell.
    stream.on('error', () => (this.#failed = true));
  }

  get is_tty(): boolean {
    return this.#stream.isTTY === true;
  }

  /** How many characters fit on a line: 80 where a terminal does not tell, Infinity when it is none. */
  get columns(): number {
    return this.is_tty ? this.#stream.columns || 80 : Infinity;
  }

  write(text: string): void {
    if (this.#failed) return;
    if (this.#stream.writableLength > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    try {
      unblock(this.#stream);
      if (this.#dropped > 0) this.#stream.write(`(lines dropped because nobody read them: ${this.#dropped})\n`);
      this.#dropped = 0;
      this.#stream.write(text);
    } catch {
      this.#failed = true;
    }
  }

  line(text: string): void {
    this.write(`${text}\n`);
  }

  /** Resolves when everything written is out, after `deadline_ms` at the latest. */
  async flush(deadline_ms: number): Promise<void> {
    if (this.#failed || this.#stream.writableLength === 0) return;
    const out = new Promise<void>((resolve) => void this.#stream.write('', () => resolve()));
    await within(out, deadline_ms, () => undefined);
  }
}
