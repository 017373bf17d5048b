import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { line, until_close, wrong_reply } from '../../../src/index.ts';
import { start_ledger } from '../../ledger.ts';
import { imbalances, start_one_process, starting_at, type OneProcess, type OneProcessOptions } from '../one-process.ts';

let engine: OneProcess | undefined;
const servers: Server[] = [];
afterEach(async () => {
  const books = await engine?.close();
  engine = undefined;
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  if (books) expect(imbalances(books)).toEqual([]);
});

/** Listens; `from` is where each connection came from, in the order of accepting. */
async function listen(host: string, port = 0): Promise<{ port: number; from: string[] }> {
  const from: string[] = [];
  const server = createServer((socket) => {
    from.push(`${socket.remoteAddress}:${socket.remotePort}`);
    socket.on('error', () => {}).on('data', (data) => socket.write(data));
  });
  servers.push(server.listen(port, host));
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, from };
}

/** Below the kernel's own range, and not where another run of these tests is. */
const BASE = 10_000 + ((process.pid * 331) % 20_000);

const talk: OneProcessOptions['commands'] = { go: (client) => client.send_for_reply('hi\r\n', line()) };
const sleepy = { go: { after: [1000, 1000] } } as const;
describe('local ports of swarm’s own', () => {
  it('come from the granted pairs, addresses in turn, and are used again', async () => {
    const { port, from } = await listen('127.0.0.1');
    const sources = starting_at(BASE, ['127.0.0.2', '127.0.0.3']);
    engine = await start_one_process({ port, commands: talk, actions: sleepy, run: { sources } });
    engine.apply(4, 'run', { ports: [[[1, 4, 1]]] });
    await engine.until((b) => b.clients.states.standby === 4);
    const pairs = [`127.0.0.2:${BASE}`, `127.0.0.2:${BASE + 1}`, `127.0.0.3:${BASE}`, `127.0.0.3:${BASE + 1}`];
    expect([...from].sort()).toEqual(pairs);
    engine.apply(2, 'run', { ports: [[[1, 4, 1]]] });
    engine.apply(4, 'run', { ports: [[[1, 4, 1]]] });
    const books = await engine.until((b) => b.clients.states.standby === 4 && from.length >= 6);
    expect(from.slice(4).every((pair) => pairs.includes(pair))).toBe(true);
    // a pair is free again when its old connection has ended: until then there is none
    expect(Object.keys(books.connections.failed).every((code) => code === 'EADDRNOTAVAIL')).toBe(true);
  });

  it('without --bind start with the address that the kernel chose for the first connection', async () => {
    const { port, from } = await listen('127.0.0.1');
    engine = await start_one_process({
      port,
      commands: talk,
      actions: sleepy,
      run: { sources: starting_at(BASE + 100, []) },
    });
    engine.apply(1, 'run', { ports: [[[1, 10, 1]]] });
    await engine.until((b) => b.clients.states.standby === 1);
    engine.apply(4, 'run', { ports: [[[1, 10, 1]]] });
    await engine.until((b) => b.clients.states.standby === 4);
    expect([...from.slice(1)].sort()).toEqual([
      `127.0.0.1:${BASE + 100}`,
      `127.0.0.1:${BASE + 101}`,
      `127.0.0.1:${BASE + 102}`,
    ]);
  });

  it('skip what another process holds, without counting an attempt', async () => {
    const { port, from } = await listen('127.0.0.1');
    for (const taken of [BASE + 200, BASE + 201, BASE + 203]) await listen('127.0.0.2', taken);
    const sources = starting_at(BASE + 200, ['127.0.0.2']);
    engine = await start_one_process({ port, commands: talk, actions: sleepy, run: { sources } });
    engine.apply(2, 'run', { ports: [[[1, 10, 1]]] });
    const books = await engine.until((b) => b.clients.states.standby === 2);
    expect(books.connections).toMatchObject({ attempted: 2, established: 2, ports_skipped: 3, failed: {} });
    expect([...from].sort()).toEqual([`127.0.0.2:${BASE + 202}`, `127.0.0.2:${BASE + 204}`]);
  });

  it('fail with the system’s code after 64 skips', async () => {
    const { port } = await listen('127.0.0.1');
    for (let i = 0; i < 64; i++) await listen('127.0.0.2', BASE + 300 + i);
    const sources = starting_at(BASE + 300, ['127.0.0.2']);
    const run = { sources, reconnect_delay_ms: [1000, 1000] as const };
    engine = await start_one_process({ port, commands: talk, actions: sleepy, run });
    engine.apply(1, 'run', { ports: [[[1, 64, 1]]] });
    const books = await engine.until((b) => b.clients.states.backoff === 1);
    expect(books.connections).toMatchObject({ attempted: 1, established: 0, ports_skipped: 64 });
    expect(books.connections.failed).toEqual({ EADDRINUSE: 1 });
    expect(books.errors['EADDRINUSE']?.last).toContain('others hold the 64 local ports');
  });

  it('use each pair towards each server', async () => {
    const [a, b] = [await listen('127.0.0.1'), await listen('127.0.0.1')];
    const sources = starting_at(BASE + 400, ['127.0.0.2']);
    const two = [a, b].map(({ port }) => ({ host: '127.0.0.1', port }));
    engine = await start_one_process({ port: a.port, commands: talk, actions: sleepy, run: { sources, servers: two } });
    engine.apply(6, 'run', { ports: [[[1, 3, 1]], [[1, 3, 1]]] });
    const books = await engine.until((books) => books.clients.states.standby === 6);
    const pairs = [`127.0.0.2:${BASE + 400}`, `127.0.0.2:${BASE + 401}`, `127.0.0.2:${BASE + 402}`];
    expect([...a.from].sort()).toEqual(pairs);
    expect([...b.from].sort()).toEqual(pairs);
    expect(Object.values(books.endpoints).map(({ open }) => open)).toEqual([3, 3]);
  });

  it('fail, with what to do about it, when all that --bind gives are in use', async () => {
    const { port } = await listen('127.0.0.1');
    const run = { sources: starting_at(BASE + 500, ['127.0.0.4']), reconnect_delay_ms: [1000, 1000] as const };
    engine = await start_one_process({ port, commands: talk, actions: sleepy, run });
    engine.apply(3, 'run', { ports: [[[1, 2, 1]]] });
    const books = await engine.until((b) => b.clients.states.standby === 2 && b.clients.states.backoff === 1);
    expect(books.connections.failed).toEqual({ EADDRNOTAVAIL: 1 });
    expect(books.errors['EADDRNOTAVAIL']?.last).toContain('no local port is free');
  });
});

