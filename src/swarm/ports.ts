/**
 * The local ports a member may connect from. swarm chooses them itself: the kernel's own search costs up to a millisecond per connect when its
 * range fills up, and never leaves the range. Pure.
 *
 * A (source address, port) pair has a number from 1 on, dealt so that addresses take turns: 1 = first address, 2 = second …; it can be
 * used once per endpoint. Members own numbers as they own ids, so that no two ever try the same pair.
 */
import type { IdRange, Sources } from './plan.ts';

const FIRST_PORT = 1024;
const LAST_PORT = 65_535;
export const PORTS_PER_ADDRESS = LAST_PORT - FIRST_PORT + 1;

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

const is_v6 = (address: string): boolean => address.includes(':');

export class Ports {
  readonly #addresses: readonly string[];
  readonly #families: Readonly<Record<4 | 6, readonly string[]>>;
  readonly #total: number;
  readonly #offset: number;
  readonly #excluded = new Uint8Array(LAST_PORT + 1);
  #ranges: readonly IdRange[] = [];

  constructor(sources: Sources) {
    const { addresses } = sources;
    this.#addresses = addresses;
    this.#families = { 4: addresses.filter((one) => !is_v6(one)), 6: addresses.filter(is_v6) };
    this.#total = numbers_of(sources);
    this.#offset = sources.offset % this.#total;
    for (const port of sources.excluded_ports) this.#excluded[port] = 1;
  }

  /** The ranges of the newest plan. They only grow: at the end of the last one, or by further ones. */
  grant(ranges: readonly IdRange[]): void {
    this.#ranges = ranges;
  }

  /**
   * A number that was never used towards this endpoint, else the one that is free for the longest time; 0 when there is none.
   * `family`: of the endpoint.
   */
  take(pool: PortPool, family: 4 | 6): number {
    for (let number = this.#fresh(pool); number > 0; number = this.#fresh(pool)) {
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
    return FIRST_PORT + Math.floor(this.#index(number) / Math.max(1, this.#addresses.length));
  }

  /** undefined: the kernel's choice */
  address(number: number): string | undefined {
    return this.#addresses[this.#index(number) % Math.max(1, this.#addresses.length)];
  }

  /** For a connection whose port the kernel chooses: the addresses in turn, by client; undefined without any. */
  address_of_family(family: 4 | 6, client: number): string | undefined {
    const addresses = this.#families[family];
    return addresses[client % addresses.length];
  }

  #fits(number: number, family: 4 | 6): boolean {
    const address = this.address(number);
    return address === undefined || is_v6(address) === (family === 6);
  }

  #index(number: number): number {
    return (number - 1 + this.#offset) % this.#total;
  }

  #fresh(pool: PortPool): number {
    for (;;) {
      const range = this.#ranges[pool.range];
      if (range === undefined) return 0;
      const [first, last, step] = range;
      const number = pool.next ?? first;
      if (number <= last) {
        pool.next = number + step;
        return number;
      }
      if (pool.range + 1 >= this.#ranges.length) return 0; // this range may still grow
      pool.range++;
      pool.next = null;
    }
  }
}
