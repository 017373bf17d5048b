/** How many connections this machine can hold, and why no more: from its facts and what the run asks of it. Pure. */
import type { Machine, Usage } from '../../foundation/machine.ts';
import { MAX_WORKERS, RESERVED_FILES, UNLIMITED } from '../../foundation/open-files.ts';
import type { Bound } from '../../metrics/summary.ts';
import { mean_of } from '../../script/range.ts';
import type { Loop, Script } from '../../script/types.ts';
import { bound_you_gave } from '../plan/carry-out.ts';
import type { Sources } from '../plan/run-spec.ts';
import { sum } from '../shares/allocate.ts';
import { PORTS_PER_ADDRESS } from '../shares/ports.ts';

/** What a run asks of the machine. */
export interface Demand {
  readonly sources: Sources;
  /** the family of each address of each server; null: a unix socket, which needs no port */
  readonly endpoints: readonly (readonly (4 | 6 | null)[])[];
  /** processes that hold clients: at the start, and at most; `forked`: apart from the coordinator's process */
  readonly processes: { readonly first: number; readonly most: number; readonly forked: boolean };
  /** messages of one client by the script; null: as fast as the server answers, or unknown */
  readonly messages_per_s: number | null;
  /** the longest reply: a client may hold that much of a reply that is not whole yet */
  readonly max_reply_bytes: number;
  /** --max-connections */
  readonly max_connections: number | null;
}

/** What the run shows so far, over all processes that hold clients. */
export interface Footprint {
  readonly open: number;
  readonly rss_bytes: number;
  readonly workers: number;
}

export const NOTHING_YET: Footprint = { open: 0, rss_bytes: 0, workers: 0 };

/** bytes of a held connection, in the process and in the kernel; measured with idle ones, which hold no buffers */
const CLIENT_BYTES = 5500;
const KERNEL_BYTES = 5000;
/** bytes of a process without connections: a forked worker, or the daemon with all it loads */
const WORKER_BYTES = 50e6;
const DAEMON_BYTES = 65e6;
/** open connections per process from which its memory tells what one connection takes */
const TELLING = 5000;
const MIN_CLIENT_BYTES = 2000;
/** threads of a Node process: its own, V8's and libuv's */
const TASKS_PER_PROCESS = 11;
/** µs of CPU for a round trip, at thousands of sleepy connections; measured */
const MESSAGE_US = 30;
/** seconds that a message is taken to occupy a page of socket buffers */
const MESSAGE_S = 1;

/** All bounds, the tightest first, without those that the system does not tell or that do not exist. */
export function bounds_of(machine: Machine, demand: Demand, now: Footprint): readonly Bound[] {
  const per_process = Math.max(0, (machine.open_files?.soft ?? UNLIMITED) - RESERVED_FILES);
  const all: (Bound | null)[] = [
    open_files(machine, demand, per_process),
    all_files(machine, now),
    local_ports(machine, demand),
    memory('memory', machine.memory, MORE_MEMORY, demand, now, per_process),
    memory('cgroup memory', machine.cgroup_memory, MORE_CGROUP_MEMORY, demand, now, per_process),
    socket_buffers(machine, demand),
    tracked(machine, now),
    tasks('processes', machine.tasks, 'sysctl -w kernel.pid_max and kernel.threads-max', demand, now, per_process),
    tasks(
      'cgroup pids',
      machine.cgroup_tasks,
      'TasksMax= of the unit, --pids-limit of the container',
      demand,
      now,
      per_process,
    ),
    cpu(machine, demand),
    demand.max_connections === null ? null : bound_you_gave(demand.max_connections),
  ];
  return all
    .filter((one) => one !== null)
    .map((one) => ({ ...one, connections: Math.max(0, Math.floor(one.connections)) }))
    .filter((one) => one.connections < UNLIMITED)
    .sort((a, b) => a.connections - b.connections || Number(b.hard) - Number(a.hard));
}

