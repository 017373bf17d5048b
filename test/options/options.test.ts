import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CommandName } from '../../src/options/option-row.ts';
import {
  flag_of,
  OPTION_NAMES,
  OPTIONS,
  variable_of,
  type OptionName,
  type Options,
} from '../../src/options/options.ts';
import { parse_options, way_of_run, type AllGiven } from '../../src/options/parse-options.ts';

const flags = (given: Partial<Record<OptionName, string>>): AllGiven =>
  Object.fromEntries(Object.entries(given).map(([name, text]) => [name, { texts: [text], from: 'flag' }]));

/** What one option becomes for the first command that takes it; undefined when it is refused. */
function parsed(name: OptionName, text: string): Options[OptionName] | undefined {
  const result = parse_options(flags({ [name]: text }), OPTIONS[name].commands[0]!);
  return 'options' in result ? result.options[name] : undefined;
}

const faults_of = (given: AllGiven, command: CommandName = 'run', required: OptionName[] = []): string[] => {
  const result = parse_options(given, command, required);
  return 'faults' in result ? result.faults.map((fault) => fault.message) : [];
};

describe('parse_options', () => {
  it('has defaults for everything but the server, the script and files', () => {
    expect(parse_options({}, 'run')).toEqual({
      options: {
        listen: { host: '127.0.0.1', port: 8411 },
        server: null,
        script: null,
        bind: null,
        protocol_dir: null,
        workers: 0,
        max_workers: 64,
        max_connections: null,
        load: null,
        seed: null,
        segment: null,
        connect_timeout: 3000,
        connect_rate: 1000,
        max_connect_rate: null,
        max_backlog: null,
        strict: false,
        reconnect_delay: [1000, 20_000],
        reply_timeout: 30_000,
        drain_timeout: 10_000,
        stall_timeout: 30_000,
        max_reply: 1_048_576,
        ca: null,
        cert: null,
        key: null,
        servername: null,
        insecure: false,
        alpn: null,
        tls_min: null,
        limit_up: null,
        limit_down: null,
        max_lifetime: null,
        idle_timeout: null,
        keep_alive: null,
        join: null,
        credentials: null,
        name: 'main',
        min_agents: 0,
        paused: false,
        isolation: 55_000,
        lease: 5000,
        labels: null,
        wait: 0,
        weight: null,
        report_every: 10_000,
        summary: null,
        console_token_file: null,
        log_level: 'info',
        agents: 16,
        host: null,
        dir: null,
      },
    });
  });

  it('has other defaults where a command differs', () => {
    expect(parse_options({}, 'agent')).toMatchObject({ options: { workers: 'auto' } });
    expect(parse_options({}, 'engine up')).toMatchObject({ options: { listen: { host: '127.0.0.1', port: 4222 } } });
  });

  it.each<[OptionName, string, unknown]>([
    ['join', 'nats://10.0.0.1:4222', 'nats://10.0.0.1:4222'],
    ['join', 'nats://a:1,nats://b:2', 'nats://a:1,nats://b:2'],
    ['name', 'eu_2', 'eu_2'],
    ['min_agents', '3', 3],
    ['isolation', '15', 15_000],
    ['isolation', 'hold', 'hold'],
    ['lease', '1s', 1000],
    ['labels', 'site=eu', ['site=eu']],
    ['wait', 'ever', Infinity],
    ['wait', '5m', 300_000],
    ['wait', '0', 0],
    ['weight', '0.5', 0.5],
    ['listen', '0.0.0.0:0', { host: '0.0.0.0', port: 0 }],
    ['listen', '[::1]:8411', { host: '::1', port: 8411 }],
    ['server', 'chat.example:7000', [{ host: 'chat.example', port: 7000 }]],
    ['server', 'my_server.:65535', [{ host: 'my_server.', port: 65_535 }]],
    ['server', '10.0.0.5:1', [{ host: '10.0.0.5', port: 1 }]],
    ['server', '[2001:db8::7]:80', [{ host: '2001:db8::7', port: 80 }]],
    ['server', 'tls://chat.example:7443', [{ host: 'chat.example', port: 7443, tls: true }]],
    ['server', 'unix:/run/chat.sock', [{ host: '', port: 0, path: '/run/chat.sock' }]],
    ['workers', 'auto', 'auto'],
    ['workers', '64', 64],
    ['connect_timeout', '500ms', 500],
    ['connect_timeout', '1.5', 1500],
    ['connect_rate', '0.5', 0.5],
    ['connect_rate', '1000000', 1e6],
    ['max_workers', '1', 1],
    ['max_connections', '10000000', 10_000_000],
    ['max_connect_rate', '0.5', 0.5],
    ['max_backlog', '1', 1],
    ['max_backlog', '10000000', 10_000_000],
    ['reconnect_delay', '1-20', [1000, 20_000]],
    ['reconnect_delay', '500ms-2s', [500, 2000]],
    ['reconnect_delay', '0', [0, 0]],
    ['drain_timeout', '0', 0],
    ['stall_timeout', '5', 5000],
    ['stall_timeout', '24h', 86_400_000],
    ['max_reply', '65536', 65_536],
    ['max_reply', '64k', 65_536],
    ['max_reply', '2MiB', 2_097_152],
    ['max_reply', '1g', 1_073_741_824],
    ['servername', 'chat.example', 'chat.example'],
    ['insecure', 'true', true],
    ['insecure', 'false', false],
    ['tls_min', '1.3', 'TLSv1.3'],
    ['alpn', 'h2,http/1.1', ['h2', 'http/1.1']],
    ['limit_up', '64k', 65_536],
    ['limit_down', '1', 1],
    ['max_lifetime', '1m-5m', [60_000, 300_000]],
    ['max_lifetime', '60', [60_000, 60_000]],
    ['idle_timeout', '90', 90_000],
    ['keep_alive', '9h', 32_400_000],
    ['log_level', 'debug', 'debug'],
    ['seed', 'as you like it', 'as you like it'],
    ['segment', '2/5', { text: '2/5', from: 200_000, to: 400_000 }],
    ['segment', '1/4:1', { text: '1/4:1', from: 250_000, to: 1_000_000 }],
  ])('reads --%s %s', (name, text, value) => expect(parsed(name, text)).toEqual(value));

  it.each<[OptionName, string]>([
    ['listen', '8411'],
    ['listen', 'localhost:8411'],
    ['listen', '127.0.0.1:65536'],
    ['listen', '::1:8411'],
    ['listen', '127.0.0.1:08411'],
    ['server', 'chat.example'],
    ['server', 'chat.example:0'],
    ['server', ':80'],
    ['server', '10.0.0:80'],
    ['server', '10.0.0.256:80'],
    ['server', '[10.0.0.1]:80'],
    ['server', 'chat..example:80'],
    ['server', 'http://chat.example:80'],
    ['workers', '65'],
    ['workers', '-1'],
    ['workers', '1.5'],
    ['workers', ''],
    ['connect_timeout', '0'],
    ['connect_timeout', '25h'],
    ['connect_timeout', '1e3'],
    ['connect_rate', '0'],
    ['connect_rate', '1000001'],
    ['connect_rate', '-3'],
    ['connect_rate', 'Infinity'],
    ['max_workers', '0'],
    ['max_workers', '65'],
    ['max_connections', '0'],
    ['max_connections', '10000001'],
    ['max_connect_rate', '0'],
    ['max_backlog', '0'],
    ['max_backlog', '10000001'],
    ['reconnect_delay', '20-1'],
    ['reconnect_delay', '1-2-3'],
    ['reconnect_delay', '-1'],
    ['max_reply', '0'],
    ['max_reply', '2g'],
    ['max_reply', '1MB'],
    ['servername', '10.0.0.5'],
    ['servername', '::1'],
    ['servername', ''],
    ['servername', 'a b'],
    ['insecure', '1'],
    ['tls_min', '1.1'],
    ['alpn', ''],
    ['alpn', 'h2, http/1.1'],
    ['alpn', 'h2,,x'],
    ['tls_min', 'toString'],
    ['limit_up', '0'],
    ['limit_down', '1MB'],
    ['max_lifetime', '0'],
    ['max_lifetime', '0-5'],
    ['idle_timeout', '50ms'],
    ['keep_alive', '1500ms'],
    ['keep_alive', '500ms'],
    ['keep_alive', '10h'],
    ['report_every', '0'],
    ['log_level', 'loud'],
    ['load', ''],
    ['load', 'x'.repeat(65_537)],
    ['seed', ''],
    ['segment', '6/5'],
    ['segment', '1/2:1/4'],
    ['segment', '1/9999:1/9998'],
  ])('refuses --%s %j', (name, text) => expect(parsed(name, text)).toBeUndefined());

  it('keeps the connect rate below its maximum: the default gives way, another is a fault', () => {
    expect(parse_options(flags({ max_connect_rate: '500' }), 'run')).toMatchObject({ options: { connect_rate: 500 } });
    expect(parse_options(flags({ max_connect_rate: '500', connect_rate: '500' }), 'run')).toHaveProperty('options');
    expect(faults_of(flags({ max_connect_rate: '500', connect_rate: '501' }))).toEqual([
      expect.stringMatching(/^--connect-rate: 501 is above --max-connect-rate 500 /),
    ]);
    // a coordinator that joins a run has no rate of its own
    const variable = { connect_rate: { texts: ['501'], from: 'environment' } } as const;
    expect(faults_of({ ...flags({ max_connect_rate: '500' }), ...variable }, 'attach')).toEqual([]);
  });

  it('says option, what was given and the shape wanted, for every fault at once', () => {
    const faults = faults_of(
      { workers: { texts: ['many'], from: 'flag' }, connect_rate: { texts: ['1k'], from: 'environment' } },
      'run',
      ['server', 'script'],
    );
    expect(faults).toHaveLength(4);
    expect(faults.join('\n')).toContain('--workers: "many" is not a whole number from 0 to 64, or auto');
    expect(faults.join('\n')).toContain('SWARM_CONNECT_RATE: "1k" is not a number above 0 up to 1000000, such as 1000');
    expect(faults.join('\n')).toContain('--server: not given; it takes <host:port>');
    expect(faults.join('\n')).toContain('here or in SWARM_SCRIPT');
  });

  it('refuses what was typed and the command does not take, whatever its value, and ignores the variable', () => {
    const given = flags({ workers: 'many', script: 'a.yml' });
    expect(faults_of(given, 'check')).toEqual([
      '--workers: `swarm check` does not take it, `swarm run` without --join, `swarm limits` and `swarm agent` do: ' +
        'leave it out here (bad_option: `swarm <command> --help` lists what each command takes)',
    ]);
    const variable = { ...given, workers: { texts: ['4'], from: 'environment' } } as const;
    expect(parse_options(variable, 'check')).toMatchObject({ options: { script: 'a.yml', workers: 0 } });
  });

  it('tells the two ways of `swarm run` apart where only one of them takes an option', () => {
    expect(faults_of(flags({ paused: 'true' }), 'run')[0]).toMatch(
      /^--paused: `swarm run` without --join does not take it, `swarm run --join` does: leave it out here /,
    );
    expect(faults_of(flags({ segment: '1/2' }), 'run --join')[0]).toMatch(
      /^--segment: `swarm run --join` does not take it, `swarm run` without --join does: leave it out here /,
    );
    expect(faults_of(flags({ labels: 'eu' }), 'run')[0]).toMatch(
      /^--labels: `swarm run` does not take it, `swarm agent`/,
    );
    expect(faults_of(flags({ seed: 'a' }), 'merge')[0]).toContain('`swarm run` and `swarm try` do: leave it out here');
    expect(way_of_run({})).toBe('run');
    expect(way_of_run(flags({ join: 'nats://a:1' }))).toBe('run --join');
    expect(way_of_run({ credentials: { texts: ['a'], from: 'environment' } })).toBe('run --join');
  });

  it('refuses a second value of what takes one, with all of them', () => {
    const given = (...texts: string[]): AllGiven => ({ script: { texts, from: 'flag' } });
    expect(faults_of(given('a.yml', 'b.yml'))[0]).toMatch(
      /^--script: given twice, as "a.yml" and "b.yml", but it takes one value: leave out all but one /,
    );
    expect(faults_of(given('a', 'b', 'a'))[0]).toMatch(/^--script: given 3 times, as "a", "b" and "a", but/);
    // what it does not take at all it needs no second fault for
    expect(faults_of(given('a', 'b'), 'merge')).toHaveLength(1);
    expect(faults_of({ insecure: { texts: ['true', 'true'], from: 'flag' } })).toEqual([]);
  });

  it('names flags and variables as the table does', () => {
    for (const [name, { flags: text }] of Object.entries(OPTIONS) as [OptionName, { flags: string }][]) {
      expect(text).toMatch(new RegExp(`(^|, )${flag_of(name)}( <|$)`));
      expect(variable_of(name)).toMatch(/^SWARM_[A-Z_]+$/);
    }
  });

  it('accepts its own defaults and never throws, whatever it is given', () => {
    fc.assert(
      fc.property(fc.constantFrom(...OPTION_NAMES), fc.string(), (name, text) => {
        const result = parse_options(flags({ [name]: text }), OPTIONS[name].commands[0]!);
        if ('faults' in result) for (const fault of result.faults) expect(fault.exit).toBe(2);
      }),
    );
  });
});
