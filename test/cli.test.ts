import { afterEach, describe, expect, it, vi } from 'vitest';
import { SwarmError } from '../src/foundation/errors.ts';
import { VERSION } from '../src/foundation/version.ts';
import { run } from './options/run-program.ts';

const USUAL = ['-r', 'localhost:7000', '-s', 'a.yml'];

describe('the command line', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('runs the daemon with or without the word run, options before or after it', async () => {
    for (const args of [USUAL, ['run', ...USUAL], [...USUAL, 'run']]) {
      const { code, called } = await run(args);
      expect(code).toBe(0);
      expect(called[0]).toBe('run');
      expect(called[1]).toMatchObject({ server: [{ host: 'localhost', port: 7000 }], script: 'a.yml', workers: 0 });
    }
  });

  it.each([
    ['check', ['-s', 'a.yml']],
    ['try', USUAL],
    ['limits', USUAL],
    ['schema', []],
    ['agent', ['--join', 'nats://127.0.0.1:4222']],
    ['attach', ['--join', 'nats://127.0.0.1:4222']],
  ])('runs %s', async (name, args) => {
    expect((await run([name, ...args])).called[0]).toBe(name);
  });

  it('runs merge with its files, options before or after them', async () => {
    for (const args of [
      ['merge', 'a.json', 'b.json', '--summary', 'all.json'],
      ['--summary', 'all.json', 'merge', 'a.json', 'b.json'],
    ])
      expect((await run(args)).called).toEqual([
        'merge',
        ['a.json', 'b.json'],
        expect.objectContaining({ summary: 'all.json' }),
      ]);
    const { code, err, called } = await run(['merge']);
    expect({ code, called }).toEqual({ code: 2, called: [] });
    expect(err).toMatch(/missing required argument 'files'/);
  });

  it.each(['summary', 'series'])('runs %s for a run by its id', async (name) => {
    const { called } = await run([name, '20261122T101112Z-abc', '--join', 'nats://127.0.0.1:4222']);
    expect(called).toEqual([name, '20261122T101112Z-abc']);
  });

  it('runs engine up with options of its own', async () => {
    vi.stubEnv('SWARM_LISTEN', '10.0.0.1:1');
    vi.stubEnv('SWARM_HOME', '/home/of/swarm');
    expect((await run(['engine', 'up'])).called).toEqual([
      'engine_up',
      { dir: '/home/of/swarm/engine', listen: { host: '127.0.0.1', port: 4222 }, agents: 16, hosts: [] },
    ]);
    const args = ['--listen', '0.0.0.0:0', '--agents', '3', '--host', 'a.example', '--host', '::1', '--dir', '/e'];
    expect((await run(['engine', 'up', ...args])).called[1]).toEqual({
      dir: '/e',
      listen: { host: '0.0.0.0', port: 0 },
      agents: 3,
      hosts: ['a.example', '::1'],
    });
  });

  it.each([
    [['engine'], 'Usage: swarm engine'],
    [['engine', 'down'], "unknown command 'down'"],
    [['engine', 'up', 'now'], 'too many arguments'],
    [['engine', 'up', '--agents', '0'], '--agents: "0" is not a whole number from 1 to 1000'],
    [['engine', 'up', '--listen', 'here'], '--listen: "here" is not <ip:port>'],
    [['engine', 'up', '--host', 'a b'], '--host: "a b" is not a host name or an address'],
    [['engine', 'up', '--listen', '[::]:1'], '--host: :: is no address that others could join'],
    [['engine', 'up', '-s', 'a.yml'], '--script: `swarm engine up` does not take it, `swarm run`, '],
  ])('refuses %j', async (args, text) => {
    const { code, err, called } = await run(args);
    expect(code).toBe(2);
    expect(called).toEqual([]);
    expect(err).toContain(text);
  });

  it('runs demo, which takes no options but leaves the environment alone', async () => {
    vi.stubEnv('SWARM_SERVER', 'from.env:1');
    expect((await run(['demo'])).called[0]).toBe('demo');
    for (const args of [
      ['demo', ...USUAL],
      [...USUAL, 'demo'],
    ]) {
      const { code, err, called } = await run(args);
      expect(code).toBe(2);
      expect(called).toEqual([]);
      expect(err).toMatch(/^(swarm: --(server|script): `swarm demo` does not take it, `swarm run`, .*\n){2}$/);
    }
    const { out } = await run(['demo', '-h']);
    expect(out).toMatch(/takes no\s+options/);
    expect(out).not.toContain('--server');
  });

  it('takes options from the environment, the command line wins', async () => {
    vi.stubEnv('SWARM_SERVER', 'from.env:1');
    vi.stubEnv('SWARM_CONNECT_RATE', '5');
    vi.stubEnv('SWARM_SCRIPT', 'env.yml');
    const { called } = await run(['--connect-rate', '7', '-s', 'flag.yml']);
    expect(called[1]).toMatchObject({ server: [{ host: 'from.env', port: 1 }], connect_rate: 7, script: 'flag.yml' });
  });

  it('takes several labels: a flag each, or a list in one or in the environment', async () => {
    const given = async (...args: string[]): Promise<unknown> =>
      ((await run(['agent', '--join', 'nats://127.0.0.1:4222', ...args])).called[1] as { labels: unknown }).labels;
    expect(await given('--labels', 'eu,ssd', '--labels', 'x')).toEqual(['eu', 'ssd', 'x']);
    vi.stubEnv('SWARM_LABELS', 'eu,ssd');
    expect(await given()).toEqual(['eu', 'ssd']);
  });

  it('takes several servers: a flag each, or a list in the environment', async () => {
    vi.stubEnv('SWARM_SERVER', 'a:1,b:2');
    const servers = [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ];
    expect((await run(['-s', 'a.yml'])).called[1]).toMatchObject({ server: servers });
    vi.stubEnv('SWARM_SERVER', 'c:3');
    expect((await run(['-s', 'a.yml', '-r', 'a:1', '--server', 'b:2'])).called[1]).toMatchObject({ server: servers });
  });

  it('takes a switch as a flag alone, and in the environment as true or false', async () => {
    expect((await run(USUAL)).called[1]).toMatchObject({ insecure: false });
    expect((await run([...USUAL, '--insecure'])).called[1]).toMatchObject({ insecure: true });
    vi.stubEnv('SWARM_INSECURE', 'false');
    expect((await run(USUAL)).called[1]).toMatchObject({ insecure: false });
    vi.stubEnv('SWARM_INSECURE', 'yes');
    expect((await run(USUAL)).err).toContain('SWARM_INSECURE: "yes" is not true or false');
  });

  it('passes the exit code of the command on', async () => {
    for (const code of [1, 130, 143]) expect((await run(USUAL, { run: () => Promise.resolve(code) })).code).toBe(code);
  });

  it('ends with 2 and one text per fault on bad options', async () => {
    vi.stubEnv('SWARM_WORKERS', 'lots');
    const { code, err, out, called } = await run(['--connect-timeout', 'soon']);
    expect(code).toBe(2);
    expect(called).toEqual([]);
    expect(out).toBe('');
    const lines = err.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines.every((line) => line.startsWith('swarm: ') && line.includes('bad_option'))).toBe(true);
    expect(err).toContain('SWARM_WORKERS: "lots" is not');
    expect(err).toContain('--connect-timeout: "soon" is not a time');
  });

  it.each([
    [['--conect-rate', '5'], /unknown option '--conect-rate'[^]*did you mean --connect-rate/i],
    [['--workers'], /argument missing/],
    [['rum'], /unknown command 'rum'/],
    [['run', 'again'], /unknown command 'again'/],
    [['check', 'again'], /argument|unknown/],
    [['check', '--scirpt', 'a.yml'], /unknown option '--scirpt'[^]*did you mean --script/i],
  ])('ends with 2 on %j', async (args, text) => {
    const { code, err, called } = await run([...USUAL, ...args]);
    expect(code).toBe(2);
    expect(called).toEqual([]);
    expect(err).toMatch(text);
    expect(err).toContain('swarm --help');
  });

  it('says a fault of a command and ends with its exit code', async () => {
    const fault = new SwarmError('name_unknown', { host: 'nowhere', reason: 'ENOTFOUND' });
    const { code, err } = await run(USUAL, { run: () => Promise.reject(fault) });
    expect(code).toBe(1);
    expect(err).toBe(`swarm: ${fault.message}\n`);
  });

  it('ends with 1 and the stack when swarm itself fails', async () => {
    const { code, err } = await run(USUAL, { run: () => Promise.reject(new TypeError('oh')) });
    expect(code).toBe(1);
    expect(err).toMatch(/internal[^]*TypeError: oh\n +at /);
  });

  it('prints version and help to stdout', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, out: `${VERSION}\n`, err: '' });
    const { code, out, err } = await run(['-h']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const word of ['run', 'check', 'try', 'limits', 'merge', 'schema', 'demo', 'Exit codes'])
      expect(out).toContain(word);
    const { out: of_try } = await run(['try', '-h']);
    for (const word of ['--server', '--max-reply', 'SWARM_MAX_REPLY']) expect(of_try).toContain(word);
  });
});
