import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import { NO_TLS_OPTIONS } from '../../../src/swarm/client/secure.ts';
import type { TlsSpec } from '../../../src/swarm/plan/run-spec.ts';
import { Certificates, type Certificate } from '../../certificates.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

// What a module sends arrives whole and in its order, whatever carries it, however the server reads, and the counts are the server's.

const KINDS = ['tcp', 'unix', 'tls', 'start_tls'] as const;
type Kind = (typeof KINDS)[number];

const store = new Certificates();
let good: Certificate;
/** one for all: the tickets of a connection are good for the next */
let secureContext: SecureContext;
beforeAll(() => {
  good = store.make('good', ['IP:127.0.0.1', 'DNS:localhost']);
  secureContext = createSecureContext({ key: good.key, cert: good.cert });
});
afterAll(() => store.remove());

let engine: OneProcess | undefined;
const servers: Server[] = [];
const sockets = new Set<Socket>();
/** What a server that is not the oracle's any more does goes on for no longer than its test. */
async function end(): Promise<void> {
  const books = await engine?.close();
  engine = undefined;
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  if (books) expect(imbalances(books)).toEqual([]);
}
afterEach(end);

let paths = 0;

/** Listens as `kind`; `on_open` gets the stream that carries the module's bytes, secured where the kind is. */
async function listen(kind: Kind, on_open: (socket: Socket) => void): Promise<{ port: number; path?: string }> {
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    const secured = (): void => {
      const tls = new TLSSocket(socket, { isServer: true, secureContext });
      on_open(tls.on('error', () => {}));
    };
    if (kind === 'tls') secured();
    else if (kind !== 'start_tls') on_open(socket);
    else
      socket.once('data', (data) => {
        expect(String(data)).toBe('STARTTLS\n');
        socket.write('go ahead\n');
        secured();
      });
  });
  servers.push(server);
  const path = kind === 'unix' ? join(store.dir, `s${++paths}`) : undefined;
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  return path === undefined ? { port: (server.address() as AddressInfo).port } : { port: 0, path };
}

const trust = (): TlsSpec => ({ ...NO_TLS_OPTIONS, ca: good.cert });

/** One command, of a module with messages, on connections that are secured first where the kind asks for it. */
async function start(
  kind: Kind,
  { port, path }: { port: number; path?: string },
  go: (client: FakeClient) => unknown,
  options: Partial<OneProcessOptions> = {},
): Promise<OneProcess> {
  const where = path === undefined ? { host: '127.0.0.1', port } : { host: '', port: 0, path };
  const { run, module, ...rest } = options;
  engine = await start_one_process({
    port,
    commands: { go },
    actions: { go: { after: [60, 60] } },
    ...rest,
    module: {
      messages: line('\n'),
      async connected(client) {
        if (kind !== 'start_tls') return;
        await client.send_for_reply('STARTTLS\n');
        await client.start_tls();
      },
      ...module,
    },
    run: {
      tls: trust(),
      servers: [kind === 'tls' ? { ...where, tls: true } : where],
      reply_timeout_ms: 60_000,
      ...run,
    },
  });
  return engine;
}

const PLAIN_TEXT = 'STARTTLS\n';
const clear = (kind: Kind): number => (kind === 'start_tls' ? PLAIN_TEXT.length : 0);

/** What one call sends: `size` characters or bytes, and how long the module waits before the next. */
interface Piece {
  readonly what: 'plain' | 'text' | 'bytes';
  readonly size: number;
  readonly then: 'nothing' | 'microtask' | 'turn' | 'sleep' | 'await';
}
const piece: fc.Arbitrary<Piece> = fc.record({
  what: fc.constantFrom('plain', 'plain', 'text', 'bytes'),
  // around the bounds of a short text and of what is gathered, and what no kernel takes at once
  size: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 300 }) },
    { weight: 2, arbitrary: fc.integer({ min: 16_300, max: 16_500 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
  ),
  then: fc.constantFrom('nothing', 'nothing', 'microtask', 'turn', 'turn', 'sleep', 'await'),
});

/** How the server reads, and what it says meanwhile. */
interface Reader {
  /** reads nothing before the module sent all, or waits for it */
  readonly stalls: boolean;
  /** pauses for a millisecond behind each `every` bytes; 0: never */
  readonly every: number;
  /** lines it sends for each chunk it reads, each answered by the module */
  readonly pushes: number;
}
const reader: fc.Arbitrary<Reader> = fc.record({
  stalls: fc.boolean(),
  every: fc.constantFrom(0, 0, 5_000, 50_000),
  pushes: fc.constantFrom(0, 0, 1, 3),
});

