/**
 * The clients of a population in the order in which `decr` takes them: fatal ones, then those without a connection, then
 * random connected ones. Picking one costs the same for ten and for a million.
 */
import { ACTING, BACKOFF, CONNECT, FATAL, INITIAL, STANDBY } from '../../metrics/state.ts';
import type { Random } from '../../protocols/client.ts';
import type { Client } from '../client/runner.ts';

const FATAL_POOL = 0;
const WAITING_POOL = 1;
const CONNECTED_POOL = 2;
const DRAINING_POOL = 3;
/** of those that arrived at a rate: nobody picks one, so there is no list of them */
const ARRIVED_POOL = 4;
const POOL_OF: readonly number[] = [];
(POOL_OF as number[])[INITIAL] = WAITING_POOL;
(POOL_OF as number[])[CONNECT] = WAITING_POOL;
(POOL_OF as number[])[BACKOFF] = WAITING_POOL;
(POOL_OF as number[])[ACTING] = CONNECTED_POOL;
(POOL_OF as number[])[STANDBY] = CONNECTED_POOL;
(POOL_OF as number[])[FATAL] = FATAL_POOL;

export const is_connected = ({ pool }: Client): boolean => pool === CONNECTED_POOL;
/** It is in no target. */
export const has_arrived = ({ pool }: Client): boolean => pool === ARRIVED_POOL;

export class ClientPools {
  readonly #pools: Client[][] = [[], [], [], []];

  /** the one that was told last to leave after its iteration */
  get last_draining(): Client | undefined {
    return this.#pools[DRAINING_POOL]!.at(-1);
  }

  /** The next one to take away; null: there is none. */
  victim(random: Random): Client | null {
    for (const pool of [this.#pools[FATAL_POOL]!, this.#pools[WAITING_POOL]!]) if (pool.length > 0) return pool.at(-1)!;
    const connected = this.#pools[CONNECTED_POOL]!;
    return connected.length === 0 ? null : connected[random.int(0, connected.length - 1)]!;
  }

  /** A new client that arrived at a rate. */
  arrived(client: Client): void {
    client.pool = ARRIVED_POOL;
  }

  place(client: Client): void {
    const pool = client.draining ? DRAINING_POOL : POOL_OF[client.state];
    // undefined: the client has ended
    if (pool === client.pool || pool === undefined || has_arrived(client)) return;
    this.remove(client);
    client.pool = pool;
    client.slot = this.#pools[pool]!.push(client) - 1;
  }

  remove(client: Client): void {
    const pool = this.#pools[client.pool];
    client.pool = -1;
    if (pool === undefined) return;
    const last = pool.pop()!;
    if (last === client) return;
    pool[client.slot] = last;
    last.slot = client.slot;
  }
}
