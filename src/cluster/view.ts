/**
 * What a coordinator knows of the store: fed by a watch, which is only a hint, and put right by looking once a second. An agent is heard
 * when its presence changes, by this process' own clock.
 */
import type { MemberId } from '../swarm/plan.ts';
import {
  MEMBER,
  RESULTS,
  results_key,
  type Desired,
  type Presence,
  type Results,
  type SwarmPlan,
} from './documents.ts';
import { LEASE, type LeaseKeeper, type Timers } from './lease.ts';
import type { Entry, Store } from './store.ts';

export const PLAN = 'plan';
export const DESIRED = 'desired';

const LOOK_MS = 1000;
const LIST_MS = 5000;
/** an agent not heard for so long is asked for */
const SUSPECT_MS = 2000;
const OFFSETS = 10;

/** A document with the revision of its key. */
export interface Kept<T> {
  readonly doc: T;
  readonly text: string;
  readonly revision: number;
}

export interface Heard extends Kept<Presence> {
  readonly heard_at: number;
  /** its wall clock less ours when it was heard, the newest ten: the highest travelled shortest */
  readonly offsets: readonly number[];
}

export class View {
  readonly members = new Map<MemberId, Heard>();
  /** when each incarnation was heard last */
  readonly #heard = new Map<string, number>();
  readonly #results = new Map<string, Entry>();
  readonly #parsed = new WeakMap<Entry, Results>();
  readonly #store: Store;
  readonly #timers: Timers;
  readonly #lease: LeaseKeeper;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
  readonly #since: number;
  #plan: Kept<SwarmPlan> | null = null;
  #desired: Kept<Desired> | null = null;
  /** local monotonic time at run time 0: the least of all estimates, as what travels only comes later */
  #base: number | null = null;
  #looked_at = -Infinity;
  #listed_at = -Infinity;
  /** at the last look */
  #answers = true;
  /** when the store answered last; null before */
  answered_at: number | null = null;
  /** the plan was there, and at the last look it was not */
  is_wiped = false;

