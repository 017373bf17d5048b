import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { line, until_close } from '../../../src/index.ts';
import { live_in, open_of, whole_of } from '../../../src/metrics/merge-snapshots.ts';
import type { GroupSnapshot } from '../../../src/metrics/snapshot.ts';
import type { GroupShare } from '../../../src/swarm/plan/orders.ts';
import { id_at, parse_segment } from '../../../src/swarm/plan/segment.ts';
import { start_ledger, type Ledger, type LedgerOptions } from '../../ledger.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

let ledger: Ledger | undefined;
let engine: OneProcess | undefined;
afterEach(async () => {
  const books = await engine?.close();
  await ledger?.close();
  engine = ledger = undefined;
  if (books) expect(imbalances(books)).toEqual([]);
});

async function start(options: Omit<OneProcessOptions, 'port'>, server: LedgerOptions = {}): Promise<OneProcess> {
  ledger = await start_ledger(server);
  engine = await start_one_process({ port: ledger.port, ...options });
  return engine;
}

const talk: OneProcessOptions['commands'] = { go: (client) => client.send_for_reply('hi\r\n', line()) };
/** in the one loop */
const all_of = (commands: OneProcessOptions['commands'], iterations: number) => ({
  main: { commands: Object.keys(commands), iterations },
});
const sleepy = { go: { after: [1000, 1000] } } as const;
const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
const live = (e: OneProcess): number => e.population.live;

describe('growing and shrinking', () => {
  it('opens to its share with ids 1…n and takes away to it', async () => {
    const e = await start({ commands: talk, actions: sleepy });
    e.apply(50);
    const up = await e.until((b) => b.clients.states.standby === 50);
    expect([up.connections.open, up.connections.attempted, ledger!.books().accepted]).toEqual([50, 50, 50]);
    expect(e.population.client(1) && e.population.client(50)).toBeDefined();
    expect(e.population.client(51)).toBeUndefined();
    e.apply(20);
    expect(live(e)).toBe(20); // at once, counted by swarm
    const down = e.books();
    expect(down.clients.killed.decr).toBe(30);
    expect(down.connections.closed.decr).toBe(30);
    await ledger!.until((b) => b.open === 20);
  });

  it('reuses freed ids, lowest first', async () => {
    const e = await start({ commands: talk, actions: sleepy });
    e.apply(30);
    await e.until((b) => b.clients.states.standby === 30);
    e.apply(10);
    const left = Array.from({ length: 30 }, (_, i) => i + 1).filter((id) => e.population.client(id) !== undefined);
    const free = Array.from({ length: 30 }, (_, i) => i + 1).filter((id) => !left.includes(id));
    e.apply(13);
    for (const id of free.slice(0, 3)) expect(e.population.client(id)).toBeDefined();
    expect(live(e)).toBe(13);
  });

  it('of a segment, has ids of the whole swarm, and reuses those', async () => {
    const segment = parse_segment('1/4:1/2')!;
    const e = await start({ commands: talk, actions: sleepy, run: { segment } });
    const ids = Array.from({ length: 12 }, (_, i) => id_at(segment, i + 1));
    const alive = (): number[] => ids.filter((id) => e.population.client(id) !== undefined);
    e.apply(10);
    await e.until((b) => b.clients.states.standby === 10);
    expect(alive()).toEqual(ids.slice(0, 10));
    e.apply(4);
    e.apply(12);
    expect(alive()).toEqual(ids);
    expect(live(e)).toBe(12);
  });

  it('waits for the ids it was not granted yet', async () => {
    const e = await start({ commands: talk, actions: sleepy });
    e.apply(10, 'run', { ids: [[1, 9, 2]] });
    await e.until((b) => b.clients.states.standby === 5);
    e.apply(10, 'run', {
      ids: [
        [1, 15, 2],
        [20, 21, 1],
      ],
    });
    await e.until((b) => b.clients.states.standby === 10);
    expect(e.population.client(15) && e.population.client(20) && e.population.client(21)).toBeDefined();
  });

  it('takes fatal clients first, then waiting ones, then connected ones', async () => {
    const e = await start({
      commands: {
        go: (client) => (client.id <= 3 ? Promise.reject(new Error('bug')) : client.send_for_reply('x\r\n', line())),
      },
      actions: sleepy,
    });
    e.apply(10);
    await e.until((b) => b.clients.states.fatal === 3 && b.clients.states.standby === 7);
    e.apply(14, 'run', { connect_per_s: 0.0001 }); // four more that wait for their turn
    expect(e.books().clients.states.initial).toBe(4);
    e.apply(11);
    expect(e.books().clients.states).toMatchObject({ fatal: 0, initial: 4, standby: 7 });
    e.apply(8);
    expect(e.books().clients.states).toMatchObject({ initial: 1, standby: 7 });
    e.apply(5);
    expect(e.books().clients.states).toMatchObject({ initial: 0, standby: 5 });
  });

  it('cancels attempts in flight', async () => {
    const closed = await start_ledger();
    const { port } = closed;
    await closed.close();
    engine = await start_one_process({ port, commands: talk });
    engine.apply(5);
    engine.apply(0);
    const books = engine.books();
    expect(books.clients.killed.decr).toBe(5);
    expect(books.connections.attempted).toBe(
      books.connections.cancelled + (books.connections.failed['ECONNREFUSED'] ?? 0),
    );
  });

  it('holds connects back while descriptors are short, and goes on when some come free', async () => {
    const e = await start({ commands: talk, actions: sleepy, capacity: 8 });
    e.apply(12);
    await e.until((b) => b.connections.open === 8);
    await pause(50);
    expect(e.books().connections.attempted).toBe(8);
    expect(e.books().clients.states.initial).toBe(4);
    e.apply(7); // waiting ones go first
    expect(e.books().connections.open).toBe(7);
    e.apply(8);
    await e.until((b) => b.connections.open === 8);
  });
});

