import { describe, expect, it } from 'vitest';
import { line } from '../../../src/index.ts';
import { now } from '../../../src/foundation/clock.ts';
import type { GroupSnapshot } from '../../../src/metrics/snapshot.ts';
import type { Range } from '../../../src/script/types.ts';
import type { OneProcessOptions } from '../one-process.ts';
import { at_rates, in_the_first_second, SteeredRate } from '../rates.ts';
import { after, pause, PlayedProcess } from './played-process.ts';

const here = new PlayedProcess();
const play = here.play.bind(here);

const seconds = (s: number): Range => [s, s];
const ask: OneProcessOptions['commands'][string] = (client) => client.send_for_reply('hi\r\n', line());
const tell: OneProcessOptions['commands'][string] = (client) => client.send_noreply('hi\r\n');
/** slots of the first second are all due */
const past = (): number => now() - 1000;
const slots_of = ({ actions }: Pick<GroupSnapshot, 'actions'>, index = 0) => actions[index]!.slots!;

describe('a client with rated actions only', () => {
  it('plays a round for each slot: response time counts from its instant, service time from the call', async () => {
    const options = { commands: { say: ask }, actions: { say: { rate: {} } }, zero_ms: past() };
    const e = await play(undefined, options, 0);
    e.apply(0, 'run', in_the_first_second(20));
    const waiting = e.books();
    expect(slots_of(waiting)).toMatchObject({ planned: 20, waiting: 20 });
    e.apply(2, 'run', in_the_first_second(20));
    const [say] = (await e.until((b) => b.actions[0]!.ok === 20)).actions;
    expect(say!.slots).toMatchObject({ planned: 20, waiting: 0 });
    const { late } = say!.slots!;
    // each is rounded to a µs
    expect(Math.abs(say!.response.sum - say!.service.sum - late.sum)).toBeLessThanOrEqual(3 * 20);
    expect(late.count).toBe(20);
  });

  it('starts no slot before its instant', async () => {
    const zero_ms = now();
    const calls: number[] = [];
    const e = await play(undefined, {
      commands: { say: (client) => (calls.push(now() - zero_ms), tell(client, {})) },
      actions: { say: { rate: {} } },
      zero_ms,
    });
    e.apply(3, 'run', at_rates({ 0: 500 }));
    await e.until((b) => b.actions[0]!.ok >= 200);
    expect(calls.filter((ms, k) => ms < (k + 1) * 2)).toEqual([]);
  });

  it('waits in standby, is not begun in turn, and is free once `connected` has returned', async () => {
    let greeted = (): void => {};
    const e = await play(undefined, {
      commands: { say: ask },
      actions: { say: { rate: {} } },
      module: { connected: () => new Promise<void>((done) => (greeted = done)) },
      zero_ms: past(),
    });
    e.apply(1, 'run', in_the_first_second(3));
    const before = await e.until((b) => b.actions[1]!.running === 1);
    await pause(20);
    expect(before.clients.states.acting).toBe(1);
    expect(slots_of(e.books())).toMatchObject({ planned: 3, waiting: 3 });
    greeted();
    await e.until((b) => b.actions[0]!.ok === 3 && b.clients.states.standby === 1);
  });

  it('of which the one free longest comes first', async () => {
    const ids: number[] = [];
    const e = await play(undefined, {
      commands: { say: (client) => (ids.push(client.id), tell(client, {})) },
      actions: { say: { rate: {} } },
      zero_ms: past(),
    });
    e.apply(4);
    await e.until((b) => b.clients.states.standby === 4);
    e.apply(4, 'run', in_the_first_second(20));
    await e.until((b) => b.actions[0]!.ok === 20);
    const order = ids.slice(0, 4);
    expect([...order].sort()).toEqual([1, 2, 3, 4]);
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => order[i % 4]));
  });

  it.each([null, 3])('plays iterations: each of its rounds is one (%s)', async (iterations_in_all) => {
    const e = await play(undefined, {
      commands: { say: ask, cry: ask },
      actions: { say: { rate: {} }, cry: { rate: {} } },
      loops: { main: { commands: ['say', 'cry'], iterations: iterations_in_all === null ? 3 : null } },
      ...(iterations_in_all !== null && { iterations_in_all, among: 1 }),
    });
    e.apply(1, 'run', at_rates({ 0: 500, 1: 500 }));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok + books.actions[1]!.ok).toBe(3);
    expect(books.clients.finished).toBe(1);
    expect(books.connections.closed.script).toBe(1);
  });

  it('plays a round of each in turn when everything is played once', async () => {
    const e = await play(undefined, {
      commands: { say: ask, cry: ask },
      actions: { say: { rate: {} }, cry: { rate: {} } },
      run: { once: true },
    });
    const { actions } = await e.until((b) => b.clients.done === 1);
    expect(actions.map(({ ok, slots }) => [ok, slots])).toEqual([
      [1, undefined],
      [1, undefined],
      [0, undefined],
    ]);
  });

  it('that closes its connection has played an iteration', async () => {
    const e = await play(undefined, {
      commands: { say: (client) => client.close() },
      actions: { say: { rate: {} } },
      loops: { main: { commands: ['say'], iterations: 3 } },
    });
    e.apply(1, 'run', at_rates({ 0: 500 }));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!).toMatchObject({ started: 3, ok: 3 });
    expect(books.connections.established).toBe(3);
  });
});

