import { SimSwarm, type SwarmOptions } from './swarm.ts';
import { World } from './world.ts';

/** A swarm of three agents and one coordinator that plays already, with groups of shares 1 and 3, unless said otherwise. */
export async function started(seed: number, change: Partial<SwarmOptions>): Promise<SimSwarm> {
  const swarm = new SimSwarm(new World(seed), {
    first_ms: 0,
    coordinators: 1,
    agents: 3,
    isolation_ms: 55_000,
    lease_ms: 5000,
    has_hooks: false,
    groups: [1, 3],
    skew_ms: 0,
    ...change,
  });
  await swarm.begin();
  return swarm;
}
