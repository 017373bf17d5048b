/** What the benches of size share: the server that holds a crowd, and what all processes of a swarm use together. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from '../build.mjs';
import { cpu_s_of, rss_bytes_of, start } from './processes.mjs';

/** Connections of one process of the server: it has 20 000 open files on the machine that the goals are for. */
export const PER_SERVER = 19_200;

/**
 * @typedef {{ open: number, answered: number, accepted: number, errors: number }} Totals  since its start, but `open`; errors: a
 *   connection that was reset, or sent what is not the line
 * @typedef {{ ports: number[], totals: () => Promise<Totals>, answered: () => Promise<number>, end: () => Promise<void> }} Holder
 *
 * @param {number} connections  shared evenly over as many processes as they take
 * @param {{ shared?: boolean, round_ms?: number }} [options]  shared: all on one port, otherwise each process has its own; round_ms: they answer
 *   all that came every so many ms, 0: at once
 * @returns {Promise<Holder>}
 */
export async function start_holder(connections, { shared = false, round_ms = 0 } = {}) {
  const processes = Math.ceil(connections / PER_SERVER);
  const child = start(reference('hold_server'), [String(processes), shared ? 'shared' : 'own', String(round_ms)]);
  const totals = async () => {
    child.signal('SIGUSR1');
    const [open, answered, accepted, errors] = (await child.line()).split(' ').map(Number);
    return { open, answered, accepted, errors };
  };
  return {
    ports: (await child.line()).split(' ').map(Number),
    totals,
    answered: async () => (await totals()).answered,
    end: child.end,
  };
}

/** Waits until `is_so`. @param {string} what  completes `not … within 5 s` */
export async function settled(within_s, is_so, what) {
  for (const deadline = Date.now() + within_s * 1000; !(await is_so()); await sleep(250))
    if (Date.now() > deadline) throw new Error(`not ${what} within ${within_s} s`);
}

/** The daemon and its workers. @param {import('./swarm.mjs').Swarm} daemon @returns {Promise<number[]>} */
export async function pids_of(daemon) {
  const { workers } = await daemon.summary();
  return [...new Set([daemon.pid, ...workers.map((worker) => worker.pid)])]; // a swarm without workers names the daemon as its one
}

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);

/** CPU seconds of all these processes together, as {@link cpu_s_of}. @param {readonly number[]} pids */
export const cpu_s_of_all = (pids) => sum(pids.map(cpu_s_of));

/** Resident memory of all; pages that processes share count once for each. @param {readonly number[]} pids */
export const rss_bytes_of_all = (pids) => sum(pids.map(rss_bytes_of));

/** Proportional memory of all: what n processes share counts 1/n for each. The kernel walks their pages for it. @param {readonly number[]} pids */
export const pss_bytes_of_all = (pids) =>
  sum(
    pids.map((pid) => Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024),
  );
