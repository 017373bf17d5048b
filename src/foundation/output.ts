/** stdout or stderr as a sink that can neither end the run nor grow: a reader that is gone or slow, or a disk that is full, loses lines, nothing else. */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { reason_of } from './errors.ts';
import { write_all } from './files.ts';
import { within } from './within.ts';

/** Bytes that may wait for a slow reader; what comes beyond is dropped. */
const MAX_WAITING = 1024 * 1024;

type OutputStream = Writable & { fd?: number; isTTY?: boolean; columns?: number };

/**
 * Makes writes to a pipe return at once again. O_NONBLOCK belongs to the open pipe, not to this process: whoever shares it may clear
 * it, and libuv does so in each child that inherits stdout or stderr, as esbuild's does. The next write to a pipe that is full would
 * then stop this process until somebody reads. Node has no public call for it; terminals are left alone, which Node makes blocking on purpose.
 */
function unblock(stream: OutputStream): void {
  if (stream.isTTY === true) return;
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (is_blocking: boolean) => unknown } | null };
  handle?.setBlocking?.(false);
}

/**
 * The number of the open file behind a stream, or null: a pipe, a terminal. To a file Output writes by itself, since Node's stream takes a part for the whole
 * on a disk that is nearly full, and gives up for good when it is full.
 */
function file_of({ fd, isTTY }: OutputStream): number | null {
  if (fd === undefined || isTTY === true) return null;
  const found = fstatSync(fd);
  return found.isFile() || found.isCharacterDevice() ? fd : null;
}

export class Output {
  readonly #stream: OutputStream;
  readonly #file: number | null;
  #failed = false;
  #dropped = 0;
  /** why the last write to a file did not succeed; null: it did */
  #fault: string | null = null;

  constructor(stream: OutputStream) {
    this.#stream = stream;
    this.#file = file_of(stream);
    // EPIPE, EIO of a terminal that went away: there is nobody left to tell.
    stream.on('error', () => (this.#failed = true));
  }

  get is_tty(): boolean {
    return this.#stream.isTTY === true;
  }

  /** How many characters fit on a line: 80 where a terminal does not tell, Infinity when it is none. */
  get columns(): number {
    return this.is_tty ? this.#stream.columns || 80 : Infinity;
  }

  /** Why a file lacks what was written last; null: it is there, or whoever should have read it went away. */
  get fault(): string | null {
    return this.#fault;
  }

  write(text: string): void {
    if (this.#file !== null) this.#write_file(this.#file, text);
    else if (!this.#failed) this.#write_stream(text);
  }

  #write_stream(text: string): void {
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

  /** A full disk may have room again: each write is tried. */
  #write_file(file: number, text: string): void {
    try {
      if (this.#dropped > 0) write_all(file, `\n(lines lost: ${this.#dropped}, ${this.#fault})\n`);
      this.#dropped = 0;
      write_all(file, text);
      this.#fault = null;
    } catch (error) {
      this.#dropped++;
      this.#fault = reason_of(error);
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
