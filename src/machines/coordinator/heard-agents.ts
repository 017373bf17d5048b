/** What agents say of themselves, and how long each of their incarnations has been silent. */
import type { Clock } from '../../foundation/clock.ts';
import { Refused } from '../../foundation/shape.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { Presence, ProcessPlace, SwarmPlan } from '../store/documents.ts';
import { MAX_AGENTS, read_presence } from '../store/readers.ts';
import type { Refusals } from '../store/refusals.ts';
import type { Entry } from '../store/store.ts';
import { is_name } from './collected-results.ts';
import type { VersionedDocument } from './latest-document.ts';

/** an agent not heard for so long is asked for */
const SUSPECT_MS = 2000;
/** so many of them at once */
const MAX_ASKED = 16;
/** After the store was away: agents that it did not answer come back, and have so long before they are written off. */
const BACK_MS = 5000;
const OFFSETS = 10;
/** incarnations of an agent of which it is known when they were heard */
const MAX_HEARD = 100;

/** What an agent said last. */
export interface HeardAgent extends VersionedDocument<Presence> {
  /** local time when its incarnation was heard first */
  readonly first_at: number;
  /** its wall clock less ours when it was heard, the newest ten: the highest travelled shortest */
  readonly offsets: readonly number[];
}

/** An agent is heard when its presence changes. All times are of this process' own clock. */
export class HeardAgents {
  readonly #members = new Map<MemberId, HeardAgent>();
  /** when each incarnation of each agent was heard last, and where it is */
  readonly #heard = new Map<MemberId, Map<string, { at: number; readonly place: ProcessPlace }>>();
  /** when each agent was asked for last that was answered */
  readonly #asked = new Map<MemberId, number>();
  readonly #timers: Clock;
  readonly #refusals: Refusals;
  readonly #since: number;
  /** when the store answered again that had not at the look before */
  #back_at = -Infinity;

  constructor(timers: Clock, refusals: Refusals) {
    this.#timers = timers;
    this.#refusals = refusals;
    this.#since = timers.now();
  }

  /** The newest incarnation of each. */
  get members(): ReadonlyMap<MemberId, HeardAgent> {
    return this.#members;
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

  /** How far the run is, as those say that play it. */
  run_ms_of(run: string): number[] {
    const now = this.#timers.now();
    return [...this.#members.values()].flatMap(({ doc, heard_at }) =>
      doc.ready === run && doc.run_ms !== null ? now - heard_at + doc.run_ms : [],
    );
  }

  /** Who of those that are planned is silent: their silence counts up to when they were asked for last. */
  silent(planned: SwarmPlan['members'], now: number): MemberId[] {
    return Object.keys(planned)
      .filter((agent) => now - (this.#members.get(agent)?.heard_at ?? now) >= SUSPECT_MS)
      .slice(0, MAX_ASKED);
  }

  /** Who is to be read anew, as it is when the one before has been. */
  *to_read(planned: SwarmPlan['members'], now: number): Iterable<MemberId> {
    for (const agent of new Set([...this.#members.keys(), ...Object.keys(planned)])) {
      const heard = this.#members.get(agent);
      const is_silent = !heard || now - heard.heard_at >= SUSPECT_MS;
      // another one plays under the name of a member that may live yet
      const is_other = agent in planned && planned[agent]!.incarnation !== heard?.doc.incarnation;
      if (is_silent || is_other) yield agent;
    }
  }

  /** The store said what it has of the agent, asked `at` that time. */
  asked(agent: MemberId, at: number): void {
    this.#asked.set(agent, at);
  }

  /** The store answers again. */
  store_is_back(at: number): void {
    this.#back_at = at;
  }

  /**
   * The store lost its memory, and with it what agents had told last: each may have been answered up to now, and counts
   * on that.
   */
  forgive(): void {
    for (const incarnations of this.#heard.values())
      for (const heard of incarnations.values()) heard.at = this.#timers.now();
  }

  /**
   * Takes a presence, of which `asked_at` says when it was asked for. matters: a plan may depend on it; refused: for a
   * reason that is news; null: nothing has changed.
   */
  take(agent: MemberId, entry: Entry, asked_at: number): 'matters' | 'lives' | 'refused' | null {
    const known = this.#members.get(agent);
    if (known && known.text === entry.text) return null;
    if (!is_name(agent) || (!known && this.#members.size >= MAX_AGENTS)) return null;
    const doc = read_presence(entry.text);
    if (doc instanceof Refused) return this.#refusals.note(agent, 'presence', doc.why) ? 'refused' : null;
    this.#refusals.clear(agent, 'presence');
    const heard_at = this.#timers.now();
    if (known && known.heard_at >= asked_at) {
      const { incarnation, seq } = known.doc;
      const follows = entry.revision > known.revision || doc.replaces.includes(incarnation);
      if (doc.incarnation === incarnation ? doc.seq <= seq : !follows) return null;
    }
    const offsets = [...(known?.offsets ?? []), doc.wall_ms - this.#timers.wall()].slice(-OFFSETS);
    const first_at = known?.doc.incarnation === doc.incarnation ? known.first_at : heard_at;
    this.#members.set(agent, { ...entry, doc, heard_at, first_at, offsets });
    this.#hear(agent, doc, heard_at);
    return !known || is_other(doc, known.doc) ? 'matters' : 'lives';
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
}

/** What an agent is and holds; the rest only shows that it lives, or is for people. */
const MATTERS = [
  ...(['incarnation', 'replaces', 'ready', 'refuses', 'accepted', 'applied', 'may', 'live', 'open'] as const),
  ...(['capacity', 'ids_wanted', 'leaving', 'weight', 'labels'] as const),
];
const is_other = (a: Presence, b: Presence): boolean => MATTERS.some((field) => !are_same(a[field], b[field]));

/** Words and numbers, or lists and records of them. */
function are_same(a: unknown, b: unknown): boolean {
  if (a === b || typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