describe('a connection to itself', () => {
  it('is a failed one, named self_connect', async () => {
    const down = await start_ledger();
    await down.close();
    const sources = starting_at(down.port, ['127.0.0.1']);
    const run = { sources, reconnect_delay_ms: [1000, 1000] as const };
    engine = await start_one_process({ port: down.port, commands: talk, run });
    engine.apply(1, 'run', { ports: [[[1, 1, 1]]] });
    const books = await engine.until((b) => b.clients.states.backoff === 1);
    expect(books.connections.failed).toEqual({ self_connect: 1 });
    expect(books.connections.established).toBe(0);
    expect(books.errors['self_connect']?.last).toContain('nobody listens');
  });
});

describe('writes of one turn', () => {
  const messages = line();
  /** A line server that keeps each chunk it reads. */
  async function chunks_of(
    options: Omit<OneProcessOptions, 'port'>,
  ): Promise<{ engine: OneProcess; chunks: Buffer[] }> {
    const chunks: Buffer[] = [];
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .on('data', (data) => {
          chunks.push(data);
          socket.write(data);
        });
    });
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { engine: (engine = await start_one_process({ port, ...options })), chunks };
  }
  const numbers = Array.from({ length: 16 }, (_, i) => i);

  it('sends what one turn asked for in one write, text and bytes in their order', async () => {
    const scratch = Buffer.alloc(4);
    const { engine, chunks } = await chunks_of({
      commands: {
        go: (client) =>
          Promise.all(
            numbers.map((i) => {
              const text = `${String(i).padStart(2, '0')}\r\n`;
              // one that the module fills again and again
              return client.send_for_reply(i % 3 === 0 ? scratch.fill(text) : text);
            }),
          ),
      },
      actions: sleepy,
      module: { messages },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.clients.states.standby === 1);
    expect(books.requests).toMatchObject({ sent: 16, ok: 16 });
    expect(chunks.map(String)).toEqual([numbers.map((i) => `${String(i).padStart(2, '0')}\r\n`).join('')]);
    expect(books.bytes).toEqual({ sent: 64, received: 64 });
  });

  it('also behind an await, once per turn', async () => {
    const { engine, chunks } = await chunks_of({
      commands: {
        go: async (client) => {
          const ask = async (i: number): Promise<void> => {
            for (const word of ['a', 'b', 'c']) await client.send_for_reply(`${word}${i}\r\n`);
          };
          await Promise.all(numbers.map(ask));
        },
      },
      actions: sleepy,
      module: { messages },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.clients.states.standby === 1);
    expect(books.requests.ok).toBe(48);
    expect(chunks).toHaveLength(3);
  });

  it('loses nothing when the module closes in the same turn', async () => {
    const { engine, chunks } = await chunks_of({
      commands: {
        go: (client) => {
          for (const i of numbers) void client.send_noreply(i % 2 === 0 ? `${i}\r\n` : Buffer.from(`${i}\r\n`));
          void client.close();
        },
      },
      module: { messages },
      run: { reconnect_delay_ms: [10_000, 10_000] },
    });
    engine.apply(1);
    await engine.until((b) => b.connections.closed.script === 1 && chunks.length > 0);
    expect(Buffer.concat(chunks).toString()).toBe(numbers.map((i) => `${i}\r\n`).join(''));
  });

  it.each([
    ['text', (id: number) => `${id}\r\n`],
    ['bytes', (id: number) => Buffer.from(`${id}\r\n`)],
  ] as const)('of many connections go out together, and none is forgotten: %s', async (_, request) => {
    const clients = 100;
    const rounds = new Map<number, number>();
    const { engine } = await chunks_of({
      commands: {
        go: (client) => {
          rounds.set(client.id, (rounds.get(client.id) ?? 0) + 1);
          return client.send_for_reply(request(client.id), messages);
        },
        twice: async (client) => {
          for (let i = 0; i < 2; i++) await client.send_for_reply(request(client.id), messages);
        },
      },
    });
    engine.apply(clients);
    const books = await engine.until(() => rounds.size === clients && Math.min(...rounds.values()) >= 20);
    expect(books.requests).toMatchObject({ timeout: 0, wrong: 0, aborted: 0 });
    expect(books.requests.ok).toBeGreaterThan(3 * 19 * clients);
  });
});

