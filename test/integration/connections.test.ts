/** TLS and unix servers side by side, with churn and limits, in one process and in several; and what goes wrong before the first connection. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as create_tls_server, TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { Certificates, type Certificate } from '../certificates.ts';
import { until } from '../patience.ts';
import { Workplace } from './swarm-process.ts';

let place: Workplace;
let store: Certificates;
let good: Certificate;
let servers: Server[];
beforeEach(() => {
  place = new Workplace();
  store = new Certificates();
  good = store.make('good', ['DNS:localhost']);
  servers = [];
  place.write(
    'protocols/echo.ts',
    `import { line, type FakeClient } from 'swarm';
export const say = (client: FakeClient) => client.send_for_reply('hello\\r\\n', line());
`,
  );
  place.write(
    'protocols/upgrade.ts',
    `export async function connected(client) { await client.start_tls(); }\nexport * from './echo.ts';\n`,
  );
  for (const name of ['echo', 'upgrade'])
    place.write(
      `scripts/${name}.yml`,
      `protocol: ${name}\nactions:\n  - command: say\n    rounds: 3\n    sleep_between_rounds: 0.1\n    sleep_after_action: 0\n`,
    );
});
afterEach(async () => {
  await place.close();
  for (const server of servers) await new Promise((done) => server.close(done));
  store.remove();
});

const echo = (socket: Socket): void =>
  void socket.on('error', () => {}).on('data', (data: Buffer) => void socket.write(data));

async function listen(server: Server, where: { port: number; host: string } | { path: string }): Promise<number> {
  servers.push(server.listen(where));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe.each([0, 2])('with %s workers', (workers) => {
  it('a TLS and a unix server share the clients, whose connections come and go', async () => {
    let reused = 0;
    const accept = (socket: TLSSocket): void => {
      if (socket.isSessionReused()) reused++;
      echo(socket);
    };
    const tls = create_tls_server({ key: good.key, cert: good.cert, noDelay: true }, accept);
    const port = await listen(tls, { port: 0, host: '127.0.0.1' });
    const path = join(place.folder, 'echo.sock');
    await listen(createServer(echo), { path });
    const file = join(place.folder, 'summary.json');
    const swarm = place.swarm(
      ...['-r', `tls://localhost:${port}`, '-r', `unix:${path}`, '-s', join(place.folder, 'scripts/echo.yml')],
      ...['-l', '127.0.0.1:0', '--workers', String(workers), '--summary', file, '--connect-timeout', '20'],
      ...['--ca', good.cert_file, '--max-lifetime', '0.3-0.6', '--reconnect-delay', '0.05', '--limit-up', '10k'],
      ...['--limit-down', '10k', '--idle-timeout', '30', '--keep-alive', '60'],
    );
    const session = await swarm.console();
    expect(await session.ask('incr 20')).toEqual(['OK target 20']);
    const summary = async (): Promise<Summary> =>
      JSON.parse((await session.ask('status json'))[0]!.replace(/^OK /, '')) as Summary;
    await until('60 lifetimes are over', async () => (await summary()).connections.closed.limit >= 60);
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    const end = JSON.parse(readFileSync(file, 'utf8')) as Summary;
    expect(end).toMatchObject({ balanced: true, complete: true, errors: [] });
    expect(end.connections.failed).toEqual({});
    expect(end.run.servers).toEqual([`tls://localhost:${port}`, `unix:${path}`]);
    const [over_tls, over_unix] = end.endpoints;
    expect(over_tls).toMatchObject({
      address: `tls://127.0.0.1:${port}`,
      established: end.connections.handshake_ms.count,
    });
    expect(over_unix).toMatchObject({ address: `unix:${path}`, open: 0 });
    expect(over_unix!.established).toBeGreaterThan(20);
    expect(reused).toBeGreaterThan(10);
  });
});

describe('swarm try', () => {
  it('shows the handshake, also that of STARTTLS', async () => {
    const server = createServer((socket) =>
      echo(new TLSSocket(socket, { isServer: true, key: good.key, cert: good.cert })),
    );
    const port = await listen(server, { port: 0, host: '127.0.0.1' });
    for (const [script, where] of [
      ['echo', `tls://localhost:${port}`],
      ['upgrade', `localhost:${port}`],
    ] as const) {
      const file = join(place.folder, `scripts/${script}.yml`);
      const swarm = place.swarm('try', '-r', where, '-s', file, '--ca', good.cert_file);
      expect(await swarm.exited, swarm.out).toBe(0);
      expect(swarm.out).toMatch(
        / connect 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+\n.* secure TLSv1\.3 \S+\n.* send 7 bytes/,
      );
    }
  });

  it('says what to do about a certificate, and names a unix socket that is not there', async () => {
    const port = await listen(create_tls_server({ key: good.key, cert: good.cert }), { port: 0, host: '127.0.0.1' });
    const script = join(place.folder, 'scripts/echo.yml');
    const untrusted = place.swarm('try', '-r', `tls://localhost:${port}`, '-s', script);
    expect(await untrusted.exited).toBe(1);
    expect(untrusted.out).toContain('DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate (trust its issuer with --ca');
    const path = join(place.folder, 'none.sock');
    const missing = place.swarm('try', '-r', `unix:${path}`, '-s', script);
    expect(await missing.exited).toBe(1);
    expect(missing.out).toContain(`one client on unix:${path}`);
    expect(missing.out).toContain(`ENOENT: connect ENOENT ${path}`);
  });
});

it('a file that is no certificate ends swarm before it begins', async () => {
  const args = ['-r', 'tls://localhost:1', '-s', join(place.folder, 'scripts/echo.yml'), '-l', '127.0.0.1:0'];
  const swarm = place.swarm(...args, '--ca', good.key_file, '--workers', '2');
  expect(await swarm.exited).toBe(2);
  expect(swarm.err).toContain(`swarm: --ca: ${good.key_file} cannot be used: it holds no certificate`);
  expect(swarm.out).not.toContain('console listening');
});