  constructor(store: Store, timers: Timers, lease: LeaseKeeper, changed: () => void) {
    this.#store = store;
    this.#timers = timers;
    this.#lease = lease;
    this.#changed = changed;
    this.#since = timers.now();
    this.#unwatch = store.watch('', (entry) => {
      if (this.#take(entry)) this.#changed();
    });
  }

  get plan(): Kept<SwarmPlan> | null {
    return this.#plan;
  }

  get desired(): Kept<Desired> | null {
    return this.#desired;
  }

  /** ms of run time; null while nobody told */
  get run_ms(): number | null {
    return this.#base === null ? null : this.#timers.now() - this.#base;
  }

  /** The run begins now. */
  begin(): void {
    this.#base = this.#timers.now();
  }

  /** since an incarnation was heard last; of one never heard: since this process looks */
  silent_ms(agent: MemberId, incarnation: string): number {
    return this.#timers.now() - (this.#heard.get(`${agent}.${incarnation}`) ?? this.#since);
  }

  results_of(agent: MemberId, incarnation: string): Results | null {
    const entry = this.#results.get(results_key(agent, incarnation));
    return entry ? this.#parse(entry) : null;
  }

  /** Of all incarnations of all agents, by agent and incarnation. */
  *results(run: string): Iterable<{ agent: MemberId; incarnation: string; results: Results }> {
    for (const [key, entry] of this.#results) {
      const [agent, incarnation] = key.slice(RESULTS.length).split('.') as [string, string];
      const results = this.#parse(entry);
      if (results.run === run) yield { agent, incarnation, results };
    }
  }

  /** What this process wrote itself. */
  wrote(key: string, text: string, revision: number): void {
    this.#take({ key, text, revision });
  }

  forget(): void {
    this.#plan = null;
    this.#desired = null;
    this.is_wiped = false;
  }

  /** Reads `key` anew. Rejects when nobody answers. */
  async read(key: string): Promise<Entry | null> {
    const entry = await this.#store.get(key);
    this.answered_at = this.#timers.now();
    if (entry) this.#take(entry);
    return entry;
  }

  /** Looks once a second at what a watch may have missed. Never rejects; false: the store did not answer the last time. */
  async look(): Promise<boolean> {
    const now = this.#timers.now();
    if (now - this.#looked_at < LOOK_MS) return this.#answers;
    this.#looked_at = now;
    this.#answers = await this.#look(now);
    return this.#answers;
  }

  async #look(now: number): Promise<boolean> {
    try {
      const plan = await this.read(PLAN);
      this.is_wiped = plan === null && this.#plan !== null;
      await this.read(DESIRED);
      for (const [agent, heard] of this.members) {
        if (now - heard.heard_at < SUSPECT_MS) continue;
        await this.read(`${MEMBER}${agent}`);
      }
      for (const [agent, { doc }] of this.members) {
        const results = this.results_of(agent, doc.incarnation);
        if ((results?.seq ?? 0) < doc.results) await this.read(results_key(agent, doc.incarnation));
      }
      if (this.#listed_at === -Infinity) await this.#list(now);
      else if (now - this.#listed_at >= LIST_MS) void this.#list(now).catch(() => {});
      return true;
    } catch {
      return false;
    }
  }

  /** Only the first one is waited for: an engine of several servers lists nothing while it elects a leader, but answers all else. */
  async #list(now: number): Promise<void> {
    const is_first = this.#listed_at === -Infinity;
    if (!is_first) this.#listed_at = now;
    for (const entry of await this.#store.list(MEMBER)) this.#take(entry);
    if (is_first) for (const entry of await this.#store.list(RESULTS)) this.#take(entry);
    this.#listed_at = now;
  }

  close(): void {
    this.#unwatch();
  }

  /** True if it is news. */
  #take(entry: Entry): boolean {
    const { key } = entry;
    if (key === LEASE) {
      this.#lease.saw(entry);
      this.#hear_run_ms(this.#lease.current?.run_ms ?? null);
      return false;
    }
    if (key === PLAN) return this.#take_plan(entry);
    if (key === DESIRED) return this.#take_desired(entry);
    if (key.startsWith(MEMBER)) return this.#take_presence(key.slice(MEMBER.length), entry);
    if (key.startsWith(RESULTS)) {
      const known = this.#results.get(key);
      const is_old = known && entry.revision <= known.revision && this.#parse(entry).seq <= this.#parse(known).seq;
      if (!is_old) this.#results.set(key, entry);
    }
    return false;
  }

  #take_desired(entry: Entry): boolean {
    const known = this.#desired;
    const kept = parse<Desired>(entry);
    if (known && !is_news(kept, known, kept.doc.seq - known.doc.seq, kept.doc.run === known.doc.run)) return false;
    this.#desired = kept;
    return true;
  }

  #take_plan(entry: Entry): boolean {
    const known = this.#plan;
    const kept = parse<SwarmPlan>(entry);
    const is_same_run = known?.doc.run.id === kept.doc.run.id;
    if (known && !is_news(kept, known, kept.doc.revision - known.doc.revision, is_same_run)) return false;
    this.#plan = kept;
    if (known && !is_same_run) this.#base = null;
    this.#hear_run_ms(kept.doc.run_ms);
    return true;
  }

  #take_presence(agent: MemberId, entry: Entry): boolean {
    const known = this.members.get(agent);
    if (known && known.text === entry.text) return false;
    const kept = parse<Presence>(entry);
    if (known) {
      const { incarnation, seq } = known.doc;
      const is_same = kept.doc.incarnation === incarnation;
      const follows = entry.revision > known.revision || kept.doc.replaces.includes(incarnation);
      if (is_same ? kept.doc.seq <= seq : !follows) return false;
    }
    const heard_at = this.#timers.now();
    const { incarnation, wall_ms, run_ms, ready } = kept.doc;
    const offsets = [...(known?.offsets ?? []), wall_ms - this.#timers.wall()].slice(-OFFSETS);
    this.members.set(agent, { ...kept, heard_at, offsets });
    this.#heard.set(`${agent}.${incarnation}`, heard_at);
    if (ready !== null && ready === this.#plan?.doc.run.id) this.#hear_run_ms(run_ms);
    return true;
  }

  #hear_run_ms(run_ms: number | null): void {
    if (run_ms === null) return;
    const base = this.#timers.now() - run_ms;
    this.#base = this.#base === null ? base : Math.min(this.#base, base);
  }

  #parse(entry: Entry): Results {
    const known = this.#parsed.get(entry);
    if (known) return known;
    const results = JSON.parse(entry.text) as Results;
    this.#parsed.set(entry, results);
    return results;
  }
}

/**
 * A store that lost its memory counts its revisions anew, a document's own count (`ahead` of the known one) goes on. The same document under
 * another revision is news too: the next write must name it.
 */
function is_news(kept: Kept<unknown>, known: Kept<unknown>, ahead: number, is_same_run: boolean): boolean {
  if (!is_same_run) return kept.revision > known.revision;
  return ahead > 0 || (ahead === 0 && kept.revision !== known.revision);
}

const parse = <T>(entry: Entry): Kept<T> => ({
  doc: JSON.parse(entry.text) as T,
  text: entry.text,
  revision: entry.revision,
});