describe('short texts, a turn each, that the kernel does not take any more', () => {
  const LINES = 40_000;
  const plain = (i: number): string => `${i} ${'e'.repeat(200)}\n`;
  /** Now and then one that is no plain ASCII. */
  const mixed = (i: number): string => (i % 7 === 0 ? plain(i).replaceAll('e', 'é') : plain(i));
  let sent = 0;

  /** A client that sends lines to a server which reads nothing; resolves when it waits. */
  async function stuck(line_at: (i: number) => string): Promise<Socket> {
    sent = 0;
    const accepted = new Promise<Socket>((done) => {
      servers.push(createServer({ pauseOnConnect: true }, done).listen(0, '127.0.0.1'));
    });
    await once(servers.at(-1)!, 'listening');
    engine = await start_one_process({
      port: (servers.at(-1)!.address() as AddressInfo).port,
      commands: {
        go: async (client) => {
          for (sent = 0; sent < LINES; sent++) {
            await client.send_noreply(line_at(sent));
            await new Promise((done) => setImmediate(done));
          }
        },
      },
      actions: sleepy,
      run: { reconnect_delay_ms: [60_000, 60_000] },
    });
    engine.apply(1);
    const socket = (await accepted).on('error', () => {});
    // a client that does not wait sends in each turn of the loop
    for (let still = 0, before = -1; still < 100; still = before === sent ? still + 1 : 0) {
      before = sent;
      await new Promise((done) => setTimeout(done, 2));
    }
    expect(sent).toBeLessThan(LINES);
    return socket;
  }

  it.each([
    ['plain', plain],
    ['mixed', mixed],
  ])('go out whole and in their order when it reads again: %s', async (_, line_at) => {
    const socket = await stuck(line_at);
    const chunks: Buffer[] = [];
    socket.on('data', (data) => chunks.push(data)).resume();
    const books = await engine!.until((b) => b.clients.states.standby === 1);
    const wanted = Array.from({ length: LINES }, (_, i) => line_at(i)).join('');
    await engine!.until(() => chunks.reduce((sum, chunk) => sum + chunk.length, 0) >= Buffer.byteLength(wanted));
    expect(Buffer.concat(chunks).toString() === wanted).toBe(true);
    expect(books.bytes.sent).toBe(Buffer.byteLength(wanted));
    expect(books.requests.noreply).toBe(LINES);
  });

  it('end with the connection when that is reset', async () => {
    (await stuck(plain)).resetAndDestroy();
    const books = await engine!.until((b) => b.clients.states.backoff === 1);
    expect(books.connections.closed).toMatchObject({ reset: 1 });
    expect(Object.keys(books.errors)).toEqual([expect.stringMatching(/^(ECONNRESET|EPIPE)$/)]);
  });
});

