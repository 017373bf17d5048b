import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { line, match, reply_parser_crlf } from '../../../src/index.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import { wrong_reply } from '../../../src/protocols/parser.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../../ledger.ts';
import { until } from '../../patience.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

// The sentences of docs/protocols.md, each against a real socket and a server that keeps its own books.

let ledger: Ledger | undefined;
let engine: OneProcess | undefined;
const unhandled: unknown[] = [];
const on_unhandled = (reason: unknown): void => void unhandled.push(reason);

beforeEach(() => {
  unhandled.length = 0;
  process.on('unhandledRejection', on_unhandled);
});
afterEach(async () => {
  const books = await engine?.close();
  await ledger?.close();
  process.off('unhandledRejection', on_unhandled);
  engine = ledger = undefined;
  expect(unhandled).toEqual([]);
  if (books) {
    expect(imbalances(books)).toEqual([]);
    expect(books.connections.open + books.connections.connecting + books.requests.in_flight).toBe(0);
  }
});

async function play(
  server: LedgerOptions['reply'],
  options: Omit<OneProcessOptions, 'port'>,
  clients = 1,
): Promise<OneProcess> {
  ledger = await start_ledger(server ? { reply: server } : {});
  engine = await start_one_process({ port: ledger.port, ...options });
  engine.apply(clients);
  return engine;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const forever = (): Promise<never> => new Promise(() => {});

describe('one object per connection', () => {
  it('keeps id, memory, random and shared over connections, with a new object each', async () => {
    const seen: FakeClient[] = [];
    const draws: number[] = [];
    const e = await play(undefined, {
      run: { shared: { value: { token: 't' } } },
      commands: {
        async go(client) {
          seen.push(client);
          draws.push(client.random.int(1, 1e9));
          client.memory['visits'] = ((client.memory['visits'] as number | undefined) ?? 0) + 1;
          await client.send_for_reply('hi\r\n', line());
          await client.close();
        },
      },
    });
    await e.until((b) => b.connections.established >= 3);
    const [a, b] = seen as [FakeClient, FakeClient];
    expect(a).not.toBe(b);
    expect([a.id, b.id]).toEqual([1, 1]);
    expect(a.memory).toBe(b.memory);
    expect(a.memory['visits']).toBeGreaterThanOrEqual(2);
    expect(a.random).toBe(b.random);
    expect(new Set(draws).size).toBe(draws.length);
    expect(a.shared).toEqual({ token: 't' });
    expect(e.books().connections.closed.script).toBeGreaterThanOrEqual(2);
    expect(e.books().actions[0]!.failed).toEqual({});
  });

  it('rejects a pending call once and leaves later calls on the old object unsettled and without effect', async () => {
    let old: FakeClient | undefined;
    const events: string[] = [];
    const e = await play((text) => (text === 'first' ? 'close' : { text: 'OK' }), {
      commands: {
        async go(client) {
          if (old !== undefined) {
            await client.send_for_reply('second\r\n', line());
            return forever();
          }
          old = client;
          try {
            await client.send_for_reply('first\r\n', line());
          } catch (error) {
            events.push((error as { code: string }).code);
          }
          // a forgotten retry loop: must not spin, must not write on the new connection
          for (let i = 0; i < 3; i++) {
            events.push('again');
            await client.send_for_reply('ghost\r\n', line());
          }
        },
      },
    });
    await e.until((b) => b.requests.ok === 1);
    await pause(30);
    expect(events).toEqual(['server_closed', 'again']);
    expect(ledger!.books().requests).toBe(2);
    expect(e.books().actions[0]!.failed).toEqual({ server_closed: 1 });
    const settled = await Promise.race([
      Promise.all([old!.send_for_reply('x', line()), old!.send_noreply('x'), old!.close()]).then(
        () => 'settled',
        () => 'settled',
      ),
      pause(20).then(() => 'never'),
    ]);
    expect(settled).toBe('never');
  });

  it('runs code behind an awaited close(), and counts the round ok', async () => {
    let after = 0;
    const e = await play(undefined, {
      commands: {
        async go(client) {
          await client.close_connection();
          after++;
        },
      },
    });
    await e.until((b) => b.actions[0]!.ok >= 2);
    expect(after).toBeGreaterThanOrEqual(2);
    expect(e.books().actions[0]!.failed).toEqual({});
    expect(e.books().connections.closed.script).toBe(e.books().actions[0]!.ok);
  });
});

describe('a round', () => {
  it('ends when the function returned and no call is open: a function that floats its call', async () => {
    const e = await play((_, c) => ({ drip: `r${c.requests}`, every_ms: 3 }), {
      commands: {
        go(client) {
          void client.send_for_reply('hi\r\n', line());
        },
      },
      actions: { go: { after: [0.001, 0.001] } },
    });
    const books = await e.until((b) => b.actions[0]!.ok >= 5);
    expect(books.requests.ok).toBeGreaterThanOrEqual(5);
    expect(books.requests.sent - books.requests.ok).toBeLessThanOrEqual(1); // one at a time
    expect(books.actions[0]!.service.min).toBeGreaterThan(3000); // µs: it waited for the dripped reply
  });

  it('fails when a call fails that nobody awaited, or whose failure was swallowed', async () => {
    const e = await play(() => 'wrong', {
      commands: {
        floats(client) {
          void client.send_for_reply('a\r\n', { frame: crlf, decode: refuse });
        },
      },
    });
    await e.until((b) => (b.actions[0]!.failed['wrong_reply'] ?? 0) >= 2);
    expect(e.books().actions[0]!.ok).toBe(0);
    await e.close();
    engine = await start_one_process({
      port: ledger!.port,
      commands: {
        async swallows(client) {
          await client.send_for_reply('a\r\n', { frame: crlf, decode: refuse }).catch(() => {});
          return forever();
        },
      },
    });
    engine.apply(1);
    const books = await engine.until((b) => (b.actions[0]!.failed['wrong_reply'] ?? 0) >= 2);
    expect(books.requests.wrong).toBeGreaterThanOrEqual(2);
    expect(books.connections.closed.wrong_reply).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['a few', 3, () => {}],
    ['many', 300, () => {}],
    ['many, asynchronous', 300, async () => {}],
  ])('that waits for nothing gives the event loop its turn: %s', async (_, clients, spin) => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const e = await play(undefined, { commands: { spin } }, clients);
    await e.until(() => turns >= 20);
    clearInterval(timer);
    expect(e.books().actions[0]!.ok).toBeGreaterThan(20);
  });

  it.each([
    ['sends that need not wait', (c: FakeClient) => c.send_noreply('x\r\n')],
    ['empty sends', (c: FakeClient) => c.send_noreply('')],
    ['replies of no bytes', (c: FakeClient) => c.send_for_reply('', () => 0)],
  ] as const)('that loops over %s starves nobody', async (_, call) => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    let over = false;
    await play(undefined, {
      commands: {
        async go(client) {
          while (!over) await call(client);
        },
      },
    });
    const e = engine!;
    await e.until(() => turns >= 20);
    over = true;
    clearInterval(timer);
    await e.until((b) => b.actions[0]!.ok >= 1);
  });

  it('of a synchronous function sends without waiting for the network', async () => {
    const e = await play(undefined, { commands: { go: (client) => void client.send_noreply('x\r\n') } });
    await e.until((b) => b.requests.noreply >= 10);
    const books = await e.close();
    const settled = await ledger!.settled();
    expect(settled.requests).toBe(books.requests.noreply);
    expect(settled.bytes.received).toBe(books.bytes.sent);
  });
});

