import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pids_of, PER_SERVER, pss_bytes_of_all, rss_bytes_of_all, settled, start_holder } from './lib/hold.mjs';
import { cpu_s_of, scoped } from './lib/processes.mjs';
import { missing, room } from './lib/room.mjs';
import { figure, table } from './lib/stats.mjs';
import { start_swarm } from './lib/swarm.mjs';

const MAX_WORKERS = 64;
const CONNECT_PER_S = 6000;
/** The servers answer so often, so that they leave most of the two cores to swarm. */
const ROUND_MS = 20;
/** What an operator looks at; one of them each second. */
const LOOKS = ['status', 'actions', 'errors', 'workers'];
const PHASES = { up: 'while connecting', hold: 'while holding', down: 'while ending' };

export const bench = {
  about:
    'a crowd with a heartbeat a minute, up, held and down again while somebody looks on; --connections (default 1000000)',
  only_by_name: true,
  seconds: 300,
  report,
};

/** GB of 10⁹ bytes: 1.0 for 100 000 connections, 9 for a million, on a line between and beyond. */
const rss_goal_gb = (connections) => 1 + ((connections - 100_000) / 900_000) * 8;

/**
 * One run, since it takes minutes and compares with nothing.
 * @param {{ seconds: number, connections?: number, say: (text: string) => void }} options  seconds: of holding
 */
async function report({ seconds, connections = 1_000_000, say }) {
  const wanted = { connections, client_bytes: connections * 9000 + 200e6, per_process: PER_SERVER + 300 };
  const lacks = missing(wanted, room());
  if (connections > MAX_WORKERS * PER_SERVER)
    lacks.push(`processes: ${MAX_WORKERS} hold ${MAX_WORKERS * PER_SERVER}; use fewer --connections`);
  if (lacks.length > 0) throw new Error([`no room for ${connections} connections here`, ...lacks].join('\n  '));

  const { figures, faults } = await scoped((keep) => run(keep, connections, seconds));
  say(table(['', 'swarm', 'goal', ''], rows_of(figures, connections)));
  if (faults.length > 0) throw new Error(['not all is as it should be', ...faults].join('\n  '));
}

async function run(keep, connections, seconds) {
  const tell = (what) => process.stderr.write(`million: ${what}\n`);
  const server = await keep(start_holder(connections, { round_ms: ROUND_MS }));
  const daemon = await keep(
    start_swarm({
      server_port: server.ports,
      script: 'million',
      connect_per_s: CONNECT_PER_S,
      options: ['--workers', 'auto', '--max-workers', String(MAX_WORKERS), '--connect-timeout', '30s'],
    }),
  );
  go_first();
  const onlooker = await keep(look_on(daemon));
  const figures = {};

  tell(`${connections} connections to ${server.ports.length} server processes`);
  const begun = performance.now();
  const answer = await daemon.ask(`incr ${connections}`);
  const { target } = await daemon.summary();
  if (target !== connections) throw new Error(`\`incr ${connections}\` was answered with \`${answer}\``);
  const within_s = Math.ceil((connections / CONNECT_PER_S) * 3) + 60;
  await daemon.ask(`wait ${connections} within ${within_s}s`, (within_s + 10) * 1000);
  figures.up_s = (performance.now() - begun) / 1000;

  tell(`all open after ${Math.round(figures.up_s)} s`);
  onlooker.now('hold');
  const pids = await pids_of(daemon);
  figures.processes = pids.length;
  Object.assign(figures, await hold(daemon, server, pids, seconds));

  tell('held');
  const faults = await books_at_rest(daemon, server);
  onlooker.now('down');
  const ending = performance.now();
  await daemon.ask(`decr ${connections}`);
  await settled(120, async () => (await server.totals()).open === 0, 'all closed after `decr`');
  figures.down_s = (performance.now() - ending) / 1000;
  figures.slowest = await onlooker.seen();

  tell('down');
  const stopping = performance.now();
  const last = await daemon.stop();
  figures.stop_s = (performance.now() - stopping) / 1000;
  await settled(30, async () => (await server.totals()).open === 0, 'all closed at the server');
  return { figures, faults: [...faults, ...faults_of(last, await server.totals(), connections)] };
}

