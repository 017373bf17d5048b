/** What happens to a run whose leader dies or freezes: nothing, but that another one leads. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { HAS_NATS, measured, until, World } from './kit.ts';

const LEASE_MS = 2000;
const DEATHS = 20;
const BASE = 100;

let world: World;
afterEach(() => world.close());

describe.skipIf(!HAS_NATS)('a leader', () => {
  it(`killed with -9 in the middle of a command, ${DEATHS} times: another takes over, the load does not notice`, async () => {
    world = await World.open({ lease: '2s', isolation: '20s' });
    await world.all_agents(2);
    let leader = await world.run();
    let standby = await world.attach();
    await leader.ask(`incr ${BASE}`);
    await world.until_open(BASE);
    const takeovers: number[] = [];
    const outcomes: Record<string, number> = {};
    let target = BASE;
    for (let death = 0; death < DEATHS; death++) {
      const { term } = await world.plan();
      const before = performance.now();
      const open = world.open;
      // its answer tells whether it counts; without one it may, once
      const asked = leader.ask('incr 1').catch(() => 'no answer');
      await sleep((death * 13) % 200);
      const start = performance.now();
      await world.kill(leader);
      const own = standby.ask('incr 3');
      const fresh = world.attach();
      await until('a plan of another leader', async () => (await world.plan()).term > term);
      takeovers.push(performance.now() - start);
      expect(await own).toMatch(new RegExp(`^OK target ${target + 3}|^OK target ${target + 4}`));
      const answer = await asked;
      const now = (await world.desired()).target;
      const is_applied = now === target + 4;
      if (!is_applied) expect(now).toBe(target + 3);
      if (answer.startsWith('OK')) expect(is_applied).toBe(true);
      const outcome = `${answer.startsWith('OK') ? 'answered' : 'no answer'}, ${is_applied ? 'applied' : 'not applied'}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      target = now;
      await world.until_open(target);
      expect(world.open_since(before).least).toBeGreaterThanOrEqual(open);
      expect(world.open_since(before).most).toBeLessThanOrEqual(target);
      const both = [standby, await fresh];
      const { console } = (await world.lease())!;
      leader = both.find((one) => one.address === console)!;
      standby = both.find((one) => one !== leader)!;
    }
    console.log(`measured: commands to a dying leader: ${JSON.stringify(outcomes)}`);
    measured('takeover after the death of a leader', takeovers, LEASE_MS + 500);
    const summary = await world.finish(leader);
    world.expect_exact(summary);
    expect(summary.connections.established).toBe(target);
  });

  it('frozen for twice its lease: nothing that it does on waking counts against the new one; it stands by', async () => {
    world = await World.open({ lease: '2s', isolation: '20s' });
    await world.all_agents(2);
    const old = await world.run();
    const other = await world.attach();
    await old.ask('incr 80');
    await world.until_open(80);
    const { term } = await world.plan();
    const start = performance.now();
    old.swarm.child.kill('SIGSTOP');
    // it reads this when it wakes
    const late = old.ask('incr 5');
    await until('a plan of another leader', async () => (await world.plan()).term > term);
    measured('takeover from a frozen leader', performance.now() - start, LEASE_MS + 500);
    expect(await other.ask('decr 20')).toBe('OK target 60');
    await world.until_open(60);
    await sleep(Math.max(0, start + 2 * LEASE_MS - performance.now()));
    const { term: newer } = await world.plan();
    const holder = (await world.lease())!.id;
    old.swarm.child.kill('SIGCONT');
    const terms: number[] = [];
    const holders = new Set<string>();
    for (let i = 0; i < 60; i++) {
      terms.push((await world.plan()).term);
      holders.add((await world.lease())!.id);
      await sleep(50);
    }
    expect(new Set(terms)).toEqual(new Set([newer]));
    expect([...holders]).toEqual([holder]);
    expect(await late).toBe('OK target 65');
    expect((await old.status()).target).toBe(65);
    await world.until_open(65);
    expect(world.open_since(0).most).toBeLessThanOrEqual(80);
    // it takes over in its turn
    await world.kill(other);
    await until('a plan of the first leader again', async () => (await world.plan()).term > newer);
    expect(await old.ask('incr 1')).toBe('OK target 66');
    await world.until_open(66);
    const summary = await world.finish(old);
    world.expect_exact(summary);
  });
});
