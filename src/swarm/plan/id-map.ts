/** Maps the numbers 1, 2, 3, … that an agent deals to its workers to the ids that the agent was granted. Pure. */
import { place_of } from './numbering.ts';
import type { IdRange } from './orders.ts';
import type { GroupSpec } from './run-spec.ts';
import { WHOLE } from './segment.ts';

/**
 * Index k is the k-th id of `granted`, its ranges taken in their order. While both lists grow as `Ids.of` does, so does
 * the result: ranges are appended, and the end of the last one moves. Therefore the result ends before the first index
 * that has no id yet. If later ranges of `local` did not wait, the end of a range in the middle would have to move.
 */
export function ids_within(local: readonly IdRange[], granted: readonly IdRange[]): IdRange[] {
  const mapped: IdRange[] = [];
  for (const [first, last, step] of local) {
    let index = first;
    /** ids in the granted ranges so far */
    let passed = 0;
    for (const [id, end, by] of granted) {
      const before = passed;
      passed += (end - id) / by + 1;
      const most = Math.min(last, passed);
      if (index > most) continue;
      const steps = Math.floor((most - index) / step);
      const from = id + (index - before - 1) * by;
      mapped.push([from, from + steps * step * by, step * by]);
      index += (steps + 1) * step;
    }
    if (index <= last) break;
  }
  return mapped;
}

/** The index of an id, see {@link ids_within}; null: it was not granted. */
export function index_within(id: number, granted: readonly IdRange[]): number | null {
  let passed = 0;
  for (const [first, last, step] of granted) {
    if (id >= first && id <= last && (id - first) % step === 0) return passed + (id - first) / step + 1;
    passed += (last - first) / step + 1;
  }
  return null;
}

/** The client's group, by position, and its index within what is owned of it, by group; null: it is not owned. */
export function place_within(
  id: number,
  groups: readonly GroupSpec[],
  owned: Readonly<Record<string, { readonly ids: readonly IdRange[] }>>,
): ReturnType<typeof place_of> {
  const place = place_of(groups, WHOLE, id);
  const index = place && index_within(place.index, owned[groups[place.group]!.name]?.ids ?? []);
  return index === null ? null : { group: place!.group, index };
}