const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

function data_of({ what, size }: Piece, n: number): string | Uint8Array {
  const text = `${n} `.padEnd(size, what === 'text' ? 'é' : 'e');
  return what === 'bytes' ? Buffer.from(text) : text;
}

/** Waits until nothing more is sent: `count` stays the same for some turns of both sides. */
async function quiet(count: () => number): Promise<void> {
  for (let same = 0, before = -1; same < 10; await wait(2)) {
    same = count() === before ? same + 1 : 0;
    before = count();
  }
}

/** Plays the pieces on two connections in a row; both must carry them whole, and the books must be the server's. */
async function play(kind: Kind, up: number | null, pieces: readonly Piece[], how: Reader): Promise<void> {
  const wanted: Buffer[][] = [];
  const read: Buffer[][] = [];
  const resumed: boolean[] = [];
  let pushed = 0;
  let sent_all = 0;
  const say = (client: FakeClient, data: string | Uint8Array): Promise<void> => {
    (client.memory.sent as Buffer[]).push(Buffer.from(data as string));
    return client.send_noreply(data);
  };
  const at = await listen(kind, (socket) => {
    const chunks: Buffer[] = [];
    read.push(chunks);
    let since = 0;
    let tail = '';
    socket.on('data', (data: Buffer) => {
      chunks.push(data);
      const text = tail + data.toString('latin1');
      tail = text.slice(-4);
      since += data.length;
      if (text.includes('LAST\n')) {
        if (socket instanceof TLSSocket) resumed.push(socket.isSessionReused());
        return void socket.write('DONE\n');
      }
      for (let i = 0; i < how.pushes && pushed < 500; i++) socket.write(`PUSH ${++pushed}\n`);
      if (how.every === 0 || since < how.every) return;
      since = 0;
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
    if (!how.stalls) return;
    socket.pause();
    const before = sent_all;
    const go_on = async (): Promise<void> => {
      await quiet(() => sent_all);
      if (sent_all === before) await wait(5);
      socket.resume();
    };
    void go_on();
  });
  const total = (chunks: readonly Buffer[]): Buffer => Buffer.concat(chunks);
  const e = await start(
    kind,
    at,
    async (client) => {
      wanted.push((client.memory.sent = []));
      for (const [n, one] of pieces.entries()) {
        sent_all++;
        const gone = say(client, data_of(one, n));
        if (one.then === 'await') await gone;
        else if (one.then === 'microtask') await Promise.resolve();
        else if (one.then === 'turn') await turn();
        else if (one.then === 'sleep') await wait(1);
      }
      (client.memory.sent as Buffer[]).push(Buffer.from('LAST\n'));
      await client.send_for_reply(
        'LAST\n',
        match((m) => m === 'DONE'),
      );
      if (wanted.length === 1) void client.close();
    },
    {
      module: {
        on_message: (client, message) => void say(client, String(message).replace('PUSH', 'PONG').concat('\n')),
      },
      run: {
        connection_limits:
          up === null ? null : { up_bytes_per_s: up, down_bytes_per_s: null, lifetime_ms: null, idle_ms: null },
      },
    },
  );
  e.apply(1);
  await e.until((b) => b.actions[0]!.ok === 2 && b.clients.states.standby === 1);
  expect(resumed).toEqual(kind.endsWith('tls') ? [false, true] : []);
  // pushes that came behind the last line are answered too
  const bytes = (all: readonly Buffer[][]): number => total(all.flat()).length;
  const books = await e.until(() => bytes(read) === bytes(wanted));
  expect(read.map((chunks) => total(chunks).toString())).toEqual(wanted.map((chunks) => total(chunks).toString()));
  expect(books.bytes.sent).toBe(bytes(read) + 2 * clear(kind));
  expect(books.errors).toEqual({});
  expect(books.connections).toMatchObject({ established: 2, closed: { script: 1 } });
}

/** More than any kernel takes, then short texts, a turn each, to a server that reads nothing meanwhile. */
const FLOOD: readonly Piece[] = [
  ...Array.from({ length: 15 }, (): Piece => ({ what: 'bytes', size: 700_000, then: 'nothing' })),
  ...Array.from({ length: 40 }, (_, i): Piece => ({ what: i % 9 === 8 ? 'text' : 'plain', size: 200, then: 'turn' })),
];
const STALLED: Reader = { stalls: true, every: 0, pushes: 0 };
const BUSY: Reader = { stalls: true, every: 50_000, pushes: 3 };

describe.each(KINDS)('what is sent over %s', (kind) => {
  it.each([
    ['', fc.constant(null)],
    [' with --limit-up', fc.integer({ min: 8_000_000, max: 40_000_000 })],
  ] as [string, fc.Arbitrary<number | null>][])(
    'arrives whole and in its order%s',
    { timeout: 240_000 },
    async (_, rate) => {
      await fc.assert(
        fc.asyncProperty(rate, fc.array(piece, { minLength: 1, maxLength: 40 }), reader, async (up, pieces, how) => {
          try {
            await play(kind, up, pieces, how);
          } finally {
            await end();
          }
        }),
        {
          numRuns: 30,
          endOnFailure: true,
          examples: [
            [null, [...FLOOD], STALLED],
            [null, [...FLOOD], BUSY],
          ],
        },
      );
    },
  );

  it('is sent while pushes come in bursts, each answered', async () => {
    const read = new Map<Socket, string>();
    let pushed = 0;
    const at = await listen(kind, (socket) => {
      read.set(socket, '');
      socket.on('data', (data: Buffer) => read.set(socket, read.get(socket)! + String(data)));
    });
    const e = await start(kind, at, () => {}, {
      module: { on_message: (client) => void client.send_noreply('PONG\r\n') },
    });
    e.apply(60);
    await e.until((b) => b.clients.states.standby === 60);
    for (let burst = 0; burst < 30; burst++) {
      for (const socket of read.keys()) socket.write('a line\nand one more\n');
      pushed += 2 * read.size;
      if (burst % 3 === 0) await turn();
    }
    const books = await e.until((b) => b.requests.noreply === pushed);
    await e.until(() => [...read.values()].join('').length === 6 * pushed);
    expect([...read.values()]).toEqual([...read.values()].map((text) => 'PONG\r\n'.repeat(text.length / 6)));
    expect(books.connections).toMatchObject({ established: 60, open: 60 });
    expect(books.errors).toEqual({});
  });

  it('is sent by more clients than one batch holds, in a closed loop', async () => {
    const rounds = new Map<number, number>();
    const at = await listen(kind, (socket) => socket.on('data', (data: Buffer) => socket.write(data)));
    const e = await start(
      kind,
      at,
      async (client) => {
        const text = `${client.id} ${rounds.get(client.id) ?? 0}`;
        expect(await client.send_for_reply(`${text}\n`)).toBe(text);
        rounds.set(client.id, (rounds.get(client.id) ?? 0) + 1);
      },
      { actions: {} },
    );
    e.apply(50);
    const books = await e.until(() => rounds.size === 50 && Math.min(...rounds.values()) >= 50);
    expect(books.connections).toMatchObject({ established: 50, open: 50 });
    expect(books.requests).toMatchObject({ timeout: 0, wrong: 0, aborted: 0 });
    expect(books.errors).toEqual({});
  });

  it.each([
    ['one client', 1, 200],
    ['a few', 5, 100],
  ])('to a server that reads nothing, without sleep, waits and ends by the timeout: %s', async (_, clients, size) => {
    const at = await listen(kind, (socket) => void socket.pause());
    const text = `${'x'.repeat(size - 1)}\n`;
    const e = await start(kind, at, (client) => client.send_noreply(text), {
      actions: {},
      run: { reply_timeout_ms: 1500, reconnect_delay_ms: [60_000, 60_000] },
    });
    e.apply(clients);
    const books = await e.until((b) => b.connections.closed.timeout > 0 && b.connections.open === 0);
    expect(books.connections).toMatchObject({ established: clients, closed: { timeout: clients } });
    expect(Object.keys(books.errors)).toEqual(['timeout']);
  });

  it('is sent whole, large bodies both ways at once', async () => {
    const body = `${'0123456789abcdef'.repeat(60_000)}\n`;
    const at = await listen(kind, (socket) => socket.on('data', (data: Buffer) => socket.write(data)));
    const e = await start(
      kind,
      at,
      async (client) => {
        const replies = await Promise.all(
          ['a', 'b', 'c'].map((mark) =>
            client.send_for_reply<string>(
              mark + body,
              match((m: unknown) => String(m).startsWith(mark)),
            ),
          ),
        );
        expect(replies.map((reply) => `${reply}\n`.slice(1) === body)).toEqual([true, true, true]);
      },
      { actions: {} },
    );
    e.apply(8);
    const books = await e.until((b) => b.actions[0]!.ok >= 24);
    expect(books.errors).toEqual({});
  });
});

// Node reads a socket after STARTTLS in a way of its own, and not behind a write that failed
describe.each(['tcp', 'unix', 'tls'] as const)(
  'a server that answers and resets while more is sent, over %s',
  (kind) => {
    it('is heard before the write that fails ends the connection', async () => {
      let send_more = (): void => {};
      const at = await listen(kind, (socket) =>
        socket.once('data', () =>
          socket.write('ERR quota\n', () => {
            for (const one of sockets) void (kind === 'unix' ? one.destroy() : one.resetAndDestroy());
            send_more(); // before anything of it was read here
          }),
        ),
      );
      const told: unknown[] = [];
      const e = await start(kind, at, async (client) => {
        send_more = () => void client.send_noreply('and more\n');
        told.push(await client.send_for_reply('upload\n'));
      });
      e.apply(1);
      const books = await e.until((b) => b.connections.closed.reset >= 20);
      expect(told.length).toBeGreaterThanOrEqual(20);
      expect(new Set(told)).toEqual(new Set(['ERR quota']));
      expect(books.requests.aborted).toBe(0);
    });
  },
);

describe('start_tls behind bytes that the kernel has not taken', () => {
  const TEXT = `${'x'.repeat(199)}\n`;
  let count = 0;
  let got: string[] = [];
  let read_on = (): void => {};

  /** A unix socket, whose kernel takes the same each time. The server reads nothing, then `count` texts in the clear, then TLS. */
  async function listen_slowly(said: string): Promise<{ port: number; path: string }> {
    got = [];
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      sockets.add(socket.on('error', () => {}));
      if (said !== '') socket.write(said);
      let left = 0;
      const take = (): void => {
        for (let chunk; left > 0; left -= chunk.length) {
          chunk = socket.read(Math.min(left, socket.readableLength)) as Buffer | null;
          if (chunk === null) return;
        }
        socket.off('readable', take);
        const tls = new TLSSocket(socket, { isServer: true, secureContext });
        tls
          .on('error', () => {})
          .on('data', (data: Buffer) => {
            got.push(String(data));
            tls.write(data);
          });
      };
      read_on = () => {
        left = count * TEXT.length;
        socket.on('readable', take);
      };
    });
    const path = join(store.dir, `s${++paths}`);
    servers.push(server.listen(path));
    await once(server, 'listening');
    return { port: 0, path };
  }

  /**
   * The first connection finds out how many texts make a call wait; the second sends `fewer`, still more than the kernel takes, and plays `then`.
   * 327 texts are the 64 KiB that wait in user space: with so many fewer the last one alone waits, or none.
   */
  async function play_behind(fewer: number, then: (client: FakeClient) => unknown, said = ''): Promise<OneProcess> {
    let waits = 0;
    const fill = async (client: FakeClient): Promise<void> => {
      for (count = 0; waits === 0 || count < waits - fewer; count++) {
        let waiting = true;
        client.send_noreply(TEXT).then(
          () => (waiting = false),
          () => {},
        );
        for (let turns = 0; turns < 5 && waiting; turns++) await turn();
        if (waiting) return;
      }
    };
    const e = await start(
      'unix',
      await listen_slowly(said),
      async (client) => {
        await fill(client);
        if (waits > 0) await then(client);
        else void client.close();
        waits ||= count;
      },
      { run: { tls: { ...trust(), ca: null, insecure: true } } },
    );
    e.apply(1);
    return e;
  }
  const secure = (client: FakeClient): Promise<void> => {
    setTimeout(() => read_on(), 20);
    return client.start_tls();
  };

  it.each([1, 100, 315, 322, 323, 324, 325, 326, 327, 328, 329, 330, 340])(
    'waits until they are gone, and what is sent meanwhile is secured: %i texts fewer than make a call wait',
    async (fewer) => {
      const e = await play_behind(fewer, async (client) => {
        const secured = secure(client);
        const meanwhile = client.send_noreply('secret\n');
        await secured;
        await meanwhile;
        for (let i = 0; i < 50; i++) {
          void client.send_noreply(`${i}\n`);
          if (i % 2 === 0) await turn();
        }
        await client.send_for_reply(
          'hi\n',
          match((m) => m === 'hi'),
        );
      });
      const books = await e.until((b) => b.actions[0]!.ok === 2);
      const numbers = Array.from({ length: 50 }, (_, i) => `${i}\n`).join('');
      expect(got.join('')).toBe(`secret\n${numbers}hi\n`);
      expect(books.connections.handshake.count).toBe(1);
      expect(books.errors).toEqual({});
    },
  );

  it('refuses what the server said before it and nobody read', async () => {
    const e = await play_behind(100, secure, 'half a li');
    const books = await e.until((b) => b.connections.closed.wrong_reply === 1);
    expect(books.errors['wrong_reply']!.last).toContain('9 bytes that nobody read before the handshake');
    expect(got).toEqual([]);
  });
});
