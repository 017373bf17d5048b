/** What `swarm engine up` makes of its options. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { SwarmError } from '../foundation/errors.ts';
import type { Server } from '../protocols/module.ts';
import type { Options } from './options.ts';

export interface EngineOptions {
  readonly dir: string;
  readonly listen: Server;
  readonly agents: number;
  /** names and addresses by which others reach it */
  readonly hosts: readonly string[];
}

/** @throws SwarmError bad_option */
export function engine_options({ listen, agents, host, dir }: Options): EngineOptions {
  const hosts = host ?? [];
  if (/^(0\.0\.0\.0|[0:]+)$/.test(listen.host) && hosts.length === 0) {
    const reason = `${listen.host} is no address that others could join: name this machine as they reach it`;
    throw new SwarmError('bad_option', { option: '--host', reason });
  }
  const own = join(process.env.SWARM_HOME || join(homedir(), '.swarm'), 'engine');
  return { dir: resolve(dir ?? own), listen, agents, hosts };
}
