/** Who owns which numbers, such as client ids: ranges, lowest first, never two owners (docs/architecture.md). */
import type { IdRange } from '../plan/orders.ts';
import type { MemberId } from '../plan/run-spec.ts';

/**
 * The ids of a swarm. A member keeps its ids, through restarts too, until {@link release}. Ids are dealt in turn, as
 * growth is: with equal members id k belongs to member k mod n whatever the commands were, so each list stays a range
 * or two.
 */
export class Ids {
  #next = 1;
  readonly #owned = new Map<MemberId, readonly IdRange[]>();
  /** ranges given back, the one with the lowest id first */
  #free: IdRange[] = [];
  readonly #limit: number;

  /** `limit`: the highest id to grant */
  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  /** Goes on where another one was. */
  static from(
    next: number,
    free: readonly IdRange[],
    owned: Iterable<readonly [member: MemberId, ranges: readonly IdRange[]]>,
  ): Ids {
    const ids = new Ids();
    ids.#next = next;
    ids.#free = [...free];
    for (const [member, ranges] of owned) ids.#owned.set(member, ranges);
    return ids;
  }

  /** the lowest id that was never granted */
  get next(): number {
    return this.#next;
  }

  /** ranges given back */
  get free(): readonly IdRange[] {
    return this.#free;
  }

  /**
   * Grants until each member owns at least as many ids as it needs, or none are left. `needs` names all members that
   * may grow, also those that need none now.
   */
  ensure(needs: readonly { readonly id: MemberId; readonly count: number }[]): void {
    for (const { id, count } of needs) {
      for (let missing = count - this.count(id); missing > 0 && this.#free.length > 0;) {
        const range = this.#take_free(missing);
        missing -= size_of(range);
        this.#add(id, range);
      }
    }
    const dealt = needs.map(({ id, count }) => ({ id, owns: this.count(id), count }));
    this.#deal(
      dealt.filter((need) => need.count > need.owns),
      needs.length,
    );
  }

  /**
   * All ids of a member, in the order they were granted. The list only grows: ranges are appended, and the end of the
   * last one moves. The first id and the step of a range never change.
   */
  of(member: MemberId): readonly IdRange[] {
    return this.#owned.get(member) ?? [];
  }

  /** how many ids a member owns */
  count(member: MemberId): number {
    return this.of(member).reduce((all, range) => all + size_of(range), 0);
  }

  /** the highest id that was ever granted, 0 before the first */
  get highest(): number {
    return this.#next - 1;
  }

  owner(id: number): MemberId | null {
    for (const [member, ranges] of this.#owned) {
      if (ranges.some(([first, last, step]) => first <= id && id <= last && (id - first) % step === 0)) return member;
    }
    return null;
  }

  /** Takes a member's ids back; they are granted again before new ones. The member's process must be dead. */
  release(member: MemberId): void {
    this.#free.push(...this.of(member));
    this.#free.sort((a, b) => a[0] - b[0]);
    this.#owned.delete(member);
  }

  #take_free(most: number): IdRange {
    const [first, last, step] = this.#free[0]!;
    const cut = first + (most - 1) * step;
    if (cut >= last) {
      this.#free.shift();
      return [first, last, step];
    }
    this.#free[0] = [cut + step, last, step];
    this.#free.sort((a, b) => a[0] - b[0]);
    return [first, cut, step];
  }

  /** Grants new ids level by level, as `allocate` deals clients: those that own least first, then in member order. */
  #deal(needs: readonly { id: MemberId; owns: number; count: number }[], members: number): void {
    const levels = [...new Set(needs.flatMap((need) => [need.owns, need.count]))].sort((a, b) => a - b);
    for (let i = 1; i < levels.length; i++) {
      const [from, to] = [levels[i - 1]!, levels[i]!];
      const active = needs.filter((need) => need.owns <= from && to <= need.count);
      for (const [turn, need] of active.entries()) {
        const first = this.#next + turn;
        const there_are = Math.floor((this.#limit - first) / active.length) + 1;
        if (there_are < 1) break;
        const last = first + (Math.min(to - from, there_are) - 1) * active.length;
        // a lone id gets the step that later ids will have when growth goes round all members
        this.#add(need.id, [first, last, first === last ? members : active.length]);
      }
      this.#next = Math.min(this.#next + (to - from) * active.length, this.#limit + 1);
    }
  }

  /** Appends a range, joined to the last one if it goes on in the same step. */
  #add(member: MemberId, range: IdRange): void {
    const ranges = [...this.of(member)];
    const last = ranges.pop();
    if (last) ranges.push(...join(last, range));
    else ranges.push(range);
    this.#owned.set(member, ranges);
  }
}

const size_of = ([first, last, step]: IdRange): number => (last - first) / step + 1;

/** Joins both if the second goes on where the first ends. The first id and step stay: the owner may use them. */
function join(a: IdRange, b: IdRange): IdRange[] {
  const goes_on = b[0] - a[1] === a[2] && (b[0] === b[1] || b[2] === a[2]);
  return goes_on ? [[a[0], b[1], a[2]]] : [a, b];
}
