/** The daemon as its user runs it: a process of its own, steered through its console, judged by its final summary. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { open_console } from './console.mjs';
import { start, temporary_folder } from './processes.mjs';

const BENCH = join(import.meta.dirname, '..');

/**
 * @typedef {object} Swarm
 * @property {number} pid
 * @property {number} port  of its console
 * @property {(clients: number, within_s: number) => Promise<void>} hold  `incr`, then waits until all are open
 * @property {(line: string, within_ms?: number) => Promise<string>} ask  its console
 * @property {() => Promise<object>} summary  of now
 * @property {() => Promise<import('./console.mjs').Console>} open_console  one more session
 * @property {() => Promise<object>} stop  each client finishes its round; resolves with the final summary
 * @property {() => Promise<void>} end  whatever state it is in
 *
 * @param {{ server_port: number | readonly number[], script: string, connect_per_s: number, options?: readonly string[], checkout?: string }} options
 *   script: a name in bench/scripts/, or a path without its .yml; options: more of the command line, instead of what is usual;
 *   checkout: whose swarm, default this one's
 * @returns {Promise<Swarm>}
 */
export async function start_swarm({ server_port, script, connect_per_s, options = [], checkout = join(BENCH, '..') }) {
  const summary = join(temporary_folder(), 'summary.json');
  const args = {
    '--listen': '127.0.0.1:0',
    '--script': resolve(BENCH, 'scripts', `${script}.yml`),
    '--protocol-dir': join(BENCH, 'protocols'),
    '--connect-rate': String(connect_per_s),
    '--summary': summary,
    '--seed': 'bench',
  };
  // an option given twice is refused
  const own = Object.entries(args).filter(([flag]) => !options.includes(flag));
  const servers = [server_port].flat().flatMap((port) => ['--server', `127.0.0.1:${port}`]);
  const child = start(join(checkout, 'bin/swarm'), [...own.flat(), ...servers, ...options]);
  const end = async () => {
    child.signal('SIGKILL');
    await child.ended(0);
  };
  try {
    const port = Number(/^console listening on 127\.0\.0\.1:(\d+)/.exec(await child.line(30_000))?.[1]);
    const console = await open_console(port, child.died);
    return {
      pid: child.pid,
      port,
      hold: async (clients, within_s) => {
        await console.ask(`incr ${clients}`);
        await console.ask(`wait within ${within_s}s`, (within_s + 5) * 1000);
      },
      ask: console.ask,
      summary: async () => JSON.parse(await console.ask('status json')),
      open_console: () => open_console(port, child.died),
      stop: async () => {
        await console.ask('stop', 30_000);
        if ((await child.ended(30_000)) !== 0) throw new Error(child.died());
        return JSON.parse(readFileSync(summary, 'utf8'));
      },
      end: async () => {
        console.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
