/**
 * What bounds this machine, as Linux says in /proc and /sys. Every fact is optional: undefined where the system does
 * not tell. Nothing here throws. https://docs.kernel.org/admin-guide/sysctl/
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parse_open_files } from './open-files.ts';

/** Something that the system counts: how much there may be, and how much there is. */
export interface Usage {
  readonly max: number;
  readonly used: number;
}

export interface Machine {
  readonly cores: number;
  /** of this process and those it starts; Node raises soft to hard when it starts */
  readonly open_files?: { readonly soft: number; readonly hard: number } | undefined;
  /** how far root may raise the hard limit of a process (fs.nr_open) */
  readonly nr_open?: number | undefined;
  /** open files of all processes (fs.file-max) */
  readonly files?: Usage | undefined;
  /** the range from which the kernel picks local ports, both ends included */
  readonly port_range?: readonly [number, number] | undefined;
  /** ended connections that still hold a port, of all processes */
  readonly time_wait?: number | undefined;
  /** bytes; `used` is what programs cannot have any more */
  readonly memory?: Usage | undefined;
  /** bytes; of the tightest cgroup, this process' own or one above it, without file cache that would give way */
  readonly cgroup_memory?: Usage | undefined;
  /** processes and threads, likewise */
  readonly cgroup_tasks?: Usage | undefined;
  /** processes and threads of the whole system */
  readonly tasks?: Usage | undefined;
  /** pages of memory in buffers of all TCP sockets, and the three numbers of net.ipv4.tcp_mem */
  readonly tcp_pages?: (Usage & { readonly tcp_mem: readonly number[] }) | undefined;
  /** connections that the firewall tracks; undefined when it tracks none */
  readonly conntrack?: Usage | undefined;
}

/** A file's text, undefined when it cannot be read. */
export type ReadFile = (path: string) => string | undefined;

export function read_machine(read: ReadFile = read_start, cores = availableParallelism()): Machine {
  const numbers = (path: string): readonly number[] => numbers_in(read(path));
  const [nr_open] = numbers('/proc/sys/fs/nr_open');
  const [files_open, , file_max] = numbers('/proc/sys/fs/file-nr');
  const [port_first, port_last] = numbers('/proc/sys/net/ipv4/ip_local_port_range');
  const tcp_mem = numbers('/proc/sys/net/ipv4/tcp_mem');
  const sockets = read('/proc/net/sockstat') ?? '';
  const memory = read('/proc/meminfo') ?? '';
  const [total, available] = [kibibytes(memory, 'MemTotal'), kibibytes(memory, 'MemAvailable')];
  const [, tasks] = numbers_in(/\d+\/\d+/.exec(read('/proc/loadavg') ?? '')?.[0]);
  const most_tasks = min_of(numbers('/proc/sys/kernel/pid_max')[0], numbers('/proc/sys/kernel/threads-max')[0]);
  const [tracked] = numbers('/proc/sys/net/netfilter/nf_conntrack_count');
  const [most_tracked] = numbers('/proc/sys/net/netfilter/nf_conntrack_max');
  const pages = usage(tcp_mem[2], number_after(sockets, /^TCP:.* mem (\d+)/m));
  return {
    cores,
    open_files: parse_open_files(read('/proc/self/limits') ?? '') ?? undefined,
    nr_open,
    files: usage(file_max, files_open),
    port_range: port_first !== undefined && port_last !== undefined ? [port_first, port_last] : undefined,
    time_wait: number_after(sockets, /^TCP:.* tw (\d+)/m),
    memory: usage(total, total !== undefined && available !== undefined ? total - available : undefined),
    ...cgroup_bounds(read),
    tasks: usage(most_tasks, tasks),
    tcp_pages: pages && { ...pages, tcp_mem },
    // the module may be loaded without a rule that uses it: then it tracks nothing, not even an operator's own session
    conntrack: tracked === 0 ? undefined : usage(most_tracked, tracked),
  };
}

/**
 * The ports somebody listens on. Listening sockets come first in /proc/net/tcp and tcp6: reading the start is enough.
 */