const crlf = (buffer: Buffer, start: number, end: number): number => {
  for (let i = start; i + 1 < end; i++) if (buffer[i] === 13 && buffer[i + 1] === 10) return i + 2 - start;
  return 0;
};
const refuse = (): never => {
  throw wrong_reply('not this');
};

describe('wrong or bug', () => {
  it('wrong_reply thrown by the function fails the round and closes the connection; the request stays ok', async () => {
    const e = await play(undefined, {
      commands: {
        async go(client) {
          await client.send_for_reply('a\r\n', line());
          throw wrong_reply('I do not like it');
        },
      },
    });
    const books = await e.until((b) => b.connections.closed.wrong_reply >= 2);
    expect(books.actions[0]!.failed['wrong_reply']).toBeGreaterThanOrEqual(2);
    expect(books.requests.wrong).toBe(0);
    expect(books.requests.ok).toBeGreaterThanOrEqual(2);
    expect(books.errors['wrong_reply']!.last).toBe('I do not like it');
    expect(e.bugs).toEqual([]);
  });

  it('keeps the first 64 bytes of a wrong reply, escaped', async () => {
    const e = await play(() => ({ raw: Buffer.from(`\x1b[31m${'x'.repeat(100)}\r\n`) }), {
      commands: { go: (client) => client.send_for_reply('a\r\n', { frame: crlf, decode: refuse }) },
    });
    const books = await e.until((b) => b.connections.closed.wrong_reply >= 1);
    expect(books.errors['wrong_reply']!.sample).toBe(`\\x1b[31m${'x'.repeat(59)}`);
  });

  it('shows the reply a function found wrong, and never another reply’s bytes', async () => {
    let mode: 'function' | 'nothing' = 'function';
    const e = await play(() => ({ text: 'HOT\x07' }), {
      commands: {
        async go(client) {
          if (mode === 'function') await client.send_for_reply('a\r\n', line());
          throw wrong_reply(mode);
        },
      },
    });
    const first = await e.until((b) => b.errors['wrong_reply'] !== undefined);
    expect(first.errors['wrong_reply']).toMatchObject({ last: 'function', sample: 'HOT\\x07' });
    mode = 'nothing';
    const second = await e.until((b) => b.errors['wrong_reply']!.last === 'nothing');
    expect(second.errors['wrong_reply']!.sample).toBeUndefined();
  });

  it('shows the message a predicate or on_message found wrong', async () => {
    const e = await play(() => ({ text: '{"bad":1}' }), {
      module: {
        messages: { ...line(), decode: (b, s, end) => JSON.parse(b.toString('utf8', s, end)) },
        on_message: () => {
          throw wrong_reply('push');
        },
      },
      commands: { go: (c) => c.send_noreply('a\r\n') },
      actions: { go: { after: [1000, 1000] } },
    });
    const books = await e.until((b) => b.errors['wrong_reply'] !== undefined);
    expect(books.errors['wrong_reply']!.sample).toBe('{\\"bad\\":1}');
  });

  it.each([
    [
      'a function that throws',
      {
        go: () => {
          throw new TypeError('oops');
        },
      },
    ],
    [
      'a function that rejects',
      {
        go: async () => {
          throw new TypeError('oops');
        },
      },
    ],
    [
      'a parser that throws',
      {
        go: (c: FakeClient) =>
          c.send_for_reply('a\r\n', () => {
            throw new TypeError('oops');
          }),
      },
    ],
    [
      'decode that throws',
      {
        go: (c: FakeClient) =>
          c.send_for_reply('a\r\n', {
            frame: crlf,
            decode: () => {
              throw new TypeError('oops');
            },
          }),
      },
    ],
    [
      'a non-Error thrown',
      {
        go: () => {
          throw 'oops';
        },
      },
    ],
  ] as [string, OneProcessOptions['commands']][])(
    '%s is a bug: the client turns fatal, counted, until retry',
    async (_, commands) => {
      const e = await play(undefined, { commands }, 2);
      const books = await e.until((b) => b.clients.states.fatal === 2);
      expect(books.connections.closed.fatal).toBe(2);
      expect(books.actions[0]!.failed).toEqual({ fatal: 2 });
      expect(e.bugs.length).toBe(2);
      await pause(30);
      expect(e.books().connections.attempted).toBe(2); // never restarted by itself
      e.population.retry_fatal();
      await e.until((b) => b.actions[0]!.failed['fatal'] === 4 && b.clients.states.fatal === 2);
    },
  );

  it.each([
    [
      'a promise whose own then throws',
      () =>
        Object.assign(Promise.resolve(), {
          then() {
            throw new Error('own then');
          },
        }),
    ],
    [
      'an object whose then is a throwing getter',
      () => ({
        get then() {
          throw new Error('getter');
        },
      }),
    ],
    [
      'an error that cannot be looked at',
      () => {
        throw new Proxy(
          {},
          {
            getPrototypeOf: () => {
              throw new Error('no');
            },
            get: () => {
              throw new Error('no');
            },
          },
        );
      },
    ],
    [
      'an error whose stack throws',
      () => {
        throw Object.defineProperty(new Error('x'), 'stack', {
          get: () => {
            throw new Error('no stack');
          },
        });
      },
    ],
  ] as [string, OneProcessOptions['commands'][string]][])('%s is a bug of its client alone', async (_, evil) => {
    const e = await play(
      undefined,
      {
        commands: { go: (c, a) => (c.id === 1 ? evil(c, a) : c.send_for_reply('x\r\n', line())) },
        actions: { go: { after: [0.005, 0.01] } },
      },
      5,
    );
    await e.until((b) => b.clients.states.fatal === 1);
    const before = e.books().requests.ok;
    await e.until((b) => b.requests.ok > before + 20);
  });

  it('a detached buffer is a bad call, and no request', async () => {
    const detached = new Uint8Array(8);
    structuredClone(detached, { transfer: [detached.buffer] });
    const e = await play(undefined, { commands: { go: (c) => c.send_for_reply(detached, line()) } });
    const books = await e.until((b) => b.clients.states.fatal + b.requests.sent > 0);
    expect(imbalances(books)).toEqual([]);
  });

  it.each([
    ['no parser', (c: FakeClient) => c.send_for_reply('a\r\n'), 'bad_call'],
    ['a request that is no string', (c: FakeClient) => c.send_noreply(5 as unknown as string), 'bad_call'],
    [
      'match without messages',
      (c: FakeClient) =>
        c.send_for_reply(
          'a\r\n',
          match(() => true),
        ),
      'bad_call',
    ],
    [
      'two calls at once without messages',
      (c: FakeClient) => Promise.all([c.send_for_reply('a\r\n', line()), c.send_for_reply('b\r\n', line())]),
      'bad_call',
    ],
    ['a parser that returns -1', (c: FakeClient) => c.send_for_reply('a\r\n', () => -1), 'bad_parser'],
    [
      'a parser that returns 1.5',
      (c: FakeClient) => c.send_for_reply('a\r\n', (d) => (d === null ? 1 : 1.5)),
      'bad_parser',
    ],
    ['a frame of NaN bytes', (c: FakeClient) => c.send_for_reply('a\r\n', { frame: () => NaN }), 'bad_parser'],
  ] as [string, OneProcessOptions['commands'][string], string][])(
    '%s: fatal, even when swallowed',
    async (_, go, code) => {
      const e = await play(undefined, {
        commands: { go: async (c, a) => void (await (go(c, a) as Promise<unknown>).catch(() => {})) },
      });
      const books = await e.until((b) => b.clients.states.fatal === 1);
      expect(books.errors[code]!.count).toBe(1);
      expect(books.actions[0]!.failed).toEqual({ [code]: 1 });
    },
  );
});

