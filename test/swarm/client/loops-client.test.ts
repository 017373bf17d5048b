import { describe, expect, it } from 'vitest';
import { line, match } from '../../../src/index.ts';
import type { FakeClient } from '../../../src/protocols/client.ts';
import type { Range } from '../../../src/script/types.ts';
import type { LedgerOptions, ReplyAction } from '../../ledger.ts';
import type { OneProcessOptions } from '../one-process.ts';
import { after, pause, PlayedProcess } from './played-process.ts';

const here = new PlayedProcess();
const play = here.play.bind(here);

const seconds = (s: number): Range => [s, s];
const echo = (text: string): ReplyAction => ({ text });

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

describe('loops of one client', () => {
  it('share its connection, id, memory, random and shared, each with an object of its own', async () => {
    const seen: FakeClient[] = [];
    const see = (client: FakeClient): Promise<string> => {
      if (seen.length < 3 && !seen.includes(client)) seen.push(client);
      return ask(client, 'hi');
    };
    const e = await play(echo, {
      run: { shared: { value: 'of all' } },
      commands: { a: see, b: see },
      loops: { one: { commands: ['a'] }, other: { commands: ['b'] } },
      module: { ...lines, connected: see },
    });
    const books = await e.until((b) => b.actions[0]!.ok > 5 && b.actions[1]!.ok > 5);
    expect(books.connections.established).toBe(1);
    expect(books.actions[2]!).toMatchObject({ started: 1, ok: 1 });
    const [connected, a, b] = seen as [FakeClient, FakeClient, FakeClient];
    expect(new Set([connected, a, b]).size).toBe(3);
    for (const client of [a, b]) {
      expect(client.memory).toBe(connected.memory);
      expect(client.random).toBe(connected.random);
      expect([client.id, client.shared]).toEqual([1, 'of all']);
    }
  });

  it('end their rounds each by its own calls: what one waits for holds up no other', async () => {
    let answer = (): void => {};
    const e = await play(
      (text, connection) => {
        if (!text.startsWith('slow')) return { text };
        answer = () => connection.push(`${text}\r\n`);
        return 'silent';
      },
      {
        // the promise goes nowhere in `float`, and one is returned as it is
        commands: { slow: (c) => ask(c, 'slow'), quick: (c) => ask(c, 'quick'), float: (c) => void ask(c, 'float') },
        loops: { listen: { commands: ['slow'] }, ping: { commands: ['quick', 'float'] } },
        module: lines,
      },
    );
    const before = await e.until((b) => b.actions[1]!.ok > 20 && b.actions[2]!.ok > 20);
    expect(before.actions[0]!).toMatchObject({ started: 1, running: 1, ok: 0 });
    // a round of `float` lasts until its reply has come
    expect(before.requests.sent - before.requests.ok).toBeLessThanOrEqual(2);
    expect(before.clients.states.acting).toBe(1);
    answer();
    await e.until((b) => b.actions[0]!.started === 2);
  });

  it('make the client act while one of them does, and stand by while none does', async () => {
    const held: (() => void)[] = [];
    const e = await play((text, connection) => (held.push(() => connection.push(`${text}\r\n`)), 'silent'), {
      commands: { a: (c) => ask(c, 'a'), b: (c) => ask(c, 'b') },
      actions: { a: { after: seconds(1000) }, b: { after: seconds(1000) } },
      loops: { one: { commands: ['a'] }, other: { commands: ['b'] } },
      module: lines,
    });
    await e.until((b) => b.requests.in_flight === 2 && held.length === 2);
    expect(e.books().clients.states).toMatchObject({ acting: 1, standby: 0 });
    held[0]!();
    const one = await e.until((b) => b.requests.in_flight === 1);
    expect(one.clients.states).toMatchObject({ acting: 1, standby: 0 });
    held[1]!();
    await e.until((b) => b.clients.states.standby === 1);
    expect(e.books().clients.entered).toMatchObject({ acting: 1, standby: 1 });
  });

  it('need no `messages` when only one of them waits for replies', async () => {
    const e = await play((text) => (text === 'tell' ? 'silent' : { text }), {
      commands: { ask: (c) => c.send_for_reply('x\r\n', line()), tell: (c) => c.send_noreply('tell\r\n') },
      loops: { one: { commands: ['ask'] }, other: { commands: ['tell'] } },
    });
    await e.until((b) => b.actions[0]!.ok > 20 && b.actions[1]!.ok > 20);
  });

  it('of which two wait for replies without `messages` are a bug of the module', async () => {
    const wait: OneProcessOptions['commands'][string] = (c) => c.send_for_reply('x\r\n', line());
    const e = await play(() => 'silent', {
      commands: { a: wait, b: wait },
      loops: { one: { commands: ['a'] }, other: { commands: ['b'] } },
    });
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.errors['bad_call']!.last).toContain('another call waits for its reply');
    expect(e.bugs.length).toBe(1);
  });
});

