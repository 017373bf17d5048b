/** Who waits for whom on a saturated machine. Nothing here fails: what the system has not or does not allow stays as it is. */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** a third of a normal process' weight, when they compete (sched(7)) */
const NICE = 5;
/** the least weight there is: a crowd of workers weighs no more than one process, whatever else runs */
const NICE_IN_A_CROWD = 19;
const CHRT = '/usr/bin/chrt';
const CHRT_WITHIN_MS = 2000;

/** Where workers take all there is, the coordinator must still get its turn: the console answers in milliseconds. */
export function give_way(pid: number, in_crowd: boolean): void {
  const nice = in_crowd ? NICE_IN_A_CROWD : NICE;
  set_nice(pid, nice);
  try {
    // a worker is a session of its own, and the kernel may weigh sessions before it weighs processes (sched(7), autogroup)
    writeFileSync(`/proc/${pid}/autogroup`, `${nice}`);
  } catch {
    // not Linux, without that, or gone
  }
}

/** Of all threads: Linux weighs each by itself, and a main thread waits for those that collect its garbage. */
function set_nice(pid: number, nice: number): void {
  for (const thread of threads_of(pid)) {
    try {
      if (getPriority(thread) !== nice) setPriority(thread, nice);
    } catch {
      // it is gone, or we may not
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
 * Whether this process goes before all others that have no precedence, with the lowest priority of SCHED_RR, where util-linux' chrt is there and it
 * may, as root may. A weight does not do: whoever is woken among dozens that are always busy waits for the slices of several (ADR 8). What it
 * starts begins without.
 */
export class Precedence {
  #is_first = false;
  #set: Promise<void> = Promise.resolve();

  /** Resolves when it is so, or cannot be. */
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
