/**
 * How many clients of each group each member holds, where a member's capacity is for all its groups together. Pure. A
 * matrix has a row for each group, with a number for each member.
 */
import { allocate, grant, sum } from './allocate.ts';

export type Matrix = readonly (readonly number[])[];

/** A member, whatever it holds. */
export interface Holder {
  readonly capacity: number;
  /** > 0, see {@link allocate} */
  readonly weight: number;
}

/** What is wanted of a group. */
export interface GroupTarget {
  readonly target: number;
  /** by which it grows beside other groups, > 0 */
  readonly share: number;
}

/**
 * The share of each member in each group: each row is what {@link allocate} gives for that group in the room that the
 * other groups leave. If not all fits, the groups are cut in proportion to their shares, as a smaller target would.
 */
export function share_groups(groups: readonly GroupTarget[], held: Matrix, members: readonly Holder[]): number[][] {
  const room = sum(members.map(({ capacity }) => capacity));
  const targets = fitted(
    groups.map(({ target }) => target),
    room,
    groups,
  );
  const shares = held.map((row) => [...row]);
  for (const [i, { capacity }] of members.entries()) {
    const column = shares.map((row) => row[i]!);
    if (sum(column) > capacity)
      for (const [g, share] of fitted(column, capacity, groups).entries()) shares[g]![i] = share;
  }
  // those that shrink make room for those that grow
  const grows = (g: number): boolean => targets[g]! > sum(shares[g]!);
  const order = [...groups.keys()].sort((a, b) => Number(grows(a)) - Number(grows(b)));
  const all = members.map((_, i) => sum(shares.map((row) => row[i]!)));
  for (const g of order) {
    const before = members.map(({ capacity, weight }, i) => {
      const held = shares[g]![i]!;
      return { held, capacity: capacity - (all[i]! - held), weight };
    });
    // ties go to other members in each group: many small groups would all stand on the first ones
    const first = Math.floor((g * members.length) / groups.length);
    const after = turned(allocate(targets[g]!, turned(before, first)), members.length - first);
    for (const [i, share] of after.entries()) all[i]! += share - shares[g]![i]!;
    shares[g] = after;
  }
  return shares;
}

/**
 * What may be ordered of `shares` now, see {@link grant}: neither a group nor all together can be running more than
 * their target, or than they could before. `may`: the most that each member could still be running of each group.
 */
export function grant_groups(
  groups: readonly GroupTarget[],
  shares: Matrix,
  may: Matrix,
  members: readonly Pick<Holder, 'weight'>[],
): number[][] {
  const cells = groups.map(({ share }, g) =>
    members.map(({ weight }, i) => ({ may: may[g]![i]!, weight: weight * share })),
  );
  const granted = groups.map(({ target }, g) => grant(target, shares[g]!, cells[g]!));
  if (groups.length === 1) return granted;
  const all = grant(sum(groups.map(({ target }) => target)), granted.flat(), cells.flat());
  return groups.map((_, g) => all.slice(g * members.length, (g + 1) * members.length));
}

/** What groups keep of `clients` if all together are to be `room` at most. */
function fitted(clients: readonly number[], room: number, groups: readonly GroupTarget[]): number[] {
  if (sum(clients) <= room) return [...clients];
  const kept = clients.map((held, g) => ({ held, capacity: held, weight: groups[g]!.share }));
  return allocate(room, kept);
}

/** From `first` on, and then those before it. */
const turned = <T>(list: readonly T[], first: number): T[] => [...list.slice(first), ...list.slice(0, first)];
