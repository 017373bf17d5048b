/** The most clients one process could still be running, from what it was ordered and what it acknowledged. */

/** Beyond it neighbouring orders are joined, which makes `may` too high at worst, never too low. */
const MAX_ORDERS = 64;

interface Order {
  clients: number;
  /** the revision that ordered something else; Infinity: none did */
  replaced_by: number;
}

/**
 * The orders a process may be following: the one it acknowledged last and all since. Orders may be skipped (the newest
 * wins), so any of them may be in force. An order at or below a later one never decides {@link may}, so the list is
 * strictly falling.
 */
export class Outstanding {
  #orders: Order[] = [];

  /** `revision` orders `clients`. Revisions rise from call to call. */
  add(revision: number, clients: number): void {
    const last = this.#orders.at(-1);
    if (last?.clients === clients) return;
    if (last) last.replaced_by = revision;
    while ((this.#orders.at(-1)?.clients ?? Infinity) <= clients) this.#orders.pop();
    this.#orders.push({ clients, replaced_by: Infinity });
    if (this.#orders.length > MAX_ORDERS) {
      this.#orders[0]!.replaced_by = this.#orders[1]!.replaced_by;
      this.#orders.splice(1, 1);
    }
  }

  /** The process applied `revision`: orders replaced by then are over. */
  acknowledge(revision: number): void {
    this.#orders = this.#orders.filter((order) => order.replaced_by > revision);
  }

  /** The process is dead. */
  clear(): void {
    this.#orders = [];
  }

  /** the most clients it could be running, 0 before the first order */
  get may(): number {
    return this.#orders[0]?.clients ?? 0;
  }
}
