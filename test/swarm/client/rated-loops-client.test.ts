import { describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import { now } from '../../../src/foundation/clock.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import type { Range } from '../../../src/script/types.ts';
import { at_rates, in_the_first_second, SteeredRate } from '../rates.ts';
import { after, pause, PlayedProcess } from './played-process.ts';

const here = new PlayedProcess();
const play = here.play.bind(here);

const seconds = (s: number): Range => [s, s];
const lines = { messages: line() };
const past = (): number => now() - 1000;
/** Replies are taken for those of one client in order. */
const ask = (client: FakeClient): Promise<unknown> =>
  client.send_for_reply(
    'hi\r\n',
    match(() => true),
  );

/** Counts rounds of a command that run, by client. */
class Running {
  readonly #running = new Map<number, number>();
  most = 0;

  readonly ask = async (client: FakeClient): Promise<void> => {
    const running = (this.#running.get(client.id) ?? 0) + 1;
    this.#running.set(client.id, running);
    this.most = Math.max(this.most, running);
    await ask(client);
    this.#running.set(client.id, this.#running.get(client.id)! - 1);
  };

  /** Connections ended, and rounds with them. */
  clear(): void {
    this.#running.clear();
  }
}

describe('slots of a module with `messages`', () => {
  it.each([1, 3])('have up to %i rounds of a client at once, beside its loop', async (at_once) => {
    const [say, ping] = [new Running(), new Running()];
    const held: (() => void)[] = [];
    const e = await play(
      (_, connection) => {
        held.push(() => connection.push('ok\r\n'));
        return 'silent';
      },
      {
        commands: { say: say.ask, ping: ping.ask },
        actions: { say: { rate: { at_once } } },
        module: lines,
        zero_ms: past(),
      },
    );
    e.apply(2, 'run', in_the_first_second(50));
    const all = 2 * (at_once + 1);
    const books = await e.until(() => held.length === all);
    expect(books.actions[0]!).toMatchObject({ started: 2 * at_once, running: 2 * at_once });
    expect(books.actions[0]!.slots).toMatchObject({ waiting: 50 - 2 * at_once });
    await pause(30);
    expect(held.length).toBe(all);
    for (let answered = 0; answered < 200; answered++) {
      await e.until(() => held.length > answered);
      held[answered]!();
    }
    await e.until((b) => b.actions[0]!.ok === 50 && b.actions[1]!.ok > 50);
    expect([say.most, ping.most]).toEqual([at_once, 1]);
  });

  it('go round the clients, whatever each may have at once', async () => {
    const ids: number[] = [];
    const e = await play(undefined, {
      commands: { say: (client) => (ids.push(client.id), new Promise(() => {})) },
      actions: { say: { rate: { at_once: 3 } } },
      module: lines,
      zero_ms: past(),
    });
    e.apply(4);
    await e.until((b) => b.clients.states.standby === 4);
    e.apply(4, 'run', in_the_first_second(20));
    await e.until((b) => b.actions[0]!.running === 12);
    const order = ids.slice(0, 4);
    expect([...order].sort()).toEqual([1, 2, 3, 4]);
    expect(ids).toEqual(Array.from({ length: 12 }, (_, i) => order[i % 4]));
  });

  it('of several actions have rounds of their own each', async () => {
    const e = await play(undefined, {
      commands: { say: () => new Promise(() => {}), cry: ask },
      actions: { say: { rate: {} }, cry: { rate: {} } },
      module: lines,
    });
    e.apply(1, 'run', at_rates({ 0: 300, 1: 300 }));
    const books = await e.until((b) => b.actions[1]!.ok > 20);
    expect(books.actions[0]!).toMatchObject({ started: 1, running: 1 });
    expect(books.clients.states.acting).toBe(1);
  });

  it('are iterations of a loop that has nothing else: as many as it has, however many may run at once', async () => {
    const e = await play((_, connection) => after(5, 'ok', connection), {
      commands: { say: ask, cry: ask },
      actions: { say: { rate: { at_once: 3 } }, cry: { rate: { at_once: 3 } } },
      loops: { main: { commands: ['say', 'cry'], iterations: 4 } },
      module: lines,
    });
    e.apply(1, 'run', at_rates({ 0: 1000, 1: 1000 }));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.started + books.actions[1]!.started).toBe(4);
    expect(books.actions[0]!.ok + books.actions[1]!.ok).toBe(4);
  });

  it('of `iterations_in_all` too', async () => {
    const e = await play(undefined, {
      commands: { say: ask },
      actions: { say: { rate: { at_once: 2 } } },
      iterations_in_all: 7,
      among: 2,
      module: lines,
    });
    e.apply(2, 'run', at_rates({ 0: 500 }));
    const books = await e.until((b) => b.clients.done === 2);
    expect(books.actions[0]!.ok).toBe(7);
  });

  it('end with their connection, and the client goes on with the next one', async () => {
    const say = new Running();
    const e = await play((_, connection) => (connection.requests > 6 ? 'reset' : after(2, 'ok', connection)), {
      commands: { say: say.ask, ping: ask },
      actions: { say: { rate: { at_once: 2 } }, ping: { after: seconds(0.01) } },
      module: { ...lines, connected: () => say.clear() },
    });
    e.apply(1, 'run', at_rates({ 0: 400 }));
    await e.until((b) => b.connections.established > 5 && b.actions[0]!.ok > 20);
    expect(say.most).toBeLessThanOrEqual(2);
  });

  it('end with the client after their rounds: those of the loop are over, or it shall go', async () => {
    const e = await play((_, connection) => after(30, 'ok', connection), {
      commands: { say: ask, ping: ask },
      actions: { say: { rate: { at_once: 2 } } },
      loops: { main: { commands: ['say', 'ping'], iterations: 2 } },
      module: lines,
    });
    e.apply(4, 'run', at_rates({ 0: 300 }));
    const over = await e.until((b) => b.clients.done === 4);
    expect(over.actions[0]!.aborted).toBe(0);
    expect(over.actions[1]!.ok).toBe(8);
  });

  it.each(['graceful', 'drain', 'stop'] as const)('end with the client: %s', async (how) => {
    const e = await play((_, connection) => after(10, 'ok', connection), {
      commands: { say: ask, ping: ask },
      actions: { say: { rate: { at_once: 3 } }, ping: { after: seconds(0.01) } },
      module: lines,
    });
    const rates = at_rates({ 0: 1000 });
    e.apply(5, 'run', rates);
    await e.until((b) => b.actions[0]!.ok > 30 && b.actions[1]!.ok > 10);
    if (how === 'graceful') e.apply(0, 'run', { ...rates, graceful: true });
    else e.apply(5, how, rates);
    const books = await e.until(() => e.population.live === 0);
    if (how !== 'stop') expect(books.actions[0]!.aborted).toBe(0);
    expect(how === 'graceful' ? books.clients.done : books.clients.killed.stop).toBe(5);
  });

  it('go on after a pause', async () => {
    const zero_ms = now();
    const e = await play((_, connection) => after(3, 'ok', connection), {
      commands: { say: ask, ping: ask },
      actions: { say: { rate: { at_once: 2 } } },
      module: lines,
      zero_ms,
    });
    const rate = new SteeredRate(500, zero_ms);
    e.apply(3, 'run', rate.share());
    for (let i = 0; i < 4; i++) {
      const { actions } = e.books();
      await e.until((b) => b.actions[0]!.ok > actions[0]!.ok + 5 && b.actions[1]!.ok > actions[1]!.ok + 5);
      e.apply(3, 'pause', rate.hold());
      const still = await e.until((b) => b.clients.states.standby === 3);
      expect(still.actions[0]!).toMatchObject({ running: 0 });
      e.apply(3, 'run', rate.release());
    }
  });
});

describe('slots beside several loops without `messages`', () => {
  it('wait until none of their rounds runs, and these wait for a slot', async () => {
    let running = 0;
    let slot_runs = false;
    const round = async (client: FakeClient): Promise<void> => {
      expect(slot_runs).toBe(false);
      running++;
      await client.send_noreply('hi\r\n');
      running--;
    };
    const e = await play((text, connection) => (text === 'hi' ? 'silent' : after(3, 'ok', connection)), {
      commands: {
        say: async (client) => {
          expect([running, slot_runs]).toEqual([0, false]);
          slot_runs = true;
          await client.send_for_reply('say\r\n', line());
          slot_runs = false;
        },
        ping: round,
        pong: round,
        busy: round,
      },
      actions: { say: { rate: {} }, ping: { after: seconds(0.004) }, pong: { after: seconds(0.01) } },
      loops: { one: { commands: ['say', 'ping'] }, other: { commands: ['pong'] }, third: { commands: ['busy'] } },
      run: { max_backlog: 5 },
    });
    e.apply(1, 'run', at_rates({ 0: 400 }));
    await e.until((b) => b.actions.slice(0, 4).every(({ ok }) => ok > 15));
    expect(e.bugs).toEqual([]);
  });

  it('play iterations of those that have nothing else', async () => {
    const e = await play(undefined, {
      commands: {
        say: (client) => client.send_for_reply('hi\r\n', line()),
        ping: (client) => client.send_noreply('\r\n'),
      },
      actions: { say: { rate: {} }, ping: { after: seconds(0.005) } },
      loops: { one: { commands: ['say'], iterations: 3 }, other: { commands: ['ping'], iterations: 2 } },
    });
    e.apply(1, 'run', at_rates({ 0: 100 }));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(3);
    expect(books.actions[1]!.ok).toBe(2);
  });
});
