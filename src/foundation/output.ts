/**
 * stdout or stderr as a sink that never ends the run and never grows. A reader that is gone or slow, or a full disk,
 * loses lines and nothing else.
 */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { reason_of } from './errors.ts';
import { write_all } from './files.ts';
import { within } from './within.ts';

/** Bytes that may wait for a slow reader; what comes beyond is dropped. */
const MAX_WAITING = 1024 * 1024;

type OutputStream = Writable & { fd?: number; isTTY?: boolean; columns?: number };

/**
 * Makes writes to a pipe return at once again. O_NONBLOCK belongs to the open pipe, not to this process: whoever shares
 * the pipe may clear it. libuv does so in each child that inherits stdout or stderr, as esbuild's does. The next write
 * to a full pipe would then stop this process until somebody reads. Node has no public call for this. Terminals are
 * left alone: Node makes them blocking on purpose.
 */
function unblock(stream: OutputStream): void {
  if (stream.isTTY === true) return;
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (is_blocking: boolean) => unknown } | null };
  handle?.setBlocking?.(false);
}

/**
 * The descriptor of the file behind a stream; null for a pipe or a terminal. Output writes to files itself: on a nearly
 * full disk, Node's stream takes a partial write for a whole one, and on a full disk it gives up for good.
 */
function file_of({ fd, isTTY }: OutputStream): number | null {
  if (fd === undefined || isTTY === true) return null;
  const found = fstatSync(fd);
  return found.isFile() || found.isCharacterDevice() ? fd : null;
}

/** Takes what stands in the last line of a terminal away. */
const CLEAR = '\r\x1b[2K';

/** A line that stays below all others; '' if there is none. The outputs of one terminal share it. */
export interface Footer {
  text: string;
}

export class Output {
  readonly #stream: OutputStream;
  readonly #footer: Footer;
  readonly #file: number | null;
  #failed = false;
  #dropped = 0;
  /** why the last write to the file failed; null: it did not */
  #fault: string | null = null;

  constructor(stream: OutputStream, footer: Footer = { text: '' }) {
    this.#stream = stream;
    this.#footer = footer;
    this.#file = file_of(stream);
    // EPIPE, or EIO of a terminal that went away: nobody is left to tell
    stream.on('error', () => (this.#failed = true));
  }

  get is_tty(): boolean {
    return this.#stream.isTTY === true;
  }

  /** A terminal on which a line can be written anew. */
  get redraws(): boolean {
    return this.is_tty && process.env.TERM !== 'dumb';
  }

  /** How many characters fit on a line: 80 when a terminal does not tell, Infinity when it is no terminal. */
  get columns(): number {
    return this.is_tty ? this.#stream.columns || 80 : Infinity;
  }

  /** Why the last text is not in the file; null when it is, and for a pipe or a terminal. */
  get fault(): string | null {
    return this.#fault;
  }

  write(text: string): void {
    const { text: footer } = this.#footer;
    if (this.#file !== null) this.#write_file(this.#file, text);
    else if (!this.is_tty || footer === '') this.#write_stream(text);
    else this.#write_stream(`${CLEAR}${text}${text.endsWith('\n') ? footer : ''}`);
  }

  /** From now on this line stays below all others, where it {@link redraws}; '' for none. */
  keep_below(text: string): void {
    if (!this.redraws || text === this.#footer.text) return;
    this.#footer.text = text;
    this.#write_stream(`${CLEAR}${text}`);
  }

  #write_stream(text: string): void {
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

  /** Tries every time: a full disk may have room again. */
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
