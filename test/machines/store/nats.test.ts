import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EngineState } from '../../../src/machines/store/jetstream.ts';
import { open_nats_store, type NatsOptions } from '../../../src/machines/store/nats.ts';
import { MAX_VALUE_BYTES, type Entry, type Store, type Written } from '../../../src/machines/store/store.ts';
import { free_port, HAS_NATS, NatsServer } from '../nats-server.ts';
import { store_contract } from './store-contract.ts';

describe.skipIf(!HAS_NATS)('NatsStore (needs nats-server)', () => {
  const server = new NatsServer();
  const opened: Store[] = [];
  let names = 0;
  let name = '';

  beforeAll(() => server.start());
  afterAll(() => server.remove());
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  /** Of a swarm that nobody had before, unless `more` says which. */
  async function open(more: Partial<NatsOptions> = {}): Promise<Store> {
    name = more.name ?? `test-${++names}`;
    const store = await open_nats_store({ engine: server.url, name, credentials: null, creates: true, ...more });
    opened.push(store);
    return store;
  }

  const revision_of = (written: Written): number => (written.outcome === 'done' ? written.revision : -1);

  it('writes a key that does not exist, and reads it', async () => {
    const store = await open();
    expect(await store.get('plan')).toBeNull();
    const written = await store.put('plan', 'é1', 0);
    expect(written).toEqual({ outcome: 'done', revision: expect.any(Number) as number });
    expect(await store.get('plan')).toEqual({ key: 'plan', text: 'é1', revision: revision_of(written) });
  });

  it('writes only upon the revision that is there', async () => {
    const store = await open();
    const first = revision_of(await store.put('lease', 'a', 0));
    expect(await store.put('lease', 'b', 0)).toEqual({ outcome: 'refused' });
    expect(await store.put('lease', 'b', first + 1)).toEqual({ outcome: 'refused' });
    await store.put('plan', 'other', 0);
    const second = await store.put('lease', 'b', first);
    expect(revision_of(second)).toBeGreaterThan(first);
    expect(await store.put('lease', 'c', first)).toEqual({ outcome: 'refused' });
    expect(await store.get('lease')).toMatchObject({ text: 'b' });
    expect(await store.put('unheard', 'x', 5)).toEqual({ outcome: 'refused' });
  });

  it('is made once by many that open it at the same instant', async () => {
    for (let round = 0; round < 5; round++) {
      const together = `together-${round}`;
      const stores = await Promise.all(Array.from({ length: 8 }, () => open({ name: together })));
      const all = await Promise.all(stores.map((store, i) => store.put(`members.a${i}`, 'x', 0)));
      expect(all.map(({ outcome }) => outcome)).toEqual(all.map(() => 'done'));
      expect(await stores[0]!.append('r', 'a', 'one', 'text')).toBe(true);
    }
  });

  it('knows what an engine did not take because it is full', async () => {
    const full = new NatsServer();
    try {
      full.port = await free_port();
      const config = join(full.dir, 'full.conf');
      writeFileSync(
        config,
        `listen: "127.0.0.1:${full.port}"\njetstream { store_dir: "${full.dir}/store", max_file_store: 3000000 }\n`,
      );
      await full.start_with(config);
      const store = await open({ engine: full.url });
      const half = 'x'.repeat(MAX_VALUE_BYTES);
      const outcomes: Written[] = [];
      for (let i = 0; i < 12; i++) outcomes.push(await store.put(`bundle.${i}`, half, 0));
      expect(outcomes[0]).toMatchObject({ outcome: 'done' });
      expect(outcomes.at(-1)).toEqual({ outcome: 'unknown', reason: expect.stringContaining('resources') as string });
      // without room for the stream of series there is none
      expect(await store.append('r', 'a', 'one', 'text')).toBe(false);
      expect(await store.appended('r')).toEqual([]);
    } finally {
      await full.remove();
    }
  });

  it('lets one of many writers win', async () => {
    const one = await open();
    const two = await open({ name });
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? one : two).put('lease', `${i}`, 0)));
    expect(all.filter(({ outcome }) => outcome === 'done')).toHaveLength(1);
    expect(all.filter(({ outcome }) => outcome === 'refused')).toHaveLength(39);
  });

  it('forgets a key and creates it again', async () => {
    const store = await open();
    for (let i = 0; i < 3; i++) {
      const written = await store.put('members.a', `life ${i}`, 0);
      expect(written.outcome).toBe('done');
      expect(await store.put('members.a', 'x', 0)).toEqual({ outcome: 'refused' });
      await store.remove('members.a');
      expect(await store.get('members.a')).toBeNull();
      expect(await store.list('members.')).toEqual([]);
      expect(await store.put('members.a', 'late', revision_of(written))).toEqual({ outcome: 'refused' });
    }
    await store.remove('never.was');
    expect(await store.get('never.was')).toBeNull();
    expect(await store.put('never.was', 'now', 0)).toMatchObject({ outcome: 'done' });
  });

  it('lists the newest of all keys that begin so', async () => {
    const store = await open();
    expect(await store.list('')).toEqual([]);
    for (let i = 0; i < 150; i++) await store.put(`results.agent-${i}.x`, `r${i}`, 0);
    const one = revision_of(await store.put('members.agent-1', 'old', 0));
    await store.put('members.agent-1', 'new', one);
    await store.put('members.agent-12', 'm', 0);
    await store.put('members.b', 'm', 0);
    const keys = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key).sort();
    expect(await keys('members.')).toEqual(['members.agent-1', 'members.agent-12', 'members.b']);
    expect(await keys('members.agent-1')).toEqual(['members.agent-1', 'members.agent-12']);
    expect(await keys('mem')).toEqual(['members.agent-1', 'members.agent-12', 'members.b']);
    expect(await keys('results.')).toHaveLength(150);
    expect(await keys('')).toHaveLength(153);
    expect(await keys('bundle.')).toEqual([]);
    expect((await store.list('members.agent-1')).find(({ key }) => key === 'members.agent-1')?.text).toBe('new');
  });

  it('takes values up to its bound and throws beyond it', async () => {
    const store = await open();
    const most = 'x'.repeat(MAX_VALUE_BYTES);
    expect(await store.put('bundle.a.0', most, 0)).toMatchObject({ outcome: 'done' });
    expect((await store.get('bundle.a.0'))?.text).toBe(most);
    expect(() => store.put('bundle.a.1', `${most}x`, 0)).toThrow(RangeError);
    expect(() => store.put('bundle.a.1', 'é'.repeat(MAX_VALUE_BYTES / 2 + 1), 0)).toThrow(RangeError);
  });

  it.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'members.*', '>', 'a\r\nPUB x 0'])('refuses the key %j', async (key) => {
    const store = await open();
    await expect(store.get(key)).rejects.toThrow(RangeError);
    expect(() => store.put(key, '', 0)).toThrow(RangeError);
  });

  it('keeps two swarms apart', async () => {
    const one = await open();
    const two = await open();
    const heard: Entry[] = [];
    const nudges = vi.fn();
    two.watch('', (entry) => heard.push(entry));
    two.on_nudge('a', nudges);
    await two.put('lease', 'two', 0);
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    await one.put('plan', 'one', 0);
    one.nudge('a');
    one.nudge(null);
    two.nudge('a');
    await vi.waitFor(() => expect(nudges).toHaveBeenCalledTimes(1));
    expect(await two.get('plan')).toBeNull();
    expect((await two.list('')).map(({ text }) => text)).toEqual(['two']);
    expect(heard).toHaveLength(1);
  });

  it('nudges one or all, until that is ended', async () => {
    const store = await open();
    const [a, b] = [vi.fn(), vi.fn()];
    const end = store.on_nudge('a', a);
    store.on_nudge('b', b);
    store.nudge('a');
    store.nudge(null);
    await vi.waitFor(() => expect([a.mock.calls.length, b.mock.calls.length]).toEqual([2, 1]));
    end();
    store.nudge('a');
    store.nudge(null);
    await vi.waitFor(() => expect(b).toHaveBeenCalledTimes(2));
    expect(a).toHaveBeenCalledTimes(2);
  });

  it('tells what is written below a prefix, with its revision, until that is ended', async () => {
    const store = await open();
    const heard: Entry[] = [];
    const end = store.watch('members.', (entry) => heard.push(entry));
    const first = revision_of(await store.put('members.a', '1', 0));
    await store.put('plan', 'other', 0);
    await store.put('members.a', 'refused', 0);
    const second = revision_of(await store.put('members.a', '2', first));
    await store.remove('members.a');
    const third = revision_of(await store.put('members.b', '3', 0));
    await vi.waitFor(() => expect(heard).toHaveLength(3));
    expect(heard).toEqual([
      { key: 'members.a', text: '1', revision: first },
      { key: 'members.a', text: '2', revision: second },
      { key: 'members.b', text: '3', revision: third },
    ]);
    end();
    await store.put('members.c', '4', 0);
    await sleep(100);
    expect(heard).toHaveLength(3);
  });

  it('does not know what became of a write that nobody answered', async () => {
    const store = await open();
    const revision = revision_of(await store.put('desired', 'before', 0));
    await server.freeze();
    let written: Written;
    try {
      const reads = expect(store.get('desired')).rejects.toThrow('timeout');
      written = await store.put('desired', 'after', revision);
      await reads;
    } finally {
      server.signal('SIGCONT');
    }
    expect(written).toEqual({ outcome: 'unknown', reason: 'timeout' });
    // the bytes were on their way: it is applied once, and the same write again is refused
    await vi.waitFor(async () => expect(await store.get('desired')).toMatchObject({ text: 'after' }));
    expect(await store.put('desired', 'after', revision)).toEqual({ outcome: 'refused' });
  });

  it('goes on after a restart of the engine: what was stored, the watches and the nudges', async () => {
    const states: [EngineState, number][] = [];
    const store = await open({ on_state: (...state) => states.push(state) });
    expect(states).toEqual([['connected', expect.closeTo(Date.now(), -5)]]);
    const heard: Entry[] = [];
    const nudges = vi.fn();
    store.watch('members.', (entry) => heard.push(entry));
    store.on_nudge('a', nudges);
    const revision = revision_of(await store.put('members.a', '1', 0));
    await vi.waitFor(() => expect(heard).toHaveLength(1));

    await server.kill();
    await vi.waitFor(() => expect(states.at(-1)?.[0]).toBe('away'));
    let has_turned = false; // it answers without waiting for anything
    setImmediate(() => (has_turned = true));
    expect(await store.put('members.a', 'never sent', revision)).toEqual({
      outcome: 'unknown',
      reason: 'the engine is away',
    });
    await expect(store.get('members.a')).rejects.toThrow('the engine is away');
    await expect(store.list('members.')).rejects.toThrow('the engine is away');
    await store.remove('members.a');
    store.nudge('a');
    expect(has_turned).toBe(false);

    await server.start();
    await vi.waitFor(() => expect(states.at(-1)?.[0]).toBe('connected'));
    expect(states.map(([state]) => state)).toEqual(['connected', 'away', 'connected']);
    expect(await store.get('members.a')).toEqual({ key: 'members.a', text: '1', revision });
    expect(await store.put('members.a', '2', revision)).toMatchObject({ outcome: 'done' });
    store.nudge('a');
    await vi.waitFor(() => expect(heard.map(({ text }) => text)).toEqual(['1', '2']));
    await vi.waitFor(() => expect(nudges).toHaveBeenCalledTimes(1));
  });

  it('starts anew at an engine that lost its memory, if it may', async () => {
    const states: EngineState[] = [];
    const leader = await open({ on_state: (state) => states.push(state) });
    const agent_states: EngineState[] = [];
    const agent = await open({ name, creates: false, on_state: (state) => agent_states.push(state) });
    const heard: Entry[] = [];
    leader.watch('', (entry) => heard.push(entry));
    await leader.put('plan', 'x', 0);
    const revision = revision_of(await agent.put('members.a', 'x', 0));
    await server.kill();
    server.wipe();
    await vi.waitFor(() => expect(states).toContain('away'));
    await server.start();
    await vi.waitFor(() => expect([states.at(-1), agent_states.at(-1)]).toEqual(['connected', 'connected']));

    expect(await agent.get('plan')).toBeNull();
    expect(await agent.put('members.a', 'y', revision)).toMatchObject({ outcome: 'unknown' });
    expect(await agent.put('members.a', 'y', 0)).toMatchObject({ outcome: 'unknown' });
    // who may makes it as soon as it looks: until then no agent is answered
    expect(await leader.get('plan')).toBeNull();
    expect(await agent.put('members.b', 'y', 0)).toMatchObject({ outcome: 'done' });
    expect((await leader.list('')).map(({ key }) => key)).toEqual(['members.b']);
    expect(await leader.put('plan', 'y', 77)).toEqual({ outcome: 'refused' });
    expect(await leader.put('plan', 'y', 0)).toMatchObject({ outcome: 'done' });
    expect(await agent.put('members.a', 'y', revision)).toEqual({ outcome: 'refused' });
    expect(await agent.put('members.a', 'y', 0)).toMatchObject({ outcome: 'done' });
    expect((await leader.list('')).map(({ key }) => key).sort()).toEqual(['members.a', 'members.b', 'plan']);
    await vi.waitFor(() => expect(heard.map(({ text }) => text)).toEqual(['x', 'x', 'y', 'y', 'y']));
  });

  it('does not know what became of a write that was under way when it was closed', async () => {
    const store = await open();
    const written = store.put('plan', 'x', 0);
    await store.close();
    expect((await written).outcome).toMatch(/^(done|unknown)$/);
    expect(await store.put('plan', 'x', 0)).toMatchObject({ outcome: 'unknown' });
  });

  store_contract(async () => {
    const name = `test-${++names}`;
    const open = (): Promise<Store> => open_nats_store({ engine: server.url, name, credentials: null, creates: true });
    return { open, end: async () => undefined };
  });

  it('says that no engine answers', async () => {
    const engine = `nats://127.0.0.1:${await free_port()}`;
    await expect(open({ engine })).rejects.toMatchObject({
      code: 'engine_unreachable',
      exit: 1,
      message: expect.stringContaining(`no engine answers at ${engine}: connection refused`) as string,
    });
  });

  it('gives one that is slow to answer longer at each try', async () => {
    const accepted: Socket[] = [];
    const front = createServer((socket) => {
      socket.on('error', () => {});
      accepted.push(socket);
      const behind = connect(Number(new URL(server.url).port), '127.0.0.1', () => {
        socket.pipe(behind);
        setTimeout(() => behind.pipe(socket), 3000);
      });
      socket.on('close', () => behind.destroy());
      behind.on('error', () => socket.destroy());
    }).listen(0, '127.0.0.1');
    try {
      await once(front, 'listening');
      const store = await open({ engine: `nats://127.0.0.1:${(front.address() as AddressInfo).port}` });
      expect(accepted.length).toBeGreaterThan(1);
      await store.close();
    } finally {
      for (const socket of accepted) socket.destroy();
      front.close();
    }
  });

  it('says that an engine refuses', async () => {
    const other = new NatsServer();
    try {
      await other.start('authorization { token: secret }');
      await expect(open({ engine: other.url })).rejects.toMatchObject({ code: 'engine_refused' });
    } finally {
      await other.remove();
    }
  });
});