describe('populations of a process', () => {
  const share = (clients: number, ids: GroupShare['ids'], connect_per_s: number): GroupShare => ({
    clients,
    ids,
    ports: [],
    connect_per_s,
    rate_parts: 1,
    graceful: false,
  });
  const attempted = (e: OneProcess): number => whole_of(e.measured()).connections.attempted;

  it('share its descriptors', async () => {
    const e = await start({ commands: talk, actions: sleepy, capacity: 8, groups: ['b'] });
    const ids = [[1, 50, 1]] as const;
    await e.population.apply({ main: share(6, ids, 1000), b: share(6, ids, 1000) }, 'run');
    await e.until(() => open_of(e.measured()) === 8);
    await pause(50);
    expect([attempted(e), live(e)]).toEqual([8, 12]);
    await e.population.apply({ main: share(6, ids, 1000) }, 'run');
    const books = await e.until((b) => b.connections.open === 6);
    expect(books.clients.states.standby + books.clients.states.acting).toBe(6);
    expect(live_in(e.measured().groups['b']!)).toBe(0);
  });

  it('take their turns in the order in which they ask, at the sum of their rates', async () => {
    const e = await start({ commands: talk, actions: sleepy, groups: ['b'] });
    const began = performance.now();
    const groups = { main: share(30, [[1, 30, 1]], 150), b: share(30, [[1, 30, 1]], 50) };
    await e.population.apply(groups, 'run');
    while (attempted(e) < 60) {
      // 20 ms of arrears and one in hand
      expect(attempted(e)).toBeLessThanOrEqual(((performance.now() - began) / 1000) * 200 + 6);
      const [main, b] = Object.values(e.measured().groups) as [GroupSnapshot, GroupSnapshot];
      if (b.connections.attempted > 0) expect(main.connections.attempted).toBe(30);
      await pause(2);
    }
  });

  it('tell each of its own connections', async () => {
    const e = await start({ commands: talk, actions: sleepy, groups: ['b'] });
    await e.population.apply({ main: share(3, [[1, 3, 1]], 1000), b: share(2, [[1, 2, 1]], 1000) }, 'run');
    await e.until(() => open_of(e.measured()) === 5);
    const { main, b } = e.measured().groups as { main: GroupSnapshot; b: GroupSnapshot };
    expect([main, b].map(({ endpoints }) => Object.values(endpoints).map((one) => one.open))).toEqual([[3], [2]]);
    for (const group of [main, b]) expect(imbalances(group)).toEqual([]);
    // groups of the same share have ids in turn
    for (const id of [1, 2, 3, 4, 5]) expect(e.population.client(id)?.id).toBe(id);
  });
});

