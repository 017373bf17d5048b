/**
 * Other protocols that end up at the console's port by mistake or by malice: a web page can make a browser send HTTP requests to
 * a loopback port, with commands in their body. None of their bytes may be taken for a command.
 */

const REQUEST_LINE =
  /^\s*(get|head|post|put|delete|connect|options|trace|patch)\s+(\/|\*|[a-z][a-z0-9+.-]*:\/\/|\S+\s+http\/)/i;

/** A request line (verb first; no console command looks like it) or a `Host:` header, which no browser leaves out; after blanks too. */
export function is_http(line: string): boolean {
  return REQUEST_LINE.test(line) || /^\s*host\s*:/i.test(line);
}

/** How a connection begins that wants TLS: handshake record (22), version 3.x (RFC 8446, 5.1). */
export function is_tls(first: Buffer): boolean {
  return first[0] === 0x16 && (first.length === 1 || first[1] === 0x03);
}
