/**
 * Recognises other protocols that reach the console's port by mistake or by malice. A web page can make a browser send
 * HTTP requests to a loopback port, and a mail server or a memcached client can be told to talk to it, each with our
 * commands on lines of their own. None of their lines may be carried out. Their common trait: the first line of each is
 * not a command of ours.
 */
import type { Parsed } from '../grammar/table.ts';

/**
 * Commands that take any words: `MARK /x HTTP/1.1` and redis' `AUTH x` have their shape too. The next line shows who is
 * there.
 */
const ANYBODYS = ['mark', 'annotate', 'auth'];

const HTTP = /\sHTTP\/\d/i;

/**
 * What a line says of a client that has given no command yet. `ours`: nobody else writes such a line; `unsure`: the
 * next one tells; `bad`: why the session is closed.
 */
export function introduction(line: string, parsed: Parsed): 'ours' | 'unsure' | { bad: string } {
  if (parsed.ok) return ANYBODYS.includes(parsed.request.op) ? 'unsure' : 'ours';
  if (HTTP.test(line)) return { bad: 'this is not HTTP' };
  return { bad: `closed, for the first line is no command: ${parsed.reason}` };
}

/** Whether the client wants TLS: it begins with a handshake record (22), version 3.x (RFC 8446, 5.1). */
export function is_tls(first: Buffer): boolean {
  return first[0] === 0x16 && (first.length === 1 || first[1] === 0x03);
}
