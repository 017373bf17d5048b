/**
 * Turns to connect, for the clients of all groups of a process, in the order in which they asked: handed out at the
 * ordered rate, as far as attempts in flight and descriptors allow.
 */
import { now } from '../../foundation/clock.ts';
import type { Client } from '../client/runner.ts';
import { MAX_ARREARS_MS, Pacer } from '../load/pacer.ts';
import type { Permit } from '../plan/permit.ts';
import { LinkedQueue } from './linked-queue.ts';

/**
 * Up to so many members, each opens one connection at a time; with more, half as many as there are members. So the
 * swarm's connects stay even, and its processes wake for a few dozen connections and not for each.
 */
const ONE_AT_A_TIME = 8;
const MAX_GATHER_MS = 500;

/** ms until the next try when attempts in flight or descriptors leave no room */
const BLOCKED_MS = 10;

interface ConnectTurnsOptions {
  readonly permit: Permit;
  readonly connect_timeout_ms: number;
  /** attempts in flight */
  readonly connecting: () => number;
  /** how many more sockets this process can hold */
  readonly room: () => number;
}

export class ConnectTurns {
  readonly #options: ConnectTurnsOptions;
  readonly #queue = new LinkedQueue<Client>();
  readonly #pacer = new Pacer(0, now());
  #per_s = 0;
  /** ms that turns are gathered: with many members each opens a few at a time and wakes less often */
  #gather_ms = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ConnectTurnsOptions) {
    this.#options = options;
  }

  /** `parts`: members that share the rate of all. */
  set_rate(per_s: number, parts: number): void {
    this.#per_s = per_s;
    this.#pacer.set_rate(per_s, now());
    const at_a_time = parts > ONE_AT_A_TIME ? parts / 2 : 1;
    this.#gather_ms = Math.min(MAX_GATHER_MS, ((at_a_time - 1) * 1000) / per_s) || 0;
  }

  add(client: Client): void {
    this.#queue.add(client);
    this.go_on();
  }

  remove(client: Client): void {
    this.#queue.remove(client);
  }

  /** To be called when there may be more room or another rate. */
  go_on(): void {
    this.#wait(1);
  }

  /** Clients must be gone by then. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(at_least_ms: number): void {
    if (this.#timer !== null || this.#queue.size === 0 || this.#per_s === 0) return;
    // Node's timers are whole milliseconds: turns due in between go together
    const wait = Math.max(at_least_ms, Math.min(this.#pacer.next_in(now()) + this.#gather_ms, 1000));
    this.#timer = setTimeout(() => this.#hand_out(), wait);
  }

  #hand_out(): void {
    this.#timer = null;
    const { permit, connect_timeout_ms, connecting, room: sockets } = this.#options;
    permit.check();
    if (permit.is_over) return;
    // no SYN storm for a server that restarts under many clients
    const most_in_flight = Math.max(1, Math.floor((this.#per_s * connect_timeout_ms) / 1000));
    const room = Math.min(this.#queue.size, most_in_flight - connecting(), sockets());
    const turns = this.#pacer.take(now(), Math.max(0, room), MAX_ARREARS_MS + this.#gather_ms);
    for (let i = 0; i < turns; i++) this.#queue.take()!.connect();
    this.#wait(room > 0 ? 1 : BLOCKED_MS);
  }
}
