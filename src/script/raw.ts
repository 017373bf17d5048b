/** What stands in a file, by groups, loops and actions, as far as it can be read. Places are JSON pointers. */
import { MAIN } from './types.ts';
import { to_token, type Finding } from './wording.ts';

/** A mapping of the file. */
export type Raw = Readonly<Record<string, unknown>>;

export interface RawAction {
  readonly at: string;
  readonly raw: Raw;
}

export interface RawLoop {
  readonly name: string;
  readonly at: string;
  /** with its iterations; nothing in a loop that is only a list */
  readonly raw: Raw;
  /** where its list is */
  readonly list_at: string;
  /** those of the list that are mappings */
  readonly actions: readonly RawAction[];
}

export interface RawGroup {
  readonly name: string;
  readonly at: string;
  readonly raw: Raw;
  /** the key that names its module: its own, or that of the whole script */
  readonly protocol_at: string;
  readonly protocol: unknown;
  readonly loops: readonly RawLoop[];
}

/** A fault of what stands at a pointer, or of its key. */
export type Wrong = Pick<Finding, 'pointer' | 'of' | 'message'>;
export const wrong_key = (pointer: string, message: string): Wrong => ({ pointer, of: 'key', message });
export const wrong_value = (pointer: string, message: string): Wrong => ({ pointer, of: 'value', message });

export const is_mapping = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const has = (raw: Raw, key: string): boolean => Object.hasOwn(raw, key);

/** A script without `groups` is a group itself. */
export function groups_in(root: unknown): RawGroup[] {
  if (!is_mapping(root)) return [];
  if (!has(root, 'groups')) return [group_in(MAIN, '', root, root)];
  return mappings_in(root['groups'], '/groups').map(({ name, at, raw }) => group_in(name, at, raw, root));
}

function group_in(name: string, at: string, raw: Raw, root: Raw): RawGroup {
  const own = has(raw, 'protocol');
  return {
    name,
    at,
    raw,
    protocol_at: own ? `${at}/protocol` : '/protocol',
    protocol: (own ? raw : root)['protocol'],
    loops: loops_in(raw, at),
  };
}

/** Without `loops` the group's actions are its only one. */
function loops_in(raw: Raw, at: string): RawLoop[] {
  if (!has(raw, 'loops')) return has(raw, 'actions') ? [loop_in(MAIN, at, raw)] : [];
  const loops = raw['loops'];
  if (!is_mapping(loops)) return [];
  return Object.entries(loops).flatMap(([name, value]) => {
    const at_loop = `${at}/loops/${to_token(name)}`;
    if (is_mapping(value)) return [loop_in(name, at_loop, value)];
    return Array.isArray(value)
      ? [{ name, at: at_loop, raw: {}, list_at: at_loop, actions: actions_in(value, at_loop) }]
      : [];
  });
}

const loop_in = (name: string, at: string, raw: Raw): RawLoop => {
  const list_at = `${at}/actions`;
  return { name, at, raw, list_at, actions: actions_in(raw['actions'], list_at) };
};

const actions_in = (value: unknown, at: string): RawAction[] =>
  (Array.isArray(value) ? (value as unknown[]) : []).flatMap((raw, i) =>
    is_mapping(raw) ? [{ at: `${at}/${i}`, raw }] : [],
  );

const mappings_in = (value: unknown, at: string): { name: string; at: string; raw: Raw }[] =>
  Object.entries(is_mapping(value) ? value : {}).flatMap(([name, raw]) =>
    is_mapping(raw) ? [{ name, at: `${at}/${to_token(name)}`, raw }] : [],
  );
