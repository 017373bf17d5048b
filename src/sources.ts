/** Where connections may come from: `--bind` and the ports of this machine that are not for swarm. */
import { randomInt } from 'node:crypto';
import type { OptionsWith } from './options.ts';
import type { Sources } from './swarm/plan.ts';

const MAX_OFFSET = 2 ** 31;

export function find_sources({ bind, server, listen }: OptionsWith<'server'>): Sources {
  return {
    addresses: bind ?? [],
    excluded_ports: [...server.map(({ port }) => port), listen.port],
    offset: randomInt(MAX_OFFSET),
  };
}
