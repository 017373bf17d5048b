/** What happens to a swarm of several processes when one of them, or the one above them, is killed or hangs. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleClient } from '../../src/console/console-client.ts';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger, type Ledger } from '../ledger.ts';
import { until } from '../patience.ts';
import { Workplace, type SwarmProcess } from './swarm-process.ts';

const SCRIPT =
  'protocol: lines\nactions:\n  - command: ping\n    sleep_between_rounds: [0.02, 0.1]\n    sleep_after_action: 0\n';
const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping\\r\\n', line());
export const hang = () => { for (;;); };
`;

let place: Workplace;
let ledger: Ledger;
beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/lines.js', MODULE);
  ledger = await start_ledger();
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

async function start(
  workers: number,
  script = SCRIPT,
  { more = [], env = {} }: { more?: string[]; env?: Record<string, string> } = {},
): Promise<{ swarm: SwarmProcess; session: ConsoleClient; summary: () => Summary; status: () => Promise<Summary> }> {
  const file = join(place.folder, 'summary.json');
  const swarm = place.swarm_through(
    ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    '-r',
    `127.0.0.1:${ledger.port}`,
    '-s',
    place.write('scripts/a.yml', script),
    '-l',
    '127.0.0.1:0',
    '--workers',
    String(workers),
    '--summary',
    file,
    ...more,
  );
  const session = await swarm.console();
  return {
    swarm,
    session,
    summary: () => JSON.parse(readFileSync(file, 'utf8')) as Summary,
    status: async () => JSON.parse((await session.ask('status json'))[0]!.replace(/^OK /, '')) as Summary,
  };
}

const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

describe('a worker killed with -9', () => {
  it('is replaced; never above the target; its last second is named, the books still balance', async () => {
    const { swarm, session, summary, status } = await start(3);
    expect(await session.ask('incr 100')).toEqual(['OK target 100']);
    expect(await session.ask('wait within 50s')).toEqual(['OK 100 open']);
    const before = await status();
    expect(before.workers.map((w) => w.live).sort()).toEqual([33, 33, 34]);
    const victim = before.workers[1]!;
    let most_live = 0;
    process.kill(victim.pid, 'SIGKILL');
    await until('another worker, and all open', async () => {
      const now = await status();
      most_live = Math.max(most_live, now.clients.live);
      expect(now.balanced, JSON.stringify(now)).toBe(true);
      return now.workers[1]!.incarnation !== victim.incarnation && now.connections.open === 100;
    });
    const after = await status();
    expect(after.connections.open).toBe(100);
    expect(most_live).toBe(100);
    expect(after).toMatchObject({ complete: false, target: 100 });
    expect(after.lost_workers).toMatchObject([{ worker: victim.id, incarnation: victim.incarnation }]);
    expect(after.clients.lost).toBe(victim.live);
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    expect(summary()).toMatchObject({ balanced: true, complete: false });
    // what the ledger saw beyond our counts happened in the dead worker's last second
    const books = await ledger.settled();
    expect(books.accepted).toBeGreaterThanOrEqual(summary().connections.established);
    expect(books.requests).toBeGreaterThanOrEqual(summary().requests.ok);
    expect(books.requests - summary().requests.sent).toBeLessThanOrEqual(34 * 50);
  });

  it('five times a minute: the breaker opens, its share goes to the other, `workers` says so', async () => {
    const { session, status } = await start(2);
    await session.ask('incr 40');
    await session.ask('wait within 50s');
    for (let death = 0; death < 5; death++) {
      let pid = 0;
      await until('it is up', async () => {
        const one = (await status()).workers[0]!;
        if (one.state === 'up' && alive(one.pid)) pid = one.pid;
        return pid !== 0;
      });
      process.kill(pid, 'SIGKILL');
      await until('its death is known', async () => (await status()).workers[0]!.state !== 'up');
    }
    await until('the other holds all', async () => (await status()).workers[1]!.open === 40);
    const now = await status();
    expect(now.workers.map((w) => [w.state, w.open])).toEqual([
      ['given_up', 0],
      ['up', 40],
    ]);
    expect((await session.ask('workers')).join('\n')).toMatch(/w1 .*given_up/);
  });
});

describe('a worker that hangs', () => {
  it('shows as stalled; the console goes on and says who did not acknowledge', async () => {
    const { session, status, swarm } = await start(2);
    await session.ask('incr 10');
    await session.ask('wait within 50s');
    const { pid } = (await status()).workers[1]!;
    process.kill(pid, 'SIGSTOP');
    try {
      await until('it is stalled', async () => (await status()).workers[1]!.state === 'stalled');
      expect(await session.ask('incr 10')).toEqual([
        expect.stringMatching(/^OK target 20, 1 of 2 workers acknowledged \(w2 silent \d+ s\)$/),
      ]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await session.ask('wait within 50s')).toEqual(['OK 20 open']);
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    expect((await ledger.settled()).open_peak).toBeLessThanOrEqual(20);
  });

  /** a client of each kind, each in a worker of its own */
  const STUCK = `import { line } from 'swarm';
import { openSync, readSync } from 'node:fs';
const ping = (client) => client.send_for_reply('ping\\r\\n', line());
const kinds = [
  () => { for (;;); },
  async () => { for (;;) await null; },
  () => readSync(openSync(process.env.SWARM_TEST_FIFO, 'r'), Buffer.alloc(1)),
  (client) => { process.removeAllListeners(); return ping(client); },
  () => process.kill(process.pid, 'SIGSTOP'),
];
export const hang = async (client) => {
  await ping(client);
  client.memory.n = (client.memory.n ?? 0) + 1;
  if (client.memory.n > 3) await kinds[client.id % 6]?.(client);
};
`;

  it.each(['stop', 'stop now'])(
    'whatever in, does not outlive a %s: killed within what was said, named, its books lost, exit code 1',
    async (command) => {
      place.write('protocols/lines.js', STUCK);
      const fifo = join(place.folder, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const drain_s = Math.round(Math.random() * 50) / 10;
      const { session, swarm, summary, status } = await start(6, SCRIPT.replace('ping', 'hang'), {
        more: ['--drain-timeout', String(drain_s)],
        env: { SWARM_TEST_FIFO: fifo },
      });
      await session.ask('incr 6');
      const states = async (): Promise<string> => (await status()).workers.map(({ state }) => state).join();
      await until('four hang visibly', async () => /(stalled.*){4}/.test(await states()));
      const asked_at = performance.now();
      const [answer] = await session.ask(command);
      const said_s = command === 'stop now' ? 2 : Number(/within ([\d.]+) s/.exec(answer!)![1]);
      expect(said_s).toBeCloseTo(command === 'stop now' ? 2 : drain_s + 2);
      expect(await swarm.exited).toBe(1);
      const took_s = (performance.now() - asked_at) / 1000;
      console.log(`measured: ${command} took ${took_s.toFixed(1)} s, said ${said_s} s`);
      // the deadlines were 5 and 6 s longer
      expect(took_s).toBeLessThan(said_s + 4);
      const { clients, errors, lost_workers, balanced } = summary();
      expect({ balanced, live: clients.live, lost: clients.lost }).toEqual({ balanced: true, live: 0, lost: 5 });
      expect(errors).toMatchObject([{ code: 'worker_stalled', count: 5 }]);
      for (const { worker } of lost_workers) expect(swarm.err).toMatch(new RegExp(`5 unconfirmed\\).*${worker}\\b`));
      expect(lost_workers.length).toBe(5);
      expect((await ledger.settled()).accepted).toBe(6);
    },
  );

  it('is replaced after --stall-timeout, and the run goes on: exit code 0, named by `errors`', async () => {
    const { session, swarm, status } = await start(2, SCRIPT, { more: ['--stall-timeout', '8s'] });
    await session.ask('incr 10');
    await session.ask('wait within 60s', 70_000);
    const { pid, incarnation } = (await status()).workers[1]!;
    // shorter than that nobody minds
    process.kill(pid, 'SIGSTOP');
    await sleep(2000);
    process.kill(pid, 'SIGCONT');
    await until('it is heard again', async () => (await status()).workers[1]!.silent_ms <= 1000);
    expect((await status()).workers[1]!.incarnation).toBe(incarnation);
    process.kill(pid, 'SIGSTOP');
    await until('it is replaced', async () => (await status()).workers[1]!.incarnation !== incarnation);
    expect(await session.ask('wait within 60s', 70_000)).toEqual(['OK 10 open']);
    expect((await session.ask('errors')).join('\n')).toMatch(
      new RegExp(`worker_stalled +1 .* worker w2 \\(pid ${pid}\\) did not answer for \\d.* s: killed`),
    );
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
  });
});

