/** Two people steer at once. */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { ConsoleClient } from '../../../src/console/console-client.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { HAS_NATS, measured, until, World, type Coordinator } from './kit.ts';

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
      answers.push((await session.ask('incr 1'))[0]!);
      took.push(performance.now() - start);
    }
    session.close();
  };
  await Promise.all(Array.from({ length: SESSIONS }, one));
  return { answers, took };
}

/** The answer to `trace ID 5`, and the lines up to its end. */
async function traced({ address }: Coordinator, id: number): Promise<string[]> {
  const [host, port] = address.split(':') as [string, string];
  const socket = connect(Number(port), host, () => socket.write(`trace ${id} 5\r\n`));
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const lines: string[] = [];
  try {
    for await (const line of createInterface({ input: socket, signal })) {
      if (/^(OK|ERR|TRACE) /.test(line)) lines.push(line);
      if (line === 'TRACE end' || line.startsWith('ERR')) break;
    }
  } finally {
    socket.destroy();
  }
  return lines;
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
    expect(await other.ask('stop now')).toMatch(/^OK stopping now/);
    expect(await lead.swarm.exited, lead.swarm.err).toBe(0);
    expect(await other.swarm.exited, other.swarm.err).toBe(0);
    await world.ledger.settled();
    expect(world.ledger.books().requests).toBe(0);
    expect(world.ledger.books().accepted).toBeLessThan(500);
  });
});

describe.skipIf(!HAS_NATS)('a console', () => {
  it('shows the bytes of a client, whichever agent has it, and ends by itself or when it is told to', async () => {
    world = await World.open({});
    await world.all_agents(2);
    const lead = await world.run();
    const other = await world.attach();
    await lead.ask('incr 4');
    await world.until_open(4);
    const plan = await world.plan();
    const ids = Object.entries(plan.members).map(([agent, { groups }]) => [agent, groups['main']!.ids[0]![0]] as const);
    expect(ids).toHaveLength(2);
    for (const [i, [agent, id]] of ids.entries()) {
      const [answer, ...lines] = await traced(i === 0 ? lead : other, id);
      expect(answer).toBe(`OK trace of client ${id} in ${agent}`);
      expect(lines.filter((line) => / send \d+ bytes "ping /.test(line)).length).toBeGreaterThan(2);
      expect(lines.filter((line) => / reply \d+ bytes "OK/.test(line)).length).toBeGreaterThan(2);
    }
    expect(await lead.ask('trace 4711')).toMatch(/^ERR no_such_client /);
    await until('no trace is left in the plan', async () => (await world.plan()).traces.length === 0);
    world.expect_exact(await world.finish(lead));
    expect(await other.swarm.exited).toBe(0);
  });

  it('with the credentials of a viewer shows everything and changes nothing', async () => {
    world = await World.open({ identities: 1, lease: '2s' });
    await world.all_agents(1);
    const lead = await world.run();
    await lead.ask('incr 5');
    await world.until_open(5);
    const viewer = await world.view();
    expect(await viewer.ask('agents')).toContain('agent-01');
    await until('it sees all clients', async () => (await viewer.status()).clients.live === 5); // reports come once a second
    for (const line of ['incr 5', 'stop now', 'trace 1', 'trace 4711'])
      expect(await viewer.ask(line)).toMatch(/^ERR read_only the credentials of this console are for looking only/);
    // nor does it lead when nobody else is there
    await world.kill(lead);
    const [{ term }, start] = [(await world.lease())!, performance.now()];
    await until('two leases are over', () => performance.now() - start > 4500);
    expect((await world.lease())!.term).toBe(term);
    const next = await world.attach();
    await until('another one leads', async () => (await world.lease())!.term > term);
    const summary = await world.finish(next);
    expect(await viewer.swarm.exited, viewer.swarm.err).toBe(0);
    world.expect_exact(summary);
  });
});
