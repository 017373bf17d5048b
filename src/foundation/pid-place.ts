/**
 * The place within which a pid names one process at a time: one boot of the machine and one namespace of process ids. A
 * host's name is no such place.
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** Empty when the system does not tell: then no pid from elsewhere can be judged. */
export function pid_place(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return '';
  }
}

/**
 * Whether the process that said to be `pid` at `place` is certainly gone. Both values were written by somebody else.
 * False does not mean that it lives: it may be elsewhere, or another process may have its number.
 */
export function is_gone(place: unknown, pid: unknown, here = pid_place()): boolean {
  if (here === '' || place !== here || typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) return false;
  // this process has that number now
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
