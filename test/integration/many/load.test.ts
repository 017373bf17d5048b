/** Loads on many machines: members play them without a word, whoever dies; only waits need somebody who leads. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../../src/metrics/summary.ts';
import { HAS_NATS, until, World, type Coordinator } from './kit.ts';

let world: World;
afterEach(() => world.close());

/** Of a run that ends by itself. */
async function ended({ swarm, file }: Coordinator): Promise<Summary> {
  expect(await swarm.exited, swarm.err).toBe(0);
  await world.ledger.settled();
  return JSON.parse(readFileSync(file, 'utf8')) as Summary;
}

const state = async ({ ask }: Coordinator): Promise<string> => await ask('load');

describe.skipIf(!HAS_NATS)('a load', () => {
  it('is played to its end, and the run with it; never above what it asks for, and exact', async () => {
    world = await World.open({ lease: '2s' });
    await world.all_agents(3);
    const steps = 'set 60 over 2s; wait ready within 50s; mark; repeat 2 (incr 15; hold 1s; decr 15 over 500ms); stop';
    const leader = await world.run('--load', steps);
    const summary = await ended(leader);
    world.expect_exact(summary);
    expect(world.open_since(0).most).toBeLessThanOrEqual(75);
    expect(summary).toMatchObject({ target: 60, load: { state: 'over', step: 10 }, mark: { text: '' } });
  });

  it('goes on while nobody leads: steps, ramps and all, up to a wait, which the next leader decides', async () => {
    world = await World.open({ lease: '2s' });
    await world.all_agents(3);
    const steps =
      'set 30; wait within 50s; hold 2s; set 90 over 3s; hold 500ms; set 45; wait within 50s; set 50; hold 1h';
    const leader = await world.run('--load', steps);
    await until('the first wait is over', async () => /step 3 of 9/.test(await state(leader)));
    // the plan that has what comes next
    await until('all know what comes next', async () => (await world.plan()).ahead.length > 1);
    const { revision } = await world.plan();
    await world.kill(leader);
    await until('90 are open', () => world.open === 90);
    await world.until_open(45);
    // nobody wrote a plan since
    expect((await world.plan()).revision).toBe(revision);
    const next = await world.attach();
    await world.until_open(50);
    expect(await next.ask('load')).toMatch(/step 9 of 9, hold 1h/);
    expect(world.open_since(0).most).toBe(90);
    const summary = await world.finish(next);
    world.expect_exact(summary);
    expect(summary.load).toMatchObject({ state: 'stopped', step: 9 });
  });

  it('goes on while the engine is away, and takes in who comes after', async () => {
    world = await World.open({ lease: '2s', isolation: '50s' });
    await world.all_agents(2);
    const leader = await world.run(
      '--load',
      'set 20; wait within 50s; hold 2s; set 40 over 3s; hold 3s; set 80; hold 1h',
    );
    await until('the wait is over', async () => /step 3 of 7/.test(await state(leader)));
    await until('all know what comes next', async () => (await world.plan()).ahead.length > 1);
    await world.engine.kill();
    await world.until_open(40);
    await world.until_open(80);
    await world.engine.start();
    const late = await world.agent();
    await until('it has its part', async () => (await world.plan()).members[late.id] !== undefined);
    await leader.ask('rebalance');
    await until('it holds clients', async () => (await world.presence(late)).live > 20);
    await world.until_open(80);
    const summary = await world.finish(leader);
    expect(world.open_since(0).most).toBe(80);
    expect(summary.balanced).toBe(true);
  });

  it('keeps its sum while an agent is killed and another one comes', async () => {
    world = await World.open({ lease: '2s', isolation: 3 });
    const [first] = await world.all_agents(3);
    const leader = await world.run(
      '--load',
      'set 60 over 3s; hold 3s; set 30 over 3s; hold 3s; set 60 over 3s; hold 1h',
    );
    await until('some are open', () => world.open > 10);
    await world.kill(first!);
    await world.agent();
    await until('the last step plays', async () => /step 6 of 6/.test(await state(leader)));
    await world.until_open(60);
    expect(world.open_since(0).most).toBeLessThanOrEqual(60);
    await world.finish(leader);
  });
});
