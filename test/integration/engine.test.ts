import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { read_credentials } from '../../src/machines/store/credentials.ts';
import { open_nats_store } from '../../src/machines/store/nats.ts';
import { HAS_NATS } from '../machines/nats-server.ts';
import { until } from '../patience.ts';
import { SwarmProcess, Workplace } from './swarm-process.ts';

const PIDS_OF_ITS_OWN = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
/** not the first process there, whose number is that of one outside too */
const SECOND = ['sh', '-c', '"$@"; exit $?', 'sh'];
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const may = ([command, ...args]: string[]): boolean => spawnSync(command!, [...args, 'true']).status === 0;
const READY = /^engine listening on (nats:\/\/\S+) \(nats-server \S+, (.*)\)$/m;

describe.skipIf(!HAS_NATS)('swarm engine up (needs nats-server)', () => {
  let place: Workplace;
  let dir: string;
  beforeEach(() => {
    place = new Workplace();
    dir = join(place.folder, 'engine');
  });
  afterEach(async () => {
    // whatever a test left running, by the id in its folder
    const command = existsSync(join(dir, 'nats-server.pid')) ? `/proc/${server_pid()}/cmdline` : '';
    if (existsSync(command) && readFileSync(command, 'utf8').includes(dir)) process.kill(server_pid(), 'SIGKILL');
    await place.close();
  });

  const up = (...args: string[]): SwarmProcess => {
    const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    return place.swarm('engine', 'up', '--dir', dir, ...listen, ...args);
  };
  const server_pid = (): number => Number(readFileSync(join(dir, 'nats-server.pid'), 'utf8'));
  const read = (file: string): string => readFileSync(join(dir, file), 'utf8');
  async function end(engine: SwarmProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    engine.child.kill(signal);
    expect(await engine.exited).toBe(0);
  }

  it('writes what only its owner can read, says how to join, and ends its server with it', async () => {
    const engine = up('--agents', '3');
    const [, url] = await engine.said(READY);
    await engine.said(/swarm run/);
    const lines = engine.out.split('\n');
    expect(lines).toContain(`  swarm agent --join ${url} --credentials ${dir}/agent-01.json`);
    expect(lines).toContain(
      `  swarm run --join ${url} --credentials ${dir}/leader.json --server <host:port> --script <file>`,
    );
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    const files = readdirSync(dir).filter((file) => file !== 'store');
    expect(files.sort()).toEqual([
      'agent-01.json',
      'agent-02.json',
      'agent-03.json',
      'leader.json',
      'lock',
      'nats-server.pid',
      'nats.conf',
      'viewer.json',
    ]);
    for (const file of files) expect([file, statSync(join(dir, file)).mode & 0o777]).toEqual([file, 0o600]);
    for (const user of ['leader', 'viewer', 'agent-01'])
      expect(read('nats.conf')).not.toContain(read_credentials(join(dir, `${user}.json`)).seed);

    const credentials = read_credentials(join(dir, 'leader.json'));
    const store = await open_nats_store({ engine: url!, name: 'x', credentials, creates: true });
    expect(await store.put('plan', 'kept', 0)).toMatchObject({ outcome: 'done' });
    await store.close();

    const pid = server_pid();
    await end(engine);
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(engine.err).toBe('');
  });

  it('keeps keys and memory for the next start, and adds agents', async () => {
    const first = up('--agents', '1');
    const [, url] = await first.said(READY);
    const leader = read_credentials(join(dir, 'leader.json'));
    const store = await open_nats_store({ engine: url!, name: 'x', credentials: leader, creates: true });
    await store.put('plan', 'kept', 0);
    await store.close();
    const before = read_credentials(join(dir, 'agent-01.json'));
    await end(first, 'SIGINT');

    const again = up('--agents', '2');
    const [, moved] = await again.said(READY);
    expect(read_credentials(join(dir, 'agent-01.json'))).toEqual({ ...before, engine: moved });
    expect(read_credentials(join(dir, 'agent-02.json')).verify_key).toBe(before.verify_key);
    const agent = await open_nats_store({ engine: moved!, name: 'x', credentials: before });
    expect(await agent.get('plan')).toMatchObject({ text: 'kept' });
    await agent.close();
    await end(again);

    const fewer = up('--agents', '1');
    await fewer.said(/2 exist/);
    await end(fewer);
  });

  it('says what keeps it from starting', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const refused = place.swarm('engine', 'up', '--dir', dir, '--listen', `127.0.0.1:${port}`);
    expect(await refused.exited).toBe(2);
    expect(refused.err).toMatch(new RegExp(`^swarm: the engine cannot listen at 127.0.0.1:${port}: it is in use`));
    taken.close();

    const engine = up();
    await engine.said(READY);
    const second = up();
    expect(await second.exited).toBe(2);
    expect(second.err).toContain(
      `another engine uses it: nats-server, process ${server_pid()} where it runs (engine_dir`,
    );
    process.kill(server_pid(), 'SIGKILL');
    expect(await engine.exited).toBe(1);
    expect(engine.err).toContain('swarm: nats-server ended: ');

    chmodSync(join(dir, 'agent-02.json'), 0o644);
    const open = up();
    expect(await open.exited).toBe(2);
    expect(open.err).toContain('agent-02.json cannot be used: its mode is 0644, wanted 0600');
    chmodSync(join(dir, 'agent-02.json'), 0o600);
    writeFileSync(join(dir, 'agent-02.json'), '{}');
    const empty = up();
    expect(await empty.exited).toBe(2);
    expect(empty.err).toContain('its format is not swarm-credentials/1');
  });

  it('leaves the folder to a server that outlived who started it', async () => {
    const engine = up();
    await engine.said(READY);
    engine.child.kill('SIGKILL');
    await engine.exited;
    const second = up();
    expect(await second.exited).toBe(2);
    expect(second.err).toContain(
      `another engine uses it: nats-server, process ${server_pid()} where it runs (engine_dir`,
    );
    process.kill(server_pid(), 'SIGKILL');
    // the lock is free as soon as the system has put the process away
    const is_free = (): boolean => spawnSync('flock', ['-n', join(dir, 'lock'), 'true']).status === 0;
    await until('the lock is free', is_free);
    const third = up();
    await third.said(READY);
    await end(third);
  });

  it.skipIf(!may(PIDS_OF_ITS_OWN))(
    'is refused a folder in use, whatever numbers processes have (needs root)',
    async () => {
      const through = (): SwarmProcess =>
        place.swarm_through([...PIDS_OF_ITS_OWN, ...SECOND], 'engine', 'up', '--dir', dir, '--listen', '127.0.0.1:0');
      for (const [first, second] of [
        [up, through],
        [through, up],
      ] as const) {
        const engine = first();
        await engine.said(READY);
        const refused = second();
        expect(await refused.exited, refused.out).toBe(2);
        expect(refused.err).toContain('another engine uses it');
        engine.child.kill('SIGKILL');
        await engine.exited;
        if (first === up) process.kill(server_pid(), 'SIGKILL');
        await until('the lock is free', () => spawnSync('flock', ['-n', join(dir, 'lock'), 'true']).status === 0);
      }
    },
  );

  it.skipIf(!may(NOBODY))("takes no folder of somebody else's, nor a link of theirs (needs root)", async () => {
    const owned = join(place.folder, 'ours');
    mkdirSync(owned, { mode: 0o755 });
    for (const make of [() => mkdirSync(dir), () => symlinkSync(owned, dir)]) {
      make();
      lchownSync(dir, 65534, 65534);
      const engine = up();
      expect(await engine.exited).toBe(2);
      expect(engine.err).toContain('it belongs to another user (uid 65534) (engine_dir');
      rmSync(dir, { recursive: true });
    }
    expect(statSync(owned).mode & 0o777).toBe(0o755);
  });

  it('says what is not installed', async () => {
    const has = (command: string): string =>
      process.env
        .PATH!.split(':')
        .map((folder) => join(folder, command))
        .find((path) => existsSync(path))!;
    const bare = async (...args: string[]): Promise<SwarmProcess> => {
      const engine = new SwarmProcess(['engine', 'up', '--dir', dir, ...args], { PATH: place.folder });
      expect(await engine.exited).toBe(2);
      return engine;
    };
    expect((await bare('--listen', '127.0.0.1:0')).err).toMatch(
      /^swarm: nats-server cannot be started: there is no such command \(engine_missing: .*apt install nats-server/,
    );
    symlinkSync(has('nats-server'), join(place.folder, 'nats-server'));
    expect((await bare('--listen', '0.0.0.0:0', '--host', 'localhost')).err).toMatch(
      /^swarm: the certificates .* cannot be made: there is no command openssl \(engine_certificates/,
    );
  });

  it('speaks TLS beyond loopback, and warns of an old server', async () => {
    const engine = up('--listen', '0.0.0.0:0', '--host', 'localhost', '--agents', '1');
    const [, url] = await engine.said(READY);
    expect(url).toMatch(/^nats:\/\/localhost:\d+$/);
    const credentials = read_credentials(join(dir, 'agent-01.json'));
    expect(Object.keys(credentials)).toEqual(expect.arrayContaining(['ca', 'cert', 'key']));
    const store = await open_nats_store({ engine: url!, name: 'x', credentials });
    expect(await store.get('plan')).toBeNull();
    await store.close();
    for (const file of ['ca.key', 'ca.pem', 'server.key', 'server.pem'])
      expect([file, statSync(join(dir, file)).mode & 0o777]).toEqual([file, 0o600]);
    if (/nats-server 2\.9\./.test(engine.out))
      await until('the warning', () => /^swarm: nats-server 2\.9\.\d+ is older than/m.test(engine.err));
    await end(engine);

    const { ca, cert } = credentials;
    const again = up('--listen', '0.0.0.0:0', '--host', '127.0.0.1', '--agents', '1');
    await again.said(READY);
    expect(read_credentials(join(dir, 'agent-01.json'))).toMatchObject({ ca, cert });
    await end(again);
  });
});
