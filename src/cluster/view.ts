/**
 * What a coordinator knows of the store: fed by a watch, which is only a hint, and put right by looking once a second. An agent is heard
 * when its presence changes, by this process' own clock.
 */
import type { Clock } from '../foundation/clock.ts';
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
import { LEASE, type LeaseKeeper } from './lease.ts';
import type { Entry, Store } from './store.ts';

export const PLAN = 'plan';
export const DESIRED = 'desired';

const LOOK_MS = 1000;
/** the same for members that are silent, so many of them at most */
const ASK_MS = 200;
const MAX_ASKED = 16;
const LIST_MS = 5000;
/** an agent not heard for so long is asked for */
const SUSPECT_MS = 2000;
const OFFSETS = 10;

/** A document with the revision of its key. */
export interface Kept<T> {
  readonly doc: T;
  readonly text: string;
  readonly revision: number;
  /** local time when this process learned of it */
  readonly heard_at: number;
}

export interface Heard extends Kept<Presence> {
  /** its wall clock less ours when it was heard, the newest ten: the highest travelled shortest */
  readonly offsets: readonly number[];
}

export class View {
  readonly members = new Map<MemberId, Heard>();
  /** when each incarnation was heard last, and when each agent was asked for last that was answered */
  readonly #heard = new Map<string, number>();
  readonly #asked = new Map<MemberId, number>();
  readonly #results = new Map<string, Entry>();
  readonly #parsed = new WeakMap<Entry, Results>();
  readonly #store: Store;
  readonly #timers: Clock;
  readonly #lease: LeaseKeeper;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
  readonly #since: number;
  #plan: Kept<SwarmPlan> | null = null;
  #desired: Kept<Desired> | null = null;
  /** local monotonic time at run time 0: the least of all estimates, as what travels only comes later */
  #base: number | null = null;
  #looked_at = -Infinity;
  #asked_at = -Infinity;
  #listed_at = -Infinity;
  /** at the last look */
  #answers = true;
  /** when the store answered last; null before */
  answered_at: number | null = null;
  /** counts what came in that a plan may depend on */
  news = 0;
  /** counts results that came in */
  heard_results = 0;
  /** the plan was there, and at the last look it was not */
  is_wiped = false;