export function listening_ports(read: ReadFile = read_start): number[] {
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((path) => read(path)?.split('\n') ?? []);
  // local address:port, remote address:port, state; 0A is LISTEN
  const ports = lines.map((line) => /^\s*\d+: [\dA-F]+:([\dA-F]{4}) [\dA-F]+:[\dA-F]{4} 0A /.exec(line)?.[1]);
  return [...new Set(ports.filter((port) => port !== undefined).map((port) => Number.parseInt(port, 16)))];
}

const CGROUPS = '/sys/fs/cgroup';
/** levels of cgroups that are read, from this process' own upwards */
const MAX_LEVELS = 32;
/** no bound: cgroup v1 says at least this much */
const NO_LIMIT = 2 ** 60;

/**
 * cgroup v2 has one tree for all kinds, v1 one for each; both may be there at once.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
function cgroup_bounds(read: ReadFile): Pick<Machine, 'cgroup_memory' | 'cgroup_tasks'> {
  const own = read('/proc/self/cgroup') ?? '';
  const folders = (kind: string): string[] => {
    const v1 = new RegExp(`^\\d+:(?:\\w+,)*${kind}(?:,\\w+)*:(/.*)$`, 'm').exec(own)?.[1];
    const v2 = /^0::(\/.*)$/m.exec(own)?.[1];
    return [...levels(`${CGROUPS}/${kind}`, v1), ...levels(CGROUPS, v2)];
  };
  const number_in = (path: string): number | undefined => numbers_in(read(path))[0];
  const memory = folders('memory').map((folder) => {
    const cache = number_after(read(`${folder}/memory.stat`) ?? '', /^(?:total_)?inactive_file (\d+)/m) ?? 0;
    const max = number_in(`${folder}/memory.max`) ?? number_in(`${folder}/memory.limit_in_bytes`);
    const used = number_in(`${folder}/memory.current`) ?? number_in(`${folder}/memory.usage_in_bytes`);
    return usage(max, used === undefined ? undefined : Math.max(0, used - cache));
  });
  const tasks = folders('pids').map((folder) =>
    usage(number_in(`${folder}/pids.max`), number_in(`${folder}/pids.current`)),
  );
  return { cgroup_memory: tightest(memory), cgroup_tasks: tightest(tasks) };
}

/**
 * The group's folder and those above it. In a container the path may name folders outside of it, which do not exist
 * there.
 */
function levels(root: string, path: string | undefined): string[] {
  if (path === undefined) return [];
  const names = path.split('/').filter((name) => name !== '');
  const all = names.map((_, i) => `${root}/${names.slice(0, names.length - i).join('/')}`);
  return [...all.slice(0, MAX_LEVELS), root];
}

const tightest = (all: readonly (Usage | undefined)[]): Usage | undefined =>
  all
    .filter((one) => one !== undefined && one.max < NO_LIMIT)
    .reduce((least, one) => (least && least.max - least.used <= one!.max - one!.used ? least : one), undefined);

const usage = (max: number | undefined, used: number | undefined): Usage | undefined =>
  max === undefined || used === undefined ? undefined : { max, used };

const numbers_in = (text: string | undefined): number[] => (text?.match(/\d+/g) ?? []).map(Number);

function number_after(text: string, pattern: RegExp): number | undefined {
  const found = pattern.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

function kibibytes(text: string, name: string): number | undefined {
  const found = number_after(text, new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm'));
  return found === undefined ? undefined : found * 1024;
}

const min_of = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);

const MAX_READ = 1024 * 1024;

/** The first MiB at most: /proc/net/tcp has a line for each connection of the machine. */
function read_start(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const chunks: Buffer[] = [];
    for (let size = 0; size < MAX_READ;) {
      const chunk = Buffer.allocUnsafe(16_384);
      const n = readSync(file, chunk);
      if (n === 0) break;
      chunks.push(chunk.subarray(0, n));
      size += n;
    }
    return Buffer.concat(chunks).toString('latin1');
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
