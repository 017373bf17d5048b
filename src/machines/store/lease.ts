/**
 * Who leads. The lease is one key that its holder renews by compare-and-set; whoever has seen it unchanged for its
 * whole time by the own clock takes it over with the next term. Nothing here depends on clocks agreeing or on the
 * store's own ideas of age.
 */
import type { Clock } from '../../foundation/clock.ts';
import { Refused } from '../../foundation/shape.ts';
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
  /**
   * Asked while an engine that lost its memory has no lease: does this process know the newest plan, by what agents
   * said since then? null: not all have spoken yet. Default: null.
   */
  readonly knows_newest?: (since: number) => boolean | null;
}

export const LEASE = 'lease';
/** more terms than any process can have missed */
const MISSED_TERMS = 1000;
/** How much longer who has not looked for long waits before it writes anew what an engine lost, in times of a lease. */
const MAX_LATE_TTLS = 5;
/**
 * So long agents are waited for that shall say which plan is the newest, when an engine lost its memory; and others
 * wait for who led last.
 */
const SPEAK_MS = 300;
const BEHIND_LEADER_MS = 400;

export class LeaseKeeper {
  readonly #options: LeaseOptions;
  /** the newest seen, and since when it is as it is; null: none was there */
  #seen: { readonly entry: Entry; readonly lease: Lease | Refused; readonly since: number } | null = null;
  #missing_since: number | null = null;
  /** times that it was there and is not */
  #losses = 0;
  #is_there = true;
  /** when it was there last, and this process saw it */
  #looked_at = -Infinity;
  #nonces = 0;
  /** the renewal that counts was sent then */
  #sent = -Infinity;
  #revision = 0;
  #term = 0;
  #highest_term = 0;
  /** the newest that this process held */
  #last_term = -1;

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

  /** At the last look; if not, or nobody answered, a moment counts. */
  get is_there(): boolean {
    return this.#is_there;
  }

  /** So often the engine was found without it: it lost its memory. */
  get losses(): number {
    return this.#losses;
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

  /**
   * Takes note of what a watch showed: only time since it changed counts, so an early look makes for an early takeover.
   */
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

  /**
   * Renews what it holds, or takes over what nobody renews. Call it several times in a fifth of the time. Never
   * rejects.
   */
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
      const was_there = this.#highest_term > 0;
      if (was_there && timers.now() - this.#missing_since! < this.#missing_ms()) return;
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
    this.#term = this.#last_term = term;
    this.#highest_term = Math.max(this.#highest_term, term);
    this.#sent = this.#looked_at = sent;
    this.#revision = revision;
    this.saw({ key: LEASE, text, revision });
  }

  #lose(): void {
    this.#term = 0;
    this.#revision = 0;
  }

  /**
   * For so long an engine that lost its memory is left without a leader by this process. Who led last goes first. Who
   * knows only older plans than agents do comes last, and of those who looked last, as that one knows most of what was
   * lost.
   */
  #missing_ms(): number {
    const { ttl_ms, knows_newest } = this.#options;
    const since = this.#missing_since!;
    const knows = knows_newest?.(since) ?? null;
    if (knows === false) return ttl_ms + Math.min(since - this.#looked_at, MAX_LATE_TTLS * ttl_ms);
    const speak_ms = knows ? 0 : SPEAK_MS;
    if (this.#last_term === this.#highest_term) return speak_ms;
    // another may hold it yet
    const left_ms = (this.#seen?.since ?? since) + (this.current?.ttl_ms ?? ttl_ms) - since;
    return Math.max(left_ms, speak_ms + BEHIND_LEADER_MS);
  }

  /** undefined: nobody answers. */
  async #read(): Promise<Entry | null | undefined> {
    try {
      this.#is_there = false;
      const entry = await this.#options.store.get(LEASE);
      if (entry) {
        this.saw(entry);
        this.#looked_at = this.#options.timers.now();
        this.#is_there = true;
      } else if (this.#missing_since === null) {
        this.#missing_since = this.#options.timers.now();
        if (this.#highest_term > 0) this.#losses++;
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