describe('pace', () => {
  it('opens evenly: never more than the rate allows in any window', async () => {
    const e = await start({ commands: talk, actions: sleepy, run: { connect_per_s: 200 } });
    const began = performance.now();
    e.apply(60);
    const samples: [number, number][] = [];
    while (e.books().connections.attempted < 60) {
      samples.push([performance.now() - began, e.books().connections.attempted]);
      await pause(2);
    }
    for (const [ms, attempted] of samples) expect(attempted).toBeLessThanOrEqual((ms / 1000) * 200 + 6); // 20 ms of arrears and one in hand
  });

  it('of one of many members, opens some at a time and wakes as rarely as that allows', async () => {
    const e = await start({ commands: talk, actions: sleepy });
    // half of 40 turns in 200 ms
    e.apply(30, 'run', { connect_per_s: 100, rate_parts: 40 });
    const seen = new Set<number>();
    await e.until(({ connections }) => seen.add(connections.attempted).has(30));
    expect(seen.size - 1).toBeLessThanOrEqual(3);
  });

  it('has at most rate × connect-timeout attempts in flight, so that a restarting server meets no storm', async () => {
    const e = await start({
      commands: talk,
      run: { connect_per_s: 100, connect_timeout_ms: 50, reconnect_delay_ms: [0, 0] },
    });
    let most = 0;
    e.apply(200);
    const began = performance.now();
    while (performance.now() < began + 500 || e.books().connections.established <= 10) {
      most = Math.max(most, e.books().connections.connecting);
      await pause(1);
    }
    expect(most).toBeLessThanOrEqual(5);
  });

  it('a server that goes away and comes back is found again', async () => {
    const e = await start({ commands: talk, actions: { go: { after: [0.005, 0.01] } } });
    e.apply(20);
    await e.until((b) => b.connections.open === 20);
    const { port } = ledger!;
    await ledger!.close();
    await e.until((b) => (b.connections.failed['ECONNREFUSED'] ?? 0) > 20);
    ledger = await start_ledger({ port });
    const books = await e.until((b) => b.connections.open === 20);
    expect(books.clients.created).toBe(20);
    expect(books.connections.closed.server + books.connections.closed.reset).toBe(20);
  });
});

