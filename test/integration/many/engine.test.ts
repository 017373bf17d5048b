/** What happens when the engine dies: the load goes on, and who steers it waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { HAS_NATS, measured, until, World, type Coordinator } from './kit.ts';

const TARGET = 100;
const OUTAGES = [1000, 10_000, ...(process.env['SWARM_SLOW_TESTS'] === undefined ? [] : [50_000])];

let world: World;
afterEach(() => world.close());

async function start(): Promise<Coordinator> {
  world = await World.open({ isolation: '55s', lease: '2s' });
  await world.all_agents(2);
  const lead = await world.run();
  await lead.ask(`incr ${TARGET}`);
  await world.until_open(TARGET);
  return lead;
}

describe.skipIf(!HAS_NATS)('an engine', () => {
  it.each(OUTAGES)('killed with -9 for %i ms: no connection ends, no count is lost', async (outage_ms) => {
    const lead = await start();
    const other = await world.attach();
    const since = performance.now();
    await world.engine.kill();
    const asked = other.ask('incr 7');
    await sleep(outage_ms);
    if (outage_ms >= 10_000) {
      expect(lead.swarm.err).toMatch(/the engine has not answered since \S+: the load goes on/);
      const { engine_away } = await lead.status();
      expect(Date.parse(engine_away!.figures_of)).toBeGreaterThanOrEqual(Date.parse(engine_away!.since));
    }
    expect(world.open_since(since)).toEqual({ least: TARGET, most: TARGET });
    await world.engine.start();
    const back = performance.now();
    const answer = await lead.ask('incr 5');
    expect(answer).toMatch(/^OK target 1\d\d/);
    await until('all of them', () => world.open >= TARGET + 5);
    measured(`control back after an outage of ${outage_ms} ms`, performance.now() - back, 2000);
    expect(await asked).toMatch(/^OK target|^ERR (unknown|engine_away) /);
    const { target } = await world.desired();
    console.log(`measured: a command during the outage: ${await asked}; target ${target} afterwards`);
    if ((await asked).startsWith('OK')) expect(target).toBe(TARGET + 12);
    else expect([TARGET + 5, TARGET + 12]).toContain(target);
    await world.until_open(target);
    expect(world.open_since(since).least).toBe(TARGET);
    // the coordinator says so when it looks next
    await until('nobody says that it is away', async () => (await lead.status()).engine_away === undefined);
    expect((await lead.status()).agents!.map(({ health }) => health)).toEqual(['ok', 'ok']);
    const summary = await world.finish(lead);
    world.expect_exact(summary);
    expect(summary.connections.established).toBe(target);
    await world.expect_course(summary);
  });

  it('that comes back without what it had stored: that is noticed and written anew, the load does not notice', async () => {
    const lead = await start();
    const before = await world.plan();
    const since = performance.now();
    await world.engine.kill();
    world.engine.wipe();
    // over each length: test/machines/sim/outages.test.ts
    const outage_ms = Math.round(200 + 8000 * Math.random());
    await sleep(outage_ms);
    await world.engine.start();
    const back = performance.now();
    await until('a plan of another epoch', async () => {
      const plan = await world.plan_if_any();
      return plan !== null && plan.epoch !== before.epoch;
    });
    measured(`a store wiped for ${outage_ms} ms noticed and written anew`, performance.now() - back, 1500);
    expect(lead.swarm.err).toMatch(/the engine lost what it had stored/);
    expect(await lead.ask('incr 5')).toMatch(/^OK target 105/);
    await world.until_open(TARGET + 5);
    expect(world.open_since(since).least).toBe(TARGET);
    // who comes now finds the run
    const other = await world.attach();
    expect(await other.ask('incr 5')).toMatch(/^OK target 110/);
    await world.until_open(TARGET + 10);
    const summary = await world.finish(lead);
    world.expect_exact(summary);
    expect(summary.connections.established).toBe(TARGET + 10);
  });

  it('that is not there yet is waited for by an agent, if it shall', async () => {
    world = await World.open();
    await world.engine.kill();
    const agent = (...more: string[]) => world.place.swarm('agent', '--join', world.join, '--workers', '1', ...more);
    const [impatient, patient] = [agent(), agent('--wait', 'ever')];
    expect(await impatient.exited).toBe(1);
    expect(impatient.err).toMatch(/no engine answers at /);
    await until('it waits', () => /no engine answers at .*; waiting for it/.test(patient.err));
    await world.engine.start();
    await patient.said(/^agent \S+ offers/m);
  });
});