describe('the daemon killed with -9', () => {
  it.skipIf(!existsSync('/usr/bin/setpriv'))('leaves no worker, not even one in a busy loop', async () => {
    const { session, status, swarm } = await start(2, SCRIPT.replace('ping', 'hang'));
    const pids = (await status()).workers.map((w) => w.pid);
    expect(pids.every(alive)).toBe(true);
    await session.ask('incr 1'); // w1 spins now
    swarm.child.kill('SIGKILL');
    await swarm.exited;
    await until('all are gone', () => !pids.some(alive));
    // the next run sweeps up the folder it could not remove any more
    expect(place.left_behind.length).toBe(1);
    expect(await place.swarm('check', '-s', join(place.folder, 'scripts/a.yml')).exited).toBe(0);
    expect(place.left_behind).toEqual([]);
  });
});

describe('the open-file limit', () => {
  it('is known before it bites: the target becomes what fits, and the console goes on at the limit', async () => {
    const script = place.write('scripts/a.yml', SCRIPT);
    // 200 files: 100 stay reserved
    const wrapper = place.write('limited.sh', '#!/bin/sh\nulimit -n 200\nexec "$@"\n', 0o755);
    const child = spawn(
      wrapper,
      [
        process.execPath,
        'bin/swarm',
        '-r',
        `127.0.0.1:${ledger.port}`,
        '-s',
        script,
        '-l',
        '127.0.0.1:0',
        '--report-every',
        '1s',
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let out = '';
      child.stdout.on('data', (data) => (out += String(data)));
      await until('the console', () => /console listening on \S+:\d+\s/.test(out));
      const [, port] = /console listening on \S+:(\d+)/.exec(out)!;
      const session = await ConsoleClient.open({ host: '127.0.0.1', port: Number(port) });
      const [answer] = await session.ask('incr 300');
      const [, target] = /^OK target (\d+) \(asked 300: open files 200 per process; try --workers \d+\)$/.exec(
        answer!,
      )!;
      expect(Number(target)).toBeGreaterThan(50);
      expect(Number(target)).toBeLessThanOrEqual(100);
      expect(await session.ask('wait within 50s')).toEqual([`OK ${target} open`]);
      expect((await session.ask('incr 1'))[0]).toMatch(/^ERR limit_files /);
      const more = await Promise.all(
        [1, 2, 3].map(() => ConsoleClient.open({ host: '127.0.0.1', port: Number(port) })),
      );
      for (const other of more) expect((await other.ask('status'))[0]).toMatch(/^OK/);
      await session.ask('stop now');
      await new Promise((done) => child.once('exit', done));
      expect(child.exitCode).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('with --workers auto grows more workers, which hold the target together', async () => {
    const file = join(place.folder, 'summary.json');
    // 160 files: 100 stay reserved
    const wrapper = place.write('limited.sh', '#!/bin/sh\nulimit -n 160\nexec "$@"\n', 0o755);
    const args = ['-r', `127.0.0.1:${ledger.port}`, '-s', place.write('scripts/a.yml', SCRIPT), '-l', '127.0.0.1:0'];
    const child = spawn(
      wrapper,
      [
        process.execPath,
        'bin/swarm',
        ...args,
        '--workers',
        'auto',
        '--max-workers',
        String(availableParallelism() + 1),
        '--summary',
        file,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let out = '';
      child.stdout.on('data', (data) => (out += String(data)));
      await until('the console', () => /console listening on \S+:\d+\s/.test(out));
      const [, port] = /console listening on \S+:(\d+)/.exec(out)!;
      const session = await ConsoleClient.open({ host: '127.0.0.1', port: Number(port) });
      const status = async (): Promise<Summary> =>
        JSON.parse((await session.ask('status json'))[0]!.replace(/^OK /, '')) as Summary;
      const { workers, limits } = await status();
      const per_worker = workers[0]!.capacity;
      const count = (workers.length + 1) * per_worker;
      expect(limits.capacity).toBe(count);
      const [answer] = await session.ask(`incr ${count}`);
      expect(answer).toMatch(new RegExp(`^OK target ${count}.*, 1 worker is starting$`));
      expect(await session.ask('wait within 50s')).toEqual([`OK ${count} open`]);
      const grown = await status();
      expect(grown.workers.map(({ state, open }) => [state, open])).toEqual(
        Array.from({ length: workers.length + 1 }, () => ['up', per_worker]),
      );
      await session.ask('stop');
      await new Promise((done) => child.once('exit', done));
      expect(child.exitCode).toBe(0);
      const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
      expect(summary).toMatchObject({ balanced: true, complete: true, connections: { established: count } });
      expect((await ledger.settled()).accepted).toBe(count);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