describe('parsers', () => {
  it('feeds a function parser null, then at most what it asked for, and resolves with all bytes it consumed', async () => {
    const asked: (number | null)[] = [];
    let kept: Buffer | undefined;
    const replies: string[] = [];
    const e = await play(() => ({ raw: Buffer.from('0005hello0003abc') }), {
      commands: {
        async go(client) {
          if (replies.length > 0) return forever();
          for (let i = 0; i < 2; i++) {
            let head = true;
            const reply = await client.send_for_reply(i === 0 ? 'x\r\n' : '', (data) => {
              asked.push(data === null ? null : data.length);
              if (data === null) return 4;
              if (!head) return 0;
              head = false;
              kept = data;
              return Number(data.toString());
            });
            replies.push(reply.toString());
          }
        },
      },
    });
    await e.until((b) => b.requests.ok === 2);
    expect(asked).toEqual([null, 4, 5, null, 4, 3]);
    expect(replies).toEqual(['0005hello', '0003abc']);
    expect(kept!.toString()).toBe('0003');
  });

  it('a dripped reply reaches a function parser and a framer whole', async () => {
    const text = 'a reply that comes byte by byte';
    for (const parser of [line(), () => crlf_by_byte()]) {
      const replies: string[] = [];
      const e = await play(() => ({ drip: text, every_ms: 1 }), {
        commands: {
          async go(client) {
            const p = typeof parser === 'function' ? parser() : parser;
            replies.push(String(await client.send_for_reply('x\r\n', p as ReturnType<typeof line>)));
            return forever();
          },
        },
      });
      await e.until((b) => b.requests.ok === 1);
      expect(replies[0]!.trimEnd()).toBe(text);
      await e.close();
      await ledger!.close();
    }
  });

  it('two replies in one segment answer two calls', async () => {
    const e = await play((_, c) => (c.requests === 1 ? { raw: Buffer.from('one\r\ntwo\r\n') } : 'silent'), {
      commands: {
        async go(client) {
          const first = await client.send_for_reply('a\r\n', line());
          const second = await client.send_for_reply('b\r\n', line());
          client.memory['got'] = [first, second];
          return forever();
        },
      },
    });
    await e.until((b) => b.requests.ok === 2);
    expect(e.population.client(1)!.memory['got']).toEqual(['one', 'two']);
  });

  it('decode: null counts and discards a reply larger than a read, and the next one is whole', async () => {
    const size = 300_000;
    const got: unknown[] = [];
    const e = await play(
      (_, c) =>
        c.requests === 1
          ? { raw: Buffer.concat([u32(size), Buffer.alloc(size, 7), Buffer.from('next\r\n')]) }
          : 'silent',
      {
        commands: {
          async go(client) {
            got.push(
              await client.send_for_reply('a\r\n', {
                frame: (b, s, end) => (end - s < 4 ? 0 : 4 + b.readUInt32BE(s)),
                decode: null,
              }),
            );
            got.push(await client.send_for_reply('b\r\n', line()));
            return forever();
          },
        },
      },
    );
    await e.until((b) => b.requests.ok === 2);
    expect(got).toEqual([undefined, 'next']);
    expect(e.books().bytes.received).toBe(size + 4 + 6);
  });

  it.each([
    [
      'announced',
      () => ({ raw: u32(2_000_000) }),
      { frame: (b: Buffer, s: number, end: number) => (end - s < 4 ? 0 : 4 + b.readUInt32BE(s)) },
    ],
    ['never ending', () => ({ raw: Buffer.alloc(200_000, 120) }), { frame: () => 0 }],
    ['never ending, to a function', () => ({ raw: Buffer.alloc(200_000, 120) }), () => 1000],
  ] as unknown as [string, LedgerOptions['reply'], never][])(
    'refuses a reply over max_reply: %s',
    async (_, reply, parser) => {
      const e = await play(reply, {
        module: { max_reply: 100_000 },
        commands: { go: (client) => client.send_for_reply('a\r\n', parser) },
      });
      const books = await e.until((b) => b.connections.closed.wrong_reply >= 1);
      expect(books.actions[0]!.failed['reply_too_large']).toBeGreaterThanOrEqual(1);
      expect(books.requests.wrong).toBeGreaterThanOrEqual(1);
      expect(books.errors['reply_too_large']!.last).toMatch(/--max-reply is 100000/);
    },
  );
});

