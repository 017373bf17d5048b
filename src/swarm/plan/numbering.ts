/**
 * Which client of which group an id is. Pure.
 *
 * Ids are dealt to the groups of a run in turn, in proportion to their shares: the next one always goes to the group
 * with the lowest clients/share (ties: the first group). With shares of 1 and 3:
 *
 *     id      1   2   3   4   5   6   7   8   9  …
 *     group   a   b   b   b   a   b   b   b   a  …
 *
 * So the group of an id depends on nothing but the shares: one seed gives each client the same course on one process
 * and on many machines. A swarm of n clients whose groups follow their shares has the ids 1…n. Within a group clients
 * have indices 1, 2, 3, …, and it is indices that are granted to members and divided into segments.
 */
import { id_at, index_of, part_of, whole_of, type Segment } from './segment.ts';

export { MAX_SHARE } from '../../script/types.ts';

/**
 * A group as far as numbers go: its part of the clients is `share`/Σ share, an integer from 0 to {@link MAX_SHARE}. A
 * group with share 0 has the clients only that it is given by name; ids are dealt to it as if it had share 1.
 */
export interface Sharing {
  readonly share: number;
}

const turns_of = ({ share }: Sharing): number => share || 1;

/** The id of the `index`-th client of the group at `group`; all from 1 on. */
export function id_in_turn(groups: readonly Sharing[], group: number, index: number): number {
  const before = index - 1;
  const own = turns_of(groups[group]!);
  let id = index;
  for (let other = 0; other < groups.length; other++) {
    if (other === group) continue;
    // those of the other group that come before it: k/share of at most, or less than, before/own
    const most = before * turns_of(groups[other]!);
    const rest = most % own;
    id += (most - rest) / own;
    if (other < group || rest > 0) id++;
  }
  return id;
}

/** How many of n clients are of each group, by their shares. It never falls for any group while n grows. */
export function group_targets(groups: readonly Sharing[], n: number): number[] {
  const all = groups.reduce((sum, { share }) => sum + share, 0);
  // so many of each come first, whoever gets the last few
  const surely = Math.max(0, n - groups.length);
  const counts = groups.map(({ share }) => Math.ceil((surely * share) / all));
  for (let left = n - counts.reduce((sum, count) => sum + count, 0); left > 0; left--) {
    let next = -1;
    for (let g = 0; g < groups.length; g++) {
      const { share } = groups[g]!;
      if (share > 0 && (next < 0 || counts[g]! * groups[next]!.share < counts[next]! * share)) next = g;
    }
    counts[next]!++;
  }
  return counts;
}

/** How many of `n` clients of the whole swarm are in the segment. */
export const clients_here = (groups: readonly Sharing[], segment: Segment, n: number): number =>
  group_targets(groups, n).reduce((all, target) => all + part_of(segment, target), 0);

/** The largest target of the whole swarm of which at most `here` clients are in the segment. */
export function whole_here(groups: readonly Sharing[], segment: Segment, here: number): number {
  if (groups.length === 1) return whole_of(segment, here);
  // as many as fit if each group were alone, and a few clients for each group more or less
  let [fits, most] = [
    whole_of(segment, Math.max(0, here - groups.length)),
    whole_of(segment, here + groups.length) + 1,
  ];
  while (clients_here(groups, segment, fits) > here) fits = Math.floor(fits / 2);
  while (clients_here(groups, segment, most) <= here) most *= 2;
  while (most - fits > 1) {
    const middle = Math.floor((fits + most) / 2);
    if (clients_here(groups, segment, middle) <= here) fits = middle;
    else most = middle;
  }
  return fits;
}

/** The ids of one group in one segment. */
export class Numbering {
  readonly #groups: readonly Sharing[];
  readonly #group: number;
  readonly #segment: Segment;

  constructor(groups: readonly Sharing[], group: number, segment: Segment) {
    this.#groups = groups;
    this.#group = group;
    this.#segment = segment;
  }

  /** of the `index`-th client of the group that is in the segment */
  id(index: number): number {
    const in_group = id_at(this.#segment, index);
    return this.#groups.length === 1 ? in_group : id_in_turn(this.#groups, this.#group, in_group);
  }

  /** Null: the id is of another group or segment. */
  index(id: number): number | null {
    const in_group = count_in_turn(this.#groups, this.#group, id);
    if (in_group === 0 || id_in_turn(this.#groups, this.#group, in_group) !== id) return null;
    return index_of(this.#segment, in_group);
  }
}

/** Whose client of which group, by position, an id is; null: of another segment. */
export function place_of(groups: readonly Sharing[], segment: Segment, id: number): GroupPlace | null {
  for (const group of groups.keys()) {
    const index = new Numbering(groups, group, segment).index(id);
    if (index !== null) return { group, index };
  }
  return null;
}

interface GroupPlace {
  readonly group: number;
  readonly index: number;
}

/** How many of the ids 1…n are of this group. */
function count_in_turn(groups: readonly Sharing[], group: number, n: number): number {
  if (groups.length === 1) return n;
  const all = groups.reduce((sum, one) => sum + turns_of(one), 0);
  // each group is fewer clients away from its exact part than there are groups
  let index = Math.max(0, Math.floor(((n - groups.length) * turns_of(groups[group]!)) / all));
  while (id_in_turn(groups, group, index + 1) <= n) index++;
  return index;
}