/**
 * Rounds per second of one client, by the means of the script's sleeps and the shares of its groups, taken as messages;
 * null: some never sleep.
 */
export function messages_per_s({ groups }: Script): number | null {
  const played = groups.filter(({ share }) => share > 0);
  const rates = played.map(({ loops, share }) => share * loops.reduce((all, loop) => all + rounds_per_s(loop), 0));
  const rate = sum(rates) / sum(played.map(({ share }) => share));
  return rate < Infinity && rate > 0 ? rate : null;
}

function rounds_per_s({ actions, sleep_between_iterations }: Loop): number {
  const rounds = sum(actions.map((action) => mean_of(action.rounds)));
  const slept = actions.map((action) => {
    const { sleep_between_rounds: between, sleep_after_action: after } = action;
    return mean_of(action.rounds) * mean_of(between) + mean_of(after);
  });
  return rounds === 0 ? 0 : rounds / (sum(slept) + mean_of(sleep_between_iterations));
}

function open_files({ open_files: files, nr_open }: Machine, { processes }: Demand, per_process: number): Bound | null {
  if (!files || files.soft >= UNLIMITED) return null;
  const { most, forked } = processes;
  const more = Math.min(MAX_WORKERS, Math.max(2, 2 * most));
  const lifts = [
    ...(more > most ? [`${most > processes.first ? '--max-workers' : '--workers'} ${more}`] : []),
    ...(files.soft < (nr_open ?? 0) ? [`ulimit -n ${nr_open} as root before it starts`] : []),
  ];
  return {
    code: 'limit_files',
    what: 'open files',
    connections: per_process * most,
    hard: true,
    why: `soft ${files.soft}, hard ${files.hard}, less ${RESERVED_FILES} of swarm's own, x ${count(most, forked ? 'worker' : 'process', forked ? 'workers' : 'processes')}`,
    lift: lifts.join(', or ') || 'a larger fs.nr_open',
  };
}

function all_files({ files }: Machine, { open }: Footprint): Bound | null {
  return (
    (files && {
      code: 'limit_files',
      what: 'files of all processes',
      connections: open + free(files),
      hard: true,
      why: `fs.file-max ${files.max}, ${files.used} open`,
      lift: `sysctl -w fs.file-max=${2 * files.max}`,
    }) ??
    null
  );
}

function local_ports(machine: Machine, { sources: { addresses, excluded_ports }, endpoints }: Demand): Bound | null {
  const ports = PORTS_PER_ADDRESS - excluded_ports.filter((port) => port >= 1024).length;
  const fitting = (family: 4 | 6): number =>
    addresses.length === 0 ? 1 : addresses.filter((one) => one.includes(':') === (family === 6)).length;
  /** (source, destination) pairs of each server */
  const pairs = endpoints
    .map((families) => families.filter((family) => family !== null).map(fitting))
    .filter((of_server) => of_server.length > 0)
    .map((of_server) => Math.min(...of_server) * of_server.length);
  if (pairs.length === 0) return null;
  const { time_wait = 0, port_range } = machine;
  const range = port_range ? `, those of ${port_range.join('-')} last` : '';
  const sources = Math.max(1, addresses.length);
  return {
    // clients take servers in turn, so the first one that is full is the bound
    code: 'limit_ports',
    what: 'local ports',
    connections: endpoints.length * Math.min(...pairs) * ports,
    hard: true,
    why:
      `${ports} ports x ${count(sources, 'source address', 'source addresses')} x ${count(endpoints.flat().length, 'server address', 'server addresses')}; ` +
      `from 1024-65535${range}; ${time_wait} still in TIME_WAIT`,
    lift: '--bind with more addresses of this machine, or one more --server',
  };
}

const MORE_MEMORY = 'more memory, or a second machine';
const MORE_CGROUP_MEMORY = 'MemoryMax= of the unit, --memory of the container';

