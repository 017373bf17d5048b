/** Agents that die and come back, again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { make_random } from '../../../src/foundation/random.ts';
import { check_books } from '../../../src/metrics/books.ts';
import { HAS_NATS, until, World, type AgentProcess } from './kit.ts';

const AGENTS = 4;
const TARGET = 200;
const EACH_MS = 2000;
const LASTS_MS = process.env['SWARM_SLOW_TESTS'] === undefined ? 30_000 : 120_000;
const SEED = process.env['SWARM_TEST_SEED'] ?? 'churn';

let world: World;
afterEach(() => world.close());

describe.skipIf(!HAS_NATS)('agents that are killed and started', () => {
  it(`one every ${EACH_MS / 1000} s, for ${LASTS_MS / 1000} s: the target is never exceeded`, async () => {
    // with an identity each: who is started again is the same agent, and knows what became of its forerunner
    world = await World.open({ isolation: '2s', identities: AGENTS });
    const seats: (AgentProcess | null)[] = await world.all_agents(AGENTS);
    const lead = await world.run();
    await lead.ask(`incr ${TARGET}`);
    await world.until_open(TARGET);
    const random = make_random(SEED, 'churn');
    const start = performance.now();
    let [kills, starts] = [0, 0];
    const starting: Promise<unknown>[] = [];
    for (let due = start + EACH_MS; due < start + LASTS_MS; due += EACH_MS) {
      await sleep(Math.max(0, due - performance.now()));
      const seat = random.int(0, AGENTS - 1);
      const agent = seats[seat] ?? null;
      if (agent) {
        kills++;
        seats[seat] = null;
        await world.kill(agent);
      } else {
        starts++;
        const begun = world.agent_of(seat + 1).then((fresh) => (seats[seat] = fresh));
        starting.push(begun);
        // it cannot be killed before it is there
        await begun;
      }
    }
    await Promise.all(starting);
    const end = performance.now();
    const { most } = world.open_since(start, end);
    const seen = world.samples.filter(({ at }) => at >= start && at <= end).map(({ open }) => open);
    const mean = seen.reduce((all, open) => all + open, 0) / seen.length / TARGET;
    console.log(`measured: ${kills} kills, ${starts} starts, ${seen.length} samples: at most ${most} of ${TARGET}, mean ${(100 * mean).toFixed(1)} %, seed ${SEED}`); // prettier-ignore
    expect(most).toBeLessThanOrEqual(TARGET);
    expect(mean).toBeGreaterThan(0.75);
    const back = seats.map((agent, seat) => (agent ? null : world.agent_of(seat + 1)));
    await Promise.all(back);
    await world.until_open(TARGET, 20_000);
    await until('all are well', async () => (await lead.status()).agents!.every(({ health }) => health === 'ok'));
    const summary = await world.finish(lead);
    expect(check_books(summary, true)).toEqual([]);
    expect(world.open_since(start).most).toBeLessThanOrEqual(TARGET);
    // what its dead measured in their last second is missing
    const missing = world.missing_in(summary);
    console.log(`measured: missing of its counts: ${JSON.stringify(missing)}`);
    expect(missing.connections).toBeGreaterThanOrEqual(0);
    expect(missing.connections).toBeLessThanOrEqual(kills * TARGET);
  });
});
