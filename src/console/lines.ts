/** Makes lines of the bytes of a session without the editor: `nc`, scripts, telnet before it agreed to be echoed. */

/** most bytes in a line, without its end */
export const LINE_LIMIT = 4096;

const [NUL, BACKSPACE, TAB, LF, CR, SPACE, DELETE] = [0, 8, 9, 10, 13, 32, 127];

type LineEvent = { type: 'line'; text: string } | { type: 'bad'; reason: string };

/**
 * A line ends with LF, CR LF or CR NUL (RFC 854), wherever the chunks are cut. CR ends it at once, so that nothing
 * waits for a second byte; an LF or NUL that follows is dropped. BS and DEL erase a character. After a `bad` event it
 * takes nothing more.
 */
export class LineAssembler {
  readonly #line = Buffer.alloc(LINE_LIMIT);
  #length = 0;
  #after_cr = false;
  #bad = false;

  push(bytes: Buffer): LineEvent[] {
    const events: LineEvent[] = [];
    for (const byte of bytes) {
      if (this.#bad) break;
      const swallowed = this.#after_cr && (byte === LF || byte === NUL);
      this.#after_cr = byte === CR;
      if (swallowed) continue;
      if (byte === CR || byte === LF) events.push({ type: 'line', text: this.rest() });
      else if (byte === BACKSPACE || byte === DELETE) this.#erase();
      else if (byte < SPACE && byte !== TAB) events.push(this.#fail('a control character'));
      else if (this.#length === LINE_LIMIT) events.push(this.#fail(`a line of more than ${LINE_LIMIT} bytes`));
      else this.#line[this.#length++] = byte;
    }
    return events;
  }

  /** Takes out what was read of a line that has no end yet. */
  rest(): string {
    const text = this.#line.toString('utf8', 0, this.#length);
    this.#length = 0;
    return text;
  }

  /** Erases one character: in UTF-8 its first byte and the bytes 10xxxxxx after it. */
  #erase(): void {
    while (this.#length > 0 && (this.#line[--this.#length]! & 0xc0) === 0x80);
  }

  #fail(reason: string): LineEvent {
    this.#bad = true;
    return { type: 'bad', reason };
  }
}
