/** What a process printed on stderr when it died, such as an assertion of Node with its stack of machine code. */
import { escape_text } from '../foundation/escape.ts';

/** characters: an assertion of Node comes before up to a hundred frames */
const MAX_KEPT = 16 * 1024;
/** ms: text printed so long before the rest has nothing to do with the death */
const PAUSE_MS = 2000;
const MAX_TOLD = 300;

const CAUSE = /assertion|fatal|out of memory|abort|panic|error\b/i;
/** ` 1: 0xb7a940 node::Abort() [node]`, `    at f (file.js:1:2)`, `----- Native stack trace -----` */
const FRAME = /^\s*(\d+:\s|at\s|#\d+\s|-{3,}|\^|$)/;

/** `10: file:///protocols/x.js:29:33`: where the JavaScript was that ran */
const PLACE = /^\d+:\s(.*file:.*)$/;
/** how Node begins each line of an assertion: first its place in Node, then its text */
const NODES = /^\s*#\s+/;

export class LastWords {
  #text = '';
  #heard_at = -Infinity;

  /** `now`: ms, monotonic */
  hear(text: string, now: number): void {
    if (now - this.#heard_at > PAUSE_MS) this.#text = '';
    this.#heard_at = now;
    this.#text = `${this.#text}${text.slice(-MAX_KEPT)}`.slice(-MAX_KEPT);
  }

  /**
   * The line that names the cause, else the last one that is no stack frame, else the first place in a JavaScript file.
   * One line, safe to print. Null: it printed nothing when it died.
   */
  told(now: number): string | null {
    if (now - this.#heard_at > PAUSE_MS) return null;
    const all = this.#text.split('\n');
    const lines = all.filter((line) => !FRAME.test(line));
    const found = lines.findIndex((line) => CAUSE.test(line));
    const [cause, before] = found < 0 ? [lines.at(-1)] : [lines[found], lines[found - 1]];
    if (cause === undefined) {
      const [, place] = all.map((line) => PLACE.exec(line)).find((match) => match !== null) ?? [];
      return place === undefined ? null : escape_text(`at ${place}`, MAX_TOLD);
    }
    const where = before !== undefined && NODES.test(before) && NODES.test(cause) ? ` (${bare(before)})` : '';
    return escape_text(`${bare(cause)}${where}`, MAX_TOLD);
  }
}

const bare = (line: string): string => line.replace(NODES, '').trim();
