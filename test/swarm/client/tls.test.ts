import { once } from 'node:events';
import { createServer as create_tcp_server, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as create_tls_server, TLSSocket, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import { NO_TLS_OPTIONS } from '../../../src/swarm/client/secure.ts';
import { burst_of } from '../../../src/swarm/client/throttle.ts';
import type { TlsSpec } from '../../../src/swarm/plan/run-spec.ts';
import { Certificates, type Certificate } from '../../certificates.ts';
import { imbalances, start_one_process, starting_at, type OneProcess, type OneProcessOptions } from '../one-process.ts';

// Every handshake is with a real server, and the books balance after each.

const store = new Certificates();
let good: Certificate;
let expired: Certificate;
let own: Certificate;
beforeAll(() => {
  good = store.make('good', ['DNS:localhost', 'DNS:chat.example', 'IP:127.0.0.1']);
  expired = store.make_expired('expired', ['IP:127.0.0.1']);
  own = store.make('own', ['DNS:swarm.example']);
});
afterAll(() => store.remove());

let engine: OneProcess | undefined;
const servers: Server[] = [];
const sockets = new Set<Socket>();
const unhandled: unknown[] = [];
const on_unhandled = (reason: unknown): void => void unhandled.push(reason);
beforeAll(() => void process.on('unhandledRejection', on_unhandled));
afterAll(() => void process.off('unhandledRejection', on_unhandled));
afterEach(async () => {
  const books = await engine?.close();
  engine = undefined;
  for (const socket of sockets) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  sockets.clear();
  expect(unhandled.splice(0)).toEqual([]);
  if (!books) return;
  expect(imbalances(books)).toEqual([]);
  expect(books.connections.open + books.connections.connecting + books.requests.in_flight).toBe(0);
});

async function listen(server: Server): Promise<number> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.once('close', () => sockets.delete(socket));
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const echo = (socket: Socket): void =>
  void socket.on('error', () => {}).on('data', (data: Buffer) => void socket.write(data));

/** Answers each line with itself. */
function tls_server(options: TlsOptions = {}, on_socket: (socket: TLSSocket) => void = () => {}): Promise<number> {
  const server = create_tls_server({ key: good.key, cert: good.cert, ...options }, (socket) => {
    on_socket(socket);
    echo(socket);
  });
  return listen(server.on('tlsClientError', () => {}));
}

const plain_server = (on_socket: (socket: Socket) => void): Promise<number> => listen(create_tcp_server(on_socket));

const tls = (spec: Partial<TlsSpec> = {}): TlsSpec => ({ ...NO_TLS_OPTIONS, ca: good.cert, ...spec });

const hi = (client: FakeClient): unknown => client.send_for_reply('hi\r\n', line());

async function play(port: number, options: Partial<OneProcessOptions> = {}, name = '127.0.0.1'): Promise<OneProcess> {
  const { run, ...rest } = options;
  engine = await start_one_process({
    port,
    commands: { hi },
    actions: { hi: { after: [1000, 1000] } },
    ...rest,
    run: { tls: tls(), servers: [{ host: name, port, tls: true }], ...run },
  });
  engine.apply(1);
  return engine;
}

/** The first connection fails: its code, and what the error says. */
async function refusal(
  port: number,
  options: Partial<OneProcessOptions> = {},
  name?: string,
): Promise<[string, string]> {
  const e = await play(port, { ...options, run: { reconnect_delay_ms: [60_000, 60_000], ...options.run } }, name);
  const books = await e.until((b) => Object.keys(b.connections.failed).length > 0);
  expect(books.connections).toMatchObject({ established: 0, open: 0 });
  const [code] = Object.keys(books.connections.failed);
  return [code!, books.errors[code!]!.last];
}

describe('a tls:// server', () => {
  it('is talked to when the handshake is done, which has its own latency', async () => {
    const names: unknown[] = [];
    const port = await tls_server({}, (socket) => names.push(socket.servername));
    const e = await play(port, {}, 'localhost');
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.connections).toMatchObject({ attempted: 1, established: 1, open: 1 });
    expect([books.connections.connect.count, books.connections.handshake.count]).toEqual([1, 1]);
    expect(books.bytes).toEqual({ sent: 4, received: 4 }); // the protocol's, not the handshake's
    expect(names).toEqual(['localhost']);
  });

  it('by its address is checked for the address, and not asked for by a name', async () => {
    const names: unknown[] = [];
    const port = await tls_server({}, (socket) => names.push(socket.servername));
    const e = await play(port);
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(names).toEqual([false]);
  });

  it('is asked for another name when --servername says so', async () => {
    const names: unknown[] = [];
    const port = await tls_server({}, (socket) => names.push(socket.servername));
    const e = await play(port, { run: { tls: tls({ servername: 'chat.example' }) } });
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(names).toEqual(['chat.example']);
  });

  it('sends more than one read holds, whole', async () => {
    const port = await tls_server();
    const text = 'x'.repeat(300_000);
    const replies: unknown[] = [];
    const e = await play(port, {
      commands: { hi: async (client) => replies.push(await client.send_for_reply(`${text}\r\n`, line())) },
    });
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(replies[0] === text).toBe(true);
  });

  it('gets what was queued before the connection closes', async () => {
    let received = 0;
    const port = await listen(
      create_tls_server({ key: good.key, cert: good.cert }, (socket) =>
        socket.on('error', () => {}).on('data', (data: Buffer) => (received += data.length)),
      ),
    );
    const e = await play(port, {
      commands: {
        async hi(client) {
          void client.send_noreply(Buffer.alloc(500_000));
          await client.close();
        },
      },
      run: { reconnect_delay_ms: [60_000, 60_000] },
    });
    const books = await e.until((b) => b.connections.closed.script === 1 && received === 500_000);
    expect(books.bytes.sent).toBe(500_000);
  });

  it('that closes ends the connection as any server does', async () => {
    const port = await tls_server({}, (socket) => socket.once('data', () => setImmediate(() => socket.end())));
    const e = await play(port, { run: { reconnect_delay_ms: [60_000, 60_000] } });
    const books = await e.until((b) => b.connections.closed.server === 1);
    expect(books.errors).toEqual({});
  });

  it('is held to the limits of a connection, counted in bytes of the protocol', async () => {
    const port = await tls_server();
    const rate = 200_000;
    const started = performance.now();
    const e = await play(port, {
      commands: { hi: (client) => client.send_for_reply(`${'x'.repeat(50_000)}\r\n`, line()) },
      run: {
        connection_limits: { up_bytes_per_s: rate, down_bytes_per_s: rate, lifetime_ms: null, idle_ms: 5000 },
        keep_alive_ms: 60_000,
      },
    });
    const early = await e.until((b) => b.bytes.sent > 0);
    expect(early.bytes.sent).toBeLessThanOrEqual(burst_of(rate) + (1.1 * rate * (performance.now() - started)) / 1000);
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.bytes).toEqual({ sent: 50_002, received: 50_002 });
  });

  it('sees the session of the last connection again, of each client its own', async () => {
    const reused: boolean[] = [];
    const port = await tls_server({}, (socket) => reused.push(socket.isSessionReused()));
    const close = async (client: FakeClient): Promise<void> => {
      await client.send_for_reply('hi\r\n', line());
      await client.close();
    };
    const e = await play(port, { commands: { close }, actions: {} });
    e.apply(2);
    await e.until((b) => b.connections.closed.script >= 6);
    expect(reused.filter((yes) => !yes)).toHaveLength(2);
    expect(reused.filter((yes) => yes).length).toBeGreaterThanOrEqual(4);
  });

  it('with 1.2 only is talked to, unless --tls-min forbids it', async () => {
    const protocols: unknown[] = [];
    const port = await tls_server({ maxVersion: 'TLSv1.2' }, (socket) => protocols.push(socket.getProtocol()));
    const e = await play(port);
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(protocols).toEqual(['TLSv1.2']);
    await e.close();
    const [code] = await refusal(port, { run: { tls: tls({ min_version: 'TLSv1.3' }) } });
    expect(code).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });

  it('is offered the protocols of --alpn, and a trace tells which it took', async () => {
    const port = await tls_server({ ALPNProtocols: ['mqtt', 'h2'] });
    const traced: string[] = [];
    const e = await play(port, { run: { tls: tls({ alpn: ['x', 'h2'] }) } });
    e.population.client(1)!.trace = (event, _, text) => void (event === 'secure' && traced.push(text));
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(traced).toEqual([expect.stringMatching(/^TLSv1\.3 \S+, h2$/)]);
    await e.close();
    const [code] = await refusal(port, { run: { tls: tls({ alpn: ['x'] }) } });
    expect(code).toBe('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
  });

  it('that wants a certificate gets the one of --cert', async () => {
    const seen: unknown[] = [];
    const port = await tls_server({ requestCert: true, ca: own.cert }, (socket) =>
      seen.push(socket.getPeerCertificate().subject.CN),
    );
    const e = await play(port, { run: { tls: tls({ cert: own.cert, key: own.key }) } });
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(seen).toEqual(['own']);
  });

  it('that wants a certificate and gets none ends the connection with its alert', async () => {
    const port = await tls_server({ requestCert: true, ca: own.cert, maxVersion: 'TLSv1.2' });
    const [code] = await refusal(port);
    expect(code).toMatch(/^ERR_SSL_|^ECONNRESET$/);
    await engine!.close();
    // in TLS 1.3 the client's part of the handshake is over when the server refuses
    const port_of_13 = await tls_server({ requestCert: true, ca: own.cert });
    const e = await play(port_of_13, { run: { reconnect_delay_ms: [60_000, 60_000] } });
    const books = await e.until((b) => b.connections.closed.reset === 1);
    expect(Object.keys(books.errors)[0]).toMatch(/^ERR_SSL_|^ECONNRESET$/);
  });
});

