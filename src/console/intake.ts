/**
 * Reads a session's socket in slices, with a turn of the event loop after each, no faster than its pace, and only while
 * the session has room. When the connection breaks, what was already read is still handed over before the end is.
 */
import type { Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Pace } from './pace.ts';

/** bytes handed over in one turn */
const SLICE = 512;
const BYTES_AT_ONCE = 65_536;
const BYTES_PER_S = 65_536;

interface IntakeEvents {
  /** takes one slice; returns what each of its bytes costs the pace */
  slice(bytes: Buffer): number;
  has_room(): boolean;
  /** nothing comes any more: FIN, or the connection broke */
  end(): void;
}

export class Intake {
  readonly #socket: Socket;
  readonly #events: IntakeEvents;
  readonly #pace = new Pace(BYTES_AT_ONCE, BYTES_PER_S);
  /** read, but not handed over yet */
  #rest: Buffer;
  #at_end = false;
  #is_working = false;
  #is_over = false;

  constructor(socket: Socket, events: IntakeEvents) {
    this.#socket = socket;
    this.#events = events;
    // read everything that came before: what stays in the socket's own buffer is lost when the connection breaks
    this.#rest = (socket.read() as Buffer | null) ?? Buffer.alloc(0);
    if (this.#rest.length > 0) queueMicrotask(() => void this.#work());
    socket.on('data', (chunk: Buffer) => {
      if (this.#is_over) return;
      this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      socket.pause();
      void this.#work();
    });
    const at_end = (): void => {
      this.#at_end = true;
      void this.#work();
    };
    socket.on('end', at_end);
    socket.on('close', at_end);
  }

  /** Everything that was read is handed over. */
  get is_empty(): boolean {
    return this.#rest.length === 0;
  }

  /** There may be room again. */
  go_on(): void {
    void this.#work();
  }

  /** Hands over nothing more: the rest is for somebody else. */
  close(): void {
    this.#is_over = true;
    this.#rest = Buffer.alloc(0);
  }

  async #work(): Promise<void> {
    if (this.#is_working || this.#is_over) return;
    this.#is_working = true;
    while (this.#rest.length > 0 && !this.#is_over && this.#events.has_room()) {
      const slice = this.#rest.subarray(0, SLICE);
      this.#rest = this.#rest.subarray(SLICE);
      const ms = this.#pace.take(slice.length * this.#events.slice(slice));
      await (ms > 0 ? sleep(ms, undefined, { ref: false }) : turn());
    }
    this.#is_working = false;
    if (this.#is_over || this.#rest.length > 0) return;
    if (this.#at_end) {
      this.#is_over = true;
      this.#events.end();
    } else if (this.#events.has_room()) this.#socket.resume();
  }
}
