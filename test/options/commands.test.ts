import { afterEach, describe, expect, it, vi } from 'vitest';
import { COMMANDS, type CommandName } from '../../src/options/option-row.ts';
import { flag_of, OPTION_NAMES, OPTIONS, variable_of, type OptionName } from '../../src/options/options.ts';
import { run } from './run-program.ts';

const SCRIPT = ['script', 'protocol_dir'] as const;
const TLS = ['ca', 'cert', 'key', 'servername', 'insecure', 'alpn', 'tls_min'] as const;
/** of the one connection of `try`, too */
const CONNECTION = [
  ...(['connect_timeout', 'reply_timeout', 'max_reply', 'limit_up', 'limit_down', 'idle_timeout'] as const),
  ...(['keep_alive', ...TLS] as const),
];
const PLAYED = [...SCRIPT, 'server', 'seed', ...CONNECTION, 'log_level'] as const;
const ENGINE = ['join', 'credentials', 'name', 'log_level'] as const;
const MACHINE = ['workers', 'max_workers', 'bind', 'max_connections'] as const;
const CONSOLE = [
  'listen',
  'console_token_file',
  'report_every',
  'summary',
  'max_connections',
  'max_connect_rate',
] as const;
const SWARM = [
  ...PLAYED,
  ...CONSOLE,
  'load',
  'connect_rate',
  'reconnect_delay',
  'drain_timeout',
  'max_lifetime',
  'strict',
] as const;

/** What the code of each command reads. */
const READ: Record<CommandName, readonly OptionName[]> = {
  run: [...SWARM, ...MACHINE, 'stall_timeout', 'segment', 'max_backlog'],
  'run --join': [...SWARM, ...ENGINE, 'min_agents', 'paused', 'isolation', 'lease'],
  try: [...PLAYED, 'bind'],
  check: [...SCRIPT, 'load', 'log_level'],
  limits: [...SCRIPT, ...MACHINE, 'server', 'max_reply', 'listen', 'log_level'],
  demo: [],
  schema: [],
  'engine up': ['listen', 'agents', 'host', 'dir'],
  agent: [...MACHINE, ...ENGINE, 'stall_timeout', 'labels', 'wait', 'weight'],
  attach: [...CONSOLE, ...ENGINE, 'lease'],
  summary: [...ENGINE, 'summary'],
  series: [...ENGINE],
  merge: ['summary'],
};

const PLAY = { server: 'a:1', script: 'a.yml' };
const JOIN = { join: 'nats://a:1' };
/** What each takes at least. */
const LEAST: Record<CommandName, { words: string; options?: Partial<Record<OptionName, string>> }> = {
  run: { words: 'run', options: PLAY },
  'run --join': { words: 'run', options: { ...PLAY, ...JOIN } },
  try: { words: 'try', options: PLAY },
  check: { words: 'check', options: { script: 'a.yml' } },
  limits: { words: 'limits' },
  demo: { words: 'demo' },
  schema: { words: 'schema' },
  'engine up': { words: 'engine up' },
  agent: { words: 'agent', options: JOIN },
  attach: { words: 'attach', options: JOIN },
  summary: { words: 'summary r1', options: JOIN },
  series: { words: 'series r1', options: JOIN },
  merge: { words: 'merge a.json b.json' },
};
/** A command line that is complete but for this option, if it is of it. */
function line_of(command: CommandName, without?: OptionName): string[] {
  const { words, options = {} } = LEAST[command];
  const others = (Object.keys(options) as OptionName[]).filter((name) => name !== without);
  return [...words.split(' '), ...others.flatMap((name) => [flag_of(name), options[name]!])];
}

const VALUES: Partial<Record<OptionName, string>> = {
  server: 'a:1',
  segment: '1/2',
  max_connections: '5',
  max_connect_rate: '2000',
  max_backlog: '5000',
  limit_up: '1k',
  limit_down: '1k',
  max_lifetime: '5',
  idle_timeout: '5',
  keep_alive: '5',
  tls_min: '1.3',
  join: 'nats://a:1',
  weight: '2',
};
const typed = (name: OptionName): string[] =>
  OPTIONS[name].is_switch ? [flag_of(name)] : [flag_of(name), VALUES[name] ?? OPTIONS[name].fallback ?? 'x'];
const refused = COMMANDS.flatMap((command) =>
  OPTION_NAMES.filter((name) => !READ[command].includes(name)).map((name): [CommandName, OptionName] => [
    command,
    name,
  ]),
)
  // which makes it the other way
  .filter(([command, name]) => !(command === 'run' && (name === 'join' || name === 'credentials')));

afterEach(() => vi.unstubAllEnvs());

