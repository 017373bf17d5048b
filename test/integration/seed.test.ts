/** One seed, one course: each client plays the same rounds in the same order, wherever it lives. What it played is what the server read. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { start_ledger, type Ledger } from '../ledger.ts';
import { HAS_NATS, World } from './many/kit.ts';
import { Workplace } from './swarm-process.ts';

const CLIENTS = 12;
/** Rounds of each client that are compared. */
const ROUNDS = 60;
// `life` and `n` are for the register of a swarm of many machines
const MODULE = `import { line } from 'swarm';
const say = (word) => (client) => {
  client.memory.n = (client.memory.n ?? 0) + 1;
  return client.send_for_reply(\`\${word} \${process.pid} \${client.id} 1 \${client.memory.n}\\r\\n\`, line());
};
export const a = say('a');
export const b = say('b');
export const c = say('c');
`;
const SCRIPT = `protocol: many
actions:
  - { command: a, rounds: [0, 5], sleep_between_rounds: [0.005, 0.02], sleep_after_action: 0 }
  - { command: b, rounds: [1, 4], sleep_between_rounds: 0, sleep_after_action: [0.01, 0.03] }
  - { command: c, rounds: [0, 2], sleep_between_rounds: [0, 0.01], sleep_after_action: [0, 0.02] }
`;

/** What each client has played, a letter a round. */
class Courses {
  readonly #played = new Map<number, string>();
  note(line: string): void {
    const [word, , id] = line.split(' ');
    this.#played.set(Number(id), (this.#played.get(Number(id)) ?? '') + word);
  }
  get complete(): boolean {
    return this.#played.size === CLIENTS && [...this.#played.values()].every((played) => played.length >= ROUNDS);
  }
  get first(): Record<number, string> {
    return Object.fromEntries([...this.#played].map(([id, played]) => [id, played.slice(0, ROUNDS)]));
  }
}

let place: Workplace;
let ledger: Ledger;
let courses: Courses;
beforeEach(async () => {
  place = new Workplace();
  place.write('protocols/many.js', MODULE);
  courses = new Courses();
  ledger = await start_ledger({
    reply: (line) => {
      courses.note(line);
      return { text: 'OK' };
    },
  });
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

/** Plays a swarm, as one process for each of these lists of options, until every client has played enough. */
async function play(seed: string, ...processes: string[][]): Promise<Record<number, string>> {
  courses = new Courses();
  const script = place.write('scripts/a.yml', SCRIPT);
  const common = ['-r', `127.0.0.1:${ledger.port}`, '-s', script, '-l', '127.0.0.1:0', '--seed', seed];
  const swarms = processes.map((options) => place.swarm(...common, ...options));
  const sessions = await Promise.all(swarms.map((swarm) => swarm.console()));
  for (const session of sessions) expect((await session.ask(`incr ${CLIENTS}`))[0]).toMatch(/^OK/);
  await ledger.until(() => courses.complete, 60_000);
  for (const session of sessions) await session.ask('stop');
  for (const { exited } of swarms) expect(await exited).toBe(0);
  return courses.first;
}

describe('the same seed', () => {
  it('is the same course again, with workers, and in segments; another seed is another', async () => {
    const once = await play('friday', []);
    expect(Object.keys(once)).toHaveLength(CLIENTS);
    expect(new Set(Object.values(once)).size).toBe(CLIENTS);
    expect(await play('friday', [])).toEqual(once);
    expect(await play('friday', ['--workers', '3'])).toEqual(once);
    expect(await play('friday', ['--segment', '1/3'], ['--segment', '1/3:1', '--workers', '2'])).toEqual(once);
    expect(await play('monday', [])).not.toEqual(once);
  });

  it.runIf(HAS_NATS)('is the same course on many machines', async () => {
    const once = await play('friday', []);
    const world = await World.open({ module: MODULE, script: SCRIPT });
    try {
      courses = new Courses();
      world.on_request = (line) => courses.note(line);
      await world.all_agents(3);
      const run = await world.run('--seed', 'friday');
      expect(await run.ask(`incr ${CLIENTS}`)).toMatch(/^OK/);
      await world.ledger.until(() => courses.complete, 60_000);
      expect(courses.first).toEqual(once);
      await world.finish(run);
    } finally {
      await world.close();
    }
  });
});
