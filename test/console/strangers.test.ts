import { describe, expect, it } from 'vitest';
import { is_http, is_tls } from '../../src/console/strangers.ts';
import { COMMANDS } from '../../src/console/commands.ts';

describe('is_http', () => {
  it.each([
    'GET / HTTP/1.1',
    'get /index.html',
    'POST /x HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'CONNECT example.org:443 HTTP/1.1',
    'TRACE / HTTP/1.1',
    'GET http://127.0.0.1:8411/ HTTP/1.1',
    'Host: 127.0.0.1:8411',
    'HOST:x',
    ' GET / HTTP/1.1',
    ' \t POST /x HTTP/1.1',
    'GET\t/\tHTTP/1.1',
    ' host : x',
  ])('%s', (line) => expect(is_http(line)).toBe(true));

  it.each([
    'trace 5',
    'trace 5 10',
    'mark GET / HTTP/1.1',
    'mark host: a',
    'host',
    'get',
    ...COMMANDS.map((row) => row.usage),
  ])('not %s', (line) => expect(is_http(line)).toBe(false));
});

describe('is_tls', () => {
  it.each([
    [[0x16, 3, 1, 2, 0], true],
    [[0x16], true],
    [[0x16, 2], false],
    [[0x69, 0x6e], false],
    [[], false],
  ])('%j: %s', (bytes, wanted) => expect(is_tls(Buffer.from(bytes))).toBe(wanted));
});
