/** What an outage of the engine costs, over its length: drawn, in the time of a world, so that nothing depends on how busy the machine is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clients_in } from '../../../src/machines/store/documents.ts';
import { ANSWER_MS } from './faulty-store.ts';
import { started } from './started.ts';
import type { SimSwarm } from './swarm.ts';

/** From the engine's return to control; who had asked it just before waits for that answer first. */
const CONTROL_MS = 1500;

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

test('longer than agents hold on without it: they share as before, whoever is back first', async () => {
  const play = async (
    isolation_ms: number,
    more_ms: number,
    seed: number,
    agents: number,
    wiped: boolean,
  ): Promise<void> => {
    const swarm = await started(seed, { isolation_ms, agents });
    const { world, truth } = swarm;
    const target = await grow(swarm);
    const shares = () =>
      Object.fromEntries(Object.entries(truth.plan!.members).map(([id, entry]) => [id, clients_in(entry)]));
    const before = shares();
    world.stop_engine(isolation_ms + more_ms);
    await swarm.until(world.now + isolation_ms + more_ms);
    if (wiped) world.wipe_engine();
    expect(truth.held).toBe(0);
    expect(await swarm.wait(() => truth.held === target, 20_000), world.notes.slice(-40).join('\n')).toBe(true);
    await swarm.until(world.now + 3000);
    expect(truth.held).toBe(target);
    expect(shares(), world.notes.slice(-40).join('\n')).toEqual(before);
  };
  const isolations = fc.integer({ min: 3000, max: 55_000 });
  const more = fc.integer({ min: 1500, max: 30_000 });
  const [seeds, agents] = [fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 2, max: 5 })];
  await fc.assert(fc.asyncProperty(isolations, more, seeds, agents, fc.boolean(), play), { numRuns: 40 });
}, 120_000);

test('in which an agent dies, and the memory of the engine: started anew it holds its share again, or says until when not', async () => {
  const play = async (outage_ms: number, dies_ms: number, seed: number): Promise<void> => {
    const swarm = await started(seed, { agents: 3 });
    const { world, truth, machines } = swarm;
    const target = await grow(swarm);
    const victim = machines[seed % 3]!;
    const holds = () => clients_in(truth.plan!.members[victim.name]!);
    const share = holds();
    truth.troubled(null, outage_ms + ANSWER_MS + CONTROL_MS);
    world.at(world.now + dies_ms, () => swarm.crash_machine(victim));
    world.stop_engine(outage_ms);
    await swarm.until(world.now + outage_ms);
    world.wipe_engine();
    await swarm.until(Math.max(world.now, world.now - outage_ms + dies_ms) + 500);
    swarm.restart_machine(victim);
    const is_back = await swarm.wait(() => truth.held === target, 20_000);
    const agent = swarm.desks[0]!.joined.summary().agents!.find(({ id }) => id === victim.name)!;
    expect(is_back, `${agent.why} ${world.notes.slice(-40).join('\n')}`).toBe(victim.can_tell || share === 0);
    expect(agent.why).toMatch(
      is_back ? /^$/ : new RegExp(`^its predecessor may still hold ${share} clients: .* \\d+ s more`),
    );
    if (!is_back) swarm.command({ op: 'evict', agent: victim.name });
    expect(await swarm.wait(() => truth.held === target, 20_000), world.notes.slice(-40).join('\n')).toBe(true);
  };
  const outages = fc.integer({ min: 500, max: 30_000 });
  await fc.assert(
    fc.asyncProperty(outages, fc.integer({ min: 0, max: 35_000 }), fc.integer({ min: 1, max: 1e6 }), play),
    {
      numRuns: 40,
    },
  );
}, 120_000);
