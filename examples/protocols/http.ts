/**
 * HTTP/1.1 over connections that are kept alive (RFC 9112): enough to load a server with GET, one request at a time per connection.
 * The value of a reply is its status; its body is counted and let go.
 */
import { wrong_reply, type FakeClient, type Framer } from 'swarm';

const CRLF = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

/** Replies whose head tells their length (Content-Length), and those that come in chunks. */
export const response: Framer<number> = {
  // `seen` is no help: once the head is here it lies before it, and where the chunks stood is not kept.
  frame(buffer, start, end) {
    const body = after(HEAD_END, buffer, start, end);
    if (body === 0) return 0;
    const head = buffer.toString('latin1', start, body);
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head)?.[1];
    if (status === undefined) throw wrong_reply(`not a status line of HTTP/1.1: ${JSON.stringify(head.slice(0, 40))}`);
    if (status === '204' || status === '304') return body - start;
    if (/\r\ntransfer-encoding:.*\bchunked[ \t]*\r\n/i.test(head)) {
      const stop = end_of_chunks(buffer, body, end);
      return stop === 0 ? 0 : stop - start;
    }
    const length = /\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n/i.exec(head)?.[1];
    if (length === undefined) throw wrong_reply(`status ${status} with neither a Content-Length nor chunks`);
    return body - start + Number(length);
  },
  decode: (buffer, start) => Number(buffer.toString('latin1', start + 9, start + 12)),
};

/** Where the last chunk's trailer ends, or 0 when that is not here yet. Each chunk: its size in hex, a line, so many bytes, CR LF. */
function end_of_chunks(buffer: Buffer, from: number, end: number): number {
  for (let at = from; at < end;) {
    const data = after(CRLF, buffer, at, end);
    if (data === 0) return 0;
    const size = /^([0-9a-f]{1,12})[ \t]*(;.*)?\r\n$/i.exec(buffer.toString('latin1', at, data))?.[1];
    if (size === undefined) throw wrong_reply('a chunk without a size');
    // the last one has no bytes: the CR LF of its line and that of the empty line, with trailers in between or not
    if (/^0+$/.test(size)) return after(HEAD_END, buffer, data - CRLF.length, end);
    at = data + Number.parseInt(size, 16) + CRLF.length;
    if (at <= end && after(CRLF, buffer, at - CRLF.length, at) === 0) throw wrong_reply('a chunk longer than its size');
  }
  return 0;
}

/** Just behind the first `wanted` in buffer[from, end), or 0. */
function after(wanted: Buffer, buffer: Buffer, from: number, end: number): number {
  const stop = buffer.indexOf(wanted, from) + wanted.length;
  return stop < from + wanted.length || stop > end ? 0 : stop;
}

export const args = {
  get: {
    type: 'object',
    required: ['path'],
    additionalProperties: false,
    properties: {
      path: { type: 'string', pattern: '^/[^\\s]*$', description: 'with its query, as it goes out' },
      host: { type: 'string', pattern: '^[^\\s]+$', default: 'localhost', description: 'what Host says' },
      status: { type: 'integer', default: 200, description: 'any other is a wrong reply' },
    },
  },
};

interface Get {
  path: string;
  host?: string;
  status?: number;
}

export async function get(client: FakeClient, { path, host = 'localhost', status = 200 }: Get): Promise<void> {
  const got = await client.send_for_reply(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, response);
  if (got !== status) throw wrong_reply(`GET ${path} answered ${got}`);
}
