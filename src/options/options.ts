/** The table of all options: one row an option, for the flags, the environment, the help and the checks. Pure. */
import { CONNECTION_OPTIONS } from './connection-options.ts';
import { CONTROL_OPTIONS } from './control-options.ts';
import { LOAD_OPTIONS } from './load-options.ts';
import type { CommandName, OptionRow } from './option-row.ts';

type Table = typeof LOAD_OPTIONS & typeof CONNECTION_OPTIONS & typeof CONTROL_OPTIONS;
export type OptionName = keyof Table;
type One<K extends OptionName> = Exclude<ReturnType<Table[K]['shape']['parse']>, undefined>;
type Value<K extends OptionName> = Table[K] extends { readonly many: true } ? readonly One<K>[] : One<K>;
/** What a command is given; of an option that it does not take, the default. */
export type Options = {
  readonly [K in OptionName]: Table[K] extends { readonly fallback: string } ? Value<K> : Value<K> | null;
};
/** {@link Options} in which those named `K` were given. */
export type OptionsWith<K extends OptionName> = Options & { readonly [N in K]: NonNullable<Options[N]> };

/** In the order of the help. */
export const OPTIONS: { readonly [K in OptionName]: OptionRow<unknown> } = {
  ...LOAD_OPTIONS,
  ...CONNECTION_OPTIONS,
  ...CONTROL_OPTIONS,
};
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

/** The flag as the user types it (`--connect-rate`) and its variable of the environment (`SWARM_CONNECT_RATE`). */
export const flag_of = (name: OptionName): string => `--${name.replaceAll('_', '-')}`;
export const variable_of = (name: OptionName): string => `SWARM_${name.toUpperCase()}`;

export const takes = (command: CommandName, name: OptionName): boolean => OPTIONS[name].commands.includes(command);
/** Variables are for swarms, not for the engine that several of them share. */
export const takes_variables = (command: CommandName): boolean => command !== 'engine up';
/** What holds when it is not given; undefined: nothing does. */
export const fallback_of = (command: CommandName, name: OptionName): string | undefined =>
  OPTIONS[name].by_command?.[command]?.fallback ?? OPTIONS[name].fallback;