describe('the end of a connection that has been quiet', () => {
  it('is a FIN, of which the server hears no error', async () => {
    const heard: string[] = [];
    const server = createServer((socket) => {
      socket.on('data', (data) => socket.write(data));
      for (const event of ['end', 'error', 'close'] as const) socket.on(event, () => heard.push(event));
    });
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    engine = await start_one_process({
      port: (server.address() as AddressInfo).port,
      commands: { go: (client) => client.send_for_reply('x\r\n', line()) },
      actions: sleepy,
    });
    engine.apply(1);
    await engine.until((b) => b.clients.states.standby === 1);
    await new Promise((done) => setTimeout(done, 1100)); // it lingers for a second behind a request
    engine.apply(0);
    await engine.until((b) => b.connections.closed.decr === 1 && heard.length === 2);
    expect(heard).toEqual(['end', 'close']);
  });
});

describe('a deadline that passes while the process is busy', () => {
  const busy = (ms: number): void => {
    for (const until = performance.now() + ms; performance.now() < until;);
  };
  const start = async (
    on_data: (socket: Socket, data: Buffer) => void,
    options: Partial<OneProcessOptions>,
  ): Promise<OneProcess> => {
    const server = createServer((socket) => socket.on('error', () => {}).on('data', (data) => on_data(socket, data)));
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return (engine = await start_one_process({ port, commands: talk, actions: sleepy, ...options }));
  };

  it('is none for a reply that came in time', async () => {
    const asked: [Socket, Buffer][] = [];
    const e = await start(
      (...one) => {
        if (asked.push(one) < 20) return;
        // the kernel has them at once; who asked can read them in a later turn only
        for (const [socket, data] of asked) socket.write(data);
        busy(2500);
      },
      { run: { reply_timeout_ms: 2000 } },
    );
    e.apply(20);
    const books = await e.until((b) => b.clients.states.standby === 20);
    expect(books.requests).toMatchObject({ ok: 20, timeout: 0 });
  });

  it('is none for a connection that was there in time', async () => {
    const e = await start((socket, data) => void socket.write(data), { run: { connect_timeout_ms: 200 } });
    e.apply(20);
    await e.until((b) => b.connections.attempted > 0);
    busy(500);
    const books = await e.until((b) => b.clients.states.standby === 20);
    expect(books.connections).toMatchObject({ attempted: 20, established: 20, failed: {} });
  });
});

