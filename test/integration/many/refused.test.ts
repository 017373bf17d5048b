import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { read_credentials } from '../../../src/machines/store/credentials.ts';
import { open_nats_store } from '../../../src/machines/store/nats.ts';
import type { Store } from '../../../src/machines/store/store.ts';
import { GOOD } from '../../machines/store/good-documents.ts';
import { HAS_NATS, MODULE, until, World } from './kit.ts';

const BAD = ['{"x":1}', '[]', 'null', '', '{', '1e300', '{"incarnation":"i1","states":null,"cpu":"a"}'];
const BAD_RESULTS = [...BAD, '{"run":"r1","seq":1}', '{"run":"r1","seq":2,"snapshot":{}}'];

let world: World;
const stores: Store[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await world.close();
});

/** With the credentials of an identity, as whoever has its file. */
async function as(user: string): Promise<(key: string, text: string) => Promise<void>> {
  const credentials = read_credentials(join(world.place.folder, 'engine', `${user}.json`));
  const store = await open_nats_store({ engine: world.join, name: world.name, credentials });
  stores.push(store);
  return async (key, text) => {
    await until(`${key} is written`, async () => {
      const found = await store.get(key);
      return (await store.put(key, text, found?.revision ?? 0)).outcome === 'done';
    });
  };
}

it.skipIf(!HAS_NATS)(
  'an agent whose machine cannot load the module is refused, with the reason; the others hold all, and nothing is missing',
  async () => {
    const needs = `if (process.env['NO_DEVICE']) throw new Error('no such device here');\n`;
    world = await World.open({ module: needs + MODULE });
    await world.agent();
    const run = await world.run();
    const late = await world.agent(2, ['env', 'NO_DEVICE=1']);
    await run.ask('set 20');
    const refused = new RegExp(
      `^${late.id} .* refused [^]*^${late.id}: .*none of 2 can load the module: .*no such device`,
      'm',
    );
    await until('it is refused', async () => refused.test(await run.ask('agents')));
    await world.until_open(20);
    const summary = await world.finish(run);
    expect(summary).toMatchObject({ balanced: true, complete: true, lost_workers: [] });
  },
);

const rows = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('agent-03'));

it.skipIf(!HAS_NATS)('what an agent stores that is no document changes nothing, and is shown as its own', async () => {
  world = await World.open({ identities: 3 });
  await world.all_agents(2);
  const run = await world.run();
  expect(await run.ask('set 20')).toMatch(/^OK target 20\b/);
  await world.until_open(20);
  const start = performance.now();
  const [idle, second] = [await as('agent-03'), await as('agent-02')];
  const { incarnation } = await world.presence(world.agents[1]!);

  for (const text of BAD) {
    await idle('members.agent-03', text);
    await until('the author is refused', async () => /^agent-03 .* refused /m.test(await run.ask('agents')));
  }
  for (const text of BAD_RESULTS) await idle('results.agent-03.i1', text);
  for (const text of BAD) await idle('latencies.agent-03.i1.0', text);
  // of an agent that plays: what it says next stands in its place
  for (const text of ['{"x":1}', 'null']) {
    await second('members.agent-02', text);
    await second(`results.agent-02.${incarnation}`, text);
    await second(`latencies.agent-02.${incarnation}.0`, text);
    await until('agent-02 is well again', async () => /^agent-02 .* ok /m.test(await run.ask('agents')));
  }
  const both = /agent-03: presence: .*; results: /;
  await until('both are refused', async () => both.test(rows(await run.ask('agents')).join('\n')));
  expect(await run.ask('incr 10')).toMatch(/^OK target 30\b/);
  await world.until_open(30);

  const other = await world.attach();
  expect((await other.status()).agents!.map(({ id }) => id)).toEqual(['agent-01', 'agent-02', 'agent-03']);
  expect(rows(await other.ask('agents')).join('\n')).toContain('refused');
  const said = run.swarm.err.split('\n').filter((line) => line.includes('agent-03') && line.includes('is refused'));
  expect(said, run.swarm.err).toHaveLength(2);
  expect(run.swarm.child.exitCode).toBeNull();

  await idle('members.agent-03', GOOD.presence);
  await idle('results.agent-03.i1', GOOD.results);
  await until('a good document is taken again', async () => !/refused/.test(await run.ask('agents')));
  expect(world.open_since(start).least).toBeGreaterThanOrEqual(20);
  world.expect_exact(await world.finish(run));
});

it.skipIf(!HAS_NATS)('a plan, a target and a lease that cannot be read are written anew, the load stays', async () => {
  world = await World.open({ identities: 1 });
  await world.all_agents(1);
  const run = await world.run();
  expect(await run.ask('set 10')).toMatch(/^OK target 10\b/);
  await world.until_open(10);
  const start = performance.now();
  const leader = await as('leader');
  for (const text of ['{}', 'null', '[]', '{"format":"swarm-plan/1","term":1e300}']) {
    for (const key of ['desired', 'plan', 'lease']) await leader(key, text);
    await until(
      'all is well again',
      async () => /^agent-01 .* ok /m.test(await run.ask('agents')) && (await world.lease())?.run,
    );
    await until('the plan is there again', async () => (await world.plan_if_any())?.run !== undefined);
  }
  expect(await run.ask('incr 5', 20_000)).toMatch(/^OK target 15/);
  await world.until_open(15);
  expect(world.open_since(start).least).toBeGreaterThanOrEqual(10);
  world.expect_exact(await world.finish(run));
});
