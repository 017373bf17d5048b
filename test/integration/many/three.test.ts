/** An engine of three servers, one of which dies: the one that leads the store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, describe, expect, it } from 'vitest';
import { open_nats_store } from '../../../src/machines/store/nats.ts';
import { free_port, NatsServer } from '../../machines/nats-server.ts';
import { HAS_NATS, measured, until, World } from './kit.ts';

interface Cluster {
  readonly leader?: string;
}

/** A server that is gone is missed after 4 to 9 s, at random: a constant of the engine. */
const ELECTION_MS = 9000;
const NAMES = ['one', 'two', 'three'];

let world: World | null = null;
let servers: NatsServer[] = [];
let configs: string[] = [];
let watching: NatsConnection | null = null;
afterEach(async () => {
  await watching?.close();
  await world?.close();
  for (const server of servers) await server.remove();
});

async function start_cluster(): Promise<string> {
  servers = NAMES.map(() => new NatsServer());
  for (const server of servers) server.port = await free_port();
  const routes = await Promise.all(NAMES.map(free_port));
  configs = servers.map((server, i) => {
    const file = join(server.dir, 'cluster.conf');
    writeFileSync(
      file,
      `server_name: ${NAMES[i]}
listen: "127.0.0.1:${server.port}"
jetstream { store_dir: "${server.dir}/store" }
cluster {
  name: swarm
  listen: "127.0.0.1:${routes[i]}"
  routes: [${routes.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')}]
}
`,
    );
    return file;
  });
  await Promise.all(servers.map((server, i) => server.start_with(configs[i]!)));
  const engine = servers.map(({ url }) => url).join(',');
  await until('the three have elected who leads them', async () => {
    const opened = open_nats_store({ engine, name: 'main', credentials: null, creates: true });
    return await opened.then(
      (store) => store.close().then(() => true),
      () => false,
    );
  });
  return engine;
}

/** Which server leads the store; null: none does. */
async function leader_of(connection: NatsConnection): Promise<number | null> {
  const asked = connection.request('$JS.API.STREAM.INFO.KV_swarm_main', '', { timeout: 200 });
  const info = await asked.catch(() => null);
  const { cluster, config } = info?.json<{ cluster?: Cluster; config?: { num_replicas: number } }>() ?? {};
  if (config) expect(config.num_replicas).toBe(3);
  return cluster?.leader === undefined ? null : NAMES.indexOf(cluster.leader);
}

describe.skipIf(!HAS_NATS)('an engine of three servers', () => {
  it('loses the one that leads the store: commands go on soon, the load does not notice', async () => {
    const engine = await start_cluster();
    world = await World.open({ engine, isolation: '55s', lease: '2s' });
    await world.all_agents(2);
    const lead = await world.run();
    await lead.ask('incr 100');
    await world.until_open(100);
    const since = performance.now();
    watching = await connect({ servers: engine.split(','), maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const victim = (await leader_of(watching))!;
    const start = performance.now();
    await servers[victim]!.kill();
    const asked = lead.ask('incr 5');
    const is_other = async (): Promise<boolean> => ![victim, null].includes(await leader_of(watching!));
    const elected = await until('another server leads the store', is_other);
    measured('another server leads the store', elected, ELECTION_MS);
    expect(await asked).toMatch(/^OK target 105|^ERR (unknown|engine_away) /);
    const { target } = await world.desired();
    await world.until_open(target);
    measured('commands again after that', performance.now() - start - elected, 1000);
    await servers[victim]!.start_with(configs[victim]!);
    expect(await lead.ask('incr 5')).toBe(`OK target ${target + 5}`);
    await world.until_open(target + 5);
    expect(world.open_since(since).least).toBe(100);
    const summary = await world.finish(lead);
    world.expect_exact(summary);
    expect(summary.connections.established).toBe(target + 5);
  });
});