/** What each connection gets for its first bytes. */
async function answering(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => answer(socket));
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('replies that end with the connection', () => {
  const ask = (replies: Buffer[]): OneProcessOptions['commands'] => ({
    async go(client) {
      replies.push(await client.send_for_reply('hi\r\n', until_close()));
    },
  });

  it.each([0, 1, 60_000, 1_000_000])('are whole at the FIN, %i bytes in parts, and the round is well', async (size) => {
    const body = Buffer.alloc(size, 'abc');
    const port = await answering((socket) => {
      socket.write(body.subarray(0, size / 3));
      setTimeout(() => socket.end(body.subarray(size / 3)), 2);
    });
    const replies: Buffer[] = [];
    engine = await start_one_process({ port, commands: ask(replies) });
    engine.apply(3);
    const books = await engine.until((b) => b.connections.closed.server >= 9);
    for (const reply of replies) expect(reply.equals(body)).toBe(true);
    expect(books.requests).toMatchObject({ wrong: 0, aborted: 0, timeout: 0 });
    expect(books.actions[0]).toMatchObject({ ok: replies.length, failed: {} });
    expect(books.errors).toEqual({});
  });

  it('may be decoded, wrong ones too, and longer ones than --max-reply are refused', async () => {
    const port = await answering((socket) => socket.end('x'.repeat(5000)));
    const decode = (buffer: Buffer, start: number, end: number): string => {
      if (end - start === 5000) throw wrong_reply('five thousand');
      return buffer.toString('utf8', start, end);
    };
    const commands: OneProcessOptions['commands'] = { go: (c) => c.send_for_reply('hi', { ...until_close(), decode }) };
    engine = await start_one_process({ port, commands });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.wrong_reply >= 2);
    expect(books.requests.wrong).toBeGreaterThanOrEqual(2);
    expect(Object.keys(books.errors)).toEqual(['wrong_reply']);
    await engine.close();
    engine = await start_one_process({ port, commands, run: { max_reply_bytes: 4999 } });
    engine.apply(1);
    expect(Object.keys((await engine.until((b) => b.connections.closed.wrong_reply >= 2)).errors)).toEqual([
      'reply_too_large',
    ]);
  });

  it('fail when a reset ends them', async () => {
    const port = await answering((socket) => void (socket.write('half'), socket.resetAndDestroy()));
    const replies: Buffer[] = [];
    engine = await start_one_process({ port, commands: ask(replies) });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.reset >= 5);
    expect(replies).toEqual([]);
    expect(books.actions[0]).toMatchObject({ ok: 0, failed: { ECONNRESET: 5 } });
  });

  it('a round that goes on behind them fails with its connection', async () => {
    const port = await answering((socket) => socket.end('bye'));
    engine = await start_one_process({
      port,
      commands: {
        async go(client) {
          await client.send_for_reply('hi', until_close());
          await new Promise(() => {});
        },
      },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.server >= 3);
    expect(books.actions[0]!.failed).toEqual({ server_closed: books.connections.closed.server });
    expect(books.requests.ok).toBe(books.requests.sent - books.requests.in_flight);
  });
});

describe('a reset right behind data', () => {
  it.each([false, true])('is a reset, and the data counts; traced: %s', async (traced) => {
    const port = await answering((socket) => void (socket.write('OK\r\n'), socket.resetAndDestroy()));
    const lines: string[] = [];
    engine = await start_one_process({ port, commands: talk, actions: sleepy });
    engine.apply(1);
    if (traced) engine.population.client(1)!.trace = (event, _, text) => void lines.push(`${event} ${text}`);
    const books = await engine.until((b) => b.connections.closed.reset + b.connections.closed.server >= 5);
    expect(books.connections.closed).toMatchObject({ reset: 5, server: 0 });
    expect(books.requests.ok).toBe(5);
    if (traced) expect(lines.slice(0, 3).map((text) => text.split(' ')[0])).toEqual(['connect', 'send', 'reply']);
    if (traced) expect(lines[0]).toMatch(new RegExp(`^connect 127.0.0.1:\\d+ -> 127.0.0.1:${port}$`));
  });

  it('an orderly end stays one', async () => {
    const port = await answering((socket) => socket.end('OK\r\n'));
    engine = await start_one_process({ port, commands: talk, actions: sleepy });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.reset + b.connections.closed.server >= 5);
    expect(books.connections.closed).toMatchObject({ reset: 0, server: 5 });
  });
});
