/**
 * Echo, prompt, history and completion for a telnet session that agreed to them: node:readline/promises on a pair of
 * streams.
 */
import { createInterface, type Interface } from 'node:readline/promises';
import { Readable, Writable } from 'node:stream';
import { complete } from '../grammar/table.ts';
import { LINE_LIMIT } from './lines.ts';

const PROMPT = 'swarm> ';
const HISTORY = 100;
/**
 * bytes given to readline at a time; it reads the whole line again for each character, so an endless line must be
 * noticed soon
 */
const PIECE = 512;
const TAB = 9;
const [MIN_COLUMNS, MAX_COLUMNS] = [20, 1000];

interface EditorEvents {
  line(text: string): void;
  /** text for the client's screen */
  output(text: string): void;
  /** Ctrl-C */
  interrupt(): void;
  /** Ctrl-D on an empty line; the editor is closed */
  end(): void;
  too_long(): void;
}

export class Editor {
  readonly #readline: Interface;
  readonly #events: EditorEvents;
  readonly #input = new Readable({ read() {} });
  readonly #screen: Writable & { columns: number };
  /** the prompt is on the screen */
  #prompting = false;
  #closed = false;

  constructor(columns: number, events: EditorEvents) {
    this.#events = events;
    const screen = new Writable({
      decodeStrings: false,
      write(text, _encoding, done) {
        events.output(String(text));
        done();
      },
    });
    this.#screen = Object.assign(screen, { columns: clamped(columns) });
    // Not node:readline itself: that one switches editing off when the daemon's own TERM is `dumb`, whatever the
    // client's is.
    this.#readline = createInterface({
      input: this.#input,
      output: this.#screen,
      terminal: true,
      prompt: PROMPT,
      historySize: HISTORY,
      removeHistoryDuplicates: true,
      crlfDelay: Infinity,
      completer: complete,
    });
    this.#readline.on('line', (text) => {
      this.#prompting = false;
      events.line(text);
    });
    this.#readline.on('history', (history: string[]) => {
      if (/^\s*auth\b/i.test(history[0] ?? '')) history.shift();
    });
    this.#readline.on('SIGINT', () => this.interrupt());
    // Without a listener, readline would stop the daemon's own process at a Ctrl-Z.
    this.#readline.on('SIGTSTP', () => {});
    this.#readline.on('close', () => {
      if (this.#closed) return;
      this.close();
      events.end();
    });
    this.#input.on('data', () => {
      if (this.#readline.line.length > LINE_LIMIT && !this.#closed) events.too_long();
    });
  }

  /**
   * Takes what was typed. Telnet's Enter is CR NUL or CR LF: the NUL is dropped here, the LF by readline. A piece ends
   * at each TAB: readline completes in a later turn and pauses its input until then, which holds back only whole
   * pieces.
   */
  push(bytes: Buffer): void {
    const typed = bytes.filter((byte) => byte !== 0);
    for (let from = 0; from < typed.length;) {
      const tab = typed.indexOf(TAB, from);
      const to = Math.min(from + PIECE, tab < 0 ? typed.length : tab + 1);
      this.#input.push(typed.subarray(from, to));
      from = to;
    }
  }

  /** Shows the prompt, with what was typed ahead. */
  prompt(): void {
    this.#prompting = true;
    this.#readline.prompt(true);
  }

  /** Prints whole lines, above the prompt if there is one. */
  print(text: string): void {
    const typing = this.#prompting || this.#readline.line !== '';
    // Readline takes the cursor to be `rows` below the prompt and goes up from there, so give it that many lines.
    const rows = this.#prompting ? this.#readline.getCursorPos().rows : 0;
    const erase = typing ? `${'\x1b[A'.repeat(rows)}\r\x1b[J` : '';
    this.#events.output(`${erase}${text}${'\r\n'.repeat(rows)}`);
    if (this.#prompting) this.#readline.prompt(true);
  }

  /** Does what Ctrl-C does: clears the line. */
  interrupt(): void {
    this.#readline.write(null, { ctrl: true, name: 'e' });
    this.#readline.write(null, { ctrl: true, name: 'u' });
    this.#events.output('^C\r\n');
    this.#events.interrupt();
    if (this.#prompting) this.#readline.prompt(true);
  }

  resize(columns: number): void {
    this.#screen.columns = clamped(columns);
    if (this.#prompting) this.#screen.emit('resize');
  }

  /** Leaves the cursor at the start of a line. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#prompting) this.#events.output('\r\n');
    this.#readline.close();
  }
}

/** 0 columns mean that the client does not know (RFC 1073). */
function clamped(columns: number): number {
  return columns === 0 ? 80 : Math.min(Math.max(columns, MIN_COLUMNS), MAX_COLUMNS);
}
