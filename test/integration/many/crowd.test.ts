/** Five hundred agents and one coordinator. What it costs is measured by the bench `crowd`; here it only has to be right. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ROOT } from '../swarm-process.ts';
import { HAS_NATS, until, World } from './kit.ts';

const AGENTS = 500;
const PROCESSES = 2;
const CROWD = join(ROOT, 'bench/lib/crowd-agents.mjs');

let world: World;
const ends: (() => void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await world.close();
});

describe.skipIf(!HAS_NATS)(`${AGENTS} agents`, () => {
  it('hold one target, each command is applied by all, and they all end', async () => {
    world = await World.open({ isolation: '55s', lease: '5s' });
    const share = AGENTS / PROCESSES;
    const crowd = Array.from({ length: PROCESSES }, (_, i) =>
      spawn(process.execPath, [CROWD, world.join, String(i * share), String(share)], {
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
    ends.push(...crowd.map((child) => () => child.kill('SIGKILL')));
    await Promise.all(crowd.map(async (child) => once(child.stdout, 'data')));
    const lead = await world.run('--min-agents', String(AGENTS));
    const took: number[] = [];
    for (let i = 1; i <= 5; i++) {
      const start = performance.now();
      expect(await lead.ask(`incr ${AGENTS}`)).toMatch(new RegExp(`^OK target ${i * AGENTS}\\b`));
      const all = async () => (await lead.status()).agents!.every(({ open, share: one }) => open === i && one === i);
      await until(`${i} clients on each agent`, all);
      took.push(Math.round(performance.now() - start));
    }
    console.log(`measured: ${AGENTS} agents have a command after ${took.join(', ')} ms`);
    // what agents measured is told once a second, apart from what they hold
    await until('all are counted', async () => (await lead.status()).clients.live === AGENTS * 5);
    const { agents, target, clients } = await lead.status();
    expect({ agents: agents!.length, target, live: clients.live }).toEqual({
      agents: AGENTS,
      target: 5 * AGENTS,
      live: 5 * AGENTS,
    });
    expect(await lead.ask('stop now')).toMatch(/^OK stopping now/);
    expect(await lead.swarm.exited, lead.swarm.err).toBe(0);
  });
});
