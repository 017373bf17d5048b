/** What an outage of the engine costs, over its length: drawn, in the time of a world, so that nothing depends on how busy the machine is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANSWER_MS } from './faulty-store.ts';
import { SimSwarm, type SwarmOptions } from './swarm.ts';
import { World } from './world.ts';

/** From the engine's return to control; who had asked it just before waits for that answer first. */
const CONTROL_MS = 1500;

async function started(seed: number, change: Partial<SwarmOptions>): Promise<SimSwarm> {
  const swarm = new SimSwarm(new World(seed), {
    ...{ first_ms: 0, coordinators: 1, agents: 3, isolation_ms: 55_000, lease_ms: 5000, has_hooks: false, skew_ms: 0 },
    ...change,
  });
  await swarm.begin();
  return swarm;
}

/** Grows to a number of clients that fits twice, and comes to rest. */
async function grow(swarm: SimSwarm): Promise<number> {
  const target = Math.floor(swarm.capacity / 2);
  swarm.command({ op: 'set', count: target, over_ms: 0 });
  expect(await swarm.wait(() => swarm.truth.held === target, 20_000)).toBe(true);
  await swarm.until(swarm.world.now + 3000);
  return target;
}

test('that it comes back from without its memory: all is written anew soon, however long it was, and the load stays', async () => {
  const outages = fc.integer({ min: 500, max: 40_000 });
  const seeds = fc.integer({ min: 1, max: 1e6 });
  const play = async (outage_ms: number, seed: number, coordinators: number, agents: number): Promise<void> => {
    const swarm = await started(seed, { coordinators, agents });
    const { world, truth } = swarm;
    const target = await grow(swarm);
    const before = truth.plan!.epoch;
    world.stop_engine(outage_ms);
    await swarm.until(world.now + outage_ms);
    world.wipe_engine();
    const is_back = (): boolean => truth.held === target && truth.plan!.epoch !== before;
    expect(await swarm.wait(is_back, ANSWER_MS + CONTROL_MS), `${world.notes.slice(-40).join('\n')}`).toBe(true);
    const end = world.now + 10_000;
    while (world.now < end) {
      await swarm.until(world.now + 250);
      expect(truth.held).toBe(target);
    }
  };
  const some = fc.integer({ min: 1, max: 3 });
  await fc.assert(fc.asyncProperty(outages, seeds, some, some, play), { numRuns: 60 });
}, 120_000);