describe('draining', () => {
  const steps: OneProcessOptions['commands'] = {
    first: (client) => client.send_for_reply('first\r\n', line()),
    second: (client) => client.send_for_reply('second\r\n', line()),
  };

  it.each([
    ['without end', null],
    ['so many of them', 1_000_000],
  ])('decr graceful lets each end its iteration, %s: every first has its second', async (_, iterations) => {
    const seconds = new Map<number, string[]>();
    const e = await start(
      {
        commands: steps,
        loops: { main: { commands: Object.keys(steps), iterations } },
        actions: { first: { between: [0.02, 0.04] }, second: { after: [0.01, 0.02] } },
      },
      { reply: (text, c) => (seconds.set(c.id, [...(seconds.get(c.id) ?? []), text]), { text: 'OK' }) },
    );
    e.apply(20);
    await e.until((b) => b.actions[1]!.ok > 20);
    e.apply(5, 'run', { graceful: true });
    expect(e.books().clients.draining + e.books().clients.done).toBe(15);
    expect(live(e) - e.books().clients.draining).toBe(5);
    const books = await e.until((b) => b.clients.done === 15);
    expect(books.clients.killed).toEqual({ decr: 0, stop: 0 });
    expect(books.actions[0]!.aborted + books.actions[1]!.aborted).toBe(0);
    await ledger!.until((b) => b.open === 5);
    const complete = [...seconds.values()].filter((lines) => lines.at(-1) === 'second').length;
    expect(complete).toBeGreaterThanOrEqual(15);
  });

  it('a higher target takes the mark off draining clients before it creates any', async () => {
    const e = await start({ commands: steps, actions: { first: { between: [0.3, 0.3] } } });
    e.apply(10);
    await e.until((b) => b.clients.states.standby === 10);
    e.apply(4, 'run', { graceful: true });
    expect(e.books().clients.draining).toBe(6);
    e.apply(8);
    expect(e.books().clients.draining).toBe(2);
    e.apply(12);
    expect(e.books().clients).toMatchObject({ draining: 0, created: 12 });
    expect(live(e)).toBe(12);
  });

  it('growing again after clients were drained creates new ones', async () => {
    const e = await start({ commands: steps, actions: { first: { between: [0.02, 0.04] } } });
    e.apply(10);
    await e.until((b) => b.connections.open === 10);
    e.apply(4, 'run', { graceful: true });
    await e.until((b) => b.clients.done === 6 && b.clients.draining === 0);
    e.apply(20);
    const books = await e.until((b) => b.connections.open === 20);
    expect(books.clients).toMatchObject({ created: 26, draining: 0, done: 6 });
    e.apply(0);
    expect([live(e), e.books().clients.killed.decr]).toEqual([0, 20]);
  });

  it('phase drain: sleepers end at once, a round in progress first ends, nothing reconnects', async () => {
    const e = await start(
      { commands: { go: (c) => c.send_for_reply(c.id === 1 ? 'slow\r\n' : 'fast\r\n', line()) }, actions: sleepy },
      { reply: (text) => (text === 'slow' ? { drip: 'slow answer', every_ms: 20 } : { text: 'OK' }) },
    );
    e.apply(5);
    await e.until((b) => b.clients.states.standby === 4);
    e.apply(5, 'drain');
    expect(live(e)).toBe(1);
    const books = await e.until(() => live(e) === 0);
    expect(books.actions[0]!).toMatchObject({ ok: 5, aborted: 0, running: 0 });
    expect(books.clients.killed.stop).toBe(5);
    expect(books.connections.closed.stop).toBe(5);
  });

  it('phase stop ends all at once; the round in progress is aborted', async () => {
    const e = await start({ commands: talk }, { reply: () => 'silent' });
    e.apply(5);
    await e.until((b) => b.requests.in_flight === 5);
    e.apply(5, 'stop');
    expect(live(e)).toBe(0);
    expect(e.books().actions[0]!).toMatchObject({ started: 5, aborted: 5, running: 0 });
    expect(e.books().requests).toMatchObject({ sent: 5, aborted: 5, in_flight: 0 });
  });
});

describe('pause and resume', () => {
  it('keeps and makes connections, runs connected, starts no action; goes on after', async () => {
    const e = await start({
      commands: talk,
      actions: { go: { after: [0.005, 0.01] } },
      module: { connected: (client) => client.send_for_reply('hello\r\n', line()) },
    });
    e.apply(5, 'pause');
    const paused = await e.until((b) => b.actions[1]!.ok === 5);
    expect(paused.actions[0]!.started).toBe(0);
    await pause(30);
    expect(e.books().actions[0]!.started).toBe(0);
    expect(e.books().clients.states.standby).toBe(5);
    e.apply(5, 'run');
    await e.until((b) => b.actions[0]!.ok >= 20);
    e.apply(5, 'pause');
    await e.until((b) => b.clients.states.standby === 5);
    await pause(30);
    const before = e.books().actions[0]!.started;
    await pause(30);
    expect(e.books().actions[0]!.started).toBe(before);
    e.apply(2, 'pause');
    expect(live(e)).toBe(2);
    e.apply(2, 'run');
    await e.until((b) => b.actions[0]!.started > before);
    expect(e.books().connections.attempted).toBe(5);
  });
});

