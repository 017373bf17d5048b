/** What a run asks of this machine, from the options, and its bounds while it runs. */
import { availableParallelism } from 'node:os';
import { now as monotonic } from '../foundation/clock.ts';
import { read_machine } from '../foundation/machine.ts';
import type { Bound } from '../metrics/summary.ts';
import type { Options } from '../options/options.ts';
import { bounds_of, messages_per_s, type Demand, type Footprint } from '../swarm/control/bounds.ts';
import type { Loaded } from './load.ts';

/** ms until the facts are read again */
const FRESH_MS = 1000;

type Processes = Demand['processes'];

/** The processes that hold clients, by --workers and --max-workers. */
export function processes_of({ workers, max_workers }: Pick<Options, 'workers' | 'max_workers'>): Processes {
  if (workers === 0) return { first: 1, most: 1, forked: false };
  if (workers !== 'auto') return { first: workers, most: workers, forked: true };
  return { first: Math.min(availableParallelism(), max_workers), most: max_workers, forked: true };
}

/** `loaded`: null when the script is not known; then the bounds have no CPU. */
export function demand_of(
  options: Options,
  loaded: Pick<Loaded, 'script' | 'modules'> | null,
  ends: Pick<Demand, 'sources' | 'endpoints'>,
): Demand {
  const modules = loaded === null ? [] : [...loaded.modules.values()];
  const replies =
    modules.length === 0 ? [options.max_reply] : modules.map(({ max_reply }) => max_reply ?? options.max_reply);
  return {
    ...ends,
    processes: processes_of(options),
    messages_per_s: loaded && messages_per_s(loaded.script),
    max_reply_bytes: Math.max(...replies),
    max_connections: options.max_connections,
  };
}

/** The bounds of a run, from facts that are at most a second old: a few dozen small files in /proc. */
export function watch_bounds(
  demand: Demand,
  read = read_machine,
  now = monotonic,
): (measured: Footprint) => readonly Bound[] {
  let at = -Infinity;
  let bounds: readonly Bound[] = [];
  return (measured) => {
    if (now() - at < FRESH_MS) return bounds;
    at = now();
    bounds = bounds_of(read(), demand, measured);
    return bounds;
  };
}
