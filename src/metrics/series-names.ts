/** Numbers for the names in a series, so that a row of it has each in a byte or two. */
import type { ActionPlace } from './counted.ts';
import type { Counts } from './snapshot.ts';

/** codes and members that come from outside may be ever new ones */
const MOST = 10_000;
const OTHER = 'other';
/** what one takes: two entries and a string */
const NAME_BYTES = 150;
const ACTION_BYTES = 300;

/** Beyond the ten thousandth all new names are the one called `other`. */
export class Names {
  readonly #numbers = new Map([[OTHER, 0]]);
  readonly #names = [OTHER];

  get bytes(): number {
    return this.#names.length * NAME_BYTES;
  }

  number_of(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.#names.length === MOST) return 0;
    this.#numbers.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }

  name_of(number: number): string {
    return this.#names[number]!;
  }

  /** Without zeros. */
  numbered(counts: Counts): Map<number, number> {
    const numbered = new Map<number, number>();
    for (const [name, count] of Object.entries(counts)) {
      const number = this.number_of(name);
      if (count !== 0) numbered.set(number, (numbered.get(number) ?? 0) + count);
    }
    return numbered;
  }

  named(counts: ReadonlyMap<number, number>): Counts {
    return Object.fromEntries([...counts].map(([number, count]) => [this.name_of(number), count]));
  }
}

class ActionNames {
  /** by group, then by index */
  readonly #numbers = new Map<string, number[]>();
  readonly #places: ActionPlace[] = [];

  get size(): number {
    return this.#places.length;
  }

  number_of({ group, index, name }: ActionPlace): number {
    const of_group = this.#numbers.get(group) ?? [];
    this.#numbers.set(group, of_group);
    return (of_group[index] ??= this.#places.push({ group, index, name }) - 1);
  }

  name_of(number: number): ActionPlace {
    return this.#places[number]!;
  }
}

/** All names of a series. */
export class SeriesNames {
  readonly codes = new Names();
  readonly members = new Names();
  readonly actions = new ActionNames();

  get bytes(): number {
    return this.codes.bytes + this.members.bytes + this.actions.size * ACTION_BYTES;
  }
}
