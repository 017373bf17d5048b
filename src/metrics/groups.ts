/** Groups: populations of a run with a name each. Everything that is measured is kept by that name. */
import { MAIN, MAX_GROUPS } from '../script/types.ts';

export { MAIN, MAX_GROUPS } from '../script/types.ts';

/** of all groups together: those of the script, and `connected` of each group */
export const MAX_ACTIONS = 1000 + MAX_GROUPS;

/** The module's hook: a reserved name, so no action of the script. Its rounds belong to no loop. */
export const CONNECTED = 'connected';

/** A group of a run, and what its clients play. */
export interface PlayedGroup {
  readonly name: string;
  /** in order, then `connected` if the module has it: as in `GroupSnapshot.actions` */
  readonly actions: readonly PlayedAction[];
}

export interface PlayedAction {
  /** {@link MAIN} without loops, and of `connected` */
  readonly loop: string;
  /** its name: its command, unless the script gives it another */
  readonly action: string;
  readonly command: string;
}

/** What an action is called within its group: `[loop.]action`. */
export const name_in_group = ({ loop, action }: Pick<PlayedAction, 'loop' | 'action'>): string =>
  loop === MAIN ? action : `${loop}.${action}`;

/** `[group.]name`; `name`: within the group. */
export const name_in_run = (group: string, name: string): string => (group === MAIN ? name : `${group}.${name}`);

/** What an action is called in the whole run: `[group.][loop.]action`. */
export const full_name = ({
  group,
  ...action
}: {
  readonly group: string;
  readonly loop: string;
  readonly action: string;
}): string => name_in_run(group, name_in_group(action));

type ByGroup<T> = Readonly<Record<string, T>>;

/** The same groups, in the same order. */
export function map_groups<T, U>(groups: ByGroup<T>, f: (group: T, name: string) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(groups).map(([name, group]) => [name, f(group, name)]));
}

/** Joins, by name, what each of `list` has of a group. The groups are in the order in which they come up first. */
export function join_groups<T, U>(list: readonly ByGroup<T>[], join: (parts: readonly T[]) => U): Record<string, U> {
  const found = new Map<string, T[]>();
  for (const groups of list)
    for (const [name, group] of Object.entries(groups)) {
      const parts = found.get(name);
      if (parts) parts.push(group);
      else found.set(name, [group]);
    }
  return Object.fromEntries([...found].map(([name, parts]) => [name, join(parts)]));
}
