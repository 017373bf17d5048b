/** Snapshots of a run without groups. */
import { MAIN, type PlayedGroup } from '../../src/metrics/groups.ts';
import { add_lost, merge_groups, merge_snapshots, type GroupLost } from '../../src/metrics/merge-snapshots.ts';
import type { GroupSnapshot, Snapshot } from '../../src/metrics/snapshot.ts';

export const NOTHING = merge_groups([]);
export const NOTHING_LOST = add_lost([]);

export const main_of = <T>({ groups }: { readonly groups: Readonly<Record<string, T>> }): T => groups[MAIN]!;

export const of_main = (group: Partial<GroupSnapshot>, more: Partial<Snapshot> = {}): Snapshot => ({
  ...merge_snapshots([]),
  groups: { [MAIN]: { ...NOTHING, ...group } },
  ...more,
});

/** The same snapshot with other numbers of its group. */
export function changed_main(snapshot: Snapshot, change: (group: GroupSnapshot) => Partial<GroupSnapshot>): Snapshot {
  const group = main_of(snapshot);
  return { ...snapshot, groups: { [MAIN]: { ...group, ...change(group) } } };
}

export const main_lost = (lost: Readonly<Record<string, GroupLost>>): GroupLost => lost[MAIN] ?? NOTHING_LOST;

/** A group whose actions have no names of their own. */
export const group_playing = (name: string, ...commands: string[]): PlayedGroup => ({
  name,
  actions: commands.map((command) => ({ loop: MAIN, action: command, command })),
});
export const playing = (...commands: string[]): PlayedGroup[] => [group_playing(MAIN, ...commands)];
