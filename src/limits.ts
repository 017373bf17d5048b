/** `swarm limits`: what bounds the number of connections on this machine. Asks no server. The running swarm shows the same table. */
import { availableParallelism } from 'node:os';
import { load_once } from './check.ts';
import { bound_lines, ONE_PROCESS } from './console/answers.ts';
import { now as monotonic } from './foundation/clock.ts';
import { read_machine } from './foundation/machine.ts';
import type { Options } from './options.ts';
import { check_name } from './preflight.ts';
import type { Io } from './program.ts';
import type { Loaded } from './load.ts';
import { find_endpoints, find_sources } from './sources.ts';
import { bounds_of, messages_per_s, NOTHING_YET, type Bound, type Demand, type Measured } from './swarm/bounds.ts';

/** The facts are read again after so long. */
const FRESH_MS = 1000;

type Processes = Demand['processes'];

/** The processes that hold clients, by --workers and --max-workers. */
export function processes_of({ workers, max_workers }: Pick<Options, 'workers' | 'max_workers'>): Processes {
  if (workers === 0) return { first: 1, most: 1, forked: false };
  if (workers !== 'auto') return { first: workers, most: workers, forked: true };
  return { first: Math.min(availableParallelism(), max_workers), most: max_workers, forked: true };
}

/** `loaded`: null when the script is not known. */
export function demand_of(
  options: Options,
  loaded: Pick<Loaded, 'script' | 'module'> | null,
  ends: Pick<Demand, 'sources' | 'endpoints'>,
): Demand {
  return {
    ...ends,
    processes: processes_of(options),
    messages_per_s: loaded && messages_per_s(loaded.script),
    max_reply_bytes: loaded?.module.max_reply ?? options.max_reply,
    max_connections: options.max_connections,
  };
}

/** The bounds of a run, from facts that are at most a second old: a few dozen small files in /proc. */
export function watch_bounds(
  demand: Demand,
  read = read_machine,
  now = monotonic,
): (measured: Measured) => readonly Bound[] {
  let at = -Infinity;
  let bounds: readonly Bound[] = [];
  return (measured) => {
    if (now() - at < FRESH_MS) return bounds;
    at = now();
    bounds = bounds_of(read(), demand, measured);
    return bounds;
  };
}

/** Says what bounds do not show, too. Without --server: one server with one address. Without --script: nothing about CPU. */
export async function run_limits(options: Options, io: Io): Promise<number> {
  const loaded = options.script === null ? null : await load_once({ ...options, script: options.script }, io);
  const server = options.server ?? [];
  for (const { host } of server) if (host !== '') await check_name(host);
  const sources = await find_sources({ ...options, server });
  const family: 4 | 6 = sources.addresses[0]?.includes(':') ? 6 : 4;
  const endpoints = server.length > 0 ? await find_endpoints(server, sources.addresses) : [[family]];
  const bounds = bounds_of(read_machine(), demand_of(options, loaded, { sources, endpoints }), NOTHING_YET);
  for (const line of bound_lines(bounds)) io.out.line(line);
  io.out.line(`~ is an estimate, beyond the others the system refuses${loaded ? '' : '; --script adds the CPU'}`);
  if (options.workers === 0) io.out.line(ONE_PROCESS);
  return 0;
}