describe('a connection that ends', () => {
  const slow_and = (quick: (client: FakeClient) => unknown, module: OneProcessOptions['module'] = lines) => ({
    commands: { slow: (c: FakeClient) => ask(c, 'slow'), quick },
    loops: { listen: { commands: ['slow'] }, ping: { commands: ['quick'] } },
    module,
    run: { reconnect_delay_ms: [100_000, 100_000] as const, reply_timeout_ms: 200 },
  });
  const silent = (): ReplyAction => 'silent';

  it('by close() in one loop: that round is ok, the others are aborted', async () => {
    const e = await play(
      silent,
      slow_and((c) => c.close()),
    );
    const books = await e.until((b) => b.clients.states.backoff === 1);
    expect(books.actions[0]!).toMatchObject({ started: 1, ok: 0, aborted: 1, failed: {} });
    expect(books.actions[1]!).toMatchObject({ started: 1, ok: 1, aborted: 0, failed: {} });
    expect(books.connections.closed.script).toBe(1);
  });

  it('by close() outside of all rounds: all that run are aborted', async () => {
    const module: OneProcessOptions['module'] = { ...lines, on_message: (client) => client.close() };
    const e = await play((text) => (text.startsWith('push') ? { text: 'push' } : 'silent'), {
      ...slow_and((c) => c.send_noreply('push\r\n'), module),
      actions: { quick: { after: seconds(1000) } },
    });
    const books = await e.until((b) => b.clients.states.backoff === 1);
    expect(books.actions[0]!).toMatchObject({ started: 1, ok: 0, aborted: 1, failed: {} });
    expect(books.actions[1]!).toMatchObject({ started: 1, ok: 1 });
  });

  it.each([
    ['closed by the server', 'close', 'server_closed'],
    ['reset', 'reset', 'ECONNRESET'],
    ['with no reply in time', 'silent', 'timeout'],
  ] as const)('%s: every round that runs fails with its code', async (_, reply, code) => {
    const e = await play(
      (text) => (text.startsWith('slow') ? 'silent' : reply),
      slow_and((c) => ask(c, 'quick')),
    );
    const books = await e.until((b) => b.clients.states.backoff === 1);
    for (const action of books.actions.slice(0, 2))
      expect(action).toMatchObject({ started: 1, ok: 0, aborted: 0, failed: { [code]: 1 } });
  });

  it('because one function has a bug: the client is fatal, and starts anew when it is told to', async () => {
    let bug = true;
    const e = await play((text) => (text.startsWith('slow') ? 'silent' : { text }), {
      ...slow_and((c) => {
        if (bug) throw new TypeError('oops');
        return ask(c, 'quick');
      }),
    });
    const books = await e.until((b) => b.clients.states.fatal === 1);
    expect(books.actions[0]!.failed).toEqual({ fatal: 1 });
    expect(books.actions[1]!.failed).toEqual({ fatal: 1 });
    expect(e.bugs.length).toBe(1);
    bug = false;
    e.population.retry_fatal();
    await e.until((b) => b.actions[0]!.running === 1 && b.actions[1]!.ok > 0);
  });

  it('at the end of its lifetime: no loop begins another round, and it ends with the last that runs', async () => {
    const { commands, loops, module } = slow_and((c) => ask(c, 'quick'));
    const e = await play((text, connection) => (text.startsWith('slow') ? after(100, text, connection) : { text }), {
      commands: { ...commands, sleepy: (c) => ask(c, 'sleepy') },
      actions: { sleepy: { after: seconds(0.03) } },
      loops: { ...loops, nap: { commands: ['sleepy'] } },
      module,
      run: {
        reconnect_delay_ms: [0, 1],
        connection_limits: { up_bytes_per_s: null, down_bytes_per_s: null, lifetime_ms: [5, 10], idle_ms: null },
      },
    });
    const books = await e.until((b) => b.connections.closed.limit >= 3);
    expect(books.actions[0]!.ok).toBeGreaterThanOrEqual(3);
    // its second round would be due when the lifetime is over and the slow one still waits
    expect(books.actions[2]!.started).toBeLessThanOrEqual(books.connections.established);
    for (const action of books.actions) expect(action).toMatchObject({ failed: {}, aborted: 0 });
  });
});

