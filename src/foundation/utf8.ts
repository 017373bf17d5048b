/** Finds bytes that are not UTF-8: reading them as text would silently turn them into U+FFFD. */
import { isUtf8 } from 'node:buffer';

/** The place of the first byte that is not UTF-8. */
export interface BadByte {
  /** from 1 */
  readonly line: number;
  /** from 1, in characters */
  readonly column: number;
  /** two hexadecimal digits */
  readonly byte: string;
}

/** Null when all of it is UTF-8. */
export function bad_byte(bytes: Buffer): BadByte | null {
  if (isUtf8(bytes)) return null;
  let start = 0;
  for (let line = 1; ; line++) {
    // the byte of a line end is no part of another character
    const end = bytes.indexOf(10, start);
    const text = bytes.subarray(start, end < 0 ? bytes.length : end);
    if (!isUtf8(text)) return { line, ...first_in(text) };
    start = end + 1;
  }
}

function first_in(text: Buffer): { column: number; byte: string } {
  for (let at = 0, column = 1; ; column++) {
    const lead = text[at]!;
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!isUtf8(text.subarray(at, at + size))) return { column, byte: lead.toString(16) };
    at += size;
  }
}

export const bad_byte_text = ({ byte }: BadByte): string =>
  `the byte ${byte} is no UTF-8: save the file in UTF-8 (iconv -f latin1 -t utf8)`;
