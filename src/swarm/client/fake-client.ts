/** The object a protocol function receives: a client during one connection. It shows nothing of swarm's insides. */
import type { FakeClient, Random } from '../../protocols/client.ts';
import type { Parser } from '../../protocols/parser.ts';

/** What stays the same through all connections of a client. */
export interface Identity {
  readonly id: number;
  readonly random: Random;
  readonly memory: Record<string, unknown>;
  readonly shared: unknown;
}

/** What the object needs of its connection. */
export interface Calls {
  readonly client: Identity;
  request(data: string | Uint8Array, parser: Parser | null): Promise<unknown>;
  send(data: string | Uint8Array): Promise<void>;
  start_tls(options: { readonly servername?: string } | undefined): Promise<void>;
  close_by_script(): Promise<void>;
}

export class FakeClientHandle implements FakeClient {
  readonly #connection: Calls;

  constructor(connection: Calls) {
    this.#connection = connection;
  }

  get id(): number {
    return this.#connection.client.id;
  }
  get random(): Random {
    return this.#connection.client.random;
  }
  get memory(): Record<string, unknown> {
    return this.#connection.client.memory;
  }
  get shared(): unknown {
    return this.#connection.client.shared;
  }

  send_for_reply<T>(request: string | Uint8Array, parser?: Parser): Promise<T> {
    return this.#connection.request(request, parser ?? null) as Promise<T>;
  }
  send_noreply(request: string | Uint8Array): Promise<void> {
    return this.#connection.send(request);
  }
  start_tls(options?: { readonly servername?: string }): Promise<void> {
    return this.#connection.start_tls(options);
  }
  close(): Promise<void> {
    return this.#connection.close_by_script();
  }
  close_connection(): Promise<void> {
    return this.#connection.close_by_script();
  }
}
