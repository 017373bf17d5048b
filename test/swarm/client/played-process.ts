/** Clients in this process that play against a ledger, for the tests of one file: what must hold after each of them. */
import { afterEach, beforeEach, expect } from 'vitest';
import {
  start_ledger,
  type Ledger,
  type LedgerConnection,
  type LedgerOptions,
  type ReplyAction,
} from '../../ledger.ts';
import { imbalances, start_one_process, type OneProcess, type OneProcessOptions } from '../one-process.ts';

/** Of the test that runs. */
export class PlayedProcess {
  ledger: Ledger | undefined;
  engine: OneProcess | undefined;
  readonly #unhandled: unknown[] = [];

  constructor() {
    const on_unhandled = (reason: unknown): void => void this.#unhandled.push(reason);
    beforeEach(() => {
      this.#unhandled.length = 0;
      process.on('unhandledRejection', on_unhandled);
    });
    afterEach(async () => {
      await this.end();
      process.off('unhandledRejection', on_unhandled);
      expect(this.#unhandled).toEqual([]);
    });
  }

  async play(
    reply: LedgerOptions['reply'],
    options: Omit<OneProcessOptions, 'port'>,
    clients = 1,
  ): Promise<OneProcess> {
    this.ledger = await start_ledger(reply ? { reply } : {});
    this.engine = await start_one_process({ port: this.ledger.port, ...options });
    this.engine.apply(clients);
    return this.engine;
  }

  /** Ends both; the books balance. */
  async end(): Promise<void> {
    const books = await this.engine?.close();
    await this.ledger?.close();
    this.engine = this.ledger = undefined;
    if (!books) return;
    expect(imbalances(books)).toEqual([]);
    expect(books.connections.open + books.connections.connecting + books.requests.in_flight).toBe(0);
    expect(books.clients.draining + books.clients.finished).toBe(0);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** Not byte by byte, as replies to other loops may come in between. */
export const after = (ms: number, text: string, connection: LedgerConnection): ReplyAction => {
  setTimeout(() => connection.push(`${text}\r\n`), ms);
  return 'silent';
};
