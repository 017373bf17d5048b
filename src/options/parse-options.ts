/** From what was given to the options of a command, or to everything that is wrong with it. Pure. */
import { SwarmError } from '../foundation/errors.ts';
import { COMMANDS, type CommandName } from './option-row.ts';
import {
  fallback_of,
  flag_of,
  OPTION_NAMES,
  OPTIONS,
  takes,
  variable_of,
  type OptionName,
  type OptionsWith,
} from './options.ts';

/** What was given of an option, and where: the faults quote it as the user wrote it. */
export interface Given {
  /** one, or as many as were given */
  readonly texts: readonly string[];
  readonly from: 'flag' | 'environment';
}
/** By name; options left alone are not in it. */
export type AllGiven = { readonly [K in OptionName]?: Given };

/** Which of the two `swarm run` is: to name an engine, or who it is towards one, makes it one of many machines. */
export const way_of_run = ({ join, credentials }: AllGiven): 'run' | 'run --join' =>
  join || credentials ? 'run --join' : 'run';

/**
 * The options of a command, or everything that is wrong with them at once. What was typed and it does not take is
 * refused; a variable of the environment may be there for other commands.
 */
export function parse_options<K extends OptionName = never>(
  given: AllGiven,
  command: CommandName,
  required: readonly K[] = [],
): { readonly options: OptionsWith<K> } | { readonly faults: readonly SwarmError[] } {
  const faults: SwarmError[] = [];
  const fault = (name: OptionName, reason: string): void => {
    const option = given[name]?.from === 'environment' ? variable_of(name) : flag_of(name);
    faults.push(new SwarmError('bad_option', { option, reason }));
  };
  const values: { [N in OptionName]?: unknown } = {};
  for (const name of OPTION_NAMES) {
    const { shape, many, is_switch } = OPTIONS[name];
    const is_taken = takes(command, name);
    if (!is_taken && given[name]?.from === 'flag') fault(name, not_taken(command, name));
    const fallback = fallback_of(command, name);
    const texts = (is_taken ? given[name]?.texts : undefined) ?? (fallback === undefined ? [] : [fallback]);
    if (!many && !is_switch && texts.length > 1) fault(name, given_again(texts));
    const parsed = texts.map((text) => shape.parse(text));
    for (const [i, text] of texts.entries())
      if (parsed[i] === undefined) fault(name, `${JSON.stringify(text)} is not ${shape.text}`);
    values[name] = texts.length === 0 ? null : many ? parsed : parsed[0];
    if (texts.length === 0 && (required as readonly OptionName[]).includes(name))
      fault(name, `not given; it takes ${shape.text}, here or in ${variable_of(name)}`);
  }
  if (faults.length > 0) return { faults };
  const options = values as OptionsWith<K>;
  const { connect_rate, max_connect_rate } = options;
  if (max_connect_rate === null || connect_rate <= max_connect_rate) return { options };
  // the default gives way
  if (!given.connect_rate || !takes(command, 'connect_rate'))
    return { options: { ...options, connect_rate: max_connect_rate } };
  fault('connect_rate', `${connect_rate} is above --max-connect-rate ${max_connect_rate}`);
  return { faults };
}

function not_taken(command: CommandName, name: OptionName): string {
  // both ways of `swarm run` go by one name
  const is_both = takes('run', name) && takes('run --join', name);
  const others = COMMANDS.filter((other) => takes(other, name) && !(is_both && other === 'run --join'));
  const named = others.map((other) => named_command(other, name));
  const others_do = `${listed(named)} ${named.length === 1 ? 'does' : 'do'}`;
  return `${named_command(command, name)} does not take it, ${others_do}: leave it out here`;
}

/** As the user types it; told apart from `swarm run --join` only where that makes a difference to the option. */
function named_command(command: CommandName, name: OptionName): string {
  const is_alone = command === 'run' && takes('run', name) !== takes('run --join', name);
  return `\`swarm ${command}\`${is_alone ? ' without --join' : ''}`;
}

function given_again(texts: readonly string[]): string {
  const count = texts.length === 2 ? 'twice' : `${texts.length} times`;
  const values = listed(texts.map((text) => JSON.stringify(text)));
  return `given ${count}, as ${values}, but it takes one value: leave out all but one`;
}

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
