/** The names of groups, loops and actions: what may be one, so that `[group.][loop.]action` is one thing everywhere. */
import { COMMANDS } from '../grammar/table.ts';
import { has, wrong_key, wrong_value, type RawGroup, type Wrong } from './raw.ts';
import { MAIN, NAME } from './types.ts';
import { quoted } from './wording.ts';

/** Words of a load, of thresholds and of their metrics, besides the names of commands. */
const WORDS =
  'in on over graceful within ready done poisson at_most until and or after hold repeat every from to ' +
  'response service request ok failed dropped late rate connect handshake errors open generator messages ' +
  'mean max p50 p90 p95 p99 p99_9 p99_99 connected main other';
/** The console reads its words in any case. */
const RESERVED = new Set([...COMMANDS.map(({ name }) => name), ...WORDS.split(' ')]);

interface GivenName {
  readonly kind: 'group' | 'loop' | 'action';
  readonly name: string;
  /** what is wrong with it stands there */
  readonly fault: (message: string) => Wrong;
  /** the places of its own actions begin with this */
  readonly inside: string;
}

export function check_names(groups: readonly RawGroup[], has_groups: boolean): Wrong[] {
  const taken = new Map<string, GivenName>();
  const called = by_command(groups);
  return named_in(groups, has_groups).flatMap((one) => {
    const before = taken.get(one.name);
    if (before === undefined) taken.set(one.name, one);
    const wrong = bad_name(one) ?? not_unique(one, before, called.get(one.name) ?? []);
    return wrong === undefined ? [] : [one.fault(wrong)];
  });
}

/** What the file gives a name, in its order within each kind. */
function named_in(groups: readonly RawGroup[], has_groups: boolean): GivenName[] {
  const at_key = (kind: 'group' | 'loop', name: string, at: string): GivenName => {
    return { kind, name, fault: (message) => wrong_key(at, message), inside: `${at}/` };
  };
  return groups.flatMap((group) => [
    ...(has_groups ? [at_key('group', group.name, group.at)] : []),
    ...group.loops.flatMap((loop) => [
      ...(has(group.raw, 'loops') ? [at_key('loop', loop.name, loop.at)] : []),
      ...loop.actions.flatMap(({ at, raw: { name, command } }): GivenName[] =>
        typeof name === 'string' && name !== command
          ? [{ kind: 'action', name, fault: (message) => wrong_value(`${at}/name`, message), inside: `${at}/` }]
          : [],
      ),
    ]),
  ]);
}

/** By command, where the actions are that are called by it, as they have no name of their own. */
function by_command(groups: readonly RawGroup[]): Map<string, string[]> {
  const called = new Map<string, string[]>();
  for (const { at, raw } of groups.flatMap(({ loops }) => loops).flatMap(({ actions }) => actions)) {
    const { command, name } = raw;
    if (typeof command !== 'string' || (name !== undefined && name !== command)) continue;
    const known = called.get(command);
    if (known) known.push(at);
    else called.set(command, [at]);
  }
  return called;
}

const a = (kind: GivenName['kind']): string => (kind === 'action' ? 'an action' : `a ${kind}`);

function bad_name({ kind, name }: GivenName): string | undefined {
  if (!NAME.test(name))
    return `${quoted(name)} is no name of ${a(kind)}: letters, digits, \`_\` and \`-\`, at most 64, the first of them a letter or \`_\``;
  if (name in {}) return `${quoted(name)} is what every object has: call the ${kind} something else`;
  if (!RESERVED.has(name.toLowerCase()) || (name === MAIN && kind !== 'action')) return undefined;
  return `${quoted(name)} has a meaning at the console or among the metrics: call the ${kind} something else, such as ${quoted(`${name}_1`)}`;
}

/** `calls`: where actions are that have this name by their command. A group or a loop may be called like one of its own. */
function not_unique(
  { kind, name, inside }: GivenName,
  before: GivenName | undefined,
  calls: readonly string[],
): string | undefined {
  const instead = `: names of groups, loops and actions are all different, call the ${kind} something else`;
  if (before !== undefined) return `${quoted(name)} is the name of ${a(before.kind)} already${instead}`;
  const is_other = calls.some((at) => kind === 'action' || !at.startsWith(inside));
  return is_other ? `${quoted(name)} is the command of another action${instead}` : undefined;
}
