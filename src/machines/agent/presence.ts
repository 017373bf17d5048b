/** What an agent tells of itself: its name and incarnation, and that it lives. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../foundation/clock.ts';
import { Refused } from '../../foundation/shape.ts';
import { whole_of } from '../../metrics/merge-snapshots.ts';
import type { Note } from '../../swarm/plan/account.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import type { SquadAccount } from '../../swarm/squad/ordered-squad.ts';
import { MEMBER, type MemberShare, type Presence, type ProcessPlace } from '../store/documents.ts';
import { read_presence } from '../store/readers.ts';
import type { Store } from '../store/store.ts';
import { until } from './until.ts';

const MAX_REPLACED = 20;
/** ms within which another living agent of the same name would write again */
const STRANGER_MS = 3500;
/** how often in a row somebody writes something unreadable over the presence until it counts as a second agent */
const MAX_SPOILED = 5;

/** Who the agent is, and where it says so. */
export interface PresenceOptions {
  readonly store: Store;
  readonly timers: Clock;
  readonly id: MemberId;
  readonly facts: Pick<Presence, 'host' | 'machine' | 'pid' | 'swarm' | 'node' | 'labels' | 'weight' | 'open_files'>;
  readonly max_connections: number | null;
  readonly log: (level: Note['level'], text: string) => void;
  /** whether the place's process was on this host and is dead */
  readonly is_dead: (place: ProcessPlace) => boolean;
  readonly new_incarnation?: () => string;
}

interface PresenceEvents {
  /** the presence must be written again at once */
  readonly on_stale: () => void;
  /** another process plays under this agent's name */
  readonly on_second: (where: string) => Promise<void>;
}

/** The part of a presence that the agent's other parts know. */
export interface PresenceState extends Pick<
  Presence,
  'ready' | 'refuses' | 'accepted' | 'applied' | 'results' | 'leaving' | 'run_ms' | 'fenced'
> {
  /** null: there is no crew */
  readonly account: SquadAccount | null;
}

/** Writes the presence of an agent, and notices when somebody else does. */
export class PresenceWriter {
  readonly #options: PresenceOptions & PresenceEvents;
  readonly #key: string;
  #incarnation: string;
  #replaces: string[] = [];
  #revision = 0;
  #seq = 0;
  /** when something unreadable was last found in place of the presence, and how often in a row */
  #spoiled = { at: -Infinity, times: 0 };

  constructor(options: PresenceOptions & PresenceEvents) {
    this.#options = options;
    this.#key = `${MEMBER}${options.id}`;
    this.#incarnation = this.#fresh();
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  get is_stored(): boolean {
    return this.#revision > 0;
  }

  /** Begins a new incarnation. Nothing of the last one may live. */
  renew(): void {
    this.#replace(this.#incarnation);
    this.#incarnation = this.#fresh();
  }

  /** Finds the agent's last process in the plan, written from memory, after the engine lost its presence. */
  attest(entry: MemberShare | undefined): void {
    if (entry?.place && !this.#is_own(entry.incarnation) && this.#options.is_dead(entry.place))
      this.#replace(entry.incarnation);
  }

  /** Stores the presence. False: the engine did not take it. */
  async write(state: PresenceState): Promise<boolean> {
    const { store } = this.#options;
    const text = JSON.stringify(this.#document(state));
    const written = await store.put(this.#key, text, this.#revision);
    if (written.outcome === 'done') {
      this.#revision = written.revision;
      return true;
    }
    let entry;
    try {
      entry = await store.get(this.#key);
    } catch {
      return false;
    }
    // the engine lost its memory: write again at once, not at the next beat
    if (!entry) this.#write_over(0);
    else if (entry.text === text) this.#revision = entry.revision;
    else await this.#meet(read_presence(entry.text), entry.revision);
    return entry?.text === text;
  }

  #write_over(revision: number): void {
    this.#revision = revision;
    this.#options.on_stale();
  }

  /** The agent's key holds something that it did not just write. */
  async #meet(other: Presence | Refused, found: number): Promise<void> {
    if (other instanceof Refused) return await this.#meet_spoiled(other, found);
    let revision = found;
    if (!this.#is_own(other.incarnation)) {
      const { store, is_dead, timers } = this.#options;
      if (is_dead(other)) this.#replaces.push(...other.replaces, other.incarnation);
      else {
        // a single change may be the last write of a dead process, arriving late
        for (let changes = 0; ; changes++) {
          const end = timers.now() + STRANGER_MS;
          await until(timers, () => timers.now() >= end);
          const later = await store.get(this.#key).catch(() => null);
          if (!later || later.revision === revision) break;
          revision = later.revision;
          if (changes === 0) continue;
          return await this.#options.on_second(`${other.host}, pid ${other.pid}`);
        }
      }
      this.#replaces = this.#replaces.slice(-MAX_REPLACED);
    }
    this.#write_over(revision);
  }

  async #meet_spoiled({ why }: Refused, revision: number): Promise<void> {
    const { log, timers } = this.#options;
    const is_again = timers.now() - this.#spoiled.at < STRANGER_MS;
    this.#spoiled = { at: timers.now(), times: is_again ? this.#spoiled.times + 1 : 1 };
    if (!is_again) log('warn', `another process overwrote the entry of this agent, and ${why}: written again`);
    // no agent of this version writes that; one of another version might, each second
    if (this.#spoiled.times >= MAX_SPOILED) return await this.#options.on_second('perhaps one of another version');
    this.#write_over(revision);
  }

  #is_own(incarnation: string): boolean {
    return incarnation === this.#incarnation || this.#replaces.includes(incarnation);
  }

  #replace(incarnation: string): void {
    this.#replaces = [...this.#replaces, incarnation].slice(-MAX_REPLACED);
  }

  #fresh(): string {
    return this.#options.new_incarnation?.() ?? randomBytes(8).toString('hex');
  }

  #document({ account, ready, refuses, accepted, applied, results, leaving, run_ms, fenced }: PresenceState): Presence {
    const { facts, max_connections, timers } = this.#options;
    const { cpu, rss_bytes, lag_p99_ms } = account?.snapshot.generator ?? { cpu: 0, rss_bytes: 0, lag_p99_ms: 0 };
    return {
      incarnation: this.#incarnation,
      replaces: this.#replaces,
      seq: ++this.#seq,
      ...facts,
      capacity: Math.min(account?.capacity ?? 0, max_connections ?? Infinity),
      capacity_why: account?.capacity_why ?? '',
      ready,
      refuses,
      accepted,
      applied,
      may: account?.may ?? {},
      ids_wanted: account?.ids_wanted ?? {},
      slots: account?.slots ?? {},
      results,
      live: account?.live ?? 0,
      open: account?.open ?? 0,
      states: account ? whole_of(account.snapshot).clients.states : NO_STATES,
      cpu,
      rss_bytes,
      lag_p99_ms,
      leaving,
      run_ms,
      wall_ms: timers.wall(),
      fenced,
    };
  }
}

const NO_STATES: Presence['states'] = { initial: 0, connect: 0, acting: 0, standby: 0, backoff: 0, fatal: 0 };