  constructor(store: Store, timers: Clock, lease: LeaseKeeper, changed: () => void) {
    this.#store = store;
    this.#timers = timers;
    this.#lease = lease;
    this.#changed = changed;
    this.#since = timers.now();
    this.#unwatch = store.watch('', (entry) => {
      if (this.#take(entry, -Infinity)) this.#changed();
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

  /**
   * So long an incarnation was not heard, as far as is known: until the agent was asked for last. That nothing came proves nothing, it may be
   * this process that was cut off. Of one never heard: since this process looks.
   */
  silent_ms(agent: MemberId, incarnation: string): number {
    const heard_at = this.#heard.get(`${agent}.${incarnation}`) ?? this.#since;
    return Math.max(0, (this.#asked.get(agent) ?? -Infinity) - heard_at);
  }

  results_of(agent: MemberId, incarnation: string): Results | null {
    const entry = this.#results.get(results_key(agent, incarnation));
    return entry ? this.#parse(entry) : null;
  }

  /** Of all incarnations of all agents, by agent and incarnation. */
  *results(run: string): Iterable<{ agent: MemberId; incarnation: string; results: Results }> {
    for (const [key, entry] of this.#results) {
      const [agent, incarnation] = names_of(key);
      const results = this.#parse(entry);
      if (results.run === run) yield { agent, incarnation, results };
    }
  }

  /** Reads all results: before it matters that none is missing. Rejects when nobody answers. */
  async read_results(): Promise<void> {
    for (const entry of await this.#store.list(RESULTS)) this.#take(entry, -Infinity);
  }

  /** Of incarnations that are no more: nobody else will write them again. */
  *left_results(): Iterable<Entry> {
    for (const [key, entry] of this.#results) {
      const [agent, incarnation] = names_of(key);
      if (this.members.get(agent)?.doc.incarnation !== incarnation) yield entry;
    }
  }

  /** What this process wrote itself. */
  wrote(key: string, text: string, revision: number): void {
    this.#take({ key, text, revision }, -Infinity);
  }

  /** Reads `key` anew. Rejects when nobody answers. */
  async read(key: string): Promise<Entry | null> {
    const sent = this.#timers.now();
    const entry = await this.#store.get(key);
    this.answered_at = this.#timers.now();
    if (entry) this.#take(entry, sent);
    if (key.startsWith(MEMBER)) this.#asked.set(key.slice(MEMBER.length), sent);
    return entry;
  }

  /** Looks once a second at what a watch may have missed. Never rejects; false: the store did not answer the last time. */
  async look(): Promise<boolean> {
    const now = this.#timers.now();
    if (now - this.#looked_at < LOOK_MS) {
      if (this.#answers && now - this.#asked_at >= ASK_MS) this.#answers = await this.#ask(now);
      return this.#answers;
    }
    this.#looked_at = this.#asked_at = now;
    this.#answers = await this.#look(now);
    return this.#answers;
  }

  /** Asks for the members that are silent, more often: their silence counts up to when they were asked for last. */
  async #ask(now: number): Promise<boolean> {
    this.#asked_at = now;
    const planned = Object.keys(this.#plan?.doc.members ?? {});
    const silent = planned.filter((agent) => now - (this.members.get(agent)?.heard_at ?? now) >= SUSPECT_MS);
    try {
      for (const agent of silent.slice(0, MAX_ASKED)) await this.read(`${MEMBER}${agent}`);
      return true;
    } catch {
      return false;
    }
  }

  async #look(now: number): Promise<boolean> {
    try {
      const plan = await this.read(PLAN);
      const is_wiped = plan === null && this.#plan !== null;
      if (is_wiped && !this.is_wiped) this.#forgive();

      this.is_wiped = is_wiped;
      await this.read(DESIRED);
      const planned = this.#plan?.doc.members ?? {};
      for (const agent of new Set([...this.members.keys(), ...Object.keys(planned)])) {
        const heard = this.members.get(agent);
        const is_silent = !heard || now - heard.heard_at >= SUSPECT_MS;
        // another one plays under the name of a member that may live yet
        const is_other = agent in planned && planned[agent]!.incarnation !== heard?.doc.incarnation;
        if (is_silent || is_other) await this.read(`${MEMBER}${agent}`);
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
    const sent = this.#timers.now();
    for (const entry of await this.#store.list(MEMBER)) this.#take(entry, sent);
    if (is_first) await this.read_results();
    this.#listed_at = now;
  }

  close(): void {
    this.#unwatch();
  }

  /**
   * True if it is news. `asked_at`: when it was asked for; what is stored is right against all that was known by then, even if it is older:
   * the store may have lost its memory since. -Infinity: it came by itself, late perhaps.
   */
  #take(entry: Entry, asked_at: number): boolean {
    const { key } = entry;
    if (key === LEASE) {
      this.#lease.saw(entry);
      this.#hear_lease();
      return false;
    }
    if (key === PLAN) return this.#take_plan(entry, asked_at);
    if (key === DESIRED) return this.#take_desired(entry, asked_at);
    if (key.startsWith(MEMBER)) return this.#take_presence(key.slice(MEMBER.length), entry, asked_at);
    if (key.startsWith(RESULTS)) {
      const known = this.#results.get(key);
      if (known && this.#parse(entry).seq <= this.#parse(known).seq) return false;
      this.#results.set(key, entry);
      this.heard_results++;
      // while the run is open they change nothing for the plan
      if (this.#plan?.doc.stage !== 'open') this.news++;
    }
    return false;
  }

  #take_desired(entry: Entry, asked_at: number): boolean {
    const known = this.#desired;
    if (known?.text === entry.text && known.revision === entry.revision) return false;
    const kept = this.#parse_kept<Desired>(entry);
    const is_right = known !== null && known.heard_at < asked_at;
    if (known && !is_right && !is_news(kept, known, kept.doc.seq - known.doc.seq, kept.doc.run === known.doc.run))
      return false;
    this.#desired = kept;
    this.news++;
    return true;
  }

  #take_plan(entry: Entry, asked_at: number): boolean {
    const known = this.#plan;
    if (known?.text === entry.text && known.revision === entry.revision) return false;
    const kept = this.#parse_kept<SwarmPlan>(entry);
    const is_same_run = known?.doc.run.id === kept.doc.run.id;
    const is_right = known !== null && known.heard_at < asked_at;
    if (known && !is_right && !is_news(kept, known, kept.doc.revision - known.doc.revision, is_same_run)) return false;
    this.#lease.knows(kept.doc.term);
    if (is_same_run && known.doc.epoch !== kept.doc.epoch) this.#forgive();
    this.#plan = kept;
    this.news++;
    if (known && !is_same_run) this.#base = null;
    this.#hear_run_ms(kept.doc.run_ms);
    this.#hear_lease();
    return true;
  }

  #take_presence(agent: MemberId, entry: Entry, asked_at: number): boolean {
    const known = this.members.get(agent);
    if (known && known.text === entry.text) return false;
    const kept = this.#parse_kept<Presence>(entry);
    if (known && known.heard_at >= asked_at) {
      const { incarnation, seq } = known.doc;
      const is_same = kept.doc.incarnation === incarnation;
      const follows = entry.revision > known.revision || kept.doc.replaces.includes(incarnation);
      if (is_same ? kept.doc.seq <= seq : !follows) return false;
    }
    const { heard_at } = kept;
    const { incarnation, wall_ms, run_ms, ready } = kept.doc;
    const offsets = [...(known?.offsets ?? []), wall_ms - this.#timers.wall()].slice(-OFFSETS);
    this.members.set(agent, { ...kept, offsets });
    if (!known || is_other(kept.doc, known.doc)) this.news++;
    this.#heard.set(`${agent}.${incarnation}`, heard_at);
    if (ready !== null && ready === this.#plan?.doc.run.id) this.#hear_run_ms(run_ms);
    return true;
  }

  /** The store lost its memory, and with it what agents had told last: each may have been answered up to now, and counts on that. */
  #forgive(): void {
    for (const incarnation of this.#heard.keys()) this.#heard.set(incarnation, this.#timers.now());
  }

  #hear_run_ms(run_ms: number | null): void {
    if (run_ms === null) return;
    const base = this.#timers.now() - run_ms;
    this.#base = this.#base === null ? base : Math.min(this.#base, base);
  }

  /** The lease of a run before tells the time of that one. */
  #hear_lease(): void {
    const lease = this.#lease.current;
    if (lease && lease.run === this.#plan?.doc.run.id) this.#hear_run_ms(lease.run_ms);
  }

  #parse_kept<T>({ text, revision }: Entry): Kept<T> {
    return { doc: JSON.parse(text) as T, text, revision, heard_at: this.#timers.now() };
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

/** What an agent is and holds; the rest only shows that it lives, or is for people. */
const MATTERS = [
  ...(['incarnation', 'replaces', 'ready', 'refuses', 'accepted', 'applied', 'may', 'live', 'open'] as const),
  ...(['capacity', 'ids_wanted', 'leaving', 'weight', 'labels'] as const),
];
const is_other = (a: Presence, b: Presence): boolean =>
  MATTERS.some((field) => a[field] !== b[field] && String(a[field]) !== String(b[field]));

/** Agent and incarnation of a key of results. */
const names_of = (key: string): [string, string] => key.slice(RESULTS.length).split('.') as [string, string];
