/** The traces that run now: whose bytes are shown to which session, and until when. */
import { randomBytes } from 'node:crypto';
import { MAX_TRACES } from '../../grammar/command.ts';
import type { Account } from './account.ts';
import type { MemberOrders } from './orders.ts';
import type { MemberId } from './run-spec.ts';

/** most lines of a trace that wait anywhere: a second's worth of one client */
export const MAX_TRACE_LINES = 200;
/** ms that a trace waits after its end for the account with its last lines */
const LAST_LINES_WITHIN_MS = 2000;

interface TraceSession {
  readonly token: string;
  readonly member: MemberId;
  readonly client: number;
  readonly ends_at: number;
  readonly on_line: (line: string | null) => void;
  /** its time is over, and this revision told the member so; null: it runs */
  over_since: number | null;
}

export class Traces {
  readonly #running = new Map<string, TraceSession>();

  get is_full(): boolean {
    return this.#running.size >= MAX_TRACES;
  }

  /** Starts a trace and returns its token. `on_line` gets null once, at the end. */
  start(member: MemberId, client: number, ends_at: number, on_line: (line: string | null) => void): string {
    const token = randomBytes(8).toString('hex');
    this.#running.set(token, { token, member, client, ends_at, on_line, over_since: null });
    return token;
  }

  end(token: string): void {
    const trace = this.#running.get(token);
    if (this.#running.delete(token)) trace?.on_line(null);
  }

  end_all(): void {
    for (const token of [...this.#running.keys()]) this.end(token);
  }

  /**
   * Takes traces whose time is over out of the orders; true if there were any. Each ends with the account of its member
   * that has applied `next_revision`, which carries the last lines.
   */
  expire(now: number, next_revision: number): boolean {
    let expired = false;
    for (const trace of this.#running.values()) {
      if (now >= trace.ends_at + LAST_LINES_WITHIN_MS) this.end(trace.token);
      else if (now >= trace.ends_at && trace.over_since === null) {
        trace.over_since = next_revision;
        expired = true;
      }
    }
    return expired;
  }

  deliver(member: MemberId, { traces, revision }: Pick<Account, 'traces' | 'revision'>): void {
    for (const { token, lines } of traces) {
      for (const line of lines) this.#running.get(token)?.on_line(line);
    }
    for (const trace of this.#running.values()) {
      if (trace.member === member && trace.over_since !== null && revision >= trace.over_since) this.end(trace.token);
    }
  }

  /** the traces in a member's orders */
  of(member: MemberId): MemberOrders['traces'] {
    return [...this.#running.values()]
      .filter((trace) => trace.member === member && trace.over_since === null)
      .map(({ token, client }) => ({ token, client }));
  }
}
