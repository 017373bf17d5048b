/** The main job on real input: hundreds of clients on a real Redis and on the chat server, in one process and in several. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createConnection, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Ajv } from 'ajv';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../src/metrics/summary.ts';
import { until } from '../patience.ts';
import { ROOT, Workplace } from './swarm-process.ts';

const has = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, command)));
const missing = ['redis-server', 'redis-cli', 'telnet', 'tmux'].filter((command) => !has(command));
if (missing.length > 0)
  process.stderr.write(`real-servers.test: without ${missing.join(', ')} their tests are skipped\n`);

let place: Workplace;
let servers: ChildProcess[];
beforeEach(() => {
  place = new Workplace();
  servers = [];
});
afterEach(async () => {
  await place.close();
  for (const server of servers) {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }
});

async function free_port(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function start_chat(...args: string[]): Promise<string> {
  const target = join(ROOT, 'examples/targets/durian.mjs');
  const server = spawn(process.execPath, [target, '--listen', '127.0.0.1:0', '--end-with-stdin', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  servers.push(server);
  for await (const line of createInterface(server.stdout)) {
    const [, address] = /^listening (\S+)$/.exec(line) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error('the chat server did not start');
}

async function start_redis(): Promise<number> {
  const port = await free_port();
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    place.temporary,
  ];
  servers.push(spawn('redis-server', args, { stdio: 'ignore' }));
  await until('redis-server', async () => {
    const socket = createConnection(port, '127.0.0.1');
    const up = await new Promise<boolean>((done) =>
      socket.once('connect', () => done(true)).once('error', () => done(false)),
    );
    socket.destroy();
    return up;
  });
  return port;
}

/** Failures of any kind in a summary. */
const failures = (summary: Summary): Record<string, number>[] => [
  ...summary.actions.map((a) => a.failed),
  summary.connections.failed,
];

const validate = new Ajv({ strict: false }).compile(
  JSON.parse(readFileSync(join(ROOT, 'docs/summary.schema.json'), 'utf8')) as object,
);

async function play(script: string, server: string, workers: number, clients: number): Promise<Summary> {
  const file = join(place.folder, 'summary.json');
  const swarm = place.swarm(
    '-r',
    server,
    '-s',
    join(ROOT, 'examples/scripts', script),
    '-l',
    '127.0.0.1:0',
    '--workers',
    String(workers),
    '--summary',
    file,
  );
  const session = await swarm.console();
  expect(await session.ask(`incr ${clients}`)).toEqual([`OK target ${clients}`]);
  expect(await session.ask('wait within 50s')).toEqual([`OK ${clients} open`]);
  const status = async (): Promise<Summary> =>
    JSON.parse((await session.ask('status json'))[0]!.replace(/^OK /, '')) as Summary;
  await until('each action is played often', async () =>
    (await status()).actions.every(({ ok, histograms }) => ok > 10 && histograms!.service.length > 10),
  );
  const now = await status();
  expect(validate(now), JSON.stringify(validate.errors)).toBe(true);
  expect(now).toMatchObject({ final: false, balanced: true });
  expect(await session.ask(`decr ${clients / 2}`)).toEqual([`OK target ${clients / 2}`]);
  expect((await session.ask('stop'))[0]).toMatch(/^OK stopping/);
  expect(await swarm.exited, swarm.err).toBe(0);
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
  expect(validate(summary), JSON.stringify(validate.errors)).toBe(true);
  expect(summary).toMatchObject({ final: true, balanced: true, complete: true, target: clients / 2 });
  expect(summary.clients).toMatchObject({ created: clients, peak: clients, live: 0 });
  return summary;
}

