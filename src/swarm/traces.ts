/** The traces that run now: which client's bytes go to which session, until when. */
import { randomBytes } from 'node:crypto';
import type { MemberId, MemberPlan, Report } from './plan.ts';

const MAX_TRACES = 16;

interface Trace {
  readonly token: string;
  readonly member: MemberId;
  readonly client: number;
  readonly ends_at: number;
  readonly on_line: (line: string | null) => void;
}

export class Traces {
  readonly #running = new Map<string, Trace>();

  get is_full(): boolean {
    return this.#running.size >= MAX_TRACES;
  }

  /** Returns its token. `on_line` gets null once, when it ends. */
  start(member: MemberId, client: number, ends_at: number, on_line: (line: string | null) => void): string {
    const token = randomBytes(8).toString('hex');
    this.#running.set(token, { token, member, client, ends_at, on_line });
    return token;
  }

  end(token: string): void {
    const trace = this.#running.get(token);
    if (this.#running.delete(token)) trace?.on_line(null);
  }

  end_all(): void {
    for (const token of [...this.#running.keys()]) this.end(token);
  }

  /** Ends those whose time is over; true if there were any. */
  expire(now: number): boolean {
    const over = [...this.#running.values()].filter((trace) => now >= trace.ends_at);
    for (const trace of over) this.end(trace.token);
    return over.length > 0;
  }

  deliver(traces: Report['traces']): void {
    for (const { token, lines } of traces) {
      for (const line of lines) this.#running.get(token)?.on_line(line);
    }
  }

  /** the part of a member's plan */
  of(member: MemberId): MemberPlan['traces'] {
    return [...this.#running.values()]
      .filter((trace) => trace.member === member)
      .map(({ token, client }) => ({ token, client }));
  }
}
