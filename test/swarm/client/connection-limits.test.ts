import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { fixed, line } from '../../../src/index.ts';
import { burst_of } from '../../../src/swarm/client/throttle.ts';
import type { ConnectionLimits } from '../../../src/swarm/plan/run-spec.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../../ledger.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

// Rates are asserted by what cannot have passed yet and by what has passed in the end, never by how long something took.

let engine: OneProcess | undefined;
let ledger: Ledger | undefined;
let server: Server | undefined;
afterEach(async () => {
  const books = await engine?.close();
  await ledger?.close();
  if (server) await new Promise((done) => server!.close(done));
  engine = ledger = server = undefined;
  if (!books) return;
  expect(imbalances(books)).toEqual([]);
  expect(books.connections.open + books.connections.connecting + books.requests.in_flight).toBe(0);
});

const limits = (some: Partial<ConnectionLimits>): ConnectionLimits => ({
  up_bytes_per_s: null,
  down_bytes_per_s: null,
  lifetime_ms: null,
  idle_ms: null,
  ...some,
});

async function play(
  some: Partial<ConnectionLimits>,
  options: Omit<OneProcessOptions, 'port'>,
  reply?: LedgerOptions['reply'],
): Promise<OneProcess> {
  ledger = await start_ledger(reply ? { reply } : {});
  const run = { connection_limits: limits(some), ...options.run };
  engine = await start_one_process({ port: ledger.port, ...options, run });
  engine.apply(1);
  return engine;
}

const later = { reconnect_delay_ms: [60_000, 60_000] } as const;
const forever = (): Promise<never> => new Promise(() => {});
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

describe('--limit-up', () => {
  it('holds back what is over the rate, loses nothing, and the reply comes when all has gone', async () => {
    const rate = 200_000;
    const started = performance.now();
    const e = await play(
      { up_bytes_per_s: rate },
      {
        commands: { go: (client) => client.send_for_reply(`${'x'.repeat(100_000)}\r\n`, line()) },
        actions: { go: { after: [1000, 1000] } },
      },
    );
    const seen = await ledger!.until((b) => b.bytes.received > 0);
    // 1.1: the wheel's tick and this process' own turns
    expect(seen.bytes.received).toBeLessThanOrEqual(
      burst_of(rate) + (1.1 * rate * (performance.now() - started)) / 1000,
    );
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.bytes.sent).toBe(100_002);
    expect(ledger!.books().bytes.received).toBe(100_002);
  });

  it('counts only what has gone; a connection that ends has a second for the rest', async () => {
    const e = await play(
      { up_bytes_per_s: 20_000 },
      {
        commands: {
          async go(client) {
            void client.send_noreply(Buffer.alloc(10_000, 'x'));
            void client.send_noreply(Buffer.alloc(50_000, 'y'));
            await client.close();
          },
        },
        run: later,
      },
    );
    await e.until((b) => b.connections.closed.script === 1);
    const books = await ledger!.settled();
    const { sent } = e.books().bytes;
    expect(books.bytes.received).toBe(sent);
    expect(sent).toBeGreaterThanOrEqual(2000);
    expect(sent).toBeLessThan(60_000);
  });

  it('lets a connection that closes send all, where a second is enough', async () => {
    const e = await play(
      { up_bytes_per_s: 200_000 },
      {
        commands: {
          async go(client) {
            void client.send_noreply(Buffer.alloc(30_000, 'x'));
            await client.close();
          },
        },
        run: later,
      },
    );
    await e.until((b) => b.connections.closed.script === 1);
    expect((await ledger!.settled()).bytes.received).toBe(30_000);
  });

  it('makes send_noreply wait from 64 KiB on, until all of it went', async () => {
    const events: string[] = [];
    const e = await play(
      { up_bytes_per_s: 400_000 },
      {
        commands: {
          async go(client) {
            await client.send_noreply(Buffer.alloc(90_000));
            events.push('small');
            await client.send_noreply(Buffer.alloc(90_000));
            events.push(`large ${e.books().bytes.sent}`);
            return forever();
          },
        },
      },
    );
    await e.until(() => events.length === 2);
    expect(events).toEqual(['small', 'large 180000']);
  });

  it('does not let a module queue without end', async () => {
    const e = await play(
      { up_bytes_per_s: 1000 },
      {
        commands: {
          go(client) {
            for (let i = 0; i < 20; i++) void client.send_noreply(Buffer.alloc(1024 * 1024));
            return forever();
          },
        },
      },
    );
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.errors['bad_call']!.last).toContain('bytes wait to be sent');
  });
});