describe.each([0, 2])('with %s workers', (workers) => {
  it.skipIf(!has('redis-server') || !has('redis-cli'))(
    '400 clients on a real redis-server: its own counts are ours',
    async () => {
      const port = await start_redis();
      const summary = await play('redis.yml', `127.0.0.1:${port}`, workers, 400);
      for (const failed of failures(summary)) expect(failed).toEqual({});
      const stats = execFileSync('redis-cli', ['-p', String(port), 'info', 'commandstats'], { encoding: 'utf8' });
      const calls = (command: string): number =>
        Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
      const by_redis = ['ping', 'set', 'get', 'hello'].reduce((sum, command) => sum + calls(command), 0);
      expect(summary.requests.sent).toBeGreaterThanOrEqual(400);
      expect(by_redis).toBe(summary.requests.sent);
      // those taken away by decr had a request under way
      expect(summary.requests.ok + summary.requests.aborted).toBe(summary.requests.sent);
      expect(summary.requests.aborted).toBeLessThanOrEqual(200);
    },
  );

  it('300 clients on the chat server: everybody enters, talks, hears', async () => {
    const summary = await play('chat.yml', await start_chat(), workers, 300);
    for (const failed of failures(summary)) expect(failed).toEqual({});
    const connected = summary.actions.find((action) => action.index === -1)!;
    expect(connected).toMatchObject({ command: 'connected', ok: 300 });
    expect(summary.actions.some((action) => action.index >= 0 && action.ok > 0)).toBe(true);
  });

  it('the chat server slow and faulty: every outcome is counted, the books balance', async () => {
    const address = await start_chat('--faulty', '0.3', '--slow', '20', '--seed', '7');
    const file = join(place.folder, 'summary.json');
    const script = place.write(
      'scripts/f.yml',
      'protocol: durian\nactions:\n  - command: heartbeat\n    args: { uid: 5 }\n    sleep_between_rounds: [0, 0.1]\n    sleep_after_action: 0\n',
    );
    const swarm = place.swarm(
      '-r',
      address,
      '-s',
      script,
      '-p',
      join(ROOT, 'examples/protocols'),
      '-l',
      '127.0.0.1:0',
      '--workers',
      String(workers),
      '--summary',
      file,
      '--reply-timeout',
      '200ms',
      '--reconnect-delay',
      '0.01-0.1',
    );
    const session = await swarm.console();
    await session.ask('incr 200');
    const CODES = ['timeout', 'server_closed', 'ECONNRESET'];
    await until('each way to fail', async () => {
      const text = (await session.ask('errors')).join('\n');
      return CODES.every((code) => text.includes(code));
    });
    const errors = await session.ask('errors');
    expect(errors[0]).toMatch(/^OK [1-9]/);
    await session.ask('stop now');
    expect(await swarm.exited, swarm.err).toBe(0);
    const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
    expect(summary).toMatchObject({ balanced: true, complete: true });
    const { failed } = summary.actions[0]!;
    for (const code of CODES) expect(failed[code], code).toBeGreaterThan(0);
    expect(
      summary.connections.closed.server + summary.connections.closed.reset + summary.connections.closed.timeout,
    ).toBeGreaterThan(0);
  });
});

describe('the console from a real telnet', () => {
  it.skipIf(!has('telnet') || !has('tmux'))('prompts, completes, steers, and shows a clean screen', async () => {
    const swarm = place.swarm(
      '-r',
      await start_chat(),
      '-s',
      join(ROOT, 'examples/scripts/example.yml'),
      '-l',
      '127.0.0.1:0',
    );
    const [, port] = await swarm.said(/^console listening on \S+:(\d+)/m);
    const socket = join(place.temporary, 'tmux');
    const tmux = (...args: string[]): string =>
      execFileSync('tmux', ['-S', socket, ...args], { encoding: 'utf8', env: { ...process.env, TERM: 'xterm' } });
    const screen = (): string => tmux('capture-pane', '-p', '-t', 's', '-S', '-200');
    const see = async (what: RegExp): Promise<void> => {
      await until(
        () => `${what} in:\n${screen()}`,
        () => what.test(screen()),
      );
    };
    tmux('new-session', '-d', '-s', 's', '-x', '160', '-y', '50', `telnet 127.0.0.1 ${port}; sleep 60`);
    try {
      await see(/Welcome to Swarm Remote Console[^]*swarm>\s*$/);
      tmux('send-keys', '-t', 's', 'incr 20', 'Enter');
      await see(/swarm> incr 20\n *OK target 20\n *swarm>/);
      tmux('send-keys', '-t', 's', 'wa', 'Tab', 'within 10s', 'Enter');
      await see(/swarm> wait within 10s\n *OK 20 open\n *swarm>/);
      tmux('send-keys', '-t', 's', 'Up', 'Up', 'Enter');
      await see(/OK target 40\n *swarm>/);
      tmux('send-keys', '-t', 's', 'incr -5', 'Enter');
      await see(/ERR bad_command[^]*swarm>\s*$/);
      tmux('send-keys', '-t', 's', 'stop now', 'Enter');
      await see(/OK stopping now[^]*Connection closed by foreign host/);
      expect(await swarm.exited, swarm.err).toBe(0);
    } finally {
      tmux('kill-server');
    }
  });
});
