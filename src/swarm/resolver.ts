/** The server's address: resolved once, refreshed in the background, never per connection. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Server } from '../protocols/module.ts';

const REFRESH_MS = 60_000;

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
}

export class Resolver {
  #address: Address;
  #timer: NodeJS.Timeout | null = null;

  private constructor(address: Address) {
    this.#address = address;
  }

  /** Rejects with the system's error when the name does not resolve. A refresh that fails keeps the last address and is tried again. */
  static async start(server: Server): Promise<Resolver> {
    const family = isIP(server.host);
    if (family !== 0) return new Resolver({ ...server, family: family as 4 | 6 });
    const resolver = new Resolver(await resolve(server));
    resolver.#timer = setInterval(() => {
      resolve(server).then(
        (address) => (resolver.#address = address),
        () => {},
      );
    }, REFRESH_MS);
    resolver.#timer.unref();
    return resolver;
  }

  get address(): Address {
    return this.#address;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }
}

async function resolve(server: Server): Promise<Address> {
  const { address, family } = await lookup(server.host);
  return { host: address, port: server.port, family: family as 4 | 6 };
}