describe('slots beside a loop', () => {
  const both = { commands: { say: ask, ping: ask }, actions: { say: { rate: {} } } };

  it('and its rounds: one at a time, and whose turn it is says the instant', async () => {
    let running = 0;
    const alone: OneProcessOptions['commands'][string] = async (client) => {
      expect(++running).toBe(1);
      await client.send_for_reply('hi\r\n', line());
      running--;
    };
    // a reply takes longer than there is from one slot to the next: slots first would starve the loop, and it them
    const e = await play((_, connection) => after(6, 'ok', connection), {
      ...both,
      commands: { say: alone, ping: alone },
      run: { max_backlog: 10 },
    });
    e.apply(1, 'run', at_rates({ 0: 200 }));
    const books = await e.until((b) => b.actions[0]!.ok > 40 && b.actions[1]!.ok > 5);
    expect(slots_of(books).dropped.backlog).toBeGreaterThan(0);
    expect(e.bugs).toEqual([]);
  });

  it('come while it sleeps, and do not count as its iterations', async () => {
    const e = await play(undefined, {
      commands: { say: ask, ping: ask },
      actions: { say: { rate: {} }, ping: { rounds: [3, 3], between: seconds(0.1) } },
      loops: { main: { commands: ['say', 'ping'], iterations: 1 } },
    });
    e.apply(1, 'run', at_rates({ 0: 200 }));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[1]!.ok).toBe(3);
    expect(books.actions[0]!.ok).toBeGreaterThan(3);
    expect(books.clients.states).toMatchObject({ acting: 0, standby: 0 });
  });

  it('hold up a round of it that becomes due meanwhile, whose response time counts from then', async () => {
    const held: (() => void)[] = [];
    const e = await play(
      (text, connection) => {
        if (text === 'ping') return { text };
        held.push(() => connection.push('ok\r\n'));
        return 'silent';
      },
      {
        commands: {
          say: (client) => client.send_for_reply('say\r\n', line()),
          ping: (client) => client.send_for_reply('ping\r\n', line()),
        },
        actions: { say: { rate: {} }, ping: { after: seconds(0.05) } },
        zero_ms: past(),
      },
    );
    await e.until((b) => b.actions[1]!.ok === 1 && b.clients.states.standby === 1);
    e.apply(1, 'run', in_the_first_second(1));
    await e.until(() => held.length === 1);
    const pings = e.books().actions[1]!.started;
    await pause(200);
    expect(e.books().actions[1]!.started).toBe(pings);
    held[0]!();
    const books = await e.until((b) => b.actions[1]!.ok > pings);
    expect(books.actions[1]!.response.max).toBeGreaterThan(100_000);
  });

  it('a close in a round of theirs ends no iteration', async () => {
    const e = await play(undefined, {
      commands: { say: (client) => client.close(), ping: ask },
      actions: { say: { rate: {} }, ping: { after: seconds(0.03), rounds: [2, 2] } },
      loops: { main: { commands: ['say', 'ping'], iterations: 2 } },
      zero_ms: past(),
    });
    e.apply(1, 'run', in_the_first_second(1));
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(1);
    expect(books.connections.established).toBe(2);
  });

  it('are not played in a pause, and those that wait then are dropped', async () => {
    const zero_ms = past();
    const e = await play((_, connection) => after(20, 'ok', connection), { ...both, zero_ms });
    const rate = new SteeredRate(300, zero_ms);
    e.apply(2, 'run', rate.share());
    await e.until((b) => b.actions[0]!.ok > 5 && slots_of(b).waiting > 10);
    e.apply(2, 'pause', rate.hold());
    const paused = e.books();
    expect(slots_of(paused).waiting).toBe(0);
    expect(slots_of(paused).dropped.paused).toBeGreaterThan(10);
    await e.until((b) => b.clients.states.standby === 2);
    await pause(50);
    const after_pause = e.books();
    expect(after_pause.actions[0]!.started).toBe(paused.actions[0]!.started);
    expect(slots_of(after_pause).planned).toBe(slots_of(paused).planned);
    e.apply(2, 'run', rate.release());
    await e.until((b) => b.actions[0]!.ok > paused.actions[0]!.started + 5 && b.actions[1]!.ok > 2);
  });

  it('go on when a loop that was paused goes on behind a slot', async () => {
    const zero_ms = now();
    const e = await play((_, connection) => after(3, 'ok', connection), { ...both, zero_ms });
    const rate = new SteeredRate(400, zero_ms);
    e.apply(3, 'run', rate.share());
    for (let i = 0; i < 6; i++) {
      const { actions } = e.books();
      const [say, ping] = [actions[0]!.ok, actions[1]!.ok];
      await e.until((b) => b.actions[0]!.ok > say + 5 && b.actions[1]!.ok > ping + 3);
      e.apply(3, 'pause', rate.hold());
      if (i % 2 === 0) await e.until((b) => b.clients.states.standby === 3);
      e.apply(3, 'run', rate.release());
    }
  });
});