describe('local ports of swarm’s own, with TLS', () => {
  /** Below the kernel's own range, and not where another run of these tests is. */
  const base = 10_000 + ((process.pid * 331) % 20_000);

  it('skip what another process holds', async () => {
    const from: unknown[] = [];
    const port = await tls_server({}, (socket) => from.push(`${socket.remoteAddress}:${socket.remotePort}`));
    servers.push(create_tcp_server().listen(base, '127.0.0.5'));
    await once(servers.at(-1)!, 'listening');
    engine = await start_one_process({
      port,
      commands: { hi },
      actions: { hi: { after: [1000, 1000] } },
      run: { tls: tls(), servers: [{ host: '127.0.0.1', port, tls: true }], sources: starting_at(base, ['127.0.0.5']) },
    });
    engine.apply(1, 'run', { ports: [[[1, 10, 1]]] });
    const books = await engine.until((b) => b.actions[0]!.ok === 1);
    expect(books.connections).toMatchObject({ ports_skipped: 1, attempted: 1, established: 1, failed: {} });
    expect(from).toEqual([`127.0.0.5:${base + 1}`]);
  });

  it('do not take themselves for the server', async () => {
    const port = await tls_server();
    await new Promise((done) => servers.pop()!.close(done));
    engine = await start_one_process({
      port,
      commands: { hi },
      run: {
        tls: tls(),
        servers: [{ host: '127.0.0.1', port, tls: true }],
        sources: starting_at(port, ['127.0.0.1']),
        reconnect_delay_ms: [60_000, 60_000],
      },
    });
    engine.apply(1, 'run', { ports: [[[1, 1, 1]]] });
    const books = await engine.until((b) => b.clients.states.backoff === 1);
    expect(books.connections.failed).toEqual({ self_connect: 1 });
  });
});