describe('the script', () => {
  it('plays actions in order, with rounds and a sleep after each, after connected', async () => {
    const lines: string[] = [];
    const e = await start(
      {
        commands: {
          a: (c, args) => c.send_for_reply(`a${String(args['n'])}\r\n`, line()),
          skipped: (c) => c.send_for_reply('skipped\r\n', line()),
          b: (c) => c.send_for_reply('b\r\n', line()),
        },
        module: { connected: (c) => c.send_for_reply('login\r\n', line()) },
        actions: {
          a: { rounds: [2, 2], args: { n: 7 }, between: [0.001, 0.002] },
          skipped: { rounds: [0, 0] },
          b: { rounds: [1, 1] },
        },
      },
      { reply: (text) => (lines.push(text), { text: 'OK' }) },
    );
    e.apply(1);
    await e.until((b) => b.actions[2]!.ok >= 3);
    expect(lines.slice(0, 7)).toEqual(['login', 'a7', 'a7', 'b', 'a7', 'a7', 'b']);
    expect(e.books().actions[1]!.started).toBe(0);
  });

  it('sleeps at least as drawn, on the grid of the wheel; response counts from the planned instant', async () => {
    const starts: number[] = [];
    const e = await start({
      commands: { go: (c) => (starts.push(performance.now()), c.send_for_reply('x\r\n', line())) },
      actions: { go: { between: [0.02, 0.02], after: [0.03, 0.03] } },
    });
    e.apply(1);
    await e.until((b) => b.actions[0]!.ok >= 5);
    for (let i = 1; i < 5; i++) expect(starts[i]! - starts[i - 1]!).toBeGreaterThanOrEqual(50 - 2.1); // half a tick of rounding
    const { service, response } = e.books().actions[0]!;
    expect(response.sum).toBeGreaterThanOrEqual(service.sum);
  });

  it('begins no round before what the module has hung on the reply of the last one has run', async () => {
    let early = 0;
    const go: NonNullable<OneProcessOptions['commands']>[string] = (c) => {
      if (c.memory['waits'] === true) early++;
      c.memory['waits'] = true;
      const reply = c.send_for_reply('x\r\n', line());
      const settled = (): void => void (c.memory['waits'] = false);
      reply.then(settled, settled); // some are late on a busy machine, or taken away at the end
      return reply;
    };
    const e = await start({ commands: { go }, actions: { go: {} } });
    e.apply(200); // so many that dozens are answered within one turn of the event loop
    await e.until((b) => b.actions[0]!.ok >= 20_000);
    expect(early).toBe(0);
  });

  it('once: one iteration without sleeps, then done', async () => {
    const e = await start({
      commands: talk,
      actions: { go: { rounds: [3, 3], after: [1000, 1000] } },
      run: { once: true },
    });
    e.apply(1);
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(3);
    expect(books.connections.closed.script).toBe(1);
  });
});

