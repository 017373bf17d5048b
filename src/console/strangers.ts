/**
 * Other protocols that end up at the console's port by mistake or by malice: a web page can make a browser send HTTP requests to a loopback
 * port, a mail server or a memcached client can be told to talk to it, each with our commands on lines of their own. None of their lines
 * may be carried out. What they have in common: the first line of each is no command of ours.
 */
import type { Parsed } from '../grammar/table.ts';

/** Take any words: `MARK /x HTTP/1.1` and redis' `AUTH x` have that shape too, so what follows shows who is there. */
const ANYBODYS = ['mark', 'auth'];

const HTTP = /\sHTTP\/\d/i;

/**
 * What a line says of who sends it that has said no command yet. `ours`: nobody else writes such a line; `unsure`: the next one tells; otherwise
 * why the session is closed.
 */
export function introduction(line: string, parsed: Parsed): 'ours' | 'unsure' | { bad: string } {
  if (parsed.ok) return ANYBODYS.includes(parsed.request.op) ? 'unsure' : 'ours';
  if (HTTP.test(line)) return { bad: 'this is not HTTP' };
  return { bad: `closed, for the first line is no command: ${parsed.text}` };
}

/** How a connection begins that wants TLS: handshake record (22), version 3.x (RFC 8446, 5.1). */
export function is_tls(first: Buffer): boolean {
  return first[0] === 0x16 && (first.length === 1 || first[1] === 0x03);
}