describe('a handshake that fails is a failed connection', () => {
  it.each<[string, () => Partial<TlsOptions>, () => Partial<TlsSpec>, string, RegExp]>([
    ['an unknown issuer', () => ({}), () => ({ ca: null }), 'DEPTH_ZERO_SELF_SIGNED_CERT', /--ca/],
    [
      'a certificate that is over',
      () => ({ key: expired.key, cert: expired.cert }),
      () => ({ ca: expired.cert }),
      'CERT_HAS_EXPIRED',
      /expired.*--insecure/,
    ],
    [
      'a certificate of others',
      () => ({}),
      () => ({ servername: 'other.example' }),
      'ERR_TLS_CERT_ALTNAME_INVALID',
      /other\.example.*--servername/,
    ],
  ])('by %s', async (_, server, spec, code, text) => {
    const port = await tls_server(server());
    const [found, said] = await refusal(port, { run: { tls: tls(spec()) } });
    expect(found).toBe(code);
    expect(said).toMatch(text);
    await engine!.close();
    const e = await play(port, { run: { tls: tls({ ...spec(), insecure: true }) } });
    await e.until((b) => b.actions[0]!.ok === 1);
  });

  it('with a server that speaks something else', async () => {
    const port = await plain_server((socket) => socket.write('220 welcome to a server without TLS\r\n'));
    expect(await refusal(port)).toEqual([
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'TLS: wrong version number (does the server speak TLS there?)',
    ]);
  });

  it.each<[string, (socket: Socket) => void]>([
    ['resets', (socket) => socket.once('data', () => socket.resetAndDestroy())],
    ['closes', (socket) => socket.once('data', () => socket.end())],
  ])('with a server that %s in the middle of it', async (_, act) => {
    const port = await plain_server(act);
    const [code] = await refusal(port);
    expect(code).toBe('ECONNRESET');
  });

  it('with a server that takes the connection and says nothing', async () => {
    const port = await plain_server(() => {});
    expect(await refusal(port, { run: { connect_timeout_ms: 1500 } })).toEqual([
      'connect_timeout',
      'connected, but no TLS handshake within 1500 ms',
    ]);
    expect(engine!.books().connections.connect.count).toBe(1);
    expect(engine!.books().connections.handshake.count).toBe(0);
  });

  it('or is cancelled when the client is taken away', async () => {
    const port = await plain_server(() => {});
    const e = await play(port);
    await e.until((b) => b.connections.connect.count === 1);
    e.apply(0);
    const books = await e.until((b) => b.connections.cancelled === 1);
    expect(books.connections.failed).toEqual({});
  });

  it('or with nobody there, like any other', async () => {
    const port = await plain_server(() => {});
    await new Promise((done) => servers.pop()!.close(done));
    expect((await refusal(port))[0]).toBe('ECONNREFUSED');
  });
});

