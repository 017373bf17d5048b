/**
 * Warnings that strangers can cause as often as they like. Each second the log gets one of each kind, and how many more
 * there were.
 */

/** Each text is one line. */
export interface ConsoleLog {
  info(text: string): void;
  warn(text: string): void;
}

const EVERY_MS = 1000;

/** the code a session ends with, or what else happened to it */
export type Kind = 'bad_line' | 'auth_failed' | 'too_many_sessions' | 'dropped' | 'internal';

export class RareLog {
  readonly #warn: (text: string) => void;
  /** warnings since the kind's last line */
  readonly #more = new Map<Kind, number>();
  readonly #timers = new Map<Kind, NodeJS.Timeout>();

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  warn(kind: Kind, text: string): void {
    if (this.#timers.has(kind)) {
      this.#more.set(kind, (this.#more.get(kind) ?? 0) + 1);
      return;
    }
    this.#warn(text);
    this.#timers.set(kind, setInterval(() => this.#tell(kind), EVERY_MS).unref());
  }

  /** Logs the numbers that are still due. */
  close(): void {
    for (const kind of [...this.#timers.keys()]) {
      this.#tell(kind);
      this.#stop(kind);
    }
  }

  #tell(kind: Kind): void {
    const more = this.#more.get(kind) ?? 0;
    this.#more.delete(kind);
    if (more > 0) this.#warn(`console: ${kind}: ${more} more`);
    else this.#stop(kind);
  }

  #stop(kind: Kind): void {
    clearInterval(this.#timers.get(kind));
    this.#timers.delete(kind);
  }
}
