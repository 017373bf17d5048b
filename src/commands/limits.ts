/** `swarm limits`: what bounds connections on this machine, as a running swarm shows it too. Asks no server. */
import type { Io } from '../foundation/io.ts';
import { read_machine } from '../foundation/machine.ts';
import { demand_of } from '../launch/demand.ts';
import { load_once } from '../launch/load-once.ts';
import { check_name } from '../launch/preflight.ts';
import { find_endpoints, find_sources } from '../launch/sources.ts';
import type { Options } from '../options/options.ts';
import { bound_lines, ONE_PROCESS } from '../outputs/tables.ts';
import { bounds_of, NOTHING_YET } from '../swarm/control/bounds.ts';

/** Prints the bounds and what they leave out. Without --server: one server, one address. Without --script: no CPU. */
export async function run_limits(options: Options, io: Io): Promise<number> {
  const loaded = options.script === null ? null : await load_once({ ...options, script: options.script }, io);
  const server = options.server ?? [];
  for (const { host } of server) if (host !== '') await check_name(host);
  const sources = await find_sources({ ...options, server });
  const family: 4 | 6 = sources.addresses[0]?.includes(':') ? 6 : 4;
  const endpoints = server.length > 0 ? await find_endpoints(server, sources.addresses) : [[family]];
  const bounds = bounds_of(read_machine(), demand_of(options, loaded, { sources, endpoints }), NOTHING_YET);
  for (const line of bound_lines(bounds)) io.out.line(line);
  io.out.line(
    `~ marks an estimate; at the other numbers the system refuses more${loaded ? '' : '; with --script the CPU is estimated too'}`,
  );
  if (options.workers === 0) io.out.line(ONE_PROCESS);
  return 0;
}