describe('--limit-down', () => {
  it.each([
    ['framer', line()],
    ['large reply', fixed(200_002)],
  ])('slows the server down and loses nothing (%s)', async (_, parser) => {
    const rate = 400_000;
    const lengths: number[] = [];
    const started = performance.now();
    const e = await play(
      { down_bytes_per_s: rate },
      {
        commands: {
          async go(client) {
            lengths.push((await client.send_for_reply<string>('give\r\n', parser as never)).length);
          },
        },
        actions: { go: { after: [1000, 1000] } },
      },
      () => ({ text: 'z'.repeat(200_000) }),
    );
    const early = await e.until((b) => b.bytes.received > 0);
    expect(early.bytes.received).toBeLessThanOrEqual(
      2 * burst_of(rate) + (1.1 * rate * (performance.now() - started)) / 1000,
    );
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.bytes.received).toBe(200_002);
    expect(lengths[0]).toBeGreaterThanOrEqual(200_000);
  });

  it('sees the end of the connection once it reads again', async () => {
    server = createServer((socket) => void socket.on('error', () => {}).end(Buffer.alloc(3000)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as { port: number }).port;
    engine = await start_one_process({
      port,
      commands: { go: (client) => client.send_for_reply('', fixed(3000)).then(forever) },
      run: { ...later, connection_limits: limits({ down_bytes_per_s: 8000 }) },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.closed.server === 1);
    expect(books.bytes.received).toBe(3000);
    expect(books.requests.ok).toBe(1);
  });

  it('does not keep a connection that is paused from being closed in order', async () => {
    const e = await play(
      { down_bytes_per_s: 1000 },
      { commands: { go: (client) => client.send_for_reply('give\r\n', fixed(500_002)) } },
      () => ({ text: 'z'.repeat(500_000) }),
    );
    await e.until((b) => b.bytes.received >= 1024);
    e.apply(0);
    await e.until((b) => b.connections.closed.decr === 1);
    expect((await ledger!.settled()).closed.client_reset).toBe(0);
  });
});

describe('--max-lifetime', () => {
  it('ends a connection that sleeps, and the client comes back', async () => {
    const e = await play(
      { lifetime_ms: [20, 40] },
      { commands: { go: (client) => client.send_for_reply('hi\r\n', line()) }, actions: { go: { after: [60, 60] } } },
    );
    const books = await e.until((b) => b.connections.closed.limit >= 3);
    expect(books.errors).toEqual({});
    expect(books.actions[0]!.failed).toEqual({});
    expect(books.actions[0]!.aborted).toBe(0);
  });

  it('waits for the end of the round that runs', async () => {
    let answer: (() => void) | undefined;
    const e = await play(
      { lifetime_ms: [20, 20] },
      {
        commands: {
          async go(client) {
            await client.send_for_reply('hi\r\n', line());
            await new Promise<void>((done) => (answer = done));
          },
        },
        run: later,
      },
    );
    await e.until(() => answer !== undefined);
    await pause(80);
    expect(e.books().connections.open).toBe(1);
    answer!();
    const books = await e.until((b) => b.connections.closed.limit === 1);
    expect(books.actions[0]).toMatchObject({ started: 1, ok: 1, running: 0 });
    expect(books.errors).toEqual({});
  });

  it('lets no round of a busy connection be cut', async () => {
    const e = await play(
      { lifetime_ms: [5, 15] },
      { commands: { go: (client) => client.send_for_reply('hi\r\n', line()) } },
    );
    e.apply(5);
    const books = await e.until((b) => b.connections.closed.limit >= 20);
    expect(books.requests.aborted).toBe(0);
    expect(books.errors).toEqual({});
    // nobody waits in `acting` for a round that does not come
    await e.until((b) => b.connections.closed.limit >= 40);
  });

  it('is drawn for each connection anew', async () => {
    const e = await play(
      { lifetime_ms: [1, 30_000] },
      { commands: { go: () => {} }, actions: { go: { after: [10, 10] } }, run: later },
    );
    e.apply(50);
    const books = await e.until((b) => b.connections.closed.limit >= 1 && b.connections.established === 50);
    expect(books.connections.open).toBeGreaterThan(10);
  });
});

describe('--idle-timeout', () => {
  it('ends a silent connection, counted as an error, with its round', async () => {
    const e = await play({ idle_ms: 100 }, { commands: { go: forever }, run: later });
    const books = await e.until((b) => b.connections.closed.limit === 1);
    expect(books.errors['idle_timeout']).toMatchObject({ count: 1, last: 'no byte either way for 100 ms' });
    expect(books.actions[0]!.failed).toEqual({ idle_timeout: 1 });
  });

  it('leaves those alone on which bytes go either way', async () => {
    const e = await play(
      { idle_ms: 2000 },
      {
        commands: { go: (client) => client.send_noreply('hi\r\n') },
        actions: { go: { after: [0.02, 0.02] } },
      },
    );
    const start = performance.now();
    const books = await e.until((b) => b.actions[0]!.ok >= 30 && performance.now() > start + 5000);
    expect(books.connections.closed.limit).toBe(0);
  });

  it('does not take a connection for silent that a limit holds back', async () => {
    const e = await play(
      { idle_ms: 100, up_bytes_per_s: 4000 },
      {
        commands: { go: (client) => client.send_for_reply(`${'x'.repeat(2500)}\r\n`, line()) },
        actions: { go: { after: [1000, 1000] } },
        run: later,
      },
    );
    const books = await e.until((b) => b.actions[0]!.ok === 1);
    expect(books.connections.closed.limit).toBe(0);
  });
});

describe('a unix socket', () => {
  const dir = mkdtempSync(join(tmpdir(), 'swarm-unix-'));
  const path = join(dir, 'socket');
  afterEach(() => rmSync(path, { force: true }));

  it('is a server like any other, without ports', async () => {
    server = createServer(
      (socket: Socket) => void socket.on('error', () => {}).on('data', (data) => socket.write(data)),
    );
    server.listen(path);
    await once(server, 'listening');
    const traced: string[] = [];
    engine = await start_one_process({
      port: 0,
      commands: { go: (client) => client.send_for_reply('hi\r\n', line()) },
      actions: { go: { after: [1000, 1000] } },
      run: { servers: [{ host: '', port: 0, path }], keep_alive_ms: 60_000 },
    });
    engine.apply(1, 'run', { ports: [[[1, 100, 1]]] });
    engine.population.client(1)!.trace = (event, _, text) => void traced.push(`${event} ${text}`);
    const books = await engine.until((b) => b.actions[0]!.ok === 1);
    expect(Object.keys(books.endpoints)).toEqual([`unix:${path}`]);
    expect(traced[0]).toBe(`connect ${path}`);
  });

  it('whose backlog is full is tried again until it takes the connection, or --connect-timeout is over', async () => {
    const code = `const s = require('node:net').createServer((c) => c.on('error', () => {}));
      s.listen({ path: process.argv[1], backlog: 1 }, () => console.log('up'));`;
    const child = spawn(process.execPath, ['-e', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    child.kill('SIGSTOP');
    const play = async (connect_timeout_ms: number): Promise<OneProcess> => {
      const servers = [{ host: '', port: 0, path }];
      const e = await start_one_process({
        port: 0,
        commands: { go: () => new Promise(() => {}) },
        run: { ...later, servers, connect_timeout_ms },
      });
      e.apply(20);
      return e;
    };
    const short = await play(100);
    const books = await short.until((b) => b.connections.connecting === 0 && b.connections.attempted === 20);
    expect(Object.keys(books.connections.failed)).toEqual(['connect_timeout']);
    await short.close();
    engine = await play(120_000);
    await engine.until((b) => b.connections.attempted === 20);
    child.kill('SIGCONT');
    expect((await engine.until((b) => b.connections.open === 20)).connections.failed).toEqual({});
  });

  it('that is missing fails by its name', async () => {
    engine = await start_one_process({
      port: 0,
      commands: { go: () => {} },
      run: { ...later, servers: [{ host: '', port: 0, path }] },
    });
    engine.apply(1);
    const books = await engine.until((b) => b.connections.failed['ENOENT'] === 1);
    expect(books.errors['ENOENT']!.last).toContain(path);
    rmSync(dir, { recursive: true });
  });
});
