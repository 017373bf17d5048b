/** Bytes and texts from outside, made safe for a terminal, a log and a line of JSON. */

/**
 * At most `max` bytes as printable ASCII: `\r`, `\n`, `\t`, `\\`, `\"`, and `\xNN` for the rest. Ends with
 * `…(+N bytes)` when there were more.
 */
export function escape_bytes(bytes: Uint8Array, max: number): string {
  let text = '';
  const end = Math.min(bytes.length, max);
  for (let i = 0; i < end; i++) text += ESCAPED[bytes[i]!]!;
  return bytes.length > max ? `${text}…(+${bytes.length - max} bytes)` : text;
}

const SHORT: Record<number, string> = { 9: '\\t', 10: '\\n', 13: '\\r', 34: '\\"', 92: '\\\\' };
const ESCAPED = Array.from(
  { length: 256 },
  (_, byte) =>
    SHORT[byte] ?? (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`),
);

/**
 * Characters that a terminal obeys, or that make it show others elsewhere: C0, DEL, C1, line and paragraph separators,
 * bidi marks.
 */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** At most `most` characters of `text`, then `…` if there were more. */
export const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text);

/** A text on one line, safe for a terminal, cut to `max` characters. */
export function escape_text(text: string, max: number): string {
  return cut(text, max).replace(UNSAFE, escaped);
}

/** A text made safe for a terminal that keeps its lines and tabs, such as a stack. */
export function escape_lines(text: string): string {
  return text.replace(UNSAFE, (char) => (char === '\n' || char === '\t' ? char : escaped(char)));
}

/** JSON on one line, safe for a terminal and still the same JSON. */
export function escape_json(json: string): string {
  return json.replace(UNSAFE, unicode);
}

function escaped(char: string): string {
  const code = char.charCodeAt(0);
  return ESCAPED[code] ?? unicode(char);
}

const unicode = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
