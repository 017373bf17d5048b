import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { scoped } from './lib/processes.mjs';
import { start_echo } from './lib/servers.mjs';
import { figure, table } from './lib/stats.mjs';
import { start_swarm } from './lib/swarm.mjs';

const CLIENTS = 500;
const OTHERS = 30;
/** ms between two questions of the session that is measured */
const PAUSE_MS = 50;
const CHUNK_BYTES = 65_536;
const CONNECT_PER_S = 1000;
/** What a telnet client answers to the offer of an editor: IAC DO ECHO. */
const EDITOR = [255, 253, 1];

const flood = (line, first = []) => ({ line, first, begin: never_read });
const CROWDS = {
  'nobody else': null,
  [`${OTHERS} repeat \`status json\` as fast as it is answered`]: { line: 'status json', first: [], begin: repeat },
  [`${OTHERS} flood \`status\` and never read`]: flood('status'),
  [`${OTHERS} flood \`status json\` and never read`]: flood('status json'),
  [`${OTHERS} flood \`help\` and never read`]: flood('help'),
  [`${OTHERS} flood blank lines behind a \`pause\``]: flood('', [...Buffer.from('pause\n')]),
  [`${OTHERS} flood \`status\` into the editor and never read`]: flood('status', EDITOR),
};

export const bench = {
  about: `one console session that asks for \`status\`, beside ${OTHERS} that do not behave; the daemon holds ${CLIENTS} clients itself`,
  only_by_name: true,
  seconds: 10,
  report,
};

/** @param {{ seconds: number, say: (text: string) => void }} options */
async function report({ seconds, say }) {
  const rows = [];
  for (const [name, crowd] of Object.entries(CROWDS)) {
    const { waits_ms, lag_ms, cpu } = await scoped((keep) => measured(keep, crowd, seconds));
    const cell = (value) => (value === undefined ? '-' : figure(value));
    const sorted = waits_ms.sort((a, b) => a - b);
    const at = (part) => sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)];
    rows.push([name, String(sorted.length), ...[at(0.5), at(0.99), at(1), lag_ms, cpu * 100].map(cell)]);
  }
  say(table(['beside', 'answers', 'p50, ms', 'p99, ms', 'max, ms', 'lag p99, ms', 'CPU, %'], rows));
}

/** Its own swarm each time: what a crowd leaves behind is not counted for the next. */
async function measured(keep, crowd, seconds) {
  const server = await start_echo();
  keep(server);
  const swarm = await start_swarm({
    server_port: server.port,
    script: 'sleepy',
    connect_per_s: CONNECT_PER_S,
    options: ['--workers', '0', '--log-level', 'error'],
  });
  keep(swarm);
  await swarm.hold(CLIENTS, 30);
  const others = crowd === null ? [] : Array.from({ length: OTHERS }, () => open(swarm.port, crowd));
  keep({ end: () => others.forEach((socket) => socket.destroy()) });
  await sleep(1000);
  const waits_ms = [];
  for (const until = performance.now() + seconds * 1000; performance.now() < until; await sleep(PAUSE_MS)) {
    const asked = performance.now();
    await swarm.ask('status', 60_000);
    waits_ms.push(performance.now() - asked);
  }
  const { generator } = await swarm.summary();
  return { waits_ms, lag_ms: generator.lag_p99_ms, cpu: generator.cpu };
}

function open(port, { line, first, begin }) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(Buffer.from(first));
  begin(socket, `${line}\r\n`);
  return socket;
}

function repeat(socket, line) {
  socket.setEncoding('latin1').on('data', (text) => {
    if (text.endsWith('\n')) socket.write(line);
  });
}

function never_read(socket, line) {
  const chunk = line.repeat(CHUNK_BYTES / line.length);
  socket.pause();
  const go_on = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', go_on);
  go_on();
}
