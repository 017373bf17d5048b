/** Agents that die and come back, again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { make_random } from '../../../src/foundation/random.ts';
import { check_books } from '../../../src/metrics/books.ts';
import { crowding, HAS_NATS, until, World, type AgentProcess } from './kit.ts';

/** so many that those who are dead at a time, written off or not yet, held less than a tenth */
const AGENTS = 24;
const TARGET = 240;
const EACH_MS = 2000;
const IS_LONG = process.env['SWARM_SLOW_TESTS'] !== undefined;
const LASTS_MS = IS_LONG ? 120_000 : 30_000;
const SEED = process.env['SWARM_TEST_SEED'] ?? 'churn';

let world: World;
afterEach(() => world.close());

interface Event {
  readonly at: number;
  readonly seat: number;
  readonly is_kill: boolean;
}

/** The mean that is possible: what the dead held is nobody's until they are written off, or say that they are back. */
function possible(events: readonly Event[], start: number, end: number): number {
  const held = Array.from({ length: AGENTS }, () => TARGET / AGENTS);
  const alive = held.map(() => true);
  const due: { at: number; seat: number; count: number }[] = [];
  let [nobodys, sum, steps] = [0, 0, 0];
  let next = 0;
  for (let now = start; now < end; now += 20) {
    for (; next < events.length && events[next]!.at <= now; next++) {
      const { seat, is_kill, at } = events[next]!;
      alive[seat] = !is_kill;
      if (is_kill) {
        due.push({ at: at + world.written_off_ms, seat, count: held[seat]! });
        held[seat] = 0;
      } else for (const one of due) if (one.seat === seat) one.at = Math.min(one.at, at);
    }
    for (const one of due) {
      if (one.at > now) continue;
      nobodys += one.count;
      one.count = 0;
    }
    const here = held.map((_, seat) => seat).filter((seat) => alive[seat]);
    for (const seat of here) held[seat]! += nobodys / here.length;
    if (here.length > 0) nobodys = 0;
    sum += held.reduce((all, one) => all + one, 0);
    steps++;
  }
  return sum / steps / TARGET;
}

describe.skipIf(!HAS_NATS)('agents that are killed and started', () => {
  it(
    `one every ${EACH_MS / 1000} s, for ${LASTS_MS / 1000} s: the target is never exceeded`,
    async () => {
      // with an identity each: who is started again is the same agent, and knows what became of its forerunner
      world = await World.open({ isolation: IS_LONG ? '2s' : 2, identities: AGENTS });
      const seats: (AgentProcess | null)[] = await world.all_agents(AGENTS);
      const lead = await world.run();
      await lead.ask(`incr ${TARGET}`);
      await world.until_open(TARGET);
      const events: Event[] = [];
      const random = make_random(SEED, 'churn');
      const start = performance.now();
      let [kills, starts] = [0, 0];
      for (let due = start + EACH_MS; due < start + LASTS_MS; due += EACH_MS) {
        await sleep(Math.max(0, due - performance.now()));
        const seat = random.int(0, AGENTS - 1);
        const agent = seats[seat] ?? null;
        if (agent) {
          kills++;
          seats[seat] = null;
          events.push({ at: performance.now(), seat, is_kill: true });
          await world.kill(agent);
        } else {
          starts++;
          // it cannot be killed before it is there
          seats[seat] = await world.agent_of(seat + 1);
          events.push({ at: performance.now(), seat, is_kill: false });
        }
      }
      const end = performance.now();
      const { most } = world.open_since(start, end);
      const seen = world.samples.filter(({ at }) => at >= start && at <= end).map(({ open }) => open);
      const mean = seen.reduce((all, open) => all + open, 0) / seen.length / TARGET;
      const best = possible(events, start, end);
      console.log(
        `measured: ${kills} kills, ${starts} starts, ${seen.length} samples: at most ${most} of ${TARGET}, mean ${(100 * mean).toFixed(1)} % of ${(100 * best).toFixed(1)} % possible, seed ${SEED}`,
      );
      expect(most).toBeLessThanOrEqual(TARGET);
      expect(mean).toBeGreaterThan((IS_LONG ? 0.9 : best * 0.8) / crowding(end - start));
      for (const [seat, agent] of seats.entries()) if (!agent) await world.agent_of(seat + 1);
      await world.until_open(TARGET);
      await until('all are well', async () => (await lead.status()).agents!.every(({ health }) => health === 'ok'));
      const summary = await world.finish(lead);
      expect(check_books(summary, true)).toEqual([]);
      expect(world.open_since(start).most).toBeLessThanOrEqual(TARGET);
      // what its dead measured in their last second is missing
      const missing = world.missing_in(summary);
      console.log(`measured: missing of its counts: ${JSON.stringify(missing)}`);
      expect(missing.connections).toBeGreaterThanOrEqual(0);
      expect(missing.connections).toBeLessThanOrEqual(kills * TARGET);
    },
    LASTS_MS + 600_000,
  );
});