const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
};
/** the original's parser, as its users wrote it */
const crlf_by_byte = (): ((data: Buffer | null) => number) => {
  let last = 0;
  return (data) => {
    if (data === null) return 1;
    const byte = data[0]!;
    if (last === 13 && byte === 10) return 0;
    last = byte;
    return 1;
  };
};

describe('pushes', () => {
  it('offers a message to waiting matchers oldest first, then to on_message; many requests may wait', async () => {
    const pushed: unknown[] = [];
    const got: unknown[] = [];
    const e = await play(
      (text) => (text === 'go' ? { raw: Buffer.from('b 1\r\nnews\r\na 1\r\na 2\r\nany\r\n') } : 'silent'),
      {
        module: { messages: line(), on_message: (_, message) => void pushed.push(message) },
        commands: {
          async go(client) {
            const starts = (p: string) => match<string>((m) => m.startsWith(p));
            const calls = [
              client.send_for_reply('1\r\n', starts('a')),
              client.send_for_reply('2\r\n', starts('a')),
              client.send_for_reply('3\r\n', starts('b')),
              client.send_for_reply(
                '4\r\n',
                match<string>((m) => m === 'any'),
              ),
            ];
            await client.send_noreply('go\r\n');
            got.push(...(await Promise.all(calls)));
            return forever();
          },
        },
      },
    );
    await e.until((b) => b.requests.ok === 4);
    expect(got).toEqual(['a 1', 'a 2', 'b 1', 'any']);
    expect(pushed).toEqual(['news']);
  });

  it('without a parser takes the next message', async () => {
    const got: unknown[] = [];
    const e = await play(undefined, {
      module: { messages: line() },
      commands: {
        async go(client) {
          got.push(await client.send_for_reply('hello\r\n'));
          return forever();
        },
      },
    });
    await e.until((b) => b.requests.ok === 1);
    expect(got).toEqual(['OK hello']);
  });

  it('reaches on_message while the client sleeps; what it throws there is a bug, wrong_reply closes', async () => {
    let mode: 'wrong' | 'bug' = 'wrong';
    const e = await play(undefined, {
      module: {
        messages: line(),
        on_message() {
          if (mode === 'wrong') throw wrong_reply('spam');
          throw new Error('bug in on_message');
        },
      },
      commands: { go: () => {} },
      actions: { go: { after: [1000, 1000] } },
    });
    await e.until((b) => b.clients.states.standby === 1);
    ledger!.connections()[0]!.push('x\r\n');
    await e.until((b) => b.connections.closed.wrong_reply === 1 && b.clients.states.standby === 1);
    mode = 'bug';
    ledger!.connections()[0]!.push('x\r\n');
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.actions[0]!.failed).toEqual({});
    expect(String(e.bugs[0])).toMatch('bug in on_message');
  });

  it('a rejecting async on_message is a bug too', async () => {
    const e = await play(undefined, {
      module: {
        messages: line(),
        on_message: async () => {
          throw new Error('later');
        },
      },
      commands: { go: (c) => c.send_noreply('x\r\n') },
      actions: { go: { after: [1000, 1000] } },
    });
    await e.until((b) => b.clients.states.fatal === 1);
  });
});

