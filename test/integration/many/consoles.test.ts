/** Two people steer at once. */
import { afterEach, describe, expect, it } from 'vitest';
import { ConsoleClient } from '../../../src/console-client.ts';
import { HAS_NATS, measured, World, type Coordinator } from './kit.ts';

const COMMANDS = 500;
const SESSIONS = 10;

let world: World;
afterEach(() => world.close());

/** In so many sessions of one console; what was answered, and the ms that each answer took. */
async function ask_all({ address }: Coordinator): Promise<{ answers: string[]; took: number[] }> {
  const [host, port] = address.split(':') as [string, string];
  const answers: string[] = [];
  const took: number[] = [];
  const one = async (): Promise<void> => {
    const session = await ConsoleClient.open({ host, port: Number(port) });
    for (let i = 0; i < COMMANDS / SESSIONS; i++) {
      const start = performance.now();
      answers.push((await session.ask('incr 1', 30_000))[0]!);
      took.push(performance.now() - start);
    }
    session.close();
  };
  await Promise.all(Array.from({ length: SESSIONS }, one));
  return { answers, took };
}

describe.skipIf(!HAS_NATS)('two consoles', () => {
  it(`with ${COMMANDS} times \`incr 1\` each at the same time: each counts once`, async () => {
    world = await World.open({ isolation: '20s' });
    await world.all_agents(2);
    // so slow that few connect: it is the target that counts here
    const lead = await world.run('--paused', '--connect-rate', '2');
    const other = await world.attach();
    const alone: number[] = [];
    for (let i = 0; i < 20; i++) {
      const asked_at = performance.now();
      await lead.ask(i % 2 === 0 ? 'incr 1' : 'decr 1');
      alone.push(performance.now() - asked_at);
    }
    measured('an answer in one session alone', alone.sort((a, b) => a - b)[10]!, 1000);
    const start = performance.now();
    const asked = await Promise.all([ask_all(lead), ask_all(other)]);
    const seconds = (performance.now() - start) / 1000;
    for (const { answers, took } of asked) {
      const sorted = took.sort((a, b) => a - b);
      const of = (q: number): number => Math.round(sorted[Math.floor(sorted.length * q)]!);
      console.log(`measured: an answer within ${of(0.5)} ms (median), ${of(0.99)} ms (99 %)`);
      expect(answers.filter((answer) => !/^OK target \d+/.test(answer))).toEqual([]);
    }
    console.log(`measured: ${Math.round((2 * COMMANDS) / seconds)} commands a second of ${2 * SESSIONS} sessions`);
    expect((await world.desired()).target).toBe(2 * COMMANDS);
    // no two were told the same target: each was a change of its own
    const told = asked.flatMap(({ answers }) => answers.map((answer) => Number(/\d+/.exec(answer)![0])));
    expect(new Set(told).size).toBe(2 * COMMANDS);
    for (const { status } of [lead, other]) expect((await status()).target).toBe(2 * COMMANDS);
    expect(await other.ask('stop now', 20_000)).toMatch(/^OK stopping now/);
    expect(await lead.swarm.exited, lead.swarm.err).toBe(0);
    expect(await other.swarm.exited, other.swarm.err).toBe(0);
    await world.ledger.settled();
    expect(world.ledger.books().requests).toBe(0);
    expect(world.ledger.books().accepted).toBeLessThan(500);
  });
});