/** Plain lines until STARTTLS, which it answers with `answer`; then TLS, and each line with itself. */
const upgrading = (answer = 'go ahead\r\n', options: TlsOptions = {}): Promise<number> =>
  plain_server((socket) => {
    socket.on('data', function take(data: Buffer) {
      if (!data.toString().startsWith('STARTTLS')) return void socket.write(data);
      socket.off('data', take);
      socket.write(answer);
      echo(new TLSSocket(socket, { isServer: true, key: good.key, cert: good.cert, ...options }));
    });
  });

it('a handshake that was done in time is no timeout, however busy the process was meanwhile', async () => {
  // with TLS 1.2 the server speaks last: what makes it done for the client is on its way when this is called
  const port = await tls_server({ maxVersion: 'TLSv1.2' }, () => {
    for (const until = performance.now() + 700; performance.now() < until;);
  });
  const e = await play(port, { run: { connect_timeout_ms: 300, reconnect_delay_ms: [60_000, 60_000] } });
  const books = await e.until((b) => b.actions[0]!.ok === 1 || b.clients.states.backoff === 1);
  expect(books.connections).toMatchObject({ established: 1, failed: {} });
});

describe('start_tls', () => {
  const plain = (port: number, commands: OneProcessOptions['commands'], more: Partial<OneProcessOptions> = {}) =>
    play(port, {
      commands,
      actions: { [Object.keys(commands)[0]!]: { after: [1000, 1000] } },
      ...more,
      run: {
        servers: [{ host: '127.0.0.1', port }],
        reconnect_delay_ms: [60_000, 60_000],
        ...more.run,
      },
    });

  it('goes on with TLS, and the round waits for it', async () => {
    const port = await upgrading();
    const replies: unknown[] = [];
    const e = await plain(port, {
      async upgrade(client) {
        replies.push(await client.send_for_reply('in the clear\r\n', line()));
        await client.send_for_reply('STARTTLS\r\n', line());
        await client.start_tls();
        replies.push(await client.send_for_reply('in secret\r\n', line()));
        const long = await client.send_for_reply(`${'y'.repeat(200_000)}\r\n`, line());
        replies.push(long.length);
      },
    });
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(replies).toEqual(['in the clear', 'in secret', 200_000]);
    expect(books.connections.handshake.count).toBe(1);
    expect(books.connections).toMatchObject({ attempted: 1, established: 1, open: 1 });
  });

  it('keeps the limits of the connection', async () => {
    const port = await upgrading();
    const e = await plain(
      port,
      {
        async upgrade(client) {
          await client.send_for_reply('STARTTLS\r\n', line());
          await client.start_tls();
          await client.send_for_reply(`${'x'.repeat(50_000)}\r\n`, line());
        },
      },
      {
        run: {
          connection_limits: { up_bytes_per_s: 200_000, down_bytes_per_s: 200_000, lifetime_ms: null, idle_ms: 5000 },
        },
      },
    );
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.bytes).toEqual({ sent: 50_012, received: 50_012 });
  });

  it('may follow a send that did not go out yet', async () => {
    // as MySQL does it: the client says that TLS comes, and it comes
    const port = await plain_server((socket) => {
      socket.once('readable', () => {
        let head: Buffer | null = socket.read(70_000) as Buffer | null;
        const upgrade = (): void => {
          head ??= socket.read(70_000) as Buffer | null;
          if (head === null) return;
          socket.off('readable', upgrade);
          echo(new TLSSocket(socket, { isServer: true, key: good.key, cert: good.cert }));
        };
        socket.on('readable', upgrade);
        upgrade();
      });
    });
    const e = await plain(
      port,
      {
        async upgrade(client) {
          await client.send_noreply(Buffer.alloc(70_000));
          await client.start_tls();
          await client.send_for_reply('hi\r\n', line());
        },
      },
      {
        run: {
          connection_limits: { up_bytes_per_s: 600_000, down_bytes_per_s: null, lifetime_ms: null, idle_ms: null },
        },
      },
    );
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.connections.handshake.count).toBe(1);
  });

  it('may be left floating: the round ends when it is done', async () => {
    const port = await upgrading();
    let done = false;
    const e = await plain(port, {
      async upgrade(client) {
        await client.send_for_reply('STARTTLS\r\n', line());
        void client.start_tls().then(() => (done = true));
      },
    });
    await e.until((b) => b.actions[0]!.ok === 1);
    expect(done).toBe(true);
  });

  it('works with messages, in any order of reading, over many connections', async () => {
    const port = await upgrading();
    const e = await plain(
      port,
      {
        async upgrade(client) {
          await client.send_for_reply('STARTTLS\r\n');
          await client.start_tls({ servername: 'chat.example' });
          const replies = [1, 2, 3].map((n) =>
            client.send_for_reply(
              `${n}\r\n`,
              match((m) => m === String(n)),
            ),
          );
          await Promise.all(replies);
          await client.close();
        },
      },
      { module: { messages: line() }, actions: {}, run: { reconnect_delay_ms: [0, 1] } },
    );
    e.apply(5);
    const books = await e.until((b) => b.connections.closed.script >= 30);
    expect(books.errors).toEqual({});
  });

  it('refuses what the server sent before the handshake', async () => {
    const port = await upgrading('go ahead\r\n250 you are the administrator\r\n');
    let after = false;
    const e = await plain(port, {
      async upgrade(client) {
        await client.send_for_reply('STARTTLS\r\n', line());
        await client.start_tls();
        after = true;
      },
    });
    const books = await e.until((b) => b.connections.closed.wrong_reply === 1);
    expect(books.errors['wrong_reply']!.last).toContain('31 bytes that nobody read before the handshake');
    expect(books.actions[0]!.failed).toEqual({ wrong_reply: 1 });
    expect(after).toBe(false);
  });

  it('rejects with the code of a handshake that fails, and the connection is over', async () => {
    const port = await upgrading();
    const codes: unknown[] = [];
    const e = await plain(
      port,
      {
        async upgrade(client) {
          await client.send_for_reply('STARTTLS\r\n', line());
          await client.start_tls().catch((error: { code: string }) => codes.push(error.code));
        },
      },
      { run: { tls: null } },
    );
    const books = await e.until((b) => b.connections.closed.reset === 1);
    expect(codes).toEqual(['DEPTH_ZERO_SELF_SIGNED_CERT']);
    expect(books.actions[0]!.failed).toEqual({ DEPTH_ZERO_SELF_SIGNED_CERT: 1 });
  });

  it('is bounded by --connect-timeout', async () => {
    const port = await plain_server((socket) => socket.once('data', () => socket.write('go\r\n')));
    const e = await plain(
      port,
      {
        async upgrade(client) {
          await client.send_for_reply('STARTTLS\r\n', line());
          await client.start_tls();
        },
      },
      { run: { connect_timeout_ms: 1500 } },
    );
    const books = await e.until((b) => b.connections.closed.timeout === 1);
    expect(books.errors['connect_timeout']!.last).toBe('connected, but no TLS handshake within 1500 ms');
    expect(books.actions[0]!.failed).toEqual({ connect_timeout: 1 });
  });

  it('fails when the server closes instead, and leaves no socket', async () => {
    const port = await plain_server((socket) => socket.once('data', () => socket.end()));
    const e = await plain(port, { upgrade: (client) => client.start_tls() });
    const books = await e.until((b) => b.connections.closed.reset === 1);
    expect(books.actions[0]!.failed).toEqual({ ECONNRESET: 1 });
    expect(books.errors['ECONNRESET']!.last).toContain('before secure TLS connection was established');
    await e.until(() => sockets.size === 0);
  });

  it('ends with the connection when the client is taken away or closes', async () => {
    const port = await plain_server((socket) => socket.on('data', () => {}));
    const e = await plain(port, { upgrade: (client) => void client.start_tls() });
    await e.until((b) => b.actions[0]!.running === 1);
    e.apply(0);
    const books = await e.until((b) => b.connections.closed.decr === 1);
    expect(books.actions[0]!.aborted).toBe(1);
  });

  it('is a bug of the module from within on_message: what was read is not all told yet', async () => {
    const port = await upgrading();
    const e = await plain(
      port,
      { upgrade: (client) => client.send_noreply('STARTTLS\r\n').then(() => new Promise(() => {})) },
      { module: { messages: line(), on_message: (client) => client.start_tls() } },
    );
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.errors['bad_call']!.last).toMatch(/from within on_message/);
  });

  it.each<[string, (client: FakeClient) => unknown, RegExp]>([
    [
      'with another call open',
      (client) => {
        void client.send_for_reply('hello\r\n', line());
        return client.start_tls();
      },
      /another call is open/,
    ],
    [
      'twice',
      async (client) => {
        await client.send_for_reply('STARTTLS\r\n', line());
        await client.start_tls();
        await client.start_tls();
      },
      /TLS already/,
    ],
    [
      'while another start_tls is open',
      (client) => {
        void client.start_tls();
        return client.start_tls();
      },
      /TLS already/,
    ],
    ['for an address', (client) => client.start_tls({ servername: '10.0.0.1' }), /not a host name/],
  ])('is a bug of the module %s', async (_, upgrade, text) => {
    const port = await upgrading();
    const e = await plain(port, { upgrade });
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.errors['bad_call']!.last).toMatch(text);
  });
});
