/** Clients that wait to connect, in order: a list linked through the clients, so that any can leave it at once. */
import type { Client } from '../client/runner.ts';

export class ConnectQueue {
  #first: Client | null = null;
  #last: Client | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Does nothing if the client is in the queue already. */
  add(client: Client): void {
    if (client.queued) return;
    client.queued = true;
    client.queue_prev = this.#last;
    if (this.#last === null) this.#first = client;
    else this.#last.queue_next = client;
    this.#last = client;
    this.#size++;
  }

  remove(client: Client): void {
    if (!client.queued) return;
    client.queued = false;
    if (client.queue_prev === null) this.#first = client.queue_next;
    else client.queue_prev.queue_next = client.queue_next;
    if (client.queue_next === null) this.#last = client.queue_prev;
    else client.queue_next.queue_prev = client.queue_prev;
    client.queue_next = client.queue_prev = null;
    this.#size--;
  }

  /** Removes the first client and returns it; null: the queue is empty. */
  take(): Client | null {
    const client = this.#first;
    if (client !== null) this.remove(client);
    return client;
  }
}
