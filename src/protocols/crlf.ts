/** The reply of the original `swarm`: a line that ends with CR LF. */
import { line } from './framers.ts';
import type { Framer } from './parser.ts';

const CRLF = line('\r\n');

/**
 * Replies that end with CR LF. Resolves with the line as a string (UTF-8), without CR LF. Every call returns the same
 * framer.
 */
export function reply_parser_crlf(): Framer<string> {
  return CRLF;
}