describe('iterations', () => {
  it('end a client, and nobody takes its place until there shall be fewer', async () => {
    const e = await start({ commands: talk, actions: { go: { rounds: [2, 2] } }, loops: all_of(talk, 3) });
    e.apply(5);
    const books = await e.until((b) => b.clients.done === 5);
    expect(books.clients).toMatchObject({ created: 5, finished: 5, killed: { decr: 0, stop: 0 } });
    expect(books.actions[0]!).toMatchObject({ started: 30, ok: 30 });
    expect(books.connections).toMatchObject({ established: 5, closed: { script: 5 } });
    e.apply(5);
    expect(e.books().clients).toMatchObject({ created: 5, finished: 5 });
    e.apply(8);
    await e.until((b) => b.clients.done === 8 && b.clients.finished === 8);
    e.apply(2);
    expect(e.books().clients).toMatchObject({ created: 8, finished: 2 });
    e.apply(4); // two of those who went are there again, and play all of it
    const again = await e.until((b) => b.clients.done === 10);
    expect(again.clients).toMatchObject({ created: 10, finished: 4 });
    expect(again.actions[0]!.ok).toBe(60);
  });

  it.each([false, true])('decr takes those that are done before any other (graceful: %s)', async (graceful) => {
    const e = await start(
      { commands: { go: (c) => c.send_for_reply(`${c.id}\r\n`, line()) }, loops: all_of(talk, 1) },
      { reply: (text) => (Number(text) <= 2 ? 'silent' : { text }) },
    );
    e.apply(6);
    await e.until((b) => b.clients.finished === 4);
    e.apply(3, 'run', { graceful });
    expect(e.books().clients).toMatchObject({ finished: 1, draining: 0, killed: { decr: 0 } });
    e.apply(1, 'run', { graceful });
    expect(e.books().clients.finished).toBe(0);
    expect(live(e) - e.books().clients.draining).toBe(1);
  });

  it('count on over connections that are lost, and over `retry fatal`', async () => {
    let calls = 0;
    const e = await start(
      {
        commands: {
          go: (c) => {
            if (++calls === 7) throw new TypeError('oops');
            return c.send_for_reply('x\r\n', line());
          },
        },
        loops: all_of(talk, 5),
      },
      { reply: () => (calls % 3 === 2 ? 'close' : { text: 'OK' }) },
    );
    e.apply(1);
    await e.until((b) => b.clients.states.fatal === 1);
    e.population.retry_fatal();
    const books = await e.until((b) => b.clients.done === 1);
    // the server closes instead of answering calls 2, 5 and 8, the seventh throws
    expect(books.actions[0]!).toMatchObject({ ok: 5, failed: { server_closed: 3, fatal: 1 } });
  });

  const worn_out = {
    connection_limits: { up_bytes_per_s: null, down_bytes_per_s: null, lifetime_ms: [30, 30] as const, idle_ms: null },
  };
  it.each([
    ['the script closes', { quit: (c) => c.close() }, {}],
    ['the server closes', { quit: async (c) => void (await c.send_for_reply('quit\r\n', until_close())) }, {}],
    ['is worn out', { quit: () => pause(60) }, worn_out],
  ] satisfies [string, OneProcessOptions['commands'], OneProcessOptions['run']][])(
    'are over with a connection that ends with their last round: %s',
    async (_, { quit }, run) => {
      const commands = { ...talk, quit, none: talk['go']! };
      // the last action has no rounds, so none of the iteration is left
      const actions = { quit: { rounds: [1, 1] }, none: { rounds: [0, 0] } } as const;
      for (const shared of [false, true]) {
        const options: Omit<OneProcessOptions, 'port'> = shared
          ? { iterations_in_all: 10, among: 5, commands, actions, run }
          : { loops: all_of(commands, 2), commands, actions, run };
        const e = await start(options, { reply: (text) => (text === 'quit' ? 'close' : { text }) });
        e.apply(5);
        const books = await e.until((b) => b.clients.done === 5);
        expect(books.clients).toMatchObject({ created: 5, finished: 5 });
        expect(books.actions[1]!).toMatchObject({ started: 10, ok: 10 });
        expect(books.actions[2]!.started).toBe(0);
        if (run !== worn_out) expect(books.connections.established).toBe(10);
        if (!shared) await e.close();
        if (!shared) await ledger!.close();
      }
    },
  );

  it('of which rounds are left begin anew on the next connection, also if the script closed this one', async () => {
    let calls = 0;
    const e = await start({
      commands: { go: (c) => (++calls % 3 === 1 ? c.close() : c.send_for_reply('x\r\n', line())), end: () => {} },
      actions: { go: { rounds: [2, 2] } },
      loops: { main: { commands: ['go', 'end'], iterations: 4 } },
    });
    e.apply(1);
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions.map(({ ok }) => ok)).toEqual([12, 4, 0]);
    expect(books.connections.established).toBe(5);
  });

  it('are divided among the clients that share them: one that has none never connects', async () => {
    const e = await start({ commands: talk, iterations_in_all: 7, among: 3 });
    e.apply(5);
    const books = await e.until((b) => b.clients.done === 5);
    expect(books.clients).toMatchObject({ created: 5, finished: 5 });
    expect(books.clients.entered).toMatchObject({ initial: 5, done: 5 });
    expect(books.connections.attempted).toBe(3);
    expect(books.actions[0]!.ok).toBe(7);
  });

  it('are no more than that when places are taken and given again', async () => {
    const e = await start({ commands: talk, iterations_in_all: 1000, among: 10 });
    e.apply(10);
    await e.until((b) => b.clients.done === 10);
    e.apply(0);
    e.apply(10);
    const books = await e.until((b) => b.clients.done === 20);
    expect(books.clients).toMatchObject({ created: 20, finished: 10 });
    expect(books.connections.attempted).toBe(10);
    expect(books.actions[0]!.ok).toBe(1000);
  });

  it('are exactly as many in the end, whatever places were taken and given again', async () => {
    const step = fc.record({ clients: fc.nat(12), graceful: fc.boolean(), ms: fc.nat(15), waits: fc.boolean() });
    const drawn = fc.record({
      all: fc.integer({ min: 1, max: 400 }),
      among: fc.integer({ min: 1, max: 10 }),
      steps: fc.array(step, { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(drawn, async ({ all, among, steps }) => {
        const e = await start({ commands: talk, iterations_in_all: all, among });
        for (const { clients, graceful, ms, waits } of steps) {
          e.apply(clients, 'run', { graceful });
          if (waits) await e.until((b) => b.clients.finished === clients);
          else await pause(ms);
        }
        e.apply(0, 'run', { graceful: true });
        await e.until((b) => b.clients.draining === 0);
        e.apply(12);
        const books = await e.until((b) => b.clients.finished === 12);
        // an iteration is one round
        expect(books.actions[0]!.ok).toBe(all);
        await e.close();
        await ledger!.close();
      }),
      { numRuns: 20 },
    );
  });

  it('are divided over segments as over one swarm', async () => {
    const played: number[] = [];
    for (const text of ['1/3', '2/3', '3/3']) {
      // more than there are clients to share them, in each
      const e = await start({
        commands: talk,
        iterations_in_all: 25,
        among: 10,
        run: { segment: parse_segment(text)! },
      });
      e.apply(6);
      const books = await e.until((b) => b.clients.done === 6);
      played.push(books.actions[0]!.ok);
      await e.close();
      await ledger!.close();
    }
    expect(played.reduce((all, one) => all + one, 0)).toBe(25);
    expect(Math.min(...played)).toBeGreaterThan(4);
  });

  it('of all clients are one for `swarm try`', async () => {
    const e = await start({ commands: talk, iterations_in_all: 25, among: 10, run: { once: true } });
    e.apply(1);
    const books = await e.until((b) => b.clients.done === 1);
    expect(books.actions[0]!.ok).toBe(1);
  });

  it('wait in between, not after the last one', async () => {
    const starts: number[] = [];
    const e = await start({
      commands: { go: (c) => (starts.push(performance.now()), c.send_for_reply('x\r\n', line())) },
      actions: { go: { after: [0.02, 0.02] } },
      loops: { main: { commands: ['go'], iterations: 3, between: [0.03, 0.03] } },
    });
    e.apply(1);
    await e.until((b) => b.clients.done === 1);
    // half a tick of rounding
    for (const i of [1, 2]) expect(starts[i]! - starts[i - 1]!).toBeGreaterThanOrEqual(50 - 2.1);
    await e.close();
    engine = await start_one_process({
      port: ledger!.port,
      commands: talk,
      loops: { main: { commands: ['go'], iterations: 1, between: [100_000, 100_000] } },
    });
    engine.apply(1);
    await engine.until((b) => b.clients.done === 1);
  });

  it('a client that sleeps between two of them leaves at once when it is drained', async () => {
    const e = await start({
      commands: talk,
      loops: { main: { commands: ['go'], iterations: 2, between: [100_000, 100_000] } },
    });
    e.apply(3);
    await e.until((b) => b.clients.states.standby === 3);
    e.apply(0, 'run', { graceful: true });
    expect(e.books().clients).toMatchObject({ done: 3, finished: 0 });
  });

  it('that are over count as such until the run ends', async () => {
    const e = await start({ commands: talk, loops: all_of(talk, 1) });
    e.apply(3);
    await e.until((b) => b.clients.finished === 3);
    e.apply(3, 'stop');
    expect(e.books().clients.finished).toBe(0);
  });
});
