/** The command line as commander reads it: which command, with which options. What the commands do is passed in. */
import { Command, CommanderError, Option } from 'commander';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { VERSION } from '../foundation/version.ts';
import { ENGINE_FLAGS, engine_options, type EngineOptions } from './engine-options.ts';
import {
  flag_of,
  OPTIONS,
  parse_options,
  variable_of,
  type Given,
  type OptionName,
  type Options,
  type OptionsWith,
} from './options.ts';

/** Each resolves with the exit code of the process; a {@link SwarmError} thrown carries its own. */
export interface Commands {
  run(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number>;
  check(options: OptionsWith<'script'>, io: Io): Promise<number>;
  try(options: OptionsWith<'server' | 'script'>, io: Io): Promise<number>;
  limits(options: Options, io: Io): Promise<number>;
  merge(files: readonly string[], options: Options, io: Io): Promise<number>;
  schema(io: Io): Promise<number>;
  demo(io: Io): Promise<number>;
  engine_up(options: EngineOptions, io: Io): Promise<number>;
  agent(options: Options, io: Io): Promise<number>;
  attach(options: Options, io: Io): Promise<number>;
  summary(run: string, options: Options, io: Io): Promise<number>;
  series(run: string, options: Options, io: Io): Promise<number>;
}

const EXIT_CODES = `
Every option may also come from the environment, as shown; the command line wins.

Exit codes: 0 ended as asked; 1 failed at run time; 2 bad usage, script or module; 130, 143 ended at once by a second SIGINT, SIGTERM.
`;

/** Runs the command that `args` (without node and the program's name) ask for; says every fault on `io.err`. Never rejects. */
export async function run_program(args: readonly string[], commands: Commands, io: Io): Promise<number> {
  let code = 0;
  const program = new Command('swarm')
    .description(
      'Holds massive numbers of TCP connections against a server, each looping a script, steered from a telnet console.',
    )
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out.write(text), writeErr: (text) => io.err.write(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(swarm --help lists commands and options)')
    .addHelpText('after', EXIT_CODES);
  for (const name of Object.keys(OPTIONS) as OptionName[]) {
    const { flags, help, fallback } = OPTIONS[name];
    const option = new Option(flags, help).env(variable_of(name));
    if (is_many(name)) option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
    program.addOption(fallback === null || is_switch(name) ? option : option.default(fallback));
  }

  const options_of = <K extends OptionName>(required: readonly K[]): OptionsWith<K> => {
    const result = parse_options(given_to(program), required);
    if ('options' in result) return result.options;
    for (const fault of result.faults.slice(0, -1)) say_fault(fault, io);
    throw result.faults.at(-1);
  };
  const command = (name: string, text: string, action: () => Promise<number>, is_default = false): Command =>
    program
      .command(name, { isDefault: is_default })
      .description(text)
      // commander would say "too many arguments for 'run'" to a mistyped command
      .allowExcessArguments(is_default)
      .action(async (_, self: Command) => {
        const [unknown] = self.args;
        if (unknown !== undefined && !(is_default && unknown === name))
          self.error(`error: unknown command '${unknown}'`);
        code = await action();
      });
  command(
    'run',
    'connect and steer the swarm (the default)',
    () => commands.run(options_of(['server', 'script']), io),
    true,
  );
  command('check', 'validate the script and its module, open nothing', () =>
    commands.check(options_of(['script']), io),
  );
  command('try', 'one client, one iteration without sleeps, every byte printed', () =>
    commands.try(options_of(['server', 'script']), io),
  );
  command(
    'limits',
    'what bounds the number of connections on this machine, with these options; opens no connection',
    () => commands.limits(options_of([]), io),
  );
  command('agent', 'offer this machine to a swarm of many: its workers hold what the plan gives them (--join)', () =>
    commands.agent(options_of([]), io),
  );
  command(
    'attach',
    'join the run that is going on in a swarm of many machines: a console, and a leader in reserve',
    () => commands.attach(options_of([]), io),
  );
  program
    .command('summary')
    .description('print the final summary of a run of a swarm of many machines; --summary writes it as JSON')
    .argument('<run>', 'its id, as `status` and the summary show it')
    .action(async (run: string) => {
      code = await commands.summary(run, options_of([]), io);
    });
  program
    .command('series')
    .description(
      'print the course of a run of a swarm of many machines as CSV, a line a second, while it goes on or later',
    )
    .argument('<run>', 'its id, as `status` and the summary show it')
    .action(async (run: string) => {
      code = await commands.series(run, options_of([]), io);
    });
  program
    .command('merge')
    .description('add up the summaries of segments that ran apart; --summary writes the whole as JSON')
    .argument('<files...>', 'what --summary wrote for each of them')
    .action(async (files: string[]) => {
      code = await commands.merge(files, options_of([]), io);
    });
  command('schema', 'print the JSON Schema of scripts', () => commands.schema(io));
  command('demo', 'start an example server, swarm it and steer it for half a minute; takes no options', () => {
    refuse(flags_given(program), 'demo takes no options, it brings its own server and script; swarm run takes them');
    return commands.demo(io);
  }).configureHelp({ showGlobalOptions: false });
  const engine = program
    .command('engine')
    .description('what swarms of many machines share')
    .configureHelp({ showGlobalOptions: false });
  const up = engine
    .command('up')
    .description('write configuration and credentials, and run nats-server with them until SIGINT or SIGTERM')
    .configureHelp({ showGlobalOptions: false })
    .allowExcessArguments(false)
    .action(async () => {
      // commander gives --listen to the program, which has one too
      const { listen, ...others } = flags_given(program);
      refuse(others, 'swarm engine up takes none of these, see swarm engine up --help');
      const given = up.opts<{ dir?: string; agents: string; host?: string[] }>();
      code = await commands.engine_up(engine_options({ ...given, listen: listen?.texts[0] }), io);
    });
  for (const option of ENGINE_FLAGS) up.addOption(option);

  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    // help and version are errors to commander too, with exit code 0
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const fault = error instanceof SwarmError ? error : new SwarmError('internal', { reason: reason_of(error) }, error);
    say_fault(fault, io);
    if (fault.code === 'internal' && error instanceof Error) io.err.line(String(error.stack));
    return fault.exit;
  }
  return code;
}

/** What the environment says is for the other commands. */
function flags_given(program: Command): Partial<Record<OptionName, Given>> {
  return Object.fromEntries(Object.entries(given_to(program)).filter(([, { from }]) => from === 'flag'));
}

function refuse(given: Partial<Record<OptionName, Given>>, reason: string): void {
  const flags = (Object.keys(given) as OptionName[]).map(flag_of);
  if (flags.length === 0) return;
  throw new SwarmError('bad_option', { option: flags.join(', '), reason });
}

const is_many = (name: OptionName): boolean => 'many' in OPTIONS[name];
const is_switch = (name: OptionName): boolean => 'is_switch' in OPTIONS[name];

const say_fault = (fault: SwarmError, io: Io): void => io.err.line(`swarm: ${fault.message}`);

/** What the user gave, by name, and where: options left alone are not in it. */
function given_to(program: Command): Partial<Record<OptionName, Given>> {
  const given: Partial<Record<OptionName, Given>> = {};
  for (const option of program.options) {
    const name = (Object.keys(OPTIONS) as OptionName[]).find((key) => flag_of(key) === option.long);
    const source = program.getOptionValueSource(option.attributeName());
    if (name === undefined || (source !== 'cli' && source !== 'env')) continue;
    const from = source === 'env' ? 'environment' : 'flag';
    // commander takes any text in the variable of a switch for yes
    const value: unknown =
      is_switch(name) && source === 'env'
        ? process.env[variable_of(name)]
        : program.getOptionValue(option.attributeName());
    const texts = [value].flat().map(String);
    const listed = is_many(name) && (from === 'environment' || 'commas' in OPTIONS[name]);
    given[name] = { texts: listed ? texts.flatMap((text) => text.split(',')) : texts, from };
  }
  return given;
}
