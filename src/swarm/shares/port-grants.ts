/** Which local ports each member may use: enough numbers (see ports.ts) for its share, never two owners. Pure. */
import type { IdRange } from '../plan/orders.ts';
import { Numbering, type Sharing } from '../plan/numbering.ts';
import type { MachineSpec, MemberId, Where } from '../plan/run-spec.ts';
import { sum } from './allocate.ts';
import { IdPool } from './id-pool.ts';
import { Ids } from './ids.ts';
import { numbers_of } from './ports.ts';

/**
 * Clients up to which the kernel may choose the ports. `connect` first looks in the even half of ip_local_port_range,
 * 14 116 ports with the kernel's default range. The search is short while many of those are free, and takes up to a
 * millisecond per connection once they are used up. Not counted per server: a port that the kernel gave, swarm cannot
 * use towards any server.
 */
export const KERNEL_CHOOSES_UP_TO = 8192;

/** Ports beyond those in use: some are in TIME_WAIT after an earlier connection, some are taken by other processes. */
const HEAD_ROOM = 1.25;
const HEAD_ROOM_LEAST = 64;
/** A member's ports grow by a quarter at least, so that a slowly rising target makes no long list of ranges. */
const GROWTH = 1.25;

export interface PortNeed {
  readonly id: MemberId;
  /** the position of its group */
  readonly group: number;
  /** connections it will hold */
  readonly clients: number;
  /** the numbers of those clients within group and segment: their ids decide which servers it connects to */
  readonly ids: readonly IdRange[];
}

/** By group too: the clients of each group of a member have numbers of their own. */
export class PortGrants {
  /** per server; null: a unix socket, which needs no ports */
  readonly #owned: readonly (Ids | null)[];
  readonly #total: number;
  /** numbers per connection: more than one where some addresses are not of the server's family */
  readonly #each: number;
  /** by group; null: an id is its number, or all lead to one server */
  readonly #numberings: readonly Numbering[] | null;
  readonly #groups: readonly number[];
  /** head room of each group of a member at least */
  readonly #least: number;
  /** where ids are no numbers: those of each owner counted so far */
  readonly #counted = new Map<string, { readonly ids: IdPool; readonly hits: number[] }>();
  #is_on: boolean;

  constructor(
    { servers }: Pick<Where, 'servers'>,
    { sources, segment }: Pick<MachineSpec, 'sources' | 'segment'>,
    groups: readonly Sharing[] = [{ share: 1 }],
  ) {
    const { addresses } = sources;
    this.#total = numbers_of(sources);
    this.#groups = [...groups.keys()];
    this.#least = Math.ceil(HEAD_ROOM_LEAST / groups.length);
    const are_ids = servers.length === 1 || (segment.text === null && groups.length === 1);
    this.#numberings = are_ids ? null : this.#groups.map((group) => new Numbering(groups, group, segment));
    this.#owned = servers.map(({ path }) => (path === undefined ? new Ids(this.#total) : null));
    const of_family = addresses.filter((address) => address.includes(':')).length;
    const fewer = Math.min(of_family, addresses.length - of_family);
    this.#each = fewer === 0 ? 1 : addresses.length / fewer;
    this.#is_on = addresses.length > 0;
  }

  /**
   * Grants what a target of so many clients needs; if there are too few numbers, they are divided in proportion to
   * clients. Without --bind nothing is granted up to {@link KERNEL_CHOOSES_UP_TO} clients.
   */
  ensure(target: number, needs: readonly PortNeed[]): void {
    this.#is_on ||= target > KERNEL_CHOOSES_UP_TO;
    if (!this.#is_on) return;
    for (const [server, owned] of this.#owned.entries())
      if (owned !== null) {
        const towards = needs.map((need) => ({
          id: owner_of(need.id, need.group),
          clients: this.#towards(server, need),
        }));
        this.#ensure(owned, towards);
      }
  }

  /** All numbers of a member's group, by server; empty while the kernel chooses. Each list grows as `Ids.of` does. */
  of(member: MemberId, group: number): readonly (readonly IdRange[])[] {
    return this.#is_on ? this.#owned.map((owned) => owned?.of(owner_of(member, group)) ?? []) : [];
  }

  /** Takes a member's numbers back. Its process must be dead. */
  release(member: MemberId): void {
    for (const group of this.#groups) {
      const owner = owner_of(member, group);
      for (const owned of this.#owned) owned?.release(owner);
      this.#counted.delete(owner);
    }
  }

  #ensure(numbers: Ids, needs: readonly { readonly id: string; readonly clients: number }[]): void {
    const owned = needs.map(({ id }) => numbers.count(id));
    const wanted = needs.map(({ clients }) =>
      clients === 0 ? 0 : Math.ceil(clients * this.#each * HEAD_ROOM) + this.#least,
    );
    const generous = wanted.map((count, i) => (count > owned[i]! ? Math.max(count, Math.ceil(owned[i]! * GROWTH)) : 0));
    const fits = (counts: readonly number[]): boolean =>
      sum(counts.map((count, i) => Math.max(count, owned[i]!))) <= this.#total;
    const clients = sum(needs.map((need) => need.clients));
    // no more than it wants: what is left is for those that come later
    const divided = (): number[] =>
      needs.map((need, i) => Math.min(wanted[i]!, Math.floor((this.#total * need.clients) / clients)));
    const counts = [generous, wanted].find(fits) ?? divided();
    // one member after the other, so that each gets whole stretches, with every source address among its numbers
    for (const [i, { id }] of needs.entries()) numbers.ensure([{ id, count: counts[i]! }]);
  }

  /** How many of these clients connect to this server, at most. */
  #towards(server: number, need: PortNeed): number {
    const numbering = this.#numberings?.[need.group];
    if (numbering !== undefined) return Math.min(need.clients, this.#hits(need, numbering)[server]!);
    const { clients, ids } = need;
    const servers = this.#owned.length;
    const hits = ids.map(([first, last, step]) => {
      const every = servers / gcd(step, servers);
      for (let turn = 0; turn < every; turn++) {
        const id = first + turn * step;
        if ((id - 1) % servers === server) return id > last ? 0 : Math.floor((last - id) / (step * every)) + 1;
      }
      return 0;
    });
    return Math.min(clients, sum(hits));
  }

  /** How many of them lead to each server. There is no formula for it: each id is looked at, once. */
  #hits({ id, group, ids }: PortNeed, numbering: Numbering): readonly number[] {
    const owner = owner_of(id, group);
    let counted = this.#counted.get(owner);
    if (counted === undefined) {
      counted = { ids: new IdPool(), hits: this.#owned.map(() => 0) };
      this.#counted.set(owner, counted);
    }
    counted.ids.grant(ids);
    for (let index = counted.ids.take(); index !== null; index = counted.ids.take())
      counted.hits[(numbering.id(index) - 1) % this.#owned.length]!++;
    return counted.hits;
  }
}

const owner_of = (member: MemberId, group: number): string => `${member} ${group}`;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
