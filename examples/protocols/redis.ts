/**
 * Redis over its own wire protocol (RESP2 and RESP3, https://redis.io/docs/latest/develop/reference/protocol-spec/), with a framer
 * written by hand: the example to follow for a binary protocol.
 */
import { wrong_reply, type FakeClient, type Framer } from 'swarm';

export type Reply = string | number | boolean | null | Reply[] | Map<Reply, Reply>;

const MAX_DEPTH = 32;
const CR = 13;
const LF = 10;

/** Replies of Redis. An error reply (`-ERR …`), also one inside a list, is a wrong reply. */
export const resp: Framer<Reply> = {
  frame(buffer, start, end) {
    let at = start;
    // How many values are still to come: a list adds its elements. Nothing is kept between calls.
    for (let missing = 1; missing > 0; missing--) {
      const line_end = end_of_line(buffer, at, end);
      if (line_end < 0) return 0;
      const type = String.fromCharCode(buffer[at]!);
      if ('$!='.includes(type)) {
        const length = length_at(buffer, at, line_end);
        at = line_end + (length < 0 ? 0 : length + 2);
      } else {
        if ('*~>%|'.includes(type)) missing += elements(type, length_at(buffer, at, line_end));
        else if (!'+-:_#,('.includes(type)) throw wrong_reply(`no RESP type begins with ${JSON.stringify(type)}`);
        at = line_end;
      }
    }
    return at - start;
  },
  decode: (buffer, start) => value_at(buffer, { at: start }, 0),
};

/** A list of n takes n values more, a map (`%`) 2 n, an attribute (`|`) those and the value it stands before. */
function elements(type: string, length: number): number {
  return type === '%' ? 2 * length : type === '|' ? 2 * length + 1 : Math.max(length, 0);
}

/** Just behind the CR LF that ends the line at `from`, or -1 when it is not all here. */
function end_of_line(buffer: Buffer, from: number, end: number): number {
  for (let at = from; at + 1 < end; at++) if (buffer[at] === CR && buffer[at + 1] === LF) return at + 2;
  return -1;
}

/** The length in the line at `at`; only the strings and lists of RESP2 have a null, written -1. */
function length_at(buffer: Buffer, at: number, line_end: number): number {
  const text = buffer.toString('latin1', at, line_end - 2);
  if (!/^([$*]-1|.\d{1,12})$/.test(text)) throw wrong_reply(`a length of ${JSON.stringify(text.slice(0, 20))}`);
  return Number(text.slice(1));
}

function value_at(buffer: Buffer, cursor: { at: number }, depth: number): Reply {
  if (depth > MAX_DEPTH) throw wrong_reply(`lists nested deeper than ${MAX_DEPTH}`);
  const type = String.fromCharCode(buffer[cursor.at]!);
  const line_end = end_of_line(buffer, cursor.at, buffer.length);
  const text = buffer.toString('utf8', cursor.at + 1, line_end - 2);
  cursor.at = line_end;
  const next = (): Reply => value_at(buffer, cursor, depth + 1);
  const list = (): Reply[] => Array.from({ length: Number(text) }, next);
  const bulk = (): string => {
    const from = cursor.at;
    cursor.at += Number(text) + 2;
    return buffer.toString('utf8', from, cursor.at - 2);
  };
  switch (type) {
    case '-':
      throw wrong_reply(text);
    case '!':
      throw wrong_reply(bulk());
    case ':':
    case ',':
      return Number(text.replace('inf', 'Infinity'));
    case '#':
      return text === 't';
    case '_':
      return null;
    case '$':
      return text === '-1' ? null : bulk();
    case '=':
      return bulk().slice(4); // `txt:` or `mkd:`
    case '*':
    case '~':
    case '>':
      return text === '-1' ? null : list();
    case '%':
      return new Map(Array.from({ length: Number(text) }, () => [next(), next()] as const));
    case '|':
      for (let left = 2 * Number(text); left > 0; left--) next();
      return next();
    default:
      return text; // `+` and `(`, a big number: its digits
  }
}

/** One command as Redis wants it: a list of bulk strings, lengths in bytes. */
export function request(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

const text = { type: 'string', minLength: 1 };

export const args = {
  hello: { type: 'object', properties: { version: { enum: [2, 3] } }, additionalProperties: false },
  set: {
    type: 'object',
    required: ['key', 'value'],
    properties: { key: text, value: { type: 'string' } },
    additionalProperties: false,
  },
  get: { type: 'object', required: ['key'], properties: { key: text }, additionalProperties: false },
};

/** Chooses the version of the protocol for this connection, default 3. */
export async function hello(client: FakeClient, { version = 3 }: { version?: 2 | 3 }): Promise<void> {
  await client.send_for_reply(request('HELLO', String(version)), resp);
}

export async function ping(client: FakeClient): Promise<void> {
  await expect_reply(client, 'PONG', 'PING');
}

/** Each client has a key of its own: `<key>:<id>`. */
export async function set(client: FakeClient, { key, value }: { key: string; value: string }): Promise<void> {
  await expect_reply(client, 'OK', 'SET', `${key}:${client.id}`, value);
}

/** Any value will do, a missing one too. */
export async function get(client: FakeClient, { key }: { key: string }): Promise<void> {
  await client.send_for_reply(request('GET', `${key}:${client.id}`), resp);
}

async function expect_reply(client: FakeClient, wanted: string, ...words: string[]): Promise<void> {
  const reply = await client.send_for_reply(request(...words), resp);
  if (reply !== wanted) throw wrong_reply(`${words[0]} answered ${JSON.stringify(reply)}`);
}
