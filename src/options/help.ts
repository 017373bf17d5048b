/** The help of each command: the options that it takes, in groups, with their defaults and variables. */
import { Option, type Command } from 'commander';
import type { CommandName } from './option-row.ts';
import { fallback_of, OPTION_NAMES, OPTIONS, takes, takes_variables, variable_of, type OptionName } from './options.ts';

export const EXAMPLES = `
Examples:
  swarm --server chat.example:7000 --script scripts/chat.yml
  telnet 127.0.0.1 8411            its console; then: incr 1000, status, help`;

export const ABOUT_COMMANDS = `
swarm run --help lists the options of a swarm, swarm <command> --help those of a
command. Each may also come from the environment, --seed as SWARM_SEED; what is
typed wins.

Exit codes: 0 ended as asked; 1 failed at run time; 2 bad usage, script or
module; 130, 143 ended at once by a second SIGINT, SIGTERM.`;

/** Makes a command's help that of the options which one of `commands` takes: `swarm run` is two of them. */
export function show_options(command: Command, usage: string, commands: readonly CommandName[]): void {
  const taken = OPTION_NAMES.filter((name) => commands.some((one) => takes(one, name)));
  const shown = taken.map((name) => shown_option(name, commands));
  command.configureHelp({ commandUsage: () => usage, visibleOptions: () => shown });
}

function shown_option(name: OptionName, commands: readonly CommandName[]): Option {
  const row = OPTIONS[name];
  const [first] = commands.filter((command) => takes(command, name));
  const { help, group, otherwise } = { ...row, ...row.by_command?.[first!] };
  const fallback = row.is_switch ? undefined : (fallback_of(first!, name) ?? otherwise);
  const notes = [
    ...way_note(name, commands),
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
    ...(takes_variables(first!) ? [variable_of(name)] : []),
  ];
  return new Option(row.flags, notes.length === 0 ? help : `${help} (${notes.join('; ')})`).helpGroup(`${group}:`);
}

/** Which of the two `swarm run` an option is for, if not for both. These two themselves make it the other one. */
function way_note(name: OptionName, commands: readonly CommandName[]): string[] {
  if (commands.length === 1 || name === 'join' || name === 'credentials') return [];
  if (!takes('run', name)) return ['with --join'];
  return takes('run --join', name) ? [] : ['not with --join'];
}
