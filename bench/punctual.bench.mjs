import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from './build.mjs';
import { cpu_s_of, scoped, start } from './lib/processes.mjs';
import { WARM_UP_MS } from './lib/sides.mjs';
import { start_swarm } from './lib/swarm.mjs';

const CONNECTIONS = 100;
const PER_S = 2000;
const RUNS = 3;
const EXAMPLES = join(import.meta.dirname, '../examples/protocols');

/** name → how to start it for `seconds`; a generator that is not installed is skipped by name */
const GENERATORS = {
  swarm: async (keep, port) => {
    const options = ['--protocol-dir', EXAMPLES];
    const swarm = await keep(start_swarm({ server_port: port, script: 'http-rate', connect_per_s: 1000, options }));
    await swarm.hold(CONNECTIONS, 30);
    await swarm.ask(`rate get ${PER_S}/s`);
    return swarm.pid;
  },
  autocannon: async (keep, port, seconds) => {
    const args = ['-c', CONNECTIONS, '-R', PER_S, '-d', seconds, `http://127.0.0.1:${port}/`];
    return (await keep(start('autocannon', args.map(String), { lines: false }))).pid;
  },
};

export const bench = {
  about: `${PER_S} HTTP requests a second over ${CONNECTIONS} connections: how evenly they come, as the server sees it`,
  seconds: 10,
  report: async ({ seconds, say }) => {
    say('| | requests | late p50, p90, p99, ms | CPU per request, µs |\n|---|---|---|---|');
    for (let run = 0; run < RUNS; run++)
      for (const [name, begin] of Object.entries(GENERATORS)) {
        const is_here = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
        if (name !== 'swarm' && !is_here) say(`${name} is not installed: npm i -g ${name}`);
        else say(await row(name, begin, seconds));
      }
    say(`\nplanned: ${PER_S * seconds} requests; late: beside a schedule that is laid by the most punctual one`);
  },
};

const row = (name, begin, seconds) =>
  scoped(async (keep) => {
    const server = await keep(start(reference('arrival_server'), [String(PER_S)]));
    const port = Number(await server.line());
    const pid = await begin(keep, port, seconds + 20);
    await sleep(WARM_UP_MS);
    for (let come = 0; come < PER_S;) {
      await sleep(1000);
      come = (await asked(server)).count;
    }
    const cpu_s = cpu_s_of(pid);
    await asked(server);
    await sleep(seconds * 1000);
    const { count, late_us } = await asked(server);
    const us = ((cpu_s_of(pid) - cpu_s) / count) * 1e6;
    return `| ${name} | ${count} | ${late_us.map((late) => (late / 1000).toFixed(2)).join(', ')} | ${us.toFixed(0)} |`;
  });

async function asked(server) {
  server.signal('SIGUSR1');
  return JSON.parse(await server.line());
}
