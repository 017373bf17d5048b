/** A fault of a file: where, what, and how it is shown. */
import pico from 'picocolors';
import { escape_text } from '../foundation/escape.ts';

/** Both count from 1; a column counts UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Fault extends Position {
  readonly file: string;
  readonly message: string;
}

/** Faults at the same place keep their order. */
export function in_file_order(faults: readonly Fault[]): Fault[] {
  return [...faults].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Line breaks of YAML 1.2 (5.4). */
const BREAK = /\r\n|\n|\r/g;

/** Turns offsets into positions; the table of line starts is built once. */
export function position_table(text: string): (offset: number) => Position {
  const starts = [0];
  for (const found of text.matchAll(BREAK)) starts.push(found.index + found[0].length);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}

/** Lines of context above and below the faulty one. */
const CONTEXT = 2;
/** Columns of the file in a frame; a longer line is shown around the caret. */
const WIDTH = 110;

/** Each fault as `file:line:column message` with a code frame below; ends without a line break. */
export function render_faults(faults: readonly Fault[], text: string, colour: boolean): string {
  const colours = pico.createColors(colour);
  const lines = text.replace(/^\ufeff|[\r\n]+$/g, '').split(BREAK);
  return faults
    .map((fault) => {
      const place = `${escape_text(fault.file, 1000)}:${fault.line}:${fault.column}`;
      const head = `${colours.bold(place)} ${colours.red(escape_text(fault.message, 2000))}`;
      return [head, ...frame(lines, fault, colours)].join('\n');
    })
    .join('\n\n');
}

function frame(
  lines: readonly string[],
  { line, column }: Position,
  colours: ReturnType<typeof pico.createColors>,
): string[] {
  const last = Math.max(line, Math.min(lines.length, line + CONTEXT));
  const gutter = String(last).length;
  // One window for all lines of the frame keeps them aligned.
  const from = column <= WIDTH - 20 ? 0 : column - 1 - WIDTH / 2;
  const shown: string[] = [];
  for (let number = Math.max(1, line - CONTEXT); number <= last; number++) {
    const source = lines[number - 1] ?? ''; // a fault at the end of the file stands behind the last line
    const before = from > 0 ? '…' : '';
    const cut = escape_text(source.slice(from, from + WIDTH), WIDTH);
    const after = source.length > from + WIDTH ? '…' : '';
    const label = String(number).padStart(gutter);
    const mark = number === line ? colours.red('>') : ' ';
    shown.push(`${mark} ${colours.dim(`${label} |`)} ${before}${cut}${after}`.trimEnd());
    if (number === line) {
      const width = before.length + escape_text(source.slice(from, column - 1), WIDTH).length;
      shown.push(`  ${' '.repeat(gutter)} ${colours.dim('|')} ${' '.repeat(width)}${colours.red('^')}`);
    }
  }
  return shown;
}