describe('clients that go', () => {
  const options = { commands: { say: ask }, actions: { say: { rate: {} } } };

  it('at once, or after the round that runs: an idle one rests', async () => {
    const e = await play((_, connection) => after(10, 'ok', connection), options);
    e.apply(10, 'run', at_rates({ 0: 300 }));
    await e.until((b) => b.actions[0]!.ok > 20);
    e.apply(6, 'run', { ...at_rates({ 0: 300 }), graceful: true });
    const drained = await e.until((b) => b.clients.done === 4);
    expect(drained.actions[0]!.aborted).toBe(0);
    e.apply(2, 'run', at_rates({ 0: 300 }));
    expect(e.population.live).toBe(2);
    await e.until((b) => b.actions[0]!.ok > drained.actions[0]!.ok + 20);
    expect(e.books().clients.killed.decr).toBe(4);
  });

  it('of which those that shall stay after all go on', async () => {
    const e = await play((_, connection) => after(30, 'ok', connection), options);
    e.apply(4, 'run', at_rates({ 0: 300 }));
    await e.until((b) => b.actions[0]!.running === 4);
    e.apply(0, 'run', { ...at_rates({ 0: 300 }), graceful: true });
    expect(e.books().clients.draining).toBe(4);
    e.apply(4, 'run', at_rates({ 0: 300 }));
    const { ok } = e.books().actions[0]!;
    const books = await e.until((b) => b.actions[0]!.ok > ok + 20);
    expect(books.clients).toMatchObject({ created: 4, done: 0, draining: 0 });
  });

  it.each(['drain', 'stop'] as const)(
    '%s: each ends after the round that it is in, what waits is dropped',
    async (phase) => {
      const e = await play((_, connection) => after(30, 'ok', connection), { ...options, zero_ms: past() });
      e.apply(3, 'run', in_the_first_second(100));
      await e.until((b) => b.actions[0]!.ok >= 3 && b.actions[0]!.running === 3);
      e.apply(3, phase, in_the_first_second(100));
      const told = e.books();
      expect(slots_of(told)).toMatchObject({ planned: 100, waiting: 0 });
      expect(slots_of(told).dropped.stopped).toBe(100 - told.actions[0]!.started);
      const books = await e.until((b) => b.clients.killed.stop === 3);
      expect(books.actions[0]!.started).toBe(told.actions[0]!.started);
      expect(books.actions[0]!.aborted).toBe(phase === 'stop' ? 3 : 0);
    },
  );
});

describe('connections that end', () => {
  it('leave the line, and their round fails', async () => {
    const e = await play((_, connection) => (connection.requests === 3 ? 'reset' : { text: 'ok' }), {
      commands: { say: ask, ping: ask },
      actions: { say: { rate: {} }, ping: { after: seconds(0.002) } },
    });
    e.apply(5, 'run', at_rates({ 0: 500 }));
    await e.until(
      (b) => (b.actions[0]!.failed['ECONNRESET'] ?? 0) > 10 && b.actions[0]!.ok > 50 && b.actions[1]!.ok > 10,
    );
  });

  it('at the end of their lifetime do so after the round', async () => {
    const limits = { down_bytes_per_s: null, up_bytes_per_s: null, idle_ms: null, lifetime_ms: [20, 40] as const };
    const e = await play((_, connection) => after(5, 'ok', connection), {
      commands: { say: ask },
      actions: { say: { rate: {} } },
      run: { connection_limits: limits },
    });
    e.apply(5, 'run', at_rates({ 0: 500 }));
    const books = await e.until((b) => b.connections.closed.limit > 10);
    expect(books.actions[0]!.failed).toEqual({});
  });
});
