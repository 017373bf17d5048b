import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { to_modules } from '../../src/protocols/exports.ts';
import { load_modules } from '../../src/protocols/import-module.ts';
import type { Framer } from '../../src/protocols/parser.ts';
import { check_actions, type CheckedModule } from '../../src/script/against-module.ts';
import { render_faults } from '../../src/script/fault.ts';
import { parse_script } from '../../src/script/parse.ts';
import { commands_of, protocols_of } from '../../src/script/types.ts';
import { all_cuts, feed } from './harness.ts';
import { Workshop } from './workshop.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../examples');
const PROTOCOLS = join(EXAMPLES, 'protocols');
const shop = new Workshop();
beforeAll(() => shop.make_host());
afterAll(() => shop.close());

describe('examples', () => {
  it.each(readdirSync(join(EXAMPLES, 'scripts')))('%s asks for what its module exports', async (file) => {
    const text = readFileSync(join(EXAMPLES, 'scripts', file), 'utf8');
    expect(text).toMatch(new RegExp(`^# .*\\. Run it: .*examples/scripts/${basename(file)}\\n`));
    const parsed = parse_script(text, file);
    if ('faults' in parsed) throw new Error(render_faults(parsed.faults, text, false));
    const { groups } = parsed.script;
    const exports = await shop.load_all(protocols_of(groups), PROTOCOLS);
    const modules = to_modules(exports, (protocol) => commands_of(groups, protocol));
    const ajv = new Ajv({ strict: true });
    for (const { args = {} } of modules.values())
      for (const schema of Object.values(args)) expect(ajv.validateSchema(schema)).toBe(true);
    const checked = [...exports].map(([name, one]) => [name, { exports: one, args: one['args'] }] as const);
    const faults = check_actions(parsed.rest, file, new Map(checked as [string, CheckedModule][]));
    expect(render_faults(faults, text, false)).toBe('');
  });

  it('durian has what the original had', async () => {
    expect(Object.keys(await shop.load('durian', PROTOCOLS)).sort()).toEqual([
      'close_chatroom',
      'close_connection',
      'create_chatroom',
      'enter_chatroom',
      'heartbeat',
      'leave_chatroom',
    ]);
  });
});

describe('the framer of redis.ts', () => {
  let resp: Framer<unknown>;
  let request: (...words: string[]) => string;
  beforeAll(async () => {
    const { path } = await shop.bundle('redis', PROTOCOLS);
    ({ resp, request } = (await load_modules(path, ['m'])).get('m') as { resp: typeof resp; request: typeof request });
  });

  it.each([
    ['+OK\r\n', ['OK']],
    [':-42\r\n$5\r\nhello\r\n', [-42, 'hello']],
    ['$0\r\n\r\n$-1\r\n*-1\r\n_\r\n', ['', null, null, null]],
    ['*3\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n+x\r\n', [['a', [1, []], 'x']]],
    ['$4\r\n\r\n\r\n\r\n', ['\r\n\r\n']],
    ['$3\r\n€\r\n', ['€']],
    ['#t\r\n#f\r\n,1.5\r\n,-inf\r\n(12345678901234567890\r\n', [true, false, 1.5, -Infinity, '12345678901234567890']],
    ['=8\r\ntxt:note\r\n~1\r\n:1\r\n>2\r\n+push\r\n+x\r\n', ['note', [1], ['push', 'x']]],
    [
      '%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n',
      [
        new Map<string, unknown>([
          ['a', 1],
          ['b', [null]],
        ]),
      ],
    ],
    ['|1\r\n+ttl\r\n:9\r\n+value\r\n', ['value']],
  ])('%j, cut at every offset', (text, wanted) => {
    for (const chunks of all_cuts(Buffer.from(text))) expect(feed(resp, chunks, '\r\n')).toEqual(wanted);
  });

  it('tells the length of a long string from its first line', () => {
    const bytes = Buffer.from('$1000000\r\nabc');
    expect(resp.frame(bytes, 0, bytes.length, 0)).toBe(1_000_012);
  });

  it.each([
    '-ERR unknown command\r\n',
    '!3\r\nbad\r\n',
    '*2\r\n+OK\r\n-ERR x\r\n',
    `${'*1\r\n'.repeat(40)}:1\r\n`,
    'HTTP/1.1\r\n',
    '$x\r\n',
    '$-2\r\n',
    '!-1\r\n',
    '%-1\r\n',
  ])('%j is a wrong reply', (text) => {
    let thrown: unknown;
    try {
      feed(resp, [Buffer.from(text)]);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ name: 'WrongReply' });
  });

  it('counts bytes, not characters, in a request', () => {
    expect(request('SET', 'k', '€')).toBe('*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n€\r\n');
  });
});

describe('the framer of http.ts', () => {
  let response: Framer<number>;
  beforeAll(async () => {
    const { path } = await shop.bundle('http', PROTOCOLS);
    ({ response } = (await load_modules(path, ['m'])).get('m') as { response: typeof response });
  });

  const hello = 'HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello';
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n';
  it.each([
    ['two replies', `${hello}${hello}`, [200, 200]],
    ['names in lower case, no body', 'HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n', [404]],
    ['a body that looks like a head', `HTTP/1.0 500 x\r\nContent-Length: 6\r\n\r\n\r\n\r\n\r\n`, [500]],
    ['no body, no length', `HTTP/1.1 304 Not Modified\r\n\r\n${hello}`, [304, 200]],
    ['no reason', 'HTTP/1.1 204\r\n\r\n', [204]],
    ['chunks', `${chunked}5\r\nhello\r\nA;x=y\r\n0\r\n\r\n56789\r\n0\r\n\r\n${hello}`, [200, 200]],
    ['chunks and trailers', `${chunked}1\r\nx\r\n000\r\nA: b\r\nC: d\r\n\r\n`, [200]],
  ])('%s, cut at every offset', (_, text, wanted) => {
    for (const chunks of all_cuts(Buffer.from(text))) expect(feed(response, chunks, '\r\n\r\n')).toEqual(wanted);
  });

  it('tells the length of a large body from its head', () => {
    const head = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n');
    expect(response.frame(head, 0, head.length, 0)).toBe(head.length + 1_000_000);
  });

  it.each([
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n',
    'HTTP/2 200\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\n\r\n',
    `${chunked}x\r\n`,
    `${chunked}5\r\nhello!!5\r\n`,
    '+PONG\r\n\r\n',
  ])('%j is a wrong reply', (text) => {
    expect(() => feed(response, [Buffer.from(text)], 'x')).toThrow(expect.objectContaining({ name: 'WrongReply' }));
  });
});