/** Holds for `seconds`; what that takes. */
async function hold(daemon, server, pids, seconds) {
  const before = { answered: await server.answered(), cpu_s: cpu_s_of(daemon.pid), ms: performance.now() };
  let rss_bytes = 0;
  for (let left = seconds; left > 0; left -= 10) {
    await sleep(Math.min(left, 10) * 1000);
    rss_bytes = Math.max(rss_bytes, rss_bytes_of_all(pids));
  }
  const passed_s = (performance.now() - before.ms) / 1000;
  return {
    per_s: ((await server.answered()) - before.answered) / passed_s,
    daemon_cpu: (cpu_s_of(daemon.pid) - before.cpu_s) / passed_s,
    rss_gb: rss_bytes / 1e9,
    pss_gb: pss_bytes_of_all(pids) / 1e9,
  };
}

/** Who measures the wait for an answer must not wait for its own turn. */
function go_first() {
  const { status } = spawnSync('chrt', ['--rr', '--reset-on-fork', '--pid', '1', String(process.pid)]);
  if (status !== 0)
    process.stderr.write('million: not root, so the waits for an answer hold those of the bench for its turn\n');
}

/** Asks each second on a session of its own, one at a time; the slowest answer of each phase, in ms. */
async function look_on(daemon) {
  const console = await daemon.open_console();
  const slowest = Object.fromEntries(Object.keys(PHASES).map((phase) => [phase, { ms: 0, line: '' }]));
  const over = new AbortController();
  let phase = 'up';
  const asking = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      const line = LOOKS[i % LOOKS.length];
      const asked = performance.now();
      await console.ask(line, 60_000);
      const ms = performance.now() - asked;
      if (ms > slowest[phase].ms) slowest[phase] = { ms, line };
      await sleep(Math.max(0, 1000 - ms), undefined, { signal: over.signal }).catch(() => {});
    }
  })();
  asking.catch(() => {}); // `seen` tells
  return {
    now: (next) => (phase = next),
    seen: async () => {
      over.abort();
      await asking;
      return slowest;
    },
    end: async () => {
      over.abort();
      console.close();
    },
  };
}

/** Nothing is under way while the swarm pauses: now each request sent must have been answered. */
async function books_at_rest(daemon, server) {
  await daemon.ask('pause');
  await settled(30, async () => (await daemon.summary()).requests.in_flight === 0, 'nothing in flight after `pause`');
  const { requests } = await daemon.summary();
  const { answered } = await server.totals();
  return said({ 'requests answered by the server, while nothing is in flight': [answered, requests.sent] });
}

function faults_of({ clients, connections, requests, balanced, complete }, totals, wanted) {
  const { decr, ...others } = connections.closed;
  const all = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
  return said({
    'connections established': [connections.established, wanted],
    'connections accepted by the server': [totals.accepted, wanted],
    'connections open at once': [connections.open_peak, wanted],
    'connections closed by decr': [decr, wanted],
    'connections closed otherwise': [all(others), 0],
    'connections failed': [all(connections.failed), 0],
    'connections lost': [connections.lost + clients.lost, 0],
    'requests sent, against answered by the server': [requests.sent, totals.answered],
    'requests ok, against answered by the server': [requests.ok, totals.answered],
    'protocol errors seen by the server': [totals.errors, 0],
    balanced: [balanced, true],
    complete: [complete, true],
  });
}

const said = (pairs) =>
  Object.entries(pairs).flatMap(([what, [is, should]]) => (is === should ? [] : [`${what}: ${is}, not ${should}`]));

function rows_of(figures, connections) {
  const row = (title, value, at_most, unit = '') => [
    title,
    figure(value) + unit,
    at_most === undefined ? '' : `≤ ${figure(at_most)}${unit}`,
    at_most === undefined ? '' : value <= at_most ? 'met' : 'missed',
  ];
  const memory_goal = connections < 100_000 ? undefined : rss_goal_gb(connections); // below, the processes weigh more than the connections
  return [
    ['connections open at once', String(connections), '', ''],
    ['processes of swarm', String(figures.processes), '', ''],
    row('until all are open, s', figures.up_s, 240),
    row('messages per second while holding', figures.per_s),
    row('RSS of all processes of swarm, GB', figures.rss_gb, memory_goal),
    row('PSS of the same, GB', figures.pss_gb),
    row('CPU of the daemon itself while holding', figures.daemon_cpu * 100, 30, ' %'),
    ...Object.entries(PHASES).map(([phase, title]) => {
      const { ms, line } = figures.slowest[phase];
      return row(`slowest console answer ${title}, ms (\`${line}\`)`, ms, 100);
    }),
    row('`decr` until none is open, s', figures.down_s, 60),
    row('`stop` until the final summary, s', figures.stop_s, 60),
  ];
}
