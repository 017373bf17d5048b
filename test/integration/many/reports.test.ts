/** An agent whose report would be too large tells less, and goes on: nothing that it has to say makes it silent. */
import { afterEach, expect, it } from 'vitest';
import type { Presence } from '../../../src/machines/store/documents.ts';
import { HAS_NATS, until, World } from './kit.ts';

const ACTIONS = 1000;
const CLIENTS = 100;
/** nearly all of them in buckets of their own: twice as much as a document of the engine may have, if it were one */
const REQUESTS = 20_000;
/** ms between two times that a worker prints as much as it may */
const PRINT_MS = 250;

/** Times from one to a hundred ms, and a module that talks. */
const MODULE = `import { line } from 'swarm';
let lives = 0;
setInterval(() => process.stdout.write(("x".repeat(600) + "\\n").repeat(100)), ${PRINT_MS}).unref();
const ping = async (client) => {
  const { memory, random } = client;
  memory.life ??= ++lives;
  memory.n = (memory.n ?? 0) + 1;
  await new Promise((resolve) => setTimeout(resolve, 100 ** (random.int(0, 1e6) / 1e6)));
  return await client.send_for_reply(\`ping \${process.pid} \${client.id} \${memory.life} \${memory.n}\\r\\n\`, line());
};
${Array.from({ length: ACTIONS }, (_, i) => `export const ping_${i} = ping;`).join('\n')}
`;
const SCRIPT = `protocol: many
actions:
${Array.from({ length: ACTIONS }, (_, i) => `  - { command: ping_${i}, sleep_between_rounds: 0, sleep_after_action: 0 }`).join('\n')}
`;

let world: World;
afterEach(() => world.close());

it.skipIf(!HAS_NATS)(
  `an agent of ${ACTIONS} actions whose module prints all the time is never cut off by its own report`,
  async () => {
    world = await World.open({ module: MODULE, script: SCRIPT, identities: 1, isolation: 5 });
    await world.all_agents(1);
    const run = await world.run();
    expect(await run.ask(`set ${CLIENTS}`)).toMatch(/^OK target 100\b/);
    await world.until_open(CLIENTS);
    const start = performance.now();
    const presence = async (): Promise<Presence> => {
      const now = await world.presence(world.agents[0]!);
      expect(now.fenced).toBe(0);
      return now;
    };
    await until('it has measured more than fits', async () => {
      await presence();
      return world.ledger.books().requests > REQUESTS;
    });
    const { results } = await presence();
    await until('it goes on telling', async () => (await presence()).results > results + 10);
    const status = await run.status();
    expect(status.agents![0]).toMatchObject({ health: 'ok', live: CLIENTS, why: '' });
    expect(status.latency_resolution).toBeGreaterThan(0.001);
    expect((await run.ask('actions')).split('\n')[1]).toMatch(/percentiles up to .* % too high$/);
    expect(world.open_since(start).least).toBe(CLIENTS);
    const summary = await world.finish(run);
    world.expect_exact(summary);
    for (const { ok, service_ms, response_ms } of summary.actions)
      expect([service_ms.count, response_ms.count]).toEqual([ok, ok]);
  },
);