describe('each command', () => {
  const helps = COMMANDS.filter((command) => command !== 'run --join');

  it.each(helps)('%s has exactly what it takes in its help, with the variable of each', async (command) => {
    const { code, out, err } = await run([...command.split(' '), '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const read = new Set([...READ[command], ...(command === 'run' ? READ['run --join'] : [])]);
    const shown = [...out.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    expect([...shown].sort()).toEqual([...read].map(flag_of).sort());
    const variables = [...out.matchAll(/SWARM_\w+/g)].map(([name]) => name).filter((name) => name !== 'SWARM_HOME');
    expect([...variables].sort()).toEqual(command === 'engine up' ? [] : [...read].map(variable_of).sort());
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it.each(COMMANDS)('%s takes each of these, before its name and behind it', async (command) => {
    for (const name of READ[command]) {
      const line = line_of(command, name);
      for (const args of [
        [...line, ...typed(name)],
        [...typed(name), ...line],
      ]) {
        const { code, err } = await run(args);
        expect({ code, err }, args.join(' ')).toEqual({ code: 0, err: '' });
      }
    }
  });

  it.each(refused)('%s refuses %s, with those that take it', async (command, name) => {
    const { code, err, called } = await run([...line_of(command), ...typed(name)]);
    expect({ code, called }).toEqual({ code: 2, called: [] });
    const [, others] = new RegExp(
      `^swarm: ${flag_of(name)}: \`swarm ${command}\`[a-z -]* does not take it, (.*) do(?:es)?: leave it out here \\(bad_option: .*\\)\\n$`,
    ).exec(err)!;
    const takers = COMMANDS.filter((other) => READ[other].includes(name));
    const names = takers.filter((other) => other !== 'run --join' || !takers.includes('run'));
    expect([...others!.matchAll(/`swarm ([^`]*)`/g)].map(([, other]) => other)).toEqual(names);
  });

  it.each(refused)('%s leaves the variable of %s to the others', async (command, name) => {
    vi.stubEnv(variable_of(name), 'what it never could be');
    expect(await run(line_of(command))).toMatchObject({ code: 0, err: '' });
  });
});

describe('an option given twice', () => {
  const single = OPTION_NAMES.filter((name) => !OPTIONS[name].many && !OPTIONS[name].is_switch);

  it.each(single)('--%s is refused with both values', async (name) => {
    const command = COMMANDS.find((one) => READ[one].includes(name))!;
    const { code, err, called } = await run([
      ...line_of(command, name),
      ...[flag_of(name), 'first', flag_of(name), 'second'],
    ]);
    expect({ code, called }).toEqual({ code: 2, called: [] });
    expect(err).toContain(
      `swarm: ${flag_of(name)}: given twice, as "first" and "second", but it takes one value: leave out all but one (`,
    );
  });

  it('is taken where it takes many, or none', async () => {
    const hosts = ['engine', 'up', '--host', 'a', '--host', 'b'];
    expect((await run(hosts)).called[1]).toMatchObject({ hosts: ['a', 'b'] });
    const binds = [...line_of('try'), '--bind', 'eth0', '--bind', '::1', '--insecure', '--insecure'];
    expect((await run(binds)).called[1]).toMatchObject({ bind: ['eth0', '::1'], insecure: true });
  });

  it('is not the flag and its variable: the flag wins', async () => {
    vi.stubEnv('SWARM_SCRIPT', 'env.yml');
    expect((await run(line_of('check'))).called[1]).toMatchObject({ script: 'a.yml' });
  });
});

describe('the two ways of swarm run', () => {
  it.each([
    [['--join', 'nats://a:1'], {}],
    [['--credentials', 'a.json'], {}],
    [[], { SWARM_JOIN: 'nats://a:1' }],
    [[], { SWARM_CREDENTIALS: 'a.json' }],
  ])('are told apart by %j and %j', async (args, variables) => {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
    const joined = await run([...line_of('run'), ...args, '--min-agents', '3']);
    expect(joined).toMatchObject({ code: 0, err: '' });
    const { code, err } = await run([...line_of('run'), ...args, '--workers', '7', '--segment', '1/2']);
    expect(code).toBe(2);
    expect(err).toMatch(/^swarm: --workers: `swarm run --join` does not take it, .*`swarm agent` do: /m);
    expect(err).toMatch(/^swarm: --segment: `swarm run --join` does not take it, `swarm run` without --join does: /m);
  });

  it('are both in its help', async () => {
    const help = (await run(['run', '--help'])).out.replace(/\s+/g, ' ');
    expect(help).toContain('(not with --join; default: 0; SWARM_WORKERS)');
    expect(help).toContain('(with --join; default: 55s; SWARM_ISOLATION)');
    expect(help).toContain('(SWARM_JOIN)');
  });

  it('with --join ignore variables for one machine', async () => {
    vi.stubEnv('SWARM_WORKERS', '4');
    vi.stubEnv('SWARM_SEGMENT', '1/2');
    expect((await run(line_of('run --join'))).called[1]).toMatchObject({ workers: 0, segment: null });
  });
});

describe('the defaults in the help', () => {
  it.each(['run', 'try', 'check', 'limits', 'agent', 'attach'] as const)(
    'of %s are those in force',
    async (command) => {
      const help = (await run([command, '--help'])).out.replace(/\s+/g, ' ');
      const options = (await run(line_of(command))).called[1] as Record<OptionName, unknown>;
      const least = Object.keys(LEAST[command].options ?? {});
      for (const name of READ[command].filter((one) => !least.includes(one))) {
        const [, notes] = new RegExp(`${flag_of(name)} [^]*?([^(]*${variable_of(name)}\\))`).exec(help)!;
        const shown = /default: (.*?);/.exec(notes!)?.[1];
        const in_words = shown === undefined || OPTIONS[name].fallback === undefined;
        const wanted = in_words ? (OPTIONS[name].is_switch ? false : null) : OPTIONS[name].shape.parse(shown);
        expect([name, options[name]]).toEqual([name, wanted]);
      }
    },
  );

  it('of agent is a worker per core', async () => {
    expect((await run(line_of('agent'))).called[1]).toMatchObject({ workers: 'auto' });
    const help = (await run(['agent', '--help'])).out.replace(/\s+/g, ' ');
    expect(help).toContain('(default: auto; SWARM_WORKERS)');
  });
});

it('swarm --help fits on two screens: the commands in groups, two examples, exit codes', async () => {
  const { out } = await run(['--help']);
  const lines = out.trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(48);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  const names = new Set(COMMANDS.map((command) => command.split(' ')[0]));
  for (const name of names) expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  for (const text of ['On one machine:', 'On many machines:', 'Examples:', 'swarm run --help', 'Exit codes:'])
    expect(out).toContain(text);
});
