import { mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, headers, nkeyAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MAX_STORE_BYTES } from '../../src/engine/configuration.ts';
import { prepare_engine, room_in } from '../../src/engine/folder.ts';
import { read_credentials, type Credentials } from '../../src/machines/store/credentials.ts';
import { make_seed } from '../../src/machines/store/jetstream.ts';
import { open_nats_store } from '../../src/machines/store/nats.ts';
import type { Entry, Store } from '../../src/machines/store/store.ts';
import { free_port, HAS_NATS, NatsServer } from '../machines/nats-server.ts';
import { store_contract } from '../machines/store/store-contract.ts';

/** An engine with two agents. */
async function start_engine(
  server: NatsServer,
  certified: readonly string[] | null,
): Promise<(user: string) => Credentials> {
  server.port = await free_port();
  process.umask(0o077);
  const dir = join(server.dir, 'engine');
  const listen = `127.0.0.1:${server.port}`;
  mkdirSync(dir);
  const { config } = prepare_engine({ dir, listen, url: server.url, certified, agents: 2 });
  await server.start_with(config);
  return (user) => read_credentials(join(dir, `${user}.json`));
}

describe.skipIf(!HAS_NATS)('the permissions of an engine (needs nats-server)', () => {
  const server = new NatsServer();
  let credentials: (user: string) => Credentials;
  let leader: Store;
  let agent: Store;
  let viewer: Store;
  let raw: NatsConnection;

  const open = (user: string, name = 'x'): Promise<Store> => {
    const mine = credentials(user);
    return open_nats_store({ engine: mine.engine, name, credentials: mine, creates: mine.role === 'leader' });
  };
  /** The connection itself, for what the store would not do. */
  async function dial(user: string): Promise<NatsConnection> {
    const { seed, engine } = credentials(user);
    const authenticator = nkeyAuthenticator(new TextEncoder().encode(seed));
    return await connect({
      servers: engine,
      authenticator,
      inboxPrefix: `_INBOX_${user}`,
      noAsyncTraces: true,
      timeout: 8000,
    });
  }

  beforeAll(async () => {
    credentials = await start_engine(server, null);
    leader = await open('leader');
    agent = await open('agent-01');
    viewer = await open('viewer');
    raw = await dial('agent-01');
    for (const key of [
      'plan',
      'lease',
      'desired',
      'bundle.abc.0',
      'members.agent-02',
      'results.agent-02.i',
      'latencies.agent-02.i.0',
    ])
      await leader.put(key, `the ${key}`, 0);
  });
  afterAll(async () => {
    await Promise.all([leader, agent, viewer, raw].map((connection) => connection?.close()));
    await server.remove();
  });

  let swarms = 0;
  store_contract(async () => {
    const name = `contract-${++swarms}`;
    return { open: () => open('leader', name), end: async () => undefined };
  });

  it('let an agent read what is for all, and write and read its own', async () => {
    for (const key of ['plan', 'lease', 'desired', 'bundle.abc.0'])
      expect(await agent.get(key)).toMatchObject({ text: `the ${key}` });
    expect(await agent.get('bundle.abc.1')).toBeNull();
    for (const key of ['members.agent-01', 'results.agent-01.i', 'latencies.agent-01.i.0']) {
      expect(await agent.get(key)).toBeNull();
      const written = await agent.put(key, 'mine', 0);
      expect(written).toMatchObject({ outcome: 'done' });
      expect(await agent.put(key, 'again', 0)).toEqual({ outcome: 'refused' });
      expect(await agent.get(key)).toMatchObject({ text: 'mine' });
      await agent.remove(key);
      expect(await agent.get(key)).toBeNull();
      expect(await agent.put(key, 'anew', 0)).toMatchObject({ outcome: 'done' });
    }
  });

  it('let an agent hear its nudges and those for all', async () => {
    const heard: string[] = [];
    agent.on_nudge('agent-01', (text) => heard.push(text));
    await vi.waitFor(() => (leader.nudge('agent-01', 'own'), expect(heard).toContain('own')));
    leader.nudge('agent-02', 'not its own');
    leader.nudge(null, 'of all');
    // in the order in which they were sent
    await vi.waitFor(() => expect(heard).toContain('of all'));
    expect(new Set(heard)).toEqual(new Set(['own', 'of all']));
  });

  it.each([
    'plan',
    'lease',
    'desired',
    'bundle.abc.0',
    'bundle.new.0',
    'members.agent-02',
    'results.agent-02.i',
    'latencies.agent-02.i.0',
    'summary.r.0',
  ])('keep an agent from writing %s', async (key) => {
    const before = await leader.get(key);
    expect(await agent.put(key, 'mine', before?.revision ?? 0)).toEqual({
      outcome: 'unknown',
      reason: expect.stringContaining('Permissions Violation for Publish') as string,
    });
    await agent.remove(key);
    expect(await leader.get(key)).toEqual(before);
  });

  it.each(['members.agent-02', 'results.agent-02.i', 'latencies.agent-02.i.0', 'summary.r.0'])(
    'keep an agent from reading %s',
    async (key) => {
      await expect(agent.get(key)).rejects.toThrow('Permissions Violation for Publish');
    },
  );

  it.each([
    '>',
    '$KV.>',
    '$JS.>',
    'swarm.>',
    'swarm.x.kv.>',
    'swarm.x.ctl.agent-02',
    '_INBOX.>',
    '_INBOX_leader.>',
    '_INBOX_agent-02.>',
    '*.*',
  ])('keep an agent from listening at %s', async (subject) => {
    const error = await new Promise((resolve) => raw.subscribe(subject, { callback: resolve }));
    expect(String(error)).toContain(`Permissions Violation for Subscription to "${subject}"`);
  });

  it.each([
    '$JS.API.CONSUMER.CREATE.KV_swarm_x',
    '$JS.API.CONSUMER.DURABLE.CREATE.KV_swarm_x.d',
    '$JS.API.STREAM.CREATE.KV_swarm_x',
    '$JS.API.STREAM.UPDATE.KV_swarm_x',
    '$JS.API.STREAM.DELETE.KV_swarm_x',
    '$JS.API.STREAM.PURGE.KV_swarm_x',
    '$JS.API.STREAM.MSG.GET.KV_swarm_x',
    '$JS.API.STREAM.MSG.DELETE.KV_swarm_x',
    '$JS.API.STREAM.NAMES',
    '$JS.API.DIRECT.GET.KV_swarm_x',
    '$SYS.REQ.SERVER.PING',
    '$JS.API.DIRECT.GET.SERIES_swarm_x',
    'swarm.x.ctl.all',
    'swarm.x.kv.plan',
    'swarm.x.series.r.agent-02',
  ])('keep an agent from asking %s', async (subject) => {
    await expect(raw.request(subject, '{}')).rejects.toThrow(`Permissions Violation for Publish to "${subject}"`);
  });

  it('keep the engine from writing for an agent where that may not: into the key that it names as the place for an answer', async () => {
    const before = await leader.get('plan');
    await agent.put('members.agent-01', 'a plan of mine', (await agent.get('members.agent-01'))?.revision ?? 0);
    for (const reply of [
      '$KV.swarm_x.plan',
      '$JS.API.STREAM.DELETE.KV_swarm_x',
      'swarm.x.kv.plan',
      '_INBOX_leader.a.b',
    ]) {
      raw.publish('$JS.API.DIRECT.GET.KV_swarm_x.$KV.swarm_x.members.agent-01', '', { reply });
      raw.publish('$KV.swarm_x.members.agent-01', 'a plan of mine', { reply });
      raw.publish('swarm_info.KV_swarm_x', '', { reply });
      raw.publish('swarm.x.series.r.agent-01', 'a plan of mine', { reply });
    }
    await raw.flush();
    await sleep(300);
    expect(await leader.get('plan')).toEqual(before);
  });

  it('keep an agent from sweeping the bucket with a header', async () => {
    const before = await leader.list('');
    const marks = headers();
    marks.set('Nats-Rollup', 'all');
    const answer = await raw.request('$KV.swarm_x.members.agent-01', '', { headers: marks, timeout: 2000 });
    expect(answer.json()).toMatchObject({ error: { description: expect.stringContaining('rollup') as string } });
    expect(await leader.list('')).toHaveLength(before.length);
  });

  it('let an agent append to its own series only, which leader and viewer read', async () => {
    expect(await agent.append('r1', 'agent-01', 'one', 'mine')).toBe(true);
    expect(await agent.append('r1', 'agent-02', 'two', 'not mine')).toBe(false);
    for (const reader of [leader, viewer])
      expect(await reader.appended('r1')).toEqual([{ agent: 'agent-01', text: 'mine' }]);
    await expect(agent.appended('r1')).rejects.toThrow('Permissions Violation for Publish');
    expect(await viewer.append('r1', 'agent-01', 'three', 'not mine')).toBe(false);
  });

  it('let nobody be read for ever who publishes numbers of his own', async () => {
    const marks = headers();
    marks.set('Nats-Sequence', '0');
    await raw.request('swarm.x.series.r9.agent-01', 'mine', { headers: marks, timeout: 2000 });
    await raw.request('swarm.x.series.r9.agent-01', 'mine too', { headers: marks, timeout: 2000 });
    expect((await leader.appended('r9')).map(({ text }) => text)).toEqual(['mine', 'mine too']);
  });

  it('let a viewer read, list and hear everything, and write nothing', async () => {
    const heard: Entry[] = [];
    viewer.watch('', (entry) => heard.push(entry));
    expect(await viewer.get('members.agent-02')).toMatchObject({ text: 'the members.agent-02' });
    expect((await viewer.list('')).length).toBe((await leader.list('')).length);
    const before = await leader.get('plan');
    expect(await viewer.put('plan', 'mine', before!.revision)).toMatchObject({
      outcome: 'unknown',
      reason: expect.stringContaining('Permissions Violation') as string,
    });
    const connection = await dial('viewer');
    connection.publish('$JS.API.DIRECT.GET.KV_swarm_x.$KV.swarm_x.lease', '', { reply: '$KV.swarm_x.plan' });
    await connection.flush();
    for (const api of ['STREAM.DELETE', 'STREAM.PURGE', 'CONSUMER.CREATE'])
      await expect(connection.request(`$JS.API.${api}.KV_swarm_x`)).rejects.toThrow('Permissions Violation');
    await connection.close();
    await sleep(100);
    expect(await leader.get('plan')).toEqual(before);
    await leader.put('plan', 'next', before!.revision);
    await vi.waitFor(() => expect(heard.map(({ text }) => text)).toContain('next'));
  });

  it('say null to an agent and a viewer where nobody made a bucket', async () => {
    for (const user of ['agent-01', 'viewer']) {
      const early = await open(user, 'nobodys');
      expect(await early.get('plan')).toBeNull();
      expect(await early.put('members.agent-01', 'x', 0)).toMatchObject({ outcome: 'unknown' });
      await early.close();
    }
  });

  it('let nobody in any more of whom enough are there, but everybody else', async () => {
    const most = { 'agent-02': 8, viewer: 64 };
    const open: NatsConnection[] = [];
    try {
      for (const [user, count] of Object.entries(most)) {
        const tried = await Promise.allSettled(Array.from({ length: count + 20 }, () => dial(user)));
        const let_in = tried.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        open.push(...let_in);
        // a busy machine may let in fewer in time
        expect(let_in.length).toBeGreaterThan(0);
        expect(let_in.length).toBeLessThanOrEqual(count);
      }
      for (const user of ['leader', 'agent-01']) await (await dial(user)).close();
      expect(await leader.get('plan')).not.toBeNull();
    } finally {
      await Promise.all(open.map((connection) => connection.close()));
    }
  }, 120_000);

  it('leave room on the disk', () => {
    const dir = join(server.dir, 'engine');
    const { bavail, bsize } = statfsSync(dir);
    const room = room_in(dir);
    expect(room).toBeGreaterThan(0);
    expect(room).toBeLessThan(bavail * bsize + 2 ** 30);
    const [, bytes] = /max_file_store: (\d+)/.exec(readFileSync(join(dir, 'nats.conf'), 'utf8'))!;
    expect(Number(bytes)).toBeLessThanOrEqual(MAX_STORE_BYTES);
    expect(Number(bytes)).toBeLessThanOrEqual(bavail * bsize + 2 ** 30);
  });

  it('keep others out', async () => {
    const mine = credentials('agent-01');
    for (const wrong of [null, { ...mine, seed: make_seed() }])
      await expect(open_nats_store({ engine: mine.engine, name: 'x', credentials: wrong })).rejects.toMatchObject({
        code: 'engine_refused',
        exit: 2,
      });
  });
});

