/**
 * Who leads. The lease is one key that its holder renews by compare-and-set; whoever has seen it unchanged for its whole time by the own clock
 * takes it over with the next term. Nothing here depends on clocks agreeing or on the store's own ideas of age.
 */
import type { Clock } from '../foundation/clock.ts';
import { Refused } from '../foundation/shape.ts';
import type { Lease } from './documents.ts';
import { read_lease } from './readers.ts';
import type { Entry, Store } from './store.ts';

export interface LeaseOptions {
  readonly store: Store;
  readonly timers: Clock;
  /** of this process, never used before */
  readonly id: string;
  readonly ttl_ms: number;
  /** a part of the time for which the holder no longer trusts it: clocks may run differently fast */
  readonly margin_ms: number;
  /** what people are told of the holder, and the run time of now */
  readonly about: () => Pick<Lease, 'console' | 'host' | 'run' | 'run_ms' | 'plan'>;
}

export const LEASE = 'lease';
/** more terms than any process can have missed */
const MISSED_TERMS = 1000;
/** How much longer who has not looked for long waits before it writes anew what an engine lost, in times of a lease. */
const MAX_LATE_TTLS = 5;

export class LeaseKeeper {
  readonly #options: LeaseOptions;
  /** the newest seen, and since when it is as it is; null: none was there */
  #seen: { readonly entry: Entry; readonly lease: Lease | Refused; readonly since: number } | null = null;
  #missing_since: number | null = null;
  /** when it was there last, and this process saw it */
  #looked_at = -Infinity;
  #nonces = 0;
  /** the renewal that counts was sent then */
  #sent = -Infinity;
  #revision = 0;
  #term = 0;
  #highest_term = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** of what this process holds; 0 when it holds nothing */
  get term(): number {
    return this.holds ? this.#term : 0;
  }

  /** Others cannot have taken it over yet. */
  get holds(): boolean {
    const { timers, ttl_ms, margin_ms } = this.#options;
    return this.#term > 0 && this.#term >= this.#highest_term && timers.now() < this.#sent + ttl_ms - margin_ms;
  }

  /** the newest known, whoever holds it */
  get current(): Lease | null {
    const lease = this.#seen?.lease;
    return lease === undefined || lease instanceof Refused ? null : lease;
  }

  /** why the newest seen cannot be read; null: it can */
  get refused(): string | null {
    const lease = this.#seen?.lease;
    return lease instanceof Refused ? lease.why : null;
  }

  /** Takes note of what a watch showed: only time since it changed counts, so an early look makes for an early takeover. */
  saw(entry: Entry): void {
    if (this.#seen && entry.revision <= this.#seen.entry.revision && entry.text === this.#seen.entry.text) return;
    const lease = read_lease(entry.text);
    if (!(lease instanceof Refused)) this.#highest_term = Math.max(this.#highest_term, lease.term);
    this.#missing_since = null;
    this.#seen = { entry, lease, since: this.#options.timers.now() };
  }

  /** There was such a term: the next one is higher, whatever the store remembers of leases. */
  knows(term: number): void {
    this.#highest_term = Math.max(this.#highest_term, term);
  }

  /** Renews what it holds, or takes over what nobody renews. Call it several times in a fifth of the time. Never rejects. */
  async turn(is_candidate: boolean): Promise<void> {
    const { timers, ttl_ms } = this.#options;
    if (this.#highest_term > this.#term) this.#lose();
    if (this.#term > 0) {
      if (timers.now() >= this.#sent + ttl_ms / 5) await this.#write(this.#term, this.#revision);
      if (this.#term > 0 && !this.holds) this.#lose();
      return;
    }
    const entry = await this.#read();
    if (entry === undefined || !is_candidate) return;
    if (entry === null) {
      // an engine that lost its memory: its leader goes first, then who looked last, as that one knows most of what was lost
      this.#missing_since ??= timers.now();
      const late_ms = Math.min(this.#missing_since - this.#looked_at, MAX_LATE_TTLS * ttl_ms);
      const was_there = this.#highest_term > 0;
      if (was_there && timers.now() - this.#missing_since < ttl_ms + late_ms) return;
      await this.#write(this.#highest_term + (was_there ? MISSED_TERMS : 1), 0);
    } else if (timers.now() - this.#seen!.since >= (this.current?.ttl_ms ?? ttl_ms)) {
      await this.#write(this.#highest_term + 1, entry.revision);
    }
  }

  /** Lets another take over at once. Never rejects. */
  async release(): Promise<void> {
    if (!this.holds) return;
    const lease: Lease = { ...this.#make(this.#term), ttl_ms: 0 };
    await this.#options.store.put(LEASE, JSON.stringify(lease), this.#revision);
    this.#lose();
  }

  async #write(term: number, revision: number): Promise<void> {
    const { store, timers } = this.#options;
    const sent = timers.now();
    const text = JSON.stringify(this.#make(term));
    const written = await store.put(LEASE, text, revision);
    if (written.outcome === 'done') return this.#hold(term, sent, written.revision, text);
    // refused, or nobody knows: an earlier try of this very text may have been applied
    const entry = await this.#read();
    if (entry === undefined) return;
    if (entry?.text === text) return this.#hold(term, sent, entry.revision, text);
    const found = entry && read_lease(entry.text);
    if (entry && found && !(found instanceof Refused) && found.id === this.#options.id && this.#term === term) {
      this.#revision = entry.revision; // an earlier renewal, whose answer never came; the time still runs from the last known
      return;
    }
    if (this.#term === 0 || (written.outcome === 'unknown' && entry !== null && entry.revision === revision)) return;
    // held no more, others may have had it since
    if (entry !== null || !this.holds) return this.#lose();
    // it was there and is not: the engine lost its memory, and what this process holds is the newest there is
    if (revision !== 0) await this.#write(this.#term + 1, 0);
  }

  #hold(term: number, sent: number, revision: number, text: string): void {
    this.#term = term;
    this.#highest_term = Math.max(this.#highest_term, term);
    this.#sent = this.#looked_at = sent;
    this.#revision = revision;
    this.saw({ key: LEASE, text, revision });
  }

  #lose(): void {
    this.#term = 0;
    this.#revision = 0;
  }

  /** undefined: nobody answers. */
  async #read(): Promise<Entry | null | undefined> {
    try {
      const entry = await this.#options.store.get(LEASE);
      if (entry) {
        this.saw(entry);
        this.#looked_at = this.#options.timers.now();
      }
      return entry;
    } catch {
      return undefined;
    }
  }

  #make(term: number): Lease {
    const { id, ttl_ms, about } = this.#options;
    return { id, nonce: `${id}-${++this.#nonces}`, term, ttl_ms, ...about() };
  }
}
