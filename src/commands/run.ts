/** `swarm run`: on this machine alone, or as the coordinator of many. Only the code of one way is loaded. */
import type { Io } from '../foundation/io.ts';
import type { OptionsWith } from '../options/options.ts';

/** Resolves with the exit code. */
export async function run_run(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number> {
  if (options.join === null && options.credentials === null)
    return await (await import('../launch/one-machine.ts')).run_daemon(options, io);
  return await (await import('../launch/many-machines.ts')).run_joined(options, io);
}
