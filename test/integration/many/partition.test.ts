/** What happens when the network between an agent and the engine, or the server, is cut. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentSummary, Summary } from '../../../src/metrics/summary.ts';
import { HAS_NATS, measured, until, World, type AgentProcess, type Coordinator } from './kit.ts';
import { Networks, NO_NETWORKS, type Cut } from './networks.ts';

let networks: Networks;
let world: World;
let victim: AgentProcess;
let space: string;

const state_of_victim = async ({ status }: Coordinator): Promise<AgentSummary> =>
  (await status()).agents!.find(({ id }) => id === victim.id)!;

describe.skipIf(!HAS_NATS || NO_NETWORKS !== null)('an agent', () => {
  beforeEach(async () => {
    networks = new Networks();
    world = await World.open({ isolation: 3, host: { listen: '0.0.0.0', reach: networks.address } });
    const machines = [networks.machine(), networks.machine(), networks.machine()];
    const agents = await Promise.all(machines.map(({ through }) => world.agent(1, through)));
    victim = agents[2]!;
    space = machines[2]!.space;
  });
  afterEach(async () => {
    await world.close();
    networks.remove();
  });

  const cuts: [string, Cut][] = [
    ['both ways', 'both'],
    ['in what the engine sends', 'in'],
    ['in what it sends to the engine', 'out'],
  ];
  it.each(cuts)(
    'cut off from the engine, %s, closes its clients before others open them; it comes back',
    async (_, cut) => {
      const lead = await world.run();
      await lead.ask('incr 120');
      await world.until_open(120);
      await until('all have reported', async () => (await world.presence(victim)).open === 40);
      const [start, ended] = [performance.now(), world.ended];
      networks.cut(space, world.engine.port, cut);
      const fenced = await until('it has closed its clients', () => world.ended === ended + 40);
      measured('an agent that is cut off closes its clients', fenced, world.isolation_ms + 500);
      await world.until_open(120);
      measured('its clients are at others', performance.now() - start, world.written_off_ms + 1000);
      await sleep(2000);
      expect((await state_of_victim(lead)).health).toBe('lost');
      networks.heal(space);
      const healed = performance.now();
      await until('it takes part again', async () => (await state_of_victim(lead)).health === 'ok');
      measured('it takes part again', performance.now() - healed, 3000);
      expect((await world.presence(victim)).fenced).toBe(1);
      expect(victim.swarm.err.match(/cut off:/g)?.length).toBe(1);
      await lead.ask('rebalance');
      await until('it holds its part', async () => (await state_of_victim(lead)).open === 40);
      await world.until_open(120);
      const summary = await world.finish(lead);
      expect(world.open_since(0).most).toBeLessThanOrEqual(120);
      world.expect_exact(summary);
    },
  );

  it('cut off from the server only goes on as an agent, and shows whose clients are in trouble', async () => {
    const lead = await world.run('--reply-timeout', '3s', '--connect-timeout', '3s', '--reconnect-delay', '1-2');
    await lead.ask('incr 120');
    await world.until_open(120);
    networks.cut(space, world.ledger.port, 'both');
    await until('it holds none', async () => (await state_of_victim(lead)).open === 0);
    await until('both kinds of trouble', async () => (await lead.status()).errors.length === 2);
    const { agents, errors } = await lead.status();
    const { states, health, live } = agents!.find(({ id }) => id === victim.id)!;
    expect({ health, live, trouble: states.backoff + states.connect }).toEqual({ health: 'ok', live: 40, trouble: 40 });
    for (const agent of agents!.filter(({ id }) => id !== victim.id))
      expect(agent).toMatchObject({ health: 'ok', open: 40, errors: {}, states: { backoff: 0, connect: 0 } });
    expect(await lead.ask('errors')).toMatch(new RegExp(`connect_timeout .* ${victim.id} \\d+ `));
    expect(errors.map(({ code }) => code).sort()).toEqual(['connect_timeout', 'timeout']);
    expect((await world.presence(victim)).fenced).toBe(0);
    networks.heal(space);
    const healed = performance.now();
    await until('all are back', async () => (await lead.status()).connections.open === 120);
    measured('all clients back', performance.now() - healed, 6000);
    await lead.ask('stop');
    expect(await lead.swarm.exited).toBe(0);
    const summary = JSON.parse(readFileSync(lead.file, 'utf8')) as Summary;
    expect(summary).toMatchObject({ balanced: true, complete: true });
    expect(world.register.twice).toEqual([]);
    expect(summary.connections.open_peak).toBeLessThanOrEqual(120);
  });
});
