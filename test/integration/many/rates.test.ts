/** Rates on many machines: what they come to is sent and counted, whoever dies. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Summary } from '../../../src/metrics/summary.ts';
import { HAS_NATS, until, World } from './kit.ts';

let world: World;
afterEach(() => world.close());

const SCRIPT = 'protocol: many\nactions:\n  - command: ping\n    rate: 100/s\n';
/** 2 s · 100/s, 4 s · 200/s on average, 6 s · 300/s */
const STEPS = 'set 30; hold 2s; rate ping 300/s over 4s; hold 6s; stop';
const AREA = 200 + 800 + 1800;

describe.skipIf(!HAS_NATS)('a rate', () => {
  it.each(['nobody', 'an agent'])('comes to what it asks for when %s dies, and the books balance', async (who) => {
    world = await World.open({ isolation: 2, script: SCRIPT });
    const agents = await world.all_agents(3, 2);
    const lead = await world.run('--load', STEPS);
    if (who === 'an agent') {
      await until('the rate rises', async () => ((await lead.status()).actions[0]?.slots?.planned ?? 0) > 300);
      await world.kill(agents[2]!);
    }
    await lead.swarm.exited;
    await world.ledger.settled();
    const summary = JSON.parse(readFileSync(lead.file, 'utf8')) as Summary;
    const [{ started, slots }] = summary.actions as [Summary['actions'][number]];
    expect(summary.balanced, lead.swarm.err).toBe(true);
    expect(slots!.planned).toBe(AREA);
    expect(world.ledger.books().requests).toBeGreaterThanOrEqual(started);
    expect(world.register.twice).toEqual([]);
    if (who === 'nobody') {
      world.expect_exact(summary);
      expect(slots).toMatchObject({ lost: 0, waiting: 0 });
      return;
    }
    expect(slots!.lost).toBeGreaterThan(0);
    expect(summary.lost_workers).toMatchObject([{ worker: agents[2]!.id }]);
  });
});
