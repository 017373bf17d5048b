/**
 * What a coordinator knows of the store: fed by a watch, which is only a hint, and put right by looking once a second.
 */
import type { Clock } from '../../foundation/clock.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { LATENCIES, MEMBER, RESULTS, type Desired, type ProcessPlace, type SwarmPlan } from '../store/documents.ts';
import { LEASE, type LeaseKeeper } from '../store/lease.ts';
import { read_desired, read_plan } from '../store/readers.ts';
import { LEADERS, Refusals } from '../store/refusals.ts';
import type { Collected } from '../store/results.ts';
import { RunTime } from '../store/run-time.ts';
import type { Entry, Store } from '../store/store.ts';
import { CollectedResults } from './collected-results.ts';
import { HeardAgents, type HeardAgent } from './heard-agents.ts';
import { LatestDocument, type VersionedDocument } from './latest-document.ts';

/** the key of the plan */
export const PLAN = 'plan';
/** the key of what the users want */
export const DESIRED = 'desired';

const LOOK_MS = 1000;
/** the same for members that are silent, and while the store does not answer or lost its memory */
const ASK_MS = 200;
const LIST_MS = 5000;

/** Listens from the start; looks when it is told to, with {@link look}. */
export class View {
  /** documents that were not taken, of whom they are */
  readonly refusals: Refusals;
  readonly #agents: HeardAgents;
  readonly #run_time: RunTime;
  readonly #results: CollectedResults;
  readonly #plan: LatestDocument<SwarmPlan>;
  readonly #desired: LatestDocument<Desired>;
  readonly #store: Store;
  readonly #timers: Clock;
  readonly #lease: LeaseKeeper;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
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
  #is_wiped = false;

