/** The daemon as its user runs it: a process of its own, steered through its console, judged by its final summary. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { open_console } from './console.mjs';
import { free_port, start, temporary_folder } from './processes.mjs';

const BENCH = join(import.meta.dirname, '..');

/**
 * @typedef {object} Swarm
 * @property {number} pid
 * @property {(clients: number, within_s: number) => Promise<void>} hold  `incr`, then waits until all are open
 * @property {() => Promise<object>} stop  each client finishes its round; resolves with the final summary
 * @property {() => Promise<void>} end  whatever state it is in
 *
 * @param {{ server_port: number, script: string, connect_per_s: number }} options  script: a name in bench/scripts/
 * @returns {Promise<Swarm>}
 */
export async function start_swarm({ server_port, script, connect_per_s }) {
  const summary = join(temporary_folder(), 'summary.json');
  const port = await free_port();
  const args = {
    '--listen': `127.0.0.1:${port}`,
    '--server': `127.0.0.1:${server_port}`,
    '--script': join(BENCH, 'scripts', `${script}.yml`),
    '--protocol-dir': join(BENCH, 'protocols'),
    '--connect-rate': String(connect_per_s),
    '--summary': summary,
    '--seed': 'bench',
  };
  const child = start(process.execPath, [join(BENCH, '../bin/swarm'), ...Object.entries(args).flat()]);
  const end = async () => {
    child.signal('SIGKILL');
    await child.ended(0);
  };
  try {
    await child.line(30_000); // its first line says that the console listens
    const console = await open_console(port, child.died);
    return {
      pid: child.pid,
      hold: async (clients, within_s) => {
        await console.ask(`incr ${clients}`);
        await console.ask(`wait within ${within_s}s`, (within_s + 5) * 1000);
      },
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
