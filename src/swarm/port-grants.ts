/** Which local ports each member may connect from: enough numbers (see ports.ts) for its share, none to two members at once. Pure. */
import { Ids } from './ids.ts';
import type { IdRange, MemberId, RunSpec } from './plan.ts';
import { numbers_of } from './ports.ts';

/**
 * Clients per server up to which the kernel may choose the ports. `connect` looks for a port of the even half of ip_local_port_range first,
 * 14 116 of them with the kernel's default range: its search is short while many of those are free, and takes up to a millisecond
 * per connection once they are used up.
 */
export const KERNEL_CHOOSES_UP_TO = 8192;

/** Ports beyond those in use: some wait in TIME_WAIT behind a connection of before, some are taken by other processes. */
const HEAD_ROOM = 1.25;
const HEAD_ROOM_LEAST = 64;
/** A member's ports grow by a quarter at least, so that a target which creeps up makes no long list of ranges. */
const GROWTH = 1.25;

export interface PortNeed {
  readonly id: MemberId;
  /** connections it will hold */
  readonly clients: number;
  /** the ids of those clients: they decide which servers it connects to */
  readonly ids: readonly IdRange[];
}

export class PortGrants {
  readonly #owned: Ids;
  readonly #total: number;
  readonly #servers: number;
  /** servers with ports: not those behind a path */
  readonly #with_ports: number;
  #is_on: boolean;

  constructor({ servers, sources }: Pick<RunSpec, 'servers' | 'sources'>) {
    this.#total = numbers_of(sources);
    this.#owned = new Ids(this.#total);
    this.#servers = servers.length;
    this.#with_ports = servers.filter(({ path }) => path === undefined).length;
    this.#is_on = sources.addresses.length > 0;
  }

  /**
   * Grants what a target of so many clients needs; what exists is divided by the clients when it is too little. Without addresses of the
   * user's nothing is granted up to {@link KERNEL_CHOOSES_UP_TO} clients per server.
   */
  ensure(target: number, needs: readonly PortNeed[]): void {
    if (this.#with_ports === 0) return;
    this.#is_on ||= target / this.#servers > KERNEL_CHOOSES_UP_TO;
    if (!this.#is_on) return;
    const owned = needs.map(({ id }) => this.#owned.count(id));
    const wanted = needs.map((need) => this.#wanted(need));
    const generous = wanted.map((count, i) => (count > owned[i]! ? Math.max(count, Math.ceil(owned[i]! * GROWTH)) : 0));
    const fits = (counts: readonly number[]): boolean =>
      sum(counts.map((count, i) => Math.max(count, owned[i]!))) <= this.#total;
    const counts = [generous, wanted].find(fits) ?? this.#divided(needs);
    // one member after the other, so that each has whole stretches: every source address is among its numbers
    for (const [i, { id }] of needs.entries()) this.#owned.ensure([{ id, count: counts[i]! }]);
  }

  /** All numbers of a member; grows as {@link Ids.of} does. */
  of(member: MemberId): readonly IdRange[] {
    return this.#owned.of(member);
  }

  /** Its process must be dead. */
  release(member: MemberId): void {
    this.#owned.release(member);
  }

  /** All there is, by the clients. */
  #divided(needs: readonly PortNeed[]): number[] {
    const clients = sum(needs.map((need) => need.clients));
    return needs.map((need) => Math.floor((this.#total * need.clients) / clients));
  }

  /** A number serves one connection to each server, so a member needs as many as it has connections to one of them. */
  #wanted({ clients, ids }: PortNeed): number {
    if (clients === 0) return 0;
    const reached = Math.min(...ids.map(([, , step]) => this.#servers / gcd(step, this.#servers)));
    return Math.ceil(Math.ceil(clients / reached) * HEAD_ROOM) + HEAD_ROOM_LEAST;
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0);

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