  constructor(
    store: Store,
    timers: Clock,
    lease: LeaseKeeper,
    changed: () => void,
    refusals: Refusals = new Refusals(() => {}),
  ) {
    this.#store = store;
    this.refusals = refusals;
    this.#timers = timers;
    this.#lease = lease;
    this.#changed = changed;
    this.#agents = new HeardAgents(timers, refusals);
    this.#run_time = new RunTime(timers);
    this.#results = new CollectedResults(refusals);
    const number_of_plan = ({ run, revision }: SwarmPlan) => ({ run: run.id, count: revision });
    this.#plan = new LatestDocument(timers, refusals, read_plan, number_of_plan);
    const number_of_desired = ({ run, seq }: Desired) => ({ run, count: seq });
    this.#desired = new LatestDocument(timers, refusals, read_desired, number_of_desired);
    this.#unwatch = store.watch('', (entry) => {
      if (this.#take(entry, -Infinity)) this.#changed();
    });
  }

  /** the newest that came; null: none did */
  get plan(): VersionedDocument<SwarmPlan> | null {
    return this.#plan.known;
  }

  /** the newest that came; null: none did */
  get desired(): VersionedDocument<Desired> | null {
    return this.#desired.known;
  }

  /** what stands in place of plan and desired and cannot be read: the revisions that a write must name */
  get spoiled(): { readonly plan: number; readonly desired: number } {
    return { plan: this.#plan.spoiled, desired: this.#desired.spoiled };
  }

  /** The store lost its memory. */
  get is_wiped(): boolean {
    return this.#is_wiped;
  }

  /** The newest incarnation of each agent. */
  get members(): ReadonlyMap<MemberId, HeardAgent> {
    return this.#agents.members;
  }

  /** ms of run time; null while nobody told */
  get run_ms(): number | null {
    return this.#run_time.ms;
  }

  /** The run begins now. */
  begin(): void {
    this.#run_time.begin();
  }

  /** See {@link HeardAgents.silent_ms}. */
  silent_ms(agent: MemberId, incarnation: string): number {
    return this.#agents.silent_ms(agent, incarnation);
  }

  /** Where an incarnation is, or was; null: it was not heard, or is long forgotten. */
  place_of(agent: MemberId, incarnation: string): ProcessPlace | null {
    return this.#agents.place_of(agent, incarnation);
  }

  /** What an incarnation measured; null: nothing came of it. */
  results_of(agent: MemberId, incarnation: string): Collected['results'] | null {
    return this.#results.of(agent, incarnation)?.results ?? null;
  }

  /** Of all incarnations of all agents, by agent and incarnation. */
  *results(run: string): Iterable<Pick<Collected, 'agent' | 'incarnation' | 'results'>> {
    for (const collected of this.#results.all()) if (collected.head.doc.run === run) yield collected;
  }

  /** Reads all results: before it matters that none is missing. Rejects when nobody answers. */
  async read_results(): Promise<void> {
    for (const prefix of [RESULTS, LATENCIES])
      for (const entry of await this.#store.list(prefix)) this.#take(entry, -Infinity);
  }

  /** Of incarnations that are no more: nobody else will write them again. */
  *left_results(): Iterable<Entry> {
    for (const { agent, incarnation, entries } of this.#results.all())
      if (this.members.get(agent)?.doc.incarnation !== incarnation) yield* entries;
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
    if (key.startsWith(MEMBER)) this.#agents.asked(key.slice(MEMBER.length), sent);
    return entry;
  }

  /**
   * Looks once a second at what a watch may have missed. Never rejects; false: the store did not answer the last time.
   */
  async look(): Promise<boolean> {
    const now = this.#timers.now();
    const is_well = this.#answers && !this.#is_wiped;
    if (now - this.#looked_at < (is_well ? LOOK_MS : ASK_MS)) {
      if (this.#answers && now - this.#asked_at >= ASK_MS) this.#answers = await this.#ask(now);
      return this.#answers;
    }
    this.#looked_at = this.#asked_at = now;
    const answered = this.#answers;
    this.#answers = await this.#look(now);
    if (this.#answers && !answered) this.#agents.store_is_back(now);
    return this.#answers;
  }

  /** Asks for the members that are silent, more often. */
  async #ask(now: number): Promise<boolean> {
    this.#asked_at = now;
    try {
      for (const agent of this.#agents.silent(this.plan?.doc.members ?? {}, now)) await this.read(`${MEMBER}${agent}`);
      return true;
    } catch {
      return false;
    }
  }

  async #look(now: number): Promise<boolean> {
    try {
      const plan = await this.read(PLAN);
      const is_wiped = plan === null && this.plan !== null;
      if (is_wiped && !this.#is_wiped) this.#agents.forgive();
      this.#is_wiped = is_wiped;
      await this.read(DESIRED);
      const planned = this.plan?.doc.members ?? {};
      for (const agent of this.#agents.to_read(planned, now)) await this.read(`${MEMBER}${agent}`);
      for (const key of this.#results.missing(this.members)) await this.read(key);
      if (this.#listed_at === -Infinity) await this.#list(now);
      else if (now - this.#listed_at >= LIST_MS) void this.#list(now).catch(() => {});
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Only the first one is waited for: an engine of several servers lists nothing while it elects a leader, but answers
   * all else.
   */
  async #list(now: number): Promise<void> {
    const is_first = this.#listed_at === -Infinity;
    if (!is_first) this.#listed_at = now;
    const sent = this.#timers.now();
    for (const entry of await this.#store.list(MEMBER)) this.#take(entry, sent);
    if (is_first) await this.read_results();
    this.#listed_at = now;
  }

  /** What it had lost was written anew. */
  restored(): void {
    this.#is_wiped = false;
  }

  /** Something is amiss: the next look is not as late as others. */
  hurry(): void {
    this.#looked_at = -Infinity;
  }

  /** Hears nothing more. */
  close(): void {
    this.#unwatch();
  }

  /**
   * True if it is news. `asked_at`: when it was asked for; what is stored is right against all that was known by then,
   * even if it is older: the store may have lost its memory since. -Infinity: it came by itself, late perhaps.
   */
  #take(entry: Entry, asked_at: number): boolean {
    const { key } = entry;
    if (key === LEASE) {
      this.#lease.saw(entry);
      this.#hear_lease();
      if (this.#lease.refused !== null) this.refusals.note(LEADERS, LEASE, this.#lease.refused);
      else this.refusals.clear(LEADERS, LEASE);
      return false;
    }
    if (key === PLAN) return this.#take_plan(entry, asked_at);
    if (key === DESIRED) return this.#take_desired(entry, asked_at);
    if (key.startsWith(MEMBER)) return this.#take_presence(key.slice(MEMBER.length), entry, asked_at);
    if (key.startsWith(RESULTS) || key.startsWith(LATENCIES)) this.#take_results(entry);
    return false;
  }

  #take_results(entry: Entry): void {
    const outcome = this.#results.take(entry);
    if (outcome === 'refused') this.#changed();
    if (outcome !== 'taken') return;
    this.heard_results++;
    // while the run is open they change nothing for the plan
    if (this.plan?.doc.stage !== 'open') this.news++;
  }

  #take_desired(entry: Entry, asked_at: number): boolean {
    if (this.#desired.take(entry, asked_at) === undefined) return false;
    this.news++;
    return true;
  }

  #take_plan(entry: Entry, asked_at: number): boolean {
    const before = this.#plan.take(entry, asked_at);
    if (before === undefined) return false;
    const { run, epoch, term, run_ms } = this.plan!.doc;
    this.#lease.knows(term);
    if (before?.doc.run.id === run.id && before.doc.epoch !== epoch) this.#agents.forgive();
    this.news++;
    if (before && before.doc.run.id !== run.id) this.#run_time.forget();
    this.#run_time.hear(run_ms);
    this.#hear_lease();
    return true;
  }

  #take_presence(agent: MemberId, entry: Entry, asked_at: number): boolean {
    const outcome = this.#agents.take(agent, entry, asked_at);
    if (outcome === 'refused') this.#changed();
    if (outcome === 'refused' || outcome === null) return false;
    if (outcome === 'matters') this.news++;
    const { ready, run_ms } = this.members.get(agent)!.doc;
    if (ready !== null && ready === this.plan?.doc.run.id && this.#run_time.is_news(run_ms))
      this.#run_time.hear_agents(this.#agents.run_ms_of(ready));
    return true;
  }

  /** The lease of a run before tells the time of that one. */
  #hear_lease(): void {
    const lease = this.#lease.current;
    if (lease && lease.run === this.plan?.doc.run.id) this.#run_time.hear(lease.run_ms);
  }
}
