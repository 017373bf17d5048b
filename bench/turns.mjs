/**
 * `node bench/turns.mjs OTHER [--turns n] [--script name] [--connections n]`: this checkout against another one, so that 1 % can be told from
 * noise. Both hold their connections to one server at once; all but one are stopped (SIGSTOP), 0.3 s each in turn. After half of the turns
 * both start anew, in the other order. Prints the CPU time per round trip of each, and the ratio of this one to the other: the mean of the
 * turns' ratios and its standard error. The other checkout must be built.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { scoped } from './lib/processes.mjs';
import { start_echo } from './lib/servers.mjs';
import { WARM_UP_MS } from './lib/sides.mjs';
import { figure, median } from './lib/stats.mjs';
import { start_swarm } from './lib/swarm.mjs';

const TURN_MS = 300;
/** What was under way when the other one was stopped is through. */
const SETTLE_MS = 30;

const text = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    turns: { ...text, default: '100' },
    script: { ...text, default: 'closed-loop' },
    connections: { ...text, default: '1000' },
  },
});
if (positionals.length !== 1) {
  process.stderr.write('bench/turns.mjs: name one other checkout of swarm, built\n');
  process.exit(2);
}
const connections = Number(values.connections);

/** CPU nanoseconds of all threads: the scheduler's own count, ticks are too coarse for a turn. */
const cpu_ns_of = (pid) =>
  readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, ns) => sum + ns, 0);

const checkouts = [join(import.meta.dirname, '..'), resolve(positionals[0])];
/** by checkout: µs of CPU per round trip, by turn */
const us = checkouts.map(() => []);

/** `first`: which of them is started first: it is the dearer one, even beside a copy of itself (1.029, three runs of 60 turns). */
const play_half = (first, turns) =>
  scoped(async (keep) => {
    const server = await keep(start_echo());
    const pids = [];
    for (const side of [first, 1 - first]) {
      const options = {
        server_port: server.port,
        script: values.script,
        connect_per_s: 2000,
        checkout: checkouts[side],
      };
      const swarm = await keep(start_swarm(options));
      await swarm.hold(connections, connections / 2000 + 30);
      await sleep(WARM_UP_MS);
      process.kill(swarm.pid, 'SIGSTOP');
      pids[side] = swarm.pid;
    }
    const play = async (side) => {
      const pid = pids[side];
      process.kill(pid, 'SIGCONT');
      await sleep(SETTLE_MS);
      const before = { messages: await server.answered(), ns: cpu_ns_of(pid) };
      await sleep(TURN_MS);
      const ns = cpu_ns_of(pid) - before.ns;
      const messages = (await server.answered()) - before.messages;
      process.kill(pid, 'SIGSTOP');
      us[side].push(ns / messages / 1000);
    };
    // who goes first alternates: what drifts within a pair of turns cancels out
    for (let turn = 0; turn < turns; turn++) for (const side of turn % 2 === 0 ? [0, 1] : [1, 0]) await play(side);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  });

const half = Math.ceil(Number(values.turns) / 2);
for (const first of [0, 1]) await play_half(first, half);
const [mine, other] = us;
const logs = mine.map((one, turn) => Math.log(one / other[turn]));
const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
process.stdout.write(
  `${values.script}, ${connections} connections, ${logs.length} turns: ${figure(median(mine))} µs, the other ${figure(median(other))} µs, ` +
    `ratio ${Math.exp(mean).toFixed(3)} ± ${Math.sqrt(variance / logs.length).toFixed(3)}\n`,
);
