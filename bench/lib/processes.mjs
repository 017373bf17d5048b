/** Starting, measuring and ending the processes of a bench. Linux: it reads /proc. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_S = 100;
const STARTED = new Set();
const FOLDERS = [];

// A bench that is cut short leaves no process and no file behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
process.once('exit', () => {
  for (const { kill } of STARTED) kill('SIGKILL');
  for (const folder of FOLDERS) rmSync(folder, { recursive: true, force: true });
});

/** A new folder that is gone when the bench ends. */
export function temporary_folder() {
  const folder = mkdtempSync(join(tmpdir(), 'swarm-bench-'));
  FOLDERS.push(folder);
  return folder;
}

/**
 * A child whose stdout is read line by line and whose last 4 KiB of stderr are kept for error texts.
 * @typedef {object} Child
 * @property {number} pid
 * @property {(within_ms?: number) => Promise<string>} line  the next line of stdout; within 10 s if not told otherwise
 * @property {() => string | undefined} died  how it ended and what it said, undefined while it runs
 * @property {(signal: NodeJS.Signals) => void} signal
 * @property {(within_ms: number) => Promise<number | string>} ended  its exit code or signal; SIGKILL when it takes longer
 * @property {() => Promise<void>} end  by SIGTERM, by SIGKILL after 10 s
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ lines?: boolean, env?: Record<string, string>, group?: boolean }} [options]  lines: false = stdout is thrown away; env: added to
 *   the bench's own; group: a shell script, whose signals reach the programs it starts too
 * @returns {Child}
 */
export function start(command, args, { lines = true, env = {}, group = false } = {}) {
  const child = spawn(command, args, {
    stdio: ['ignore', lines ? 'pipe' : 'ignore', 'pipe'],
    env: { ...process.env, ...env },
    detached: group,
  });
  const started = { kill: (signal) => (group && child.pid ? kill_group(child.pid, signal) : child.kill(signal)) };
  STARTED.add(started);
  let told = '';
  let ended;
  child.stderr.setEncoding('utf8').on('data', (text) => (told = (told + text).slice(-4096)));
  const closed = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal));
  }).then((how) => {
    STARTED.delete(started);
    return (ended = how);
  });

  const queue = [];
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop().slice(-65_536);
    queue.push(...parts.slice(-1000));
  });

  const died = () => (ended === undefined ? undefined : `${command} ended (${ended})${told && ': '}${told.trim()}`);
  const end_within = async (within_ms) => {
    const timer = setTimeout(() => started.kill('SIGKILL'), within_ms);
    const how = await closed;
    clearTimeout(timer);
    return how;
  };
  return {
    pid: child.pid,
    line: async (within_ms = 10_000) => {
      for (const deadline = Date.now() + within_ms; queue.length === 0; await sleep(2)) {
        const why = died() ?? (Date.now() > deadline ? `${command} printed no line within ${within_ms} ms` : undefined);
        if (why !== undefined) throw new Error(why);
      }
      return queue.shift();
    },
    died,
    signal: started.kill,
    ended: end_within,
    end: async () => {
      started.kill('SIGTERM');
      await end_within(10_000);
    },
  };
}

function kill_group(leader, signal) {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // it is over
  }
}

/**
 * Runs `work` with a `keep` that takes what is being started; when work is over, well or badly, each is ended, the last one first.
 * @template T
 * @param {(keep: <S extends { end: () => Promise<void> }>(starting: S | Promise<S>) => Promise<S>) => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function scoped(work) {
  const kept = [];
  try {
    return await work(async (starting) => {
      const started = await starting;
      kept.unshift(started);
      return started;
    });
  } finally {
    for (const one of kept) await one.end();
  }
}

/** CPU seconds, user and system, that a process has used in all its threads; in ticks of 10 ms. */
export function cpu_s_of(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S; // utime and stime: fields 14 and 15 of proc(5)
}

/** Resident memory of a process. */
export function rss_bytes_of(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

/** Descriptors a process has open. */
export function open_files_of(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The processes that a process has started and that run. @returns {number[]} */
export function children_of(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

/** A port that was free a moment ago. */
export async function free_port() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Of the 28 000 ports that the kernel gives out by default, so many may lie in TIME_WAIT while a bench begins. */
const MAX_WAITING = 5000;

/** Waits until the closed connections of the bench before have let go of their ports: a minute after they closed. Goes on after 75 s. */
export async function ports_to_spare() {
  const waiting = () => Number(/^TCP: .*\btw (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))[1]);
  for (const deadline = Date.now() + 75_000; waiting() > MAX_WAITING && Date.now() < deadline;) await sleep(500);
}
