/** What may stand beside what in a script, in a group and in a loop: more than a JSON Schema can say well. */
import { nearest } from '../foundation/suggest.ts';
import { has, wrong_key, wrong_value, type Raw, type RawGroup, type RawLoop, type Wrong } from './raw.ts';
import { MAX_ACTIONS, SCRIPT_SCHEMA } from './schema.ts';
import { quoted } from './wording.ts';

/** What a script without groups has, and each group of one that has groups. */
const PLAYED = ['actions', 'loops', 'iterations', 'iterations_in_all', 'sleep_between_iterations'] as const;
/** What belongs to each loop. */
const OF_LOOP = ['iterations', 'sleep_between_iterations'] as const;
const KNOWN: readonly string[] = [...Object.keys(SCRIPT_SCHEMA.properties), 'share'];

export function check_groups(root: Raw, groups: readonly RawGroup[]): Wrong[] {
  return [
    ...(has(root, 'groups') ? check_beside_groups(root, groups) : []),
    ...groups.flatMap((group) => check_group(group)),
    ...check_number(groups, has(root, 'groups')),
  ];
}

function check_beside_groups(root: Raw, groups: readonly RawGroup[]): Wrong[] {
  const wrong = PLAYED.filter((key) => has(root, key)).map((key) =>
    wrong_key(`/${key}`, `\`${key}\` beside \`groups\`: it belongs to one of the groups, write it there`),
  );
  if (groups.length > 0 && groups.every(({ raw }) => raw['share'] === 0))
    wrong.push(
      wrong_key('/groups', 'every group has `share: 0`: give one of them a share from 1 on, or all leave it out'),
    );
  return wrong;
}

function check_group({ name, at, raw, protocol, loops }: RawGroup): Wrong[] {
  const wrong: Wrong[] = [];
  const lacks = (key: string, more = ''): void => {
    if (!is_mistyped(raw, key)) wrong.push(wrong_value(at, `${whole(name, at)} lacks the key \`${key}\`${more}`));
  };
  if (protocol === undefined) lacks('protocol');
  if (!has(raw, 'actions') && !has(raw, 'loops'))
    lacks('actions', at === '' ? ', or `loops`, or `groups`' : ', or `loops`');
  if (has(raw, 'loops')) wrong.push(...check_beside_loops(raw, at, loops));
  if (has(raw, 'iterations_in_all')) wrong.push(...check_in_all(at, loops));
  return wrong;
}

const whole = (name: string, at: string): string => (at === '' ? 'the script' : `the group ${quoted(name)}`);

/** A key that is there with a mistake is not missing as well. */
const is_mistyped = (raw: Raw, key: string): boolean =>
  Object.keys(raw).some((each) => !KNOWN.includes(each) && nearest(each, KNOWN) === key);

function check_beside_loops(raw: Raw, at: string, loops: readonly RawLoop[]): Wrong[] {
  const wrong = OF_LOOP.filter((key) => has(raw, key)).map((key) => {
    const [first] = loops;
    const instead = `${first?.name ?? 'main'}: { actions: […], ${key}: ${shown_value(raw[key])} }`;
    return wrong_key(`${at}/${key}`, `\`${key}\` beside \`loops\`: each loop has its own, such as \`${instead}\``);
  });
  if (has(raw, 'actions'))
    wrong.push(
      wrong_key(`${at}/actions`, '`actions` beside `loops`: make the list one of the loops, such as `main: […]` there'),
    );
  const [ending, endless] = [true, false].map((ends) => loops.filter((loop) => has(loop.raw, 'iterations') === ends));
  if (ending!.length > 0)
    for (const loop of endless!)
      wrong.push(
        wrong_key(
          loop.at,
          `${quoted(loop.name)} never ends, so its clients would never be done: give it \`iterations\` as ${quoted(ending![0]!.name)} has, or take them from there`,
        ),
      );
  return wrong;
}

const shown_value = (value: unknown): string => (typeof value === 'number' ? String(value) : '…');

function check_in_all(at: string, loops: readonly RawLoop[]): Wrong[] {
  const key = `${at}/iterations_in_all`;
  if (loops.length > 1)
    return [
      wrong_key(
        key,
        `\`iterations_in_all\` is for a group with one loop, this one has ${loops.length}: give each loop \`iterations\``,
      ),
    ];
  if (!loops.some(({ raw }) => has(raw, 'iterations'))) return [];
  return [
    wrong_key(
      key,
      '`iterations_in_all` beside `iterations`: the first is of all clients together, the second of each client, keep one',
    ),
  ];
}

/** Of one list the schema says it. */
function check_number(groups: readonly RawGroup[], has_groups: boolean): Wrong[] {
  const lists = groups.flatMap(({ loops }) => loops.map(({ actions }) => actions.length));
  const all = lists.reduce((sum, one) => sum + one, 0);
  if (all <= MAX_ACTIONS || Math.max(...lists) > MAX_ACTIONS) return [];
  return [
    wrong_key(
      has_groups ? '/groups' : '/loops',
      `these are ${all} actions in all, a script has at most ${MAX_ACTIONS}`,
    ),
  ];
}
