/** The servers both sides of a bench talk to. Each counts what it answered: outside of whoever is measured, exact at the instant it is asked. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from '../build.mjs';
import { free_port, start, temporary_folder } from './processes.mjs';

/**
 * @typedef {{ port: number, answered: () => Promise<number>, end: () => Promise<void> }} Server
 * @returns {Promise<Server>} the C echo server
 */
export async function start_echo() {
  const child = start(reference('echo_server'), []);
  return {
    port: Number(await child.line()),
    answered: async () => {
      child.signal('SIGUSR1');
      return Number(await child.line());
    },
    end: child.end,
  };
}

/** @returns {Promise<Server & { clients: () => number }>} a redis-server that keeps nothing; `answered` counts PINGs */
export async function start_redis() {
  const port = await free_port();
  const options = {
    '--bind': '127.0.0.1',
    '--port': String(port),
    '--dir': temporary_folder(),
    '--save': '',
    '--appendonly': 'no',
  };
  const child = start('redis-server', Object.entries(options).flat(), { lines: false });
  const info = (section, field) => {
    const text = execFileSync('redis-cli', ['-p', String(port), 'info', section], { encoding: 'utf8', stdio: 'pipe' });
    return Number(field.exec(text)?.[1] ?? 0);
  };
  for (const deadline = Date.now() + 10_000; ; await sleep(50)) {
    try {
      info('server', /tcp_port:(\d+)/);
      break;
    } catch (error) {
      if (child.died() === undefined && error.code !== 'ENOENT' && Date.now() < deadline) continue;
      await child.end();
      throw new Error(
        `no redis-server to bench with (Debian: apt-get install redis-server redis-tools): ${child.died() ?? error.message}`,
      );
    }
  }
  return {
    port,
    answered: async () => info('commandstats', /cmdstat_ping:calls=(\d+)/),
    clients: () => info('clients', /connected_clients:(\d+)/) - 1, // without the one that asks
    end: child.end,
  };
}
