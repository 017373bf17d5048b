/**
 * The local ports a member may connect from. swarm chooses them itself: the kernel's own search costs up to a millisecond per connect when its
 * range fills up, and never leaves the range. Pure.
 *
 * A (source address, port) pair has a number from 1 on, dealt so that addresses take turns: 1 = first address, 2 = second …; it can be
 * used once towards each address of a server. Members own numbers per server, as they own ids, so that no two ever try the same pair.
 * Ports of the kernel's own range come last: other programs get theirs from it, and a port the kernel gave to somebody is taken for
 * every destination.
 */
import type { IdRange } from '../plan/orders.ts';
import type { Sources } from '../plan/run-spec.ts';

const FIRST_PORT = 1024;
const LAST_PORT = 65_535;
/** of the kernel's range, never taken: a telnet to the console needs one too */
const LEFT_TO_OTHERS = 1024;
export const PORTS_PER_ADDRESS = LAST_PORT - FIRST_PORT + 1 - LEFT_TO_OTHERS;

/** How many numbers there are; without an address of the user's the kernel chooses one. */
export const numbers_of = ({ addresses }: Sources): number => Math.max(1, addresses.length) * PORTS_PER_ADDRESS;

/** What is free towards one endpoint. */
export class PortPool {
  /** the range the next fresh number is of, and that number; null: the first of the range */
  range = 0;
  next: number | null = null;
  /** given back; a ring, the one that is free for the longest time comes first: it may still wait in the kernel (TIME_WAIT) */
  ring = new Uint32Array(0);
  head = 0;
  size = 0;
}

export class Ports {
  readonly #addresses: readonly string[];
  /** ports below the kernel's range, and outside of it in all */
  readonly #below: number;
  readonly #outside: number;
  readonly #offset: number;
  readonly #excluded = new Uint8Array(LAST_PORT + 1);
  /** by server */
  #ranges: readonly (readonly IdRange[])[] = [];

  constructor({ addresses, excluded_ports, kernel_ports: [first, last], offset }: Sources) {
    this.#addresses = addresses;
    this.#below = Math.max(0, first - FIRST_PORT);
    this.#outside = this.#below + LAST_PORT - Math.max(last, FIRST_PORT - 1);
    this.#offset = offset;
    for (const port of excluded_ports) this.#excluded[port] = 1;
  }

  /** The ranges of the newest plan, by server. They only grow: at the end of the last one, or by further ones. */
  grant(ranges: readonly (readonly IdRange[])[]): void {
    this.#ranges = ranges;
  }

  /** Does the user say which addresses connections come from? */
  get has_addresses(): boolean {
    return this.#addresses.length > 0;
  }

  /**
   * A number that was never used towards this endpoint, else the one that is free for the longest time; 0 when there is none.
   * `server`: its place among the servers; `family`: of the endpoint.
   */
  take(pool: PortPool, server: number, family: 4 | 6): number {
    const ranges = this.#ranges[server];
    if (ranges === undefined) return 0;
    for (let number = fresh(pool, ranges); number > 0; number = fresh(pool, ranges)) {
      if (this.#excluded[this.port(number)] === 0 && this.#fits(number, family)) return number;
    }
    if (pool.size === 0) return 0;
    const number = pool.ring[pool.head]!;
    pool.head = (pool.head + 1) % pool.ring.length;
    pool.size--;
    return number;
  }

  /** Its connection is over, or the port turned out to be taken by somebody else. */
  give_back(pool: PortPool, number: number): void {
    const { ring, head, size } = pool;
    if (size === ring.length) {
      // as many as connections were open at once, at most
      pool.ring = new Uint32Array(Math.max(64, 2 * size));
      for (let i = 0; i < size; i++) pool.ring[i] = ring[(head + i) % size]!;
      pool.head = 0;
    }
    pool.ring[(pool.head + size) % pool.ring.length] = number;
    pool.size++;
  }

  port(number: number): number {
    const place = Math.floor((number - 1) / Math.max(1, this.#addresses.length));
    if (place >= this.#outside) {
      const inside = LAST_PORT - FIRST_PORT + 1 - this.#outside;
      return FIRST_PORT + this.#below + ((place - this.#outside + this.#offset) % inside);
    }
    const turned = (place + this.#offset) % this.#outside;
    return turned < this.#below ? FIRST_PORT + turned : LAST_PORT - this.#outside + 1 + turned;
  }

  /** undefined: the kernel's choice */
  address(number: number): string | undefined {
    return this.#addresses[(number - 1) % Math.max(1, this.#addresses.length)];
  }

  #fits(number: number, family: 4 | 6): boolean {
    const address = this.address(number);
    return address === undefined || address.includes(':') === (family === 6);
  }
}

/** The next number that the pool never had; 0 when there is none. */
function fresh(pool: PortPool, ranges: readonly IdRange[]): number {
  for (;;) {
    const range = ranges[pool.range];
    if (range === undefined) return 0;
    const [first, last, step] = range;
    const number = pool.next ?? first;
    if (number <= last) {
      pool.next = number + step;
      return number;
    }
    if (pool.range + 1 >= ranges.length) return 0; // this range may still grow
    pool.range++;
    pool.next = null;
  }
}