describe.skipIf(!HAS_NATS)('an engine with TLS (needs nats-server)', () => {
  it('lets in who has a certificate of its issuer, and takes no other engine for it', async () => {
    const server = new NatsServer();
    const other = new NatsServer();
    try {
      const [mine, theirs] = [
        await start_engine(server, ['127.0.0.1', 'localhost']),
        // by address alone
        await start_engine(other, ['127.0.0.1']),
      ];
      const by_name = { engine: `nats://localhost:${server.port}` };
      for (const more of [{}, by_name]) {
        const leader = mine('leader');
        const store = await open_nats_store({
          engine: leader.engine,
          name: 'x',
          credentials: leader,
          creates: true,
          ...more,
        });
        expect(await store.put('plan', 'x', (await store.get('plan'))?.revision ?? 0)).toMatchObject({
          outcome: 'done',
        });
        await store.close();
      }
      const { ca, cert, key, ...bare } = mine('agent-01');
      const strange = theirs('agent-01');
      for (const credentials of [
        bare,
        { ...bare, ca: ca!, cert: strange.cert!, key: strange.key! },
        { ...bare, ca: strange.ca!, cert: cert!, key: key! },
      ])
        await expect(open_nats_store({ engine: bare.engine, name: 'x', credentials })).rejects.toMatchObject({
          code: 'engine_unreachable',
        });
      const by_address = await open_nats_store({ engine: strange.engine, name: 'x', credentials: strange });
      await by_address.close();
      await expect(
        open_nats_store({ engine: `nats://localhost:${other.port}`, name: 'x', credentials: strange }),
      ).rejects.toMatchObject({ code: 'engine_unreachable' });
    } finally {
      await Promise.all([server.remove(), other.remove()]);
    }
  });
});
