import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { line } from '../../../src/index.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

// A name with several addresses, which no name service of a test machine has: this alone is played, the sockets are real.
const addresses = vi.hoisted(() => [] as { address: string; family: number }[]);
vi.mock('node:dns/promises', () => ({ lookup: () => Promise.resolve(addresses) }));

let engine: OneProcess | undefined;
const servers: Server[] = [];
afterEach(async () => {
  const books = await engine?.close();
  engine = undefined;
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
  if (books) expect(imbalances(books)).toEqual([]);
});

async function listen(host: string, port = 0): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).on('data', (data) => socket.write(data)));
  servers.push(server.listen(port, host));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const talk: OneProcessOptions['commands'] = { go: (client) => client.send_for_reply('hi\r\n', line()) };
async function play(port: number, clients: number, run: OneProcessOptions['run'] = {}): Promise<OneProcess> {
  const actions = { go: { after: [1000, 1000] } } as const;
  engine = await start_one_process({
    port,
    commands: talk,
    actions,
    // who waits for it never comes
    run: { servers: [{ host: 'chat.example', port }], reconnect_delay_ms: [1e6, 1e6], ...run },
  });
  engine.apply(clients);
  return engine;
}

describe('a name with several addresses', () => {
  it.each([
    ['both families, the server on the other one', ['::1', '127.0.0.1']],
    ['some that are dead', ['127.0.0.9', '127.0.0.1', '127.0.0.8', '127.0.0.7']],
  ])('%s: every client finds the one that listens, without its reconnect delay', async (_, all) => {
    addresses.splice(0, Infinity, ...all.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
    const e = await play(await listen('127.0.0.1'), 12);
    const books = await e.until((b) => b.connections.open === 12);
    expect(Object.values(books.connections.failed).reduce((a, b) => a + b)).toBeGreaterThan(0);
    expect(books.connections.attempted).toBeLessThanOrEqual(12 * all.length);
  });

  it('waits once nobody took it anywhere', async () => {
    addresses.splice(0, Infinity, { address: '127.0.0.9', family: 4 }, { address: '127.0.0.8', family: 4 });
    const port = await listen('127.0.0.1');
    const e = await play(port, 5);
    const books = await e.until((b) => b.clients.states.backoff === 5 && b.connections.attempted === 10);
    expect(books.connections).toMatchObject({ connecting: 0, established: 0 });
  });

  it('goes back to its own address when that has others again', async () => {
    addresses.splice(0, Infinity, { address: '127.0.0.8', family: 4 }, { address: '127.0.0.9', family: 4 });
    const port = await listen('127.0.0.9');
    const e = await play(port, 4, {
      reconnect_delay_ms: [1, 5],
      connection_limits: { up_bytes_per_s: null, down_bytes_per_s: null, lifetime_ms: [20, 40], idle_ms: null },
    });
    await e.until((b) => b.connections.open === 4);
    await listen('127.0.0.8', port);
    e.apply(5); // the fifth is at home there
    const at = (host: string): number => e.books().endpoints[`${host}:${port}`]?.open ?? 0;
    await e.until(() => at('127.0.0.8') === 3 && at('127.0.0.9') === 2);
  });

  it('with once, as in swarm try, too', async () => {
    addresses.splice(0, Infinity, { address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 });
    const e = await play(await listen('127.0.0.1'), 1, { once: true });
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(1);
  });
});
