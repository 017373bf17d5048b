/** Whether this machine has room for a crowd whose both ends are on it. Linux: it reads /proc. */
import { existsSync, readFileSync } from 'node:fs';

/** The kernel's memory of the two ends of an idle connection; measured. */
const KERNEL_BYTES = 2 * 4900;
/** What else runs. */
const SPARE_BYTES = 500e6;
const SPARE_FILES = 10_000;

/**
 * @typedef {object} Room  what is free
 * @property {number} memory_bytes
 * @property {number} files_per_process
 * @property {number} files  over all processes
 * @property {number} tracked  connections the firewall can follow; Infinity when it does not
 */

/** @returns {Room} */
export function room() {
  const read = (path) => readFileSync(path, 'utf8');
  const [used, , max] = read('/proc/sys/fs/file-nr').split('\t').map(Number);
  const files = /^Max open files\s+\S+\s+(\S+)/m.exec(read('/proc/self/limits'))[1];
  const conntrack = '/proc/sys/net/netfilter/nf_conntrack_';
  return {
    memory_bytes: Number(/^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo'))[1]) * 1024,
    files_per_process: files === 'unlimited' ? Infinity : Number(files),
    files: max - used,
    tracked: existsSync(`${conntrack}max`) ? free_of(read(`${conntrack}max`), read(`${conntrack}count`)) : Infinity,
  };
}

/** Where no rule asks for it the kernel follows none, whatever its maximum. @param {string} max @param {string} used */
const free_of = (max, used) => (Number(used) === 0 ? Infinity : Number(max) - Number(used));

/**
 * What keeps `connections` from fitting, each as a sentence with what lifts it. Pure.
 * @param {{ connections: number, client_bytes: number, per_process: number }} wanted  client_bytes: of all processes of swarm;
 *   per_process: files that one process, of swarm or the server, holds at most
 * @param {Room} free
 * @returns {string[]}
 */
export function missing({ connections, client_bytes, per_process }, free) {
  const memory = client_bytes + connections * KERNEL_BYTES + SPARE_BYTES;
  const files = 2 * connections + SPARE_FILES;
  const gb = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  return [
    free.memory_bytes < memory &&
      `memory: it takes about ${gb(memory)}, available are ${gb(free.memory_bytes)}; use fewer --connections`,
    free.files_per_process < per_process &&
      `open files: a process may have ${free.files_per_process}, it takes ${per_process}; ulimit -n ${per_process}`,
    free.files < files && `open files of all processes: it takes ${files}, ${free.files} are free; sysctl fs.file-max`,
    free.tracked < connections &&
      `connection tracking: room for ${free.tracked} more; sysctl net.netfilter.nf_conntrack_max`,
  ].filter(Boolean);
}
