/**
 * What a coordinator knows of the store: fed by a watch, which is only a hint, and put right by looking once a second.
 * An agent is heard when its presence changes, by this process' own clock.
 */
import type { Clock } from '../../foundation/clock.ts';
import { checked, Refused, token } from '../../foundation/shape.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import {
  LATENCIES,
  MEMBER,
  RESULTS,
  results_key,
  type Desired,
  type Head,
  type ProcessPlace,
  type Presence,
  type Results,
  type SwarmPlan,
} from '../store/documents.ts';
import { LEASE, type LeaseKeeper } from '../store/lease.ts';
import { fallen, MAX_AGENTS, read_desired, read_head, read_part, read_plan, read_presence } from '../store/readers.ts';
import { LEADERS, Refusals } from '../store/refusals.ts';
import { Collected } from '../store/results.ts';
import type { Entry, Store } from '../store/store.ts';

export const PLAN = 'plan';
export const DESIRED = 'desired';

const LOOK_MS = 1000;
/**
 * the same for members that are silent, so many of them at most, and while the store does not answer or lost its memory
 */
const ASK_MS = 200;
const MAX_ASKED = 16;
const LIST_MS = 5000;
/**
 * after the store was away: agents that it did not answer come back, and nobody is written off before they had time to
 */
const BACK_MS = 5000;
/** an agent not heard for so long is asked for */
const SUSPECT_MS = 2000;
const OFFSETS = 10;
/** incarnations of an agent of which it is known when they were heard */
const MAX_HEARD = 100;
/** characters of the results of all incarnations of an agent together: hundreds that measured much */
const MAX_RESULTS = 64 * 1024 * 1024;

/** A document with the revision of its key. */
export interface VersionedDocument<T> {
  readonly doc: T;
  readonly text: string;
  readonly revision: number;
  /** local time when this process learned of it */
  readonly heard_at: number;
}

export interface HeardAgent extends VersionedDocument<Presence> {
  /** local time when its incarnation was heard first */
  readonly first_at: number;
  /** its wall clock less ours when it was heard, the newest ten: the highest travelled shortest */
  readonly offsets: readonly number[];
}