describe('bytes nobody asked for', () => {
  it('stay unread for the next reply up to 64 KiB; beyond it the oldest are dropped and counted', async () => {
    const got: string[] = [];
    const e = await play(undefined, {
      commands: {
        async go(client) {
          got.push(await client.send_for_reply('a\r\n', line('\n')));
          return forever();
        },
      },
      module: { connected: () => {} },
      actions: { go: { rounds: [1, 1] } },
    });
    await e.until((b) => b.requests.ok === 1);
    expect(got).toEqual(['OK a\r']);
    ledger!.connections()[0]!.push(Buffer.concat([Buffer.alloc(100_000, 120), Buffer.from('tail\n')]));
    const books = await e.until((b) => b.requests.unasked_bytes > 0 && b.bytes.received >= 100_005);
    expect(books.requests.unasked_bytes).toBe(100_005 + 6 - 6 - 64 * 1024);
    expect(books.connections.open).toBe(1);
  });

  it('are counted when a request goes out before they were read: replies would be taken for others', async () => {
    const got: string[] = [];
    const e = await play((text) => ({ text: `re ${text}` }), {
      module: { connected: () => ledger!.connections()[0]!.push('hello\r\n') },
      commands: {
        async go(client) {
          // the greeting must be there before the first request
          await until('the greeting', () => e.books().bytes.received > 0);
          for (const text of ['a', 'b', 'c']) got.push(await client.send_for_reply(`${text}\r\n`, line()));
          return forever();
        },
      },
    });
    const books = await e.until((b) => b.requests.ok === 3);
    expect(got).toEqual(['hello', 're a', 're b']);
    // how many replies came in time for the next request is the machine's business
    expect(books.errors['unread_bytes']).toMatchObject({
      last: expect.stringMatching(/^a request went out before \d+ bytes/) as string,
    });
    expect(e.warned[0]).toMatch(/each reply for the next one's.*unread_bytes/);
  });

  it('are read as a greeting by a request that sends nothing, without a word', async () => {
    const got: string[] = [];
    const e = await play((text) => ({ text: `re ${text}` }), {
      module: {
        async connected(client) {
          ledger!.connections()[0]!.push('220 hello\r\n');
          await until('the greeting', () => e.books().bytes.received > 0);
          got.push(await client.send_for_reply('', line()));
        },
      },
      commands: {
        async go(client) {
          for (const text of ['a', 'b']) got.push(await client.send_for_reply(`${text}\r\n`, line()));
          return forever();
        },
      },
    });
    const books = await e.until((b) => b.requests.ok === 3);
    expect(got).toEqual(['220 hello', 're a', 're b']);
    expect(books.requests.sent).toBe(3);
    expect(books.errors).toEqual({});
    expect(e.warned).toEqual([]);
  });

  it('a FIN is seen while unasked bytes wait', async () => {
    const e = await play(undefined, { commands: { go: () => {} }, actions: { go: { after: [1000, 1000] } } });
    await e.until((b) => b.clients.states.standby === 1);
    ledger!.connections()[0]!.push('nobody asked\r\n');
    await ledger!.close();
    const books = await e.until((b) => b.connections.closed.server + b.connections.closed.reset === 1);
    expect(books.clients.states.backoff + books.clients.states.connect).toBe(1);
  });
});

describe('timeouts and lost connections', () => {
  it('a reply that never comes fails the round with timeout and closes the connection', async () => {
    const e = await play(() => 'silent', {
      run: { reply_timeout_ms: 30 },
      commands: { go: (c) => c.send_for_reply('a\r\n', line()) },
    });
    const books = await e.until((b) => b.requests.timeout >= 2);
    expect(books.connections.closed.timeout).toBeGreaterThanOrEqual(2);
    expect(books.actions[0]!.failed['timeout']).toBe(books.requests.timeout);
  });

  it('a reply after its timeout is never taken for the next one', async () => {
    const got: unknown[] = [];
    let first = true;
    const e = await play((text) => (text === 'slow' ? { drip: 'late', every_ms: 40 } : { text: 'right' }), {
      run: { reply_timeout_ms: 60 },
      commands: {
        async go(client) {
          const request = first ? 'slow\r\n' : 'fast\r\n';
          first = false;
          got.push(await client.send_for_reply(request, line()));
          return forever();
        },
      },
    });
    await e.until((b) => b.requests.ok === 1);
    expect(got).toEqual(['right']);
    const { requests, connections } = e.books();
    expect(requests.timeout).toBeGreaterThanOrEqual(1);
    expect(connections.established).toBe(requests.timeout + 1);
  });

  it.each([
    ['close', 'server', 'server_closed'],
    ['reset', 'reset', 'ECONNRESET'],
  ] as const)('%s by the server during a call', async (how, cause, code) => {
    const e = await play(() => how, { commands: { go: (c) => c.send_for_reply('a\r\n', line()) } });
    const books = await e.until((b) => b.connections.closed[cause] >= 2);
    expect(books.actions[0]!.failed[code]).toBeGreaterThanOrEqual(2);
    expect(books.requests.aborted).toBeGreaterThanOrEqual(2);
    expect(books.errors[code]!.count).toBeGreaterThanOrEqual(2);
  });

  it('a refused connection is retried for ever, counted by errno', async () => {
    const closed = await start_ledger();
    await closed.close();
    engine = await start_one_process({ port: closed.port, commands: { go: () => {} } });
    engine.apply(3);
    const books = await engine.until((b) => (b.connections.failed['ECONNREFUSED'] ?? 0) >= 9);
    expect(books.connections.established).toBe(0);
    expect(books.clients.states.backoff + books.clients.states.connect).toBe(3);
  });
});

describe('closing and back-pressure', () => {
  it('loses no queued byte: send much, close at once', async () => {
    const chunk = Buffer.concat([Buffer.alloc(30_000, 97), Buffer.from('\r\n')]);
    const e = await play(() => 'silent', {
      run: { reconnect_delay_ms: [100_000, 100_000] },
      commands: {
        async go(client) {
          for (let i = 0; i < 20; i++) void client.send_noreply(chunk);
          await client.close();
        },
      },
    });
    await e.until((b) => b.connections.closed.script === 1);
    const books = await ledger!.until((b) => b.requests === 20);
    expect(books.bytes.received).toBe(20 * chunk.length);
  });

  it('send_noreply waits while 64 KiB wait in user space, and the reply timeout bounds that wait', async () => {
    const { createServer } = await import('node:net');
    const stalled = createServer((socket) => socket.pause()).listen(0, '127.0.0.1');
    await new Promise((done) => stalled.once('listening', done));
    const { port } = stalled.address() as { port: number };
    let sent = 0;
    engine = await start_one_process({
      port,
      run: { reply_timeout_ms: 1000, reconnect_delay_ms: [100_000, 100_000] },
      commands: {
        async go(client) {
          for (;;) {
            await client.send_noreply(Buffer.alloc(32 * 1024));
            sent++;
          }
        },
      },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.timeout === 1);
    expect(sent).toBeGreaterThan(2);
    expect(sent * 32 * 1024).toBeLessThan(64 * 1024 * 1024);
    expect(books.actions[0]!.failed).toEqual({ timeout: 1 });
    stalled.close();
  });

  it('one large request is no flood: it may be larger than any buffer', async () => {
    const e = await play(() => 'silent', {
      run: { reconnect_delay_ms: [100_000, 100_000] },
      commands: {
        go: async (client) => (await client.send_noreply(Buffer.alloc(20 * 1024 * 1024, 'x\r\n')), client.close()),
      },
    });
    const books = await e.until((b) => b.connections.closed.script + b.clients.states.fatal === 1);
    expect(books.clients.states.fatal).toBe(0);
    expect(books.actions[0]!.ok).toBe(1);
    await ledger!.until((b) => b.bytes.received === 20 * 1024 * 1024);
  });

  it.each([
    ['send_noreply', undefined, (c: FakeClient, bytes: Buffer) => c.send_noreply(bytes)],
    ['send_for_reply', line(), (c: FakeClient, bytes: Buffer) => c.send_for_reply(bytes)],
  ] as const)('a module that floods by %s without awaiting is stopped at 16 MiB', async (_, messages, call) => {
    const { createServer } = await import('node:net');
    const stalled = createServer((socket) => socket.pause()).listen(0, '127.0.0.1');
    await new Promise((done) => stalled.once('listening', done));
    engine = await start_one_process({
      port: (stalled.address() as { port: number }).port,
      ...(messages && { module: { messages } }),
      commands: {
        go(client) {
          for (let i = 0; i < 4000; i++) void call(client, Buffer.alloc(64 * 1024));
        },
      },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.clients.states.fatal === 1);
    expect(books.bytes.sent).toBeLessThan(40 * 1024 * 1024);
    expect(books.errors['bad_call']!.last).toMatch(/await/);
    stalled.close();
  });
});

it('reply_parser_crlf is the framer of the original name', async () => {
  const e = await play(undefined, {
    commands: { go: (c) => c.send_for_reply('heartbeat 1\r\n', reply_parser_crlf()) },
    actions: { go: { after: [0.001, 0.01] } },
  });
  const books = await e.until((b) => b.actions[0]!.ok >= 5);
  expect(books.requests.ok).toBeGreaterThanOrEqual(5);
});
