/** What a row of the table of options says, and which commands there are to say it of. */
import type { OptionShape } from './shapes.ts';

/** Whoever takes options. `swarm run` is two: alone on one machine, and with --join (or --credentials) on many. */
export const COMMANDS = [
  'run',
  'run --join',
  'try',
  'check',
  'limits',
  'demo',
  'schema',
  'engine up',
  'agent',
  'attach',
  'summary',
  'series',
  'merge',
] as const;
export type CommandName = (typeof COMMANDS)[number];

/** What plays a script on many machines or on one. */
export const RUNS = ['run', 'run --join'] as const satisfies readonly CommandName[];

/** Under which heading the help shows it. */
type Group =
  | 'What to play'
  | 'Where to connect'
  | 'How many and how fast'
  | 'Each connection'
  | 'TLS'
  | 'The console'
  | 'What is written'
  | 'Many machines'
  | 'Options';

export interface OptionRow<T> {
  /** as commander reads them; the long one in capitals with SWARM_ before it is the variable of the environment */
  readonly flags: string;
  readonly help: string;
  readonly group: Group;
  /** those that read it: what others are given is refused */
  readonly commands: readonly CommandName[];
  /** the default, as it would be typed; undefined: none */
  readonly fallback?: string;
  /** what holds then, in words */
  readonly otherwise?: string;
  readonly shape: OptionShape<T>;
  /** may be given several times; its variable takes a list with commas. The value is a list of what the shape makes. */
  readonly many?: true;
  /** so may the flag */
  readonly commas?: true;
  /** the flag takes no value and says `true`; only its variable of the environment can say `false` */
  readonly is_switch?: true;
  /** where one of them differs */
  readonly by_command?: { readonly [K in CommandName]?: Partial<Pick<OptionRow<T>, 'help' | 'group' | 'fallback'>> };
}

/** A row as it is written, so that the type of its value and whether it has a default are known. */
export const option = <T, R extends OptionRow<T>>(row: R & OptionRow<T>): R => row;
