/** The trace of a session. There is one at a time: a new one replaces the old. */
import { escape_text } from '../foundation/escape.ts';
import type { Reply } from '../grammar/command.ts';
import type { Control } from '../swarm/plan/control.ts';

const MAX_LINE = 1500;

interface TracingEvents {
  line(text: string): void;
  /** the trace is over, and its last line was sent */
  ended(): void;
}

export class Tracing {
  readonly #control: Control;
  readonly #events: TracingEvents;
  #trace: { stop?: () => void } | null = null;

  constructor(control: Control, events: TracingEvents) {
    this.#control = control;
    this.#events = events;
  }

  get is_on(): boolean {
    return this.#trace !== null;
  }

  async start(id: number, seconds: number): Promise<Reply> {
    this.stop();
    const trace: { stop?: () => void } = {};
    this.#trace = trace;
    const reply = await this.#control.trace(id, seconds, (line) => {
      if (this.#trace !== trace) return;
      this.#events.line(line === null ? 'TRACE end' : `TRACE ${escape_text(line, MAX_LINE)}`);
      if (line !== null) return;
      this.#trace = null;
      this.#events.ended();
    });
    if (reply.stop) trace.stop = reply.stop;
    if (this.#trace !== trace) reply.stop?.();
    else if (!reply.ok) this.#trace = null;
    return reply;
  }

  stop(): void {
    const trace = this.#trace;
    this.#trace = null;
    trace?.stop?.();
  }
}
