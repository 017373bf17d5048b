/** Holds at most one document that waits to be sent, the newest. */
import type { Account, Note } from './account.ts';
import { MAX_TRACE_LINES } from './traces.ts';

const MAX_NOTES = 50;

/**
 * Sends one document at a time; those that come meanwhile are folded into one. `send` calls back once, when the
 * document left or never will. `fold` makes one of two, by default the newer.
 */
export class Outbox<T> {
  #waiting: T | null = null;
  #is_sending = false;
  readonly #send: (document: T, sent: () => void) => void;
  readonly #fold: (older: T, newer: T) => T;

  constructor(send: (document: T, sent: () => void) => void, fold: (older: T, newer: T) => T = (_, newer) => newer) {
    this.#send = send;
    this.#fold = fold;
  }

  get is_empty(): boolean {
    return !this.#is_sending;
  }

  put(document: T): void {
    this.#waiting = this.#waiting === null ? document : this.#fold(this.#waiting, document);
    if (!this.#is_sending) this.#next();
  }

  #next(): void {
    const document = this.#waiting;
    this.#waiting = null;
    this.#is_sending = document !== null;
    if (document !== null) this.#send(document, () => this.#next());
  }
}

/** An account that was never sent and the next one, as one: numbers of the newer, notes and trace lines of both. */
export function fold_accounts(older: Account, newer: Account): Account {
  const notes: readonly Note[] = [...older.notes, ...newer.notes];
  const tokens = [...new Set([...older.traces, ...newer.traces].map((trace) => trace.token))];
  const lines_of = (token: string) => (account: Account) =>
    account.traces.find((trace) => trace.token === token)?.lines ?? [];
  return {
    ...newer,
    notes: notes.slice(0, MAX_NOTES),
    notes_dropped: newer.notes_dropped + Math.max(0, notes.length - MAX_NOTES),
    traces: tokens.map((token) => ({
      token,
      lines: [older, newer].flatMap(lines_of(token)).slice(-MAX_TRACE_LINES),
    })),
  };
}
