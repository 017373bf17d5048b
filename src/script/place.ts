/** The values of a file with their places, and the way from a JSON pointer to one. */
import { keys_of } from './wording.ts';

/** A value and where it starts. An alias has no children: whatever is wrong inside is shown where the alias is used. */
export interface Place {
  readonly offset: number;
  readonly value: unknown;
  /** how many values it holds, with every alias expanded */
  readonly size: number;
  readonly children?: ReadonlyMap<string, Child>;
  /** a fault was reported here: do not use the value */
  readonly faulty: boolean;
}
export interface Child {
  /** where its key starts; for an element of a list, where the element does */
  readonly key: number;
  readonly place: Place;
}

/** Follows a JSON pointer as far as it goes. */
export function find(root: Place, pointer: string): Child {
  let child: Child = { key: root.offset, place: root };
  for (const key of keys_of(pointer)) {
    const next = child.place.children?.get(key);
    if (next === undefined) break;
    child = next;
  }
  return child;
}