export class View {
  readonly members = new Map<MemberId, HeardAgent>();
  /** documents that were not taken, of whom they are */
  readonly refusals: Refusals;
  /**
   * when each incarnation of each agent was heard last, and where it is; when each agent was asked for last that was
   * answered
   */
  readonly #heard = new Map<MemberId, Map<string, { at: number; readonly place: ProcessPlace }>>();
  readonly #asked = new Map<MemberId, number>();
  readonly #results = new Map<string, Collected>();
  readonly #store: Store;
  readonly #timers: Clock;
  readonly #lease: LeaseKeeper;
  readonly #changed: () => void;
  readonly #unwatch: () => void;
  readonly #since: number;
  #plan: VersionedDocument<SwarmPlan> | null = null;
  #desired: VersionedDocument<Desired> | null = null;
  /** local monotonic time at run time 0: the least of all estimates, as what travels only comes later */
  #base: number | null = null;
  #looked_at = -Infinity;
  #asked_at = -Infinity;
  #listed_at = -Infinity;
  /** at the last look */
  #answers = true;
  /** when the store answered again that had not at the look before */
  #back_at = -Infinity;
  /** when the store answered last; null before */
  answered_at: number | null = null;
  /** counts what came in that a plan may depend on */
  news = 0;
  /** counts results that came in */
  heard_results = 0;
  /** the plan was there, and at the last look it was not */
  is_wiped = false;
  /** what stands in place of plan and desired and cannot be read: the revisions that a write must name */
  readonly spoiled: { plan: number; desired: number } = { plan: 0, desired: 0 };

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
    this.#since = timers.now();
    this.#unwatch = store.watch('', (entry) => {
      if (this.#take(entry, -Infinity)) this.#changed();
    });
  }

  get plan(): VersionedDocument<SwarmPlan> | null {
    return this.#plan;
  }

  get desired(): VersionedDocument<Desired> | null {
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
   * So long an incarnation was not heard, as far as is known: until the agent was asked for last. That nothing came
   * proves nothing, it may be this process that was cut off. Of one never heard: since this process looks. When the
   * store comes back it counts anew for a while.
   */
  silent_ms(agent: MemberId, incarnation: string): number {
    const heard_at = this.#heard.get(agent)?.get(incarnation)?.at ?? this.#since;
    const asked_at = this.#asked.get(agent) ?? -Infinity;
    const is_returning = asked_at < this.#back_at + BACK_MS;
    return Math.max(0, asked_at - (is_returning ? Math.max(heard_at, this.#back_at) : heard_at));
  }

  /** Where an incarnation is, or was; null: it was not heard, or is long forgotten. */
  place_of(agent: MemberId, incarnation: string): ProcessPlace | null {
    return this.#heard.get(agent)?.get(incarnation)?.place ?? null;
  }

  results_of(agent: MemberId, incarnation: string): Results | null {
    return this.#results.get(results_key(agent, incarnation))?.results ?? null;
  }

  /** Of all incarnations of all agents, by agent and incarnation. */
  *results(run: string): Iterable<Pick<Collected, 'agent' | 'incarnation' | 'results'>> {
    for (const collected of this.#results.values()) if (collected.head.doc.run === run) yield collected;
  }

  /** Reads all results: before it matters that none is missing. Rejects when nobody answers. */
  async read_results(): Promise<void> {
    for (const prefix of [RESULTS, LATENCIES])
      for (const entry of await this.#store.list(prefix)) this.#take(entry, -Infinity);
  }

  /** Of incarnations that are no more: nobody else will write them again. */
  *left_results(): Iterable<Entry> {
    for (const { agent, incarnation, entries } of this.#results.values())
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
    if (key.startsWith(MEMBER)) this.#asked.set(key.slice(MEMBER.length), sent);
    return entry;
  }

  /**
   * Looks once a second at what a watch may have missed. Never rejects; false: the store did not answer the last time.
   */
  async look(): Promise<boolean> {
    const now = this.#timers.now();
    const is_well = this.#answers && !this.is_wiped;
    if (now - this.#looked_at < (is_well ? LOOK_MS : ASK_MS)) {
      if (this.#answers && now - this.#asked_at >= ASK_MS) this.#answers = await this.#ask(now);
      return this.#answers;
    }
    this.#looked_at = this.#asked_at = now;
    const answered = this.#answers;
    this.#answers = await this.#look(now);
    if (this.#answers && !answered) this.#back_at = now;
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
        const key = results_key(agent, doc.incarnation);
        if ((this.#results.get(key)?.head.doc.seq ?? 0) < doc.results) await this.read(key);
        for (const part of this.#results.get(key)?.missing ?? []) await this.read(part);
      }
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

  /** Something is amiss: the next look is not as late as others. */
  hurry(): void {
    this.#looked_at = -Infinity;
  }

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
    if (key.startsWith(RESULTS)) this.#take_head(entry);
    if (key.startsWith(LATENCIES)) this.#take_part(entry);
    return false;
  }

  #take_head(entry: Entry): void {
    const { key } = entry;
    const known = this.#results.get(key);
    if (known?.head.entry.text === entry.text) return;
    const [agent, incarnation] = key.slice(RESULTS.length).split('.') as [string, string];
    if (!is_name(agent) || !is_name(incarnation)) return;
    const found = this.#read_head(agent, entry, known?.head.doc);
    if (found instanceof Refused) return this.#refuse(agent, 'results', found);
    this.refusals.clear(agent, 'results');
    const head = { entry, doc: found };
    if (!known) this.#results.set(key, new Collected(agent, incarnation, head));
    else if (found.seq <= known.head.doc.seq) return;
    else known.take_head(head);
    this.#hear_results();
  }

  #read_head(agent: MemberId, entry: Entry, known: Head | undefined): Head | Refused {
    const found = read_head(entry.text);
    if (found instanceof Refused) return found;
    const lower = known && found.seq > known.seq ? fallen(known, found) : null;
    if (lower !== null) return new Refused(`${lower} is less than it was`);
    return this.#has_room(agent, entry) ? found : new Refused('there is more than can be kept');
  }

  /** One that comes before its head is read again when that is there. */
  #take_part(entry: Entry): void {
    const [agent, incarnation, n] = entry.key.slice(LATENCIES.length).split('.') as [string, string, string];
    const collected = this.#results.get(results_key(agent, incarnation));
    const number = Number(n);
    if (!collected || !Object.hasOwn(collected.head.doc.parts, number)) return;
    const known = collected.part(number);
    if (known?.entry.text === entry.text) return;
    const found = read_part(entry.text);
    if (found instanceof Refused) return this.#refuse(agent, 'latencies', found);
    if (known && found.seq <= known.doc.seq) return;
    if (!this.#has_room(agent, entry))
      return this.#refuse(agent, 'latencies', new Refused('there is more than can be kept'));
    this.refusals.clear(agent, 'latencies');
    collected.take_part(number, { entry, doc: found });
    this.#hear_results();
  }

  #has_room(agent: MemberId, { text }: Entry): boolean {
    let all = text.length;
    for (const one of this.#results.values()) if (one.agent === agent) all += one.length;
    return all <= MAX_RESULTS;
  }

  #hear_results(): void {
    this.heard_results++;
    // while the run is open they change nothing for the plan
    if (this.#plan?.doc.stage !== 'open') this.news++;
  }

  /** Keeps what was known, and goes on with it. */
  #refuse(author: MemberId, what: 'presence' | 'results' | 'latencies', { why }: Refused): void {
    if (this.refusals.note(author, what, why)) this.#changed();
  }

  #take_desired(entry: Entry, asked_at: number): boolean {
    const known = this.#desired;
    if (known?.text === entry.text && known.revision === entry.revision) return false;
    const kept = this.#kept(entry, read_desired(entry.text));
    if (!kept) return (void (this.spoiled.desired = entry.revision), false);
    this.spoiled.desired = 0;
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
    const kept = this.#kept(entry, read_plan(entry.text));
    if (!kept) return (void (this.spoiled.plan = entry.revision), false);
    this.spoiled.plan = 0;
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
    if (!is_name(agent) || (!known && this.members.size >= MAX_AGENTS)) return false;
    const found = read_presence(entry.text);
    if (found instanceof Refused) {
      this.#refuse(agent, 'presence', found);
      return false;
    }
    this.refusals.clear(agent, 'presence');
    const kept = { ...entry, doc: found, heard_at: this.#timers.now() };
    if (known && known.heard_at >= asked_at) {
      const { incarnation, seq } = known.doc;
      const is_same = kept.doc.incarnation === incarnation;
      const follows = entry.revision > known.revision || kept.doc.replaces.includes(incarnation);
      if (is_same ? kept.doc.seq <= seq : !follows) return false;
    }
    const { heard_at } = kept;
    const { incarnation, wall_ms, run_ms, ready } = kept.doc;
    const offsets = [...(known?.offsets ?? []), wall_ms - this.#timers.wall()].slice(-OFFSETS);
    const first_at = known?.doc.incarnation === incarnation ? known.first_at : heard_at;
    this.members.set(agent, { ...kept, first_at, offsets });
    if (!known || is_other(kept.doc, known.doc)) this.news++;
    this.#hear(agent, kept.doc, heard_at);
    if (ready !== null && ready === this.#plan?.doc.run.id) this.#hear_agents_run_ms(ready, run_ms);
    return true;
  }

  /**
   * The store lost its memory, and with it what agents had told last: each may have been answered up to now, and counts
   * on that.
   */
  #forgive(): void {
    for (const incarnations of this.#heard.values())
      for (const heard of incarnations.values()) heard.at = this.#timers.now();
  }

  #hear(agent: MemberId, { incarnation, machine, pid }: Presence, at: number): void {
    const known = this.#heard.get(agent) ?? new Map<string, { at: number; readonly place: ProcessPlace }>();
    this.#heard.set(agent, known);
    // the newest stand last
    known.delete(incarnation);
    known.set(incarnation, { at, place: { machine, pid } });
    for (const oldest of known.keys()) {
      if (known.size <= MAX_HEARD) break;
      known.delete(oldest);
    }
  }

  /** One agent's word is no proof: the run is as far as half of those that play it say. */
  #hear_agents_run_ms(run: string, run_ms: number | null): void {
    const now = this.#timers.now();
    if (run_ms === null || (this.#base !== null && now - run_ms >= this.#base)) return;
    const told = [...this.members.values()].flatMap(({ doc, heard_at }) =>
      doc.ready === run && doc.run_ms !== null ? now - heard_at + doc.run_ms : [],
    );
    told.sort((a, b) => a - b);
    this.#hear_run_ms(told[Math.floor((told.length - 1) / 2)] ?? null);
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

  #kept<T>({ key, text, revision }: Entry, doc: T | Refused): VersionedDocument<T> | null {
    if (!(doc instanceof Refused)) {
      this.refusals.clear(LEADERS, key);
      return { doc, text, revision, heard_at: this.#timers.now() };
    }
    this.refusals.note(LEADERS, key, doc.why);
    return null;
  }
}

const is_name = (name: string): boolean => !(checked(token, name) instanceof Refused);

/**
 * A store that lost its memory counts its revisions anew, a document's own count (`ahead` of the known one) goes on.
 * The same document under another revision is news too: the next write must name it.
 */
function is_news(
  kept: VersionedDocument<unknown>,
  known: VersionedDocument<unknown>,
  ahead: number,
  is_same_run: boolean,
): boolean {
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
