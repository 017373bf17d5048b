/**
 * The local ports a member may connect from. swarm chooses them itself: the kernel's search costs up to a millisecond
 * per connect when its range fills up, and never leaves the range. Pure.
 *
 * A (source address, port) pair has a number from 1 on. Addresses take turns: 1 is on the first address, 2 on the
 * second, … A pair can be used once towards each address of a server. Members own numbers per server, as they own
 * ids, so that no two ever try the same pair. Ports of the kernel's own range come last: other programs get theirs from
 * it, and a port that the kernel gave is taken for every destination.
 */
import type { IdRange } from '../plan/orders.ts';
import type { Sources } from '../plan/run-spec.ts';

const FIRST_PORT = 1024;
const LAST_PORT = 65_535;
/** ports of the kernel's range that are never used: a telnet to the console needs one too */
const LEFT_TO_OTHERS = 1024;
export const PORTS_PER_ADDRESS = LAST_PORT - FIRST_PORT + 1 - LEFT_TO_OTHERS;

/** How many numbers there are. Without --bind the kernel chooses the one address. */
export const numbers_of = ({ addresses }: Sources): number => Math.max(1, addresses.length) * PORTS_PER_ADDRESS;

/** The numbers that are free towards one endpoint. */
export class PortPool {
  /** index of the range of the next fresh number, and that number; null: the first of the range */
  range = 0;
  next: number | null = null;
  /** numbers given back, a ring: the one free for longest comes first, as the kernel may keep it in TIME_WAIT */
  ring = new Uint32Array(0);
  head = 0;
  size = 0;
}

export class Ports {
  readonly #addresses: readonly string[];
  /** how many ports are below the kernel's range, and how many outside of it in all */
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

  /** Takes the ranges of the newest orders, by server. They only grow: the last one at its end, or by more ranges. */
  grant(ranges: readonly (readonly IdRange[])[]): void {
    this.#ranges = ranges;
  }

  /** Whether the user gave addresses (--bind). */
  get has_addresses(): boolean {
    return this.#addresses.length > 0;
  }

  /**
   * A number that was never used towards this endpoint, else the one free for the longest time; 0: there is none.
   * `server`: index among the servers; `family`: of the endpoint.
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

  /** The connection of this number is over, or its port turned out to be taken by another process. */
  give_back(pool: PortPool, number: number): void {
    const { ring, head, size } = pool;
    if (size === ring.length) {
      // the ring grows to the most connections that were open at once
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

  /** undefined: the kernel chooses */
  address(number: number): string | undefined {
    return this.#addresses[(number - 1) % Math.max(1, this.#addresses.length)];
  }

  #fits(number: number, family: 4 | 6): boolean {
    const address = this.address(number);
    return address === undefined || address.includes(':') === (family === 6);
  }
}

/** The next number that the pool never gave out; 0: there is none. */
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
