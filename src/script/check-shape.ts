/** Everything that is wrong with what a file says, by the schema and beyond it. */
import { Ajv } from 'ajv';
import { RESERVED_EXPORTS } from '../protocols/module.ts';
import { check_groups } from './check-groups.ts';
import { check_spins, check_times } from './check-times.ts';
import { check_names } from './names.ts';
import { check_rates } from './rated.ts';
import { groups_in, has, is_mapping, wrong_value, type RawGroup, type Wrong } from './raw.ts';
import { MAX_ACTIONS, MAX_ITERATIONS, MAX_LOOPS, SCRIPT_SCHEMA } from './schema.ts';
import { to_script } from './to-script.ts';
import { MAX_GROUPS } from './types.ts';
import { findings, label, quoted, shown, type Finding } from './wording.ts';

const validate = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true }).compile(SCRIPT_SCHEMA);

export function check_shape(root: unknown): Wrong[] {
  validate(root);
  const wrong: Wrong[] = findings(validate.errors ?? [], 'the script')
    .filter(is_said_here)
    .map(in_better_words);
  if (!is_mapping(root)) return wrong;
  const groups = groups_in(root);
  wrong.push(
    ...check_groups(root, groups),
    ...check_times(groups),
    ...check_rates(groups),
    ...check_commands(groups),
    ...check_names(groups, has(root, 'groups')),
  );
  if (wrong.length === 0) wrong.push(...check_spins(to_script(root), groups));
  return wrong;
}

/** Of names, of what stands beside what, of ranges, rates, reserved commands and loads the schema cannot say enough. */
const is_said_here = ({ keyword, of, pointer }: Finding): boolean =>
  !['anyOf', 'not', 'propertyNames'].includes(keyword) &&
  !/^\/load(\/|$)/.test(pointer) &&
  !/\/\d+\/rate$/.test(pointer) &&
  !(keyword === 'pattern' && (of === 'key' || /\/name$/.test(pointer)));

/** By the last name of a pointer, and keyword. */
const SAID: Readonly<Record<string, string>> = {
  'protocol pattern':
    '`protocol` must be the plain name of a module: letters, digits, `_` and `-`, no path and no ending',
  'actions minItems': '`actions` is empty: a script has at least one action',
  'actions maxItems': `\`actions\` has more than ${MAX_ACTIONS} actions`,
  'loops minProperties': '`loops` is empty: write at least one, or `actions` instead',
  'loops maxProperties': `\`loops\` has more than ${MAX_LOOPS} loops`,
  'groups minProperties': '`groups` is empty: write at least one, or `actions` instead',
  'groups maxProperties': `\`groups\` has more than ${MAX_GROUPS} groups`,
};
const ITERATIONS = /^iterations(_in_all)?$/;

function in_better_words({ pointer, of, keyword, message, value }: Finding): Wrong {
  const name = label(pointer);
  if (of === 'value' && ITERATIONS.test(name)) {
    const without = 'without end if it is left out';
    return wrong_value(
      pointer,
      `${quoted(name)} must be a whole number from 1 to ${MAX_ITERATIONS}, ${without}, not ${shown(value)}`,
    );
  }
  return { pointer, of, message: SAID[`${name} ${keyword}`] ?? message };
}

const check_commands = (groups: readonly RawGroup[]): Wrong[] =>
  groups
    .flatMap(({ loops }) => loops.flatMap(({ actions }) => actions))
    .filter(({ raw }) => (RESERVED_EXPORTS as readonly unknown[]).includes(raw['command']))
    .map(({ at, raw }) => {
      const message = `\`${String(raw['command'])}\` is an export with a meaning of its own, not a command`;
      return wrong_value(`${at}/command`, message);
    });
