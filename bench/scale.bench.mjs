import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpu_s_of_all, pids_of, rss_bytes_of_all, start_holder } from './lib/hold.mjs';
import { scoped, temporary_folder } from './lib/processes.mjs';
import { figure, table } from './lib/stats.mjs';
import { start_swarm } from './lib/swarm.mjs';
import { svg_of } from './lib/svg.mjs';

const HERE = import.meta.dirname;
const SIZES = [10, 100, 1000, 10_000, 100_000];
/**
 * Messages per second at every size: each connection sleeps size / rate between its messages, and connecting is paced with the same rate,
 * so that the first round of messages is spread as all later ones are.
 */
const PER_S = 2000;
/** Connections of one process: 20 000 open files suffice. Up to here the daemon holds them itself. */
const PER_WORKER = 18_000;
const WARM_UP_MS = 3000;

export const bench = {
  about: `${SIZES.join(', ')} connections, ${PER_S} messages per second at each size; all processes of swarm together; --connections: the largest size`,
  only_by_name: true,
  seconds: 15,
  report,
};

/**
 * Prints a table; with all sizes it also writes docs/scale.svg.
 * @param {{ seconds: number, connections?: number, say: (text: string) => void }} options
 */
async function report({ seconds, connections = SIZES.at(-1), say }) {
  const sizes = SIZES.filter((size) => size <= connections);
  if (sizes.length < 2) throw new Error(`--connections ${connections}: a curve takes two sizes, ${SIZES[1]} or more`);
  const rows = [];
  for (const size of sizes) {
    rows.push(await measured(size, seconds));
    process.stderr.write(`scale: ${size} connections\n`);
  }
  say(
    table(
      ['connections', 'processes', 'messages per second', 'CPU per message, µs', 'RSS, MB', 'RSS per connection, KB'],
      rows.map((row) => [
        String(row.size),
        String(row.processes),
        figure(row.per_s),
        figure(row.cpu_us),
        figure(row.rss_mb),
        figure(row.rss_kb),
      ]),
    ),
  );
  if (sizes.length < SIZES.length) return;
  const file = join(HERE, '../docs/scale.svg');
  writeFileSync(file, svg_of(charts_of(rows)));
  say('\ndocs/scale.svg is written');
}

function measured(size, seconds) {
  return scoped(async (keep) => {
    const server = await keep(start_holder(size));
    const workers = size > PER_WORKER ? Math.ceil(size / PER_WORKER) : 0;
    const daemon = await keep(
      start_swarm({
        server_port: server.ports,
        script: script_with_sleep(size / PER_S),
        connect_per_s: PER_S,
        options: ['--workers', String(workers), '--connect-timeout', '30s'],
      }),
    );
    await daemon.hold(size, Math.ceil(size / PER_S) * 2 + 30);
    await sleep(WARM_UP_MS);
    const pids = await pids_of(daemon);
    const figures = { size, processes: pids.length, ...(await window_of(pids, server, size, seconds)) };
    const { requests, connections, balanced } = await daemon.stop();
    const { answered, errors } = await server.totals();
    if (requests.sent !== answered || connections.established !== size || errors !== 0 || !balanced)
      throw new Error(
        `the books of ${size} connections differ: swarm made ${connections.established} and sent ${requests.sent} requests, ` +
          `the server answered ${answered} and saw ${errors} errors (balanced: ${balanced})`,
      );
    return figures;
  });
}

/** What all processes do in the `seconds` from now. */
async function window_of(pids, server, size, seconds) {
  const before = { messages: await server.answered(), cpu_s: cpu_s_of_all(pids), ms: performance.now() };
  await sleep(seconds * 1000);
  const messages = (await server.answered()) - before.messages;
  const cpu_s = cpu_s_of_all(pids) - before.cpu_s;
  const rss_bytes = rss_bytes_of_all(pids);
  if (messages === 0) throw new Error(`no message within ${seconds} s`);
  return {
    per_s: (messages / (performance.now() - before.ms)) * 1000,
    cpu_us: (cpu_s / messages) * 1e6,
    rss_mb: rss_bytes / 1e6,
    rss_kb: rss_bytes / size / 1024,
  };
}

/** bench/scripts/scale.yml with that sleep, as a path without .yml. */
function script_with_sleep(seconds) {
  const script = join(temporary_folder(), 'scale');
  const text = readFileSync(join(HERE, 'scripts/scale.yml'), 'utf8');
  writeFileSync(`${script}.yml`, text.replace('SECONDS', String(seconds)));
  return script;
}

/** Pure. */
function charts_of(rows) {
  const x = 'connections';
  const short = (value) => Number(value.toPrecision(3));
  const points = (key) => rows.map((row) => [row.size, short(row[key])]);
  return [
    { title: `CPU per message at ${PER_S} messages per second`, x, y: 'µs, all processes', points: points('cpu_us') },
    { title: 'Resident memory per connection', x, y: 'KB, fixed costs included', log: true, points: points('rss_kb') },
  ];
}
