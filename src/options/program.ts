/** The command line as commander reads it: which command, with which options. What the commands do is passed in. */
import { Command, CommanderError, Option } from 'commander';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { VERSION } from '../foundation/version.ts';
import { engine_options, type EngineOptions } from './engine-options.ts';
import { ABOUT_COMMANDS, EXAMPLES, show_options } from './help.ts';
import type { CommandName } from './option-row.ts';
import {
  OPTION_NAMES,
  OPTIONS,
  takes_variables,
  variable_of,
  type OptionName,
  type Options,
  type OptionsWith,
} from './options.ts';
import { parse_options, way_of_run, type AllGiven, type Given } from './parse-options.ts';

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

const ABOUT =
  'Holds massive numbers of TCP connections against a server, each looping a script, steered from a telnet console.';
const RUN_ID = 'its id, as `status` and the summary show it';

/**
 * Runs the command that `args` (without node and the program's name) ask for; says every fault on `io.err`. Never
 * rejects.
 */
export async function run_program(args: readonly string[], commands: Commands, io: Io): Promise<number> {
  let code = 0;
  const program = new Command('swarm')
    .usage('[run] --server <host:port> --script <file> [options]\n       swarm <command> [options]')
    .description(`${ABOUT}\n${EXAMPLES}`)
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out.write(text), writeErr: (text) => io.err.write(text) })
    .showHelpAfterError('(swarm --help lists the commands, swarm <command> --help the options of one)')
    .addHelpText('after', ABOUT_COMMANDS);
  const typed: Typed = {};
  for (const name of OPTION_NAMES) {
    const option = new Option(OPTIONS[name].flags).hideHelp();
    // here and not at their commands: they may stand before the command, too
    program.addOption(option).on(`option:${option.name()}`, (text: string | null | undefined) => {
      (typed[name] ??= []).push(text ?? 'true');
    });
  }

  const options_of = <K extends OptionName = never>(name: CommandName, required: readonly K[] = []): OptionsWith<K> => {
    const result = parse_options(given_to(name, typed), name, required);
    if ('options' in result) return result.options;
    for (const fault of result.faults.slice(0, -1)) say_fault(fault, io);
    throw result.faults.at(-1);
  };
  /** `usage`: what follows `swarm`; `names`: those whose options it takes. */
  const command = (usage: string, text: string, names: readonly CommandName[], parent = program): Command => {
    const [name] = names;
    const made = parent.command(name!.split(' ').at(-1)!, { isDefault: name === 'run' }).description(text);
    show_options(made, `swarm ${usage}`, names);
    return made;
  };

  program.commandsGroup('On one machine:');
  const run = command(
    'run --server <host:port> --script <file> [options]',
    'connect and steer the swarm (the default); with --join on many machines',
    ['run', 'run --join'],
  )
    // commander would say "too many arguments for 'run'" to a mistyped command
    .allowExcessArguments()
    .action(async () => {
      const [unknown] = run.args;
      if (unknown !== undefined && unknown !== 'run') run.error(`error: unknown command '${unknown}'`);
      const way = way_of_run(given_to('run --join', typed));
      code = await commands.run(options_of(way, ['server', 'script']), io);
    });
  command(
    'try --server <host:port> --script <file> [options]',
    'one client, one iteration without sleeps, every byte printed',
    ['try'],
  ).action(async () => {
    code = await commands.try(options_of('try', ['server', 'script']), io);
  });
  command('check --script <file> [options]', 'validate the script and its module, open nothing', ['check']).action(
    async () => {
      code = await commands.check(options_of('check', ['script']), io);
    },
  );
  command('limits [options]', 'what bounds the number of connections here, with these options; opens none', [
    'limits',
  ]).action(async () => {
    code = await commands.limits(options_of('limits'), io);
  });
  command('demo', 'start an example server, swarm it and steer it for half a minute; takes no options', [
    'demo',
  ]).action(async () => {
    options_of('demo');
    code = await commands.demo(io);
  });
  command('schema', 'print the JSON Schema of scripts; takes no options', ['schema']).action(async () => {
    options_of('schema');
    code = await commands.schema(io);
  });

  program.commandsGroup('On many machines:');
  const engine = program
    .command('engine')
    .description('what they share; swarm engine up starts it: nats-server, with safe settings')
    .helpCommand(false)
    .configureHelp({ commandUsage: () => 'swarm engine up [options]', visibleOptions: () => [] });
  command(
    'engine up [options]',
    'write configuration and credentials, and run nats-server with them until SIGINT or SIGTERM',
    ['engine up'],
    engine,
  ).action(async () => {
    code = await commands.engine_up(engine_options(options_of('engine up')), io);
  });
  command('agent --join <engine> [options]', 'offer this machine: its workers hold what the plan gives them', [
    'agent',
  ]).action(async () => {
    code = await commands.agent(options_of('agent'), io);
  });
  command('attach --join <engine> [options]', 'join the run that goes on: a console, and a leader in reserve', [
    'attach',
  ]).action(async () => {
    code = await commands.attach(options_of('attach'), io);
  });
  command('summary <run> --join <engine> [options]', 'print the final summary of a run; --summary writes it as JSON', [
    'summary',
  ])
    .argument('<run>', RUN_ID)
    .action(async (id: string) => {
      code = await commands.summary(id, options_of('summary'), io);
    });
  command(
    'series <run> --join <engine> [options]',
    'print the course of a run as CSV, a line a second, while it goes on or later',
    ['series'],
  )
    .argument('<run>', RUN_ID)
    .action(async (id: string) => {
      code = await commands.series(id, options_of('series'), io);
    });

  program.commandsGroup('Of segments that ran apart:');
  command('merge <files...> [options]', 'add up their summaries; --summary writes the whole as JSON', ['merge'])
    .argument('<files...>', 'what --summary wrote for each of them')
    .action(async (files: string[]) => {
      code = await commands.merge(files, options_of('merge'), io);
    });

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

const say_fault = (fault: SwarmError, io: Io): void => io.err.line(`swarm: ${fault.message}`);

/** The values of each flag, in the order in which they were typed. */
type Typed = { [K in OptionName]?: string[] };

/** What was typed, whatever the command takes, and of what was not its variable. */
function given_to(command: CommandName, typed: Typed): AllGiven {
  const given: { [K in OptionName]?: Given } = {};
  for (const name of OPTION_NAMES) {
    const { many, commas } = OPTIONS[name];
    const variable = takes_variables(command) ? process.env[variable_of(name)] : undefined;
    const flags = typed[name];
    if (flags) given[name] = { texts: commas ? flags.flatMap((text) => text.split(',')) : flags, from: 'flag' };
    else if (variable !== undefined)
      given[name] = { texts: many ? variable.split(',') : [variable], from: 'environment' };
  }
  return given;
}
