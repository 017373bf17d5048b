import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { settled } from './lib/hold.mjs';
import { cpu_s_of, free_port, rss_bytes_of, scoped, start, temporary_folder } from './lib/processes.mjs';
import { figure, table } from './lib/stats.mjs';
import { start_swarm } from './lib/swarm.mjs';

const AGENTS = 500;
const PROCESSES = 2;
const COMMANDS = 10;
const READY_WITHIN_S = 30;
/** All agents begin at once here, and all of their code is new. */
const REST_MS = 2000;

export const bench = {
  about: `one coordinator and ${AGENTS} agents whose workers do nothing; --connections: so many agents. Needs nats-server`,
  only_by_name: true,
  seconds: 20,
  report,
};

/** @param {{ seconds: number, connections?: number, say: (text: string) => void }} options */
async function report({ seconds, connections: agents = AGENTS, say }) {
  const { acknowledged_ms, late, cpu, rss_mb, engine_cpu } = await scoped((keep) => measured(keep, agents, seconds));
  const row = (title, value, at_most, unit) => [
    title,
    figure(value) + unit,
    at_most === null ? '' : `≤ ${at_most}${unit}`,
    at_most === null ? '' : value <= at_most ? 'met' : 'missed',
  ];
  say(
    table(
      [`${agents} agents`, '', 'goal', ''],
      [
        row(`slowest of ${COMMANDS} \`incr\`, all agents acknowledged it`, Math.max(...acknowledged_ms), 1000, ' ms'),
        row('commands that not all agents acknowledged', late, 0, ''),
        row(`CPU of the coordinator, mean of ${seconds} s at rest`, cpu * 100, 50, ' %'),
        row('RSS of the coordinator', rss_mb, 300, ' MB'),
        row('CPU of the engine', engine_cpu * 100, null, ' %'),
      ],
    ),
  );
}

async function measured(keep, agents, seconds) {
  const engine = await start_engine();
  keep(engine);
  const share = Math.ceil(agents / PROCESSES);
  for (let first = 0; first < agents; first += share) {
    const count = Math.min(share, agents - first);
    const crowd = start(process.execPath, [
      join(import.meta.dirname, 'lib/crowd-agents.mjs'),
      engine.url,
      String(first),
      String(count),
    ]);
    keep(crowd);
    await crowd.line();
  }
  const options = ['--join', engine.url, '--min-agents', String(agents)];
  const swarm = await start_swarm({ server_port: 9, script: 'sleepy', connect_per_s: 1000, options });
  keep(swarm);
  const well = async () => (await swarm.summary()).agents.every(({ health }) => health === 'ok');
  await settled(READY_WITHIN_S, well, `all ${agents} agents well`);
  await sleep(REST_MS);
  const acknowledged_ms = [];
  let late = 0;
  for (let i = 0; i < COMMANDS; i++) {
    const asked = performance.now();
    const answer = await swarm.ask(`incr ${agents}`);
    acknowledged_ms.push(performance.now() - asked);
    if (/acknowledged|not planned/.test(answer)) late++;
    await sleep(500);
  }
  const all_open = async () => (await swarm.summary()).agents.every(({ open }) => open === COMMANDS);
  await settled(READY_WITHIN_S, all_open, `${COMMANDS} clients on each agent`);
  const [before, engine_before, start_ms] = [cpu_s_of(swarm.pid), cpu_s_of(engine.pid), performance.now()];
  await sleep(seconds * 1000);
  const passed_s = (performance.now() - start_ms) / 1000;
  const figures = {
    acknowledged_ms,
    late,
    cpu: (cpu_s_of(swarm.pid) - before) / passed_s,
    rss_mb: rss_bytes_of(swarm.pid) / 1e6,
    engine_cpu: (cpu_s_of(engine.pid) - engine_before) / passed_s,
  };
  await swarm.ask('stop now', 30_000);
  return figures;
}

async function start_engine() {
  const [folder, port] = [temporary_folder(), await free_port()];
  const config = join(folder, 'nats.conf');
  writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}/store" }\n`);
  const child = start('nats-server', ['-c', config], { lines: false });
  await settled(10, () => answers(port), 'the engine up');
  return { url: `nats://127.0.0.1:${port}`, pid: child.pid, end: child.end };
}

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
