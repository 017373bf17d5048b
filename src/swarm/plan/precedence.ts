/** Which process goes first on a saturated machine. Nothing here fails: what the system lacks or forbids is left. */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** nice value: a third of a normal process' weight when they compete (sched(7)) */
const NICE = 5;
/** the least weight there is: a crowd of workers weighs no more than one process, whatever else runs */
const NICE_IN_A_CROWD = 19;
const CHRT = '/usr/bin/chrt';
const CHRT_WITHIN_MS = 2000;

/** Lets a worker weigh less. Then the console answers in milliseconds even where workers take all CPU. */
export function give_way(pid: number, in_crowd: boolean): void {
  const nice = in_crowd ? NICE_IN_A_CROWD : NICE;
  set_nice(pid, nice);
  try {
    // a worker is a session of its own, and the kernel may weigh sessions before processes (sched(7), autogroup)
    writeFileSync(`/proc/${pid}/autogroup`, `${nice}`);
  } catch {
    // not Linux, no autogroups, or the process is gone
  }
}

/** Sets it for all threads: Linux weighs each by itself, and a main thread waits for those that collect its garbage. */
function set_nice(pid: number, nice: number): void {
  for (const thread of threads_of(pid)) {
    try {
      if (getPriority(thread) !== nice) setPriority(thread, nice);
    } catch {
      // the thread is gone, or swarm may not
    }
  }
}

function threads_of(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid]; // not Linux, or gone
  }
}

/**
 * Lets this process go before all that have no precedence, with the lowest priority of SCHED_RR. That needs util-linux'
 * chrt and the right to, as root has. A weight is not enough: a process that wakes among dozens of busy ones waits for
 * the slices of several (ADR 8). Processes that it starts do not inherit it.
 */
export class Precedence {
  #is_first = false;
  #set: Promise<void> = Promise.resolve();

  /** Resolves when it is set, or cannot be. */
  set(is_first: boolean): Promise<void> {
    if (is_first === this.#is_first) return this.#set;
    this.#is_first = is_first;
    const policy = is_first ? ['--rr', '--reset-on-fork', '--pid', '1'] : ['--other', '--pid', '0'];
    const args = ['--all-tasks', ...policy, String(process.pid)];
    const done = (): Promise<void> =>
      new Promise((resolve) => execFile(CHRT, args, { timeout: CHRT_WITHIN_MS }, () => resolve()));
    return (this.#set = this.#set.then(done));
  }
}
