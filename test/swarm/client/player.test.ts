import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import type { Range, ThinkTime } from '../../../src/script/types.ts';
import { played_loops } from '../../../src/swarm/client/played.ts';
import type { OneProcessOptions } from '../one-process.ts';
import { after, pause, PlayedProcess } from './played-process.ts';
import { completed, type Life } from './course.ts';

const here = new PlayedProcess();
const play = here.play.bind(here);

/** Sends a line and waits until it comes back. */
let asked = 0;
const ask = (client: FakeClient, what: string): Promise<string> => {
  const text = `${what} ${++asked}`;
  return client.send_for_reply(
    `${text}\r\n`,
    match((message: string) => message === text),
  );
};
const lines = { messages: line() };

describe('drawn loops against a drawn server', () => {
  const think: fc.Arbitrary<ThinkTime> = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom<ThinkTime>([0, 0], [0.001, 0.001], [0, 0.003]) },
    fc.record({
      mean: fc.constantFrom(0.0005, 0.002),
      distribution: fc.constantFrom('exponential' as const, 'lognormal' as const),
      sigma: fc.constantFrom(0.5, 1),
    }),
  );
  const rounds = (least: number): fc.Arbitrary<Range> =>
    fc.tuple(fc.nat(3), fc.nat(3)).map(([a, b]) => [Math.max(least, Math.min(a, b)), Math.max(least, a, b)]);
  const action = (least: number) =>
    fc.record({ rounds: rounds(least), between: think, after: think, kind: fc.constantFrom('ask', 'tell', 'float') });
  const loop = fc.record({
    // one that has always a round: an iteration without any gives other clients their turn, and may end in between
    actions: fc.tuple(action(1), fc.array(action(0), { maxLength: 3 })).map(([one, more]) => [one, ...more]),
    iterations: fc.integer({ min: 1, max: 4 }),
    between: think,
  });
  /** what the operator does, and for how long: no round begins, or some clients shall go and then shall not */
  const order = fc.record({
    what: fc.constantFrom('pause' as const, 'decr graceful' as const),
    before_ms: fc.nat(20),
    ms: fc.nat(20),
    clients: fc.nat(6),
  });
  /** by its number, what becomes of a request */
  const fault = fc.constantFrom('close' as const, 'reset' as const, 'script' as const, 'late' as const);

  it.each([
    ['one loop', 1, 1],
    ['several', 2, 4],
  ])('%s: each calls what its draws say, over all connections, and then leaves', async (_, fewest, most) => {
    const run = fc.record({
      seed: fc.string(),
      clients: fc.integer({ min: 1, max: 6 }),
      loops: fc.array(loop, { minLength: fewest, maxLength: most }),
      faults: fc.array(fc.tuple(fc.nat(100), fault), { maxLength: 10 }).map((list) => new Map(list)),
      pushes: fc.boolean(),
      orders: fc.oneof({ weight: 2, arbitrary: fc.array(order, { maxLength: 0 }) }, fc.array(order, { maxLength: 3 })),
    });
    await fc.assert(
      fc.asyncProperty(run, async ({ seed, clients, loops, faults, pushes, orders }) => {
        /** by the memory of a client, as ids are used again: on each connection what each loop did */
        const courses = new Map<unknown, { readonly id: number; readonly lives: Life[][] }>();
        const calls = new Map<string, number>();
        let requests = 0;
        const commands: OneProcessOptions['commands'] = {};
        const shapes: OneProcessOptions['actions'] = {};
        const of_loops: NonNullable<OneProcessOptions['loops']> = {};
        let index = 0;
        for (const [position, { actions, iterations, between }] of loops.entries()) {
          const names: string[] = [];
          for (const { kind, ...shape } of actions) {
            const own = index++;
            const name = `${kind}${own}`;
            names.push(name);
            shapes[name] = shape;
            commands[name] = async (client) => {
              const life = courses.get(client.memory)!.lives.at(-1)![position]!;
              life.calls.push(own);
              life.answered = false;
              calls.set(name, (calls.get(name) ?? 0) + 1);
              life.closed = faults.get(++requests) === 'script';
              if (life.closed) return await client.close();
              if (kind === 'ask') await ask(client, `n${requests}`);
              else if (kind === 'tell') await client.send_noreply(`tell n${requests}\r\n`);
              else void ask(client, `n${requests}`); // the round ends with the reply all the same
              life.answered = true;
            };
          }
          of_loops[`loop${position}`] = { commands: names, iterations, between };
        }
        const e = await play(
          (text, connection) => {
            if (text.startsWith('tell')) return 'silent';
            const fault = faults.get(Number(/^n(\d+)/.exec(text)![1]));
            if (pushes) connection.push('nobody asked\r\n');
            if (fault === undefined || fault === 'script') return { text };
            return fault === 'late' ? after(10, text, connection) : fault;
          },
          {
            run: { seed },
            commands,
            actions: shapes,
            loops: of_loops,
            module: {
              ...lines,
              connected(client) {
                const { id, memory } = client;
                if (!courses.has(memory)) courses.set(memory, { id, lives: [] });
                courses.get(memory)!.lives.push(loops.map(() => ({ calls: [], answered: false, closed: false })));
              },
            },
          },
          clients,
        );
        for (const { what, before_ms, ms, clients: fewer } of orders) {
          await pause(before_ms);
          if (what === 'pause') e.apply(clients, 'pause');
          else e.apply(Math.min(fewer, clients), 'run', { graceful: true });
          await pause(ms);
          e.apply(clients);
        }
        const books = await e.until((b) => b.clients.finished === clients);
        e.apply(clients);
        expect(e.books().clients).toMatchObject({ created: books.clients.done, draining: 0 });
        expect(books.connections.closed.script).toBeGreaterThanOrEqual(clients);
        for (const [i, name] of Object.keys(commands).entries())
          expect(books.actions[i]!.started, name).toBe(calls.get(name) ?? 0);
        const { script } = e.run.what.groups[0]!;
        const drawn = played_loops(script, seed, false);
        const finished = [...courses.values()].filter(({ id, lives }) => {
          const left = script.loops.filter((one, position) => {
            const own = lives.map((life) => life[position]!);
            const done = completed(one, drawn[position]!.draws, id, own);
            expect(done, `client ${id}, loop ${position}: ${JSON.stringify(own)}`).not.toEqual([]);
            return !done.includes(one.iterations!);
          });
          return left.length === 0;
        });
        expect(finished.length).toBeGreaterThanOrEqual(clients);
        if (orders.every(({ what }) => what === 'pause')) expect(finished.length).toBe(books.clients.created);
        await here.end();
      }),
      { numRuns: 50 },
    );
  });
});