function memory(
  what: string,
  usage: Usage | undefined,
  lift: string,
  { processes, max_reply_bytes }: Demand,
  { open, rss_bytes, workers }: Footprint,
  per_process: number,
): Bound | null {
  if (!usage) return null;
  const { first, most, forked } = processes;
  const idle = forked ? WORKER_BYTES : DAEMON_BYTES;
  const is_telling = workers > 0 && open >= TELLING * workers;
  const client = is_telling ? Math.max(MIN_CLIENT_BYTES, (rss_bytes - workers * idle) / open) : CLIENT_BYTES;
  const to_come = Math.max(0, first - workers) * idle;
  // workers that start later bring their memory along with their connections
  const with_worker = most > Math.max(first, workers) ? idle / Math.max(1, per_process) : 0;
  const fitting = (each: number): number => open + (free(usage) - to_come) / (each + KERNEL_BYTES + with_worker);
  const with_replies = Math.max(0, Math.floor(fitting(client + max_reply_bytes)));
  const kb = (bytes: number): string =>
    bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
  return {
    code: 'limit_memory',
    what,
    hard: false,
    lift,
    connections: fitting(client),
    why: `${(free(usage) / 1e9).toFixed(1)} GB free, ${kb(client)} per connection${is_telling ? ' (measured)' : ''} and ${kb(KERNEL_BYTES)} of the kernel's, ${idle / 1e6} MB per process; ${with_replies} with a reply of ${kb(max_reply_bytes)} to come in each`,
  };
}

function socket_buffers({ tcp_pages }: Machine, { messages_per_s: rate }: Demand): Bound | null {
  if (!tcp_pages) return null;
  const share = Math.min(1, (rate ?? Infinity) * MESSAGE_S);
  const [low = 0, pressure = 0, max = 0] = tcp_pages.tcp_mem;
  return {
    code: 'limit_tcp_mem',
    what: 'socket buffers',
    connections: free(tcp_pages) / share,
    hard: false,
    why: `tcp_mem ${max} pages, ${tcp_pages.used} used; one while bytes are on their way, taken as ${MESSAGE_S} s per message`,
    lift: `sysctl -w net.ipv4.tcp_mem="${2 * low} ${2 * pressure} ${2 * max}"`,
  };
}

function tracked({ conntrack }: Machine, { open }: Footprint): Bound | null {
  // fewer tracked than open: the firewall does not track our connections
  if (!conntrack || conntrack.used < open) return null;
  return {
    code: 'limit_conntrack',
    what: 'connection tracking',
    connections: open + free(conntrack),
    hard: true,
    why: `nf_conntrack_max ${conntrack.max}, ${conntrack.used} followed`,
    lift: `sysctl -w net.netfilter.nf_conntrack_max=${4 * conntrack.max}`,
  };
}

function tasks(
  what: string,
  usage: Usage | undefined,
  lift: string,
  { processes }: Demand,
  { workers }: Footprint,
  per_process: number,
): Bound | null {
  if (!usage || !processes.forked) return null;
  const more = Math.floor(free(usage) / TASKS_PER_PROCESS);
  if (workers + more >= processes.most) return null;
  return {
    code: 'limit_pids',
    what,
    connections: (workers + more) * per_process,
    hard: true,
    lift,
    why: `${usage.max} processes and threads, ${usage.used} there; ${TASKS_PER_PROCESS} per worker`,
  };
}

function cpu({ cores }: Machine, { messages_per_s: rate, processes }: Demand): Bound | null {
  if (rate === null) return null;
  const used = Math.min(cores, processes.most);
  return {
    code: 'limit_cpu',
    what: 'CPU',
    connections: (used * 1e6) / MESSAGE_US / rate,
    hard: false,
    why: `${used} of ${count(cores, 'core', 'cores')}, ${MESSAGE_US} us per message, ${Number(rate.toPrecision(2))} messages/s per client`,
    lift: used < cores ? '--workers auto, or longer sleeps' : 'longer sleeps in the script, or more cores',
  };
}

const free = ({ max, used }: Usage): number => Math.max(0, max - used);
const count = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;
