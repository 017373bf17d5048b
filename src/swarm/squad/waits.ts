/** Waiting for a condition, with a deadline: the only way in which the coordinator waits. */

interface Wait {
  readonly check: () => boolean;
  readonly deadline: number;
  readonly resolve: (came_true: boolean) => void;
}

export class Waits {
  #waits: Wait[] = [];
  readonly #now: () => number;

  /** `now`: ms, monotonic */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Resolves true as soon as `check` holds, false after `ms`. Checks at once, then at each {@link poke}. */
  until(check: () => boolean, ms: number): Promise<boolean> {
    if (check()) return Promise.resolve(true);
    return new Promise((resolve) => this.#waits.push({ check, deadline: this.#now() + ms, resolve }));
  }

  /** Something may have changed: an account, a death, the time. */
  poke(): void {
    const now = this.#now();
    this.#waits = this.#waits.filter((wait) => {
      const came_true = wait.check();
      const over = came_true || now >= wait.deadline;
      if (over) wait.resolve(came_true);
      return !over;
    });
  }
}