describe('a client of several loops', () => {
  const ask_each = { a: (c: FakeClient) => ask(c, 'a'), b: (c: FakeClient) => ask(c, 'b') };
  const two = (a: number | null, b: number | null): NonNullable<OneProcessOptions['loops']> => ({
    one: { commands: ['a'], iterations: a },
    other: { commands: ['b'], iterations: b },
  });

  it('is done when each loop has played its iterations; one that is over waits, over a reconnect too', async () => {
    let [asked_by_a, closed] = [0, false];
    const reply: LedgerOptions['reply'] = (text) => {
      if (text.startsWith('a')) asked_by_a++;
      if (closed || asked_by_a < 2 || !text.startsWith('b')) return { text };
      closed = true;
      return 'close';
    };
    const e = await play(reply, {
      commands: ask_each,
      actions: { b: { after: seconds(0.005) } },
      loops: two(2, 6),
      module: lines,
    });
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!).toMatchObject({ started: 2, ok: 2 });
    expect(books.actions[1]!).toMatchObject({ started: 7, ok: 6, failed: { server_closed: 1 } });
    expect(books.connections.closed).toMatchObject({ server: 1, script: 1 });
  });

  it('is done too when its connection ends with the last round of the last loop', async () => {
    let quits = 0;
    const e = await play((text) => (text.startsWith('b') && quits < 2 ? 'silent' : { text }), {
      commands: { ...ask_each, quit: (c) => (quits++, c.close()) },
      loops: { one: { commands: ['a', 'quit'], iterations: 2 }, other: { commands: ['b'], iterations: 1 } },
      module: lines,
    });
    const books = await e.until((b) => b.clients.done === 1);
    // in the order of the commands
    expect(books.actions.map(({ started, ok }) => [started, ok])).toEqual([
      [2, 2],
      [2, 2],
      [3, 1],
      [0, 0],
    ]);
    expect(books.clients.finished).toBe(1);
    expect(books.connections).toMatchObject({ established: 3, closed: { script: 3 } });
  });

  it.each([
    ['close()', (c: FakeClient) => c.close(), null],
    ['the end of its lifetime', () => pause(60), [20, 20] as const],
  ])('is done after as many iterations as it should play, each ended by %s', async (_, b, lifetime_ms) => {
    const e = await play(echo, {
      commands: { a: () => (lifetime_ms === null ? undefined : pause(40)), b },
      loops: two(2, 2),
      module: lines,
      run: { connection_limits: { up_bytes_per_s: null, down_bytes_per_s: null, lifetime_ms, idle_ms: null } },
    });
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(2);
    expect(books.actions[1]!.ok).toBe(2);
  });

  it('that `swarm try` plays is done after one iteration of each', async () => {
    const e = await play(echo, {
      commands: ask_each,
      actions: { a: { rounds: [3, 3], after: seconds(1000) }, b: { after: seconds(1000) } },
      loops: two(null, 5),
      module: lines,
      run: { once: true },
    });
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions.map(({ ok }) => ok)).toEqual([3, 1, 0]);
  });

  it('parks each loop while paused, and goes on', async () => {
    const e = await play(
      echo,
      { commands: ask_each, actions: { b: { after: seconds(0.01) } }, loops: two(null, null), module: lines },
      5,
    );
    await e.until((b) => b.actions[0]!.ok > 50 && b.actions[1]!.ok > 10);
    e.apply(5, 'pause');
    await e.until((b) => b.clients.states.standby === 5);
    await pause(30);
    const before = e.books().actions.map(({ started }) => started);
    await pause(30);
    expect(e.books().actions.map(({ started }) => started)).toEqual(before);
    e.apply(5, 'run');
    await e.until((b) => b.actions.slice(0, 2).every(({ started }, i) => started > before[i]! + 20));
  });

  it('ends in phase drain with its last running round', async () => {
    const e = await play((text, connection) => (text.startsWith('a') ? after(100, text, connection) : { text }), {
      commands: { ...ask_each, c: (c) => ask(c, 'c') },
      actions: { b: { after: seconds(0.002) }, c: { after: seconds(1000) } },
      loops: { ...two(null, null), sleepy: { commands: ['c'] } },
      module: lines,
    });
    await e.until((b) => b.actions[0]!.running === 1 && b.actions[1]!.ok > 5 && b.actions[2]!.ok === 1);
    e.apply(1, 'drain');
    expect(e.population.live).toBe(1);
    const books = await e.until((b) => b.clients.killed.stop === 1);
    for (const action of books.actions) expect(action).toMatchObject({ running: 0, aborted: 0, failed: {} });
    expect(books.actions[0]!.ok).toBe(books.actions[0]!.started);
  });

  it('is drained by decr when each loop is between two iterations', async () => {
    const last = new Map<number, string[]>();
    const say = (what: string) => (client: FakeClient) => {
      last.set(client.id, [...(last.get(client.id) ?? []), what]);
      return ask(client, what);
    };
    const e = await play(
      echo,
      {
        commands: { a1: say('a1'), a2: say('a2'), b1: say('b1'), b2: say('b2') },
        actions: { a1: { after: [0, 0.02] }, a2: { after: [0, 0.01] }, b1: { after: [0.01, 0.05] } },
        loops: { a: { commands: ['a1', 'a2'], between: [0, 0.02] }, b: { commands: ['b1', 'b2'] } },
        module: lines,
      },
      20,
    );
    await e.until((b) => b.actions[3]!.ok > 20);
    e.apply(0, 'run', { graceful: true });
    const books = await e.until((b) => b.clients.done === 20);
    expect(books.clients).toMatchObject({ draining: 0, finished: 0, killed: { decr: 0, stop: 0 } });
    for (const said of last.values()) {
      expect(said.filter((what) => what.startsWith('a')).at(-1)).toBe('a2');
      expect(said.filter((what) => what.startsWith('b')).at(-1)).toBe('b2');
    }
    for (const action of books.actions) expect(action).toMatchObject({ running: 0, aborted: 0, failed: {} });
  });

  it('goes on with all loops when it is not to leave any more', async () => {
    let answer = (): void => {};
    const e = await play(
      (text, connection) => {
        if (!text.startsWith('a')) return { text };
        answer = () => connection.push(`${text}\r\n`);
        return 'silent';
      },
      { commands: ask_each, loops: two(null, null), module: lines },
    );
    await e.until((b) => b.actions[0]!.running === 1 && b.actions[1]!.ok > 5);
    e.apply(0, 'run', { graceful: true });
    await e.until((b) => b.actions[1]!.running === 0); // it has ended its iteration, and waits for the other one
    await pause(20);
    const { started } = e.books().actions[1]!;
    await pause(20);
    expect(e.books().actions[1]!.started).toBe(started);
    expect(e.books().clients.draining).toBe(1);
    e.apply(1);
    await e.until((b) => b.actions[1]!.ok > started + 5);
    answer();
    const books = await e.until((b) => b.actions[0]!.started === 2);
    expect(books.clients).toMatchObject({ created: 1, draining: 0, done: 0 });
  });
});
