/** stdout or stderr as a sink that can neither end the run nor grow: a reader that is gone or slow loses lines, nothing else. */
import type { Writable } from 'node:stream';

/** Bytes that may wait for a slow reader; what comes beyond is dropped. */
const MAX_WAITING = 1024 * 1024;

export class Output {
  readonly #stream: Writable & { isTTY?: boolean; columns?: number };
  #failed = false;
  #dropped = 0;

  constructor(stream: Writable & { isTTY?: boolean; columns?: number }) {
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
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadline_ms);
      this.#stream.write('', () => resolve());
    });
    clearTimeout(timer);
  }
}
