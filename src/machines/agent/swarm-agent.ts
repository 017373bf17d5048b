/**
 * An agent: holds its share of a swarm with the workers of one machine, and follows the plan, whoever writes it. It
 * decides one thing by itself: cut off from the engine for too long it closes all clients, as by then its share goes to
 * others.
 */
import { reason_of } from '../../foundation/errors.ts';
import type { Lease, SwarmPlan } from '../store/documents.ts';
import { Hearing } from './hearing.ts';
import { Holding, type HoldingOptions } from './holding.ts';
import { PresenceWriter, type PresenceOptions } from './presence.ts';
import { CrewRecording } from './recording.ts';

const STEP_MS = 200;
/** ms between looks, without drift, so that each second of a run is recorded */
const BEAT_MS = 1000;
/** the last step of a beat is at most this long before the next beat */
const LAST_STEP_MS = 1.25 * STEP_MS;

export type AgentOptions = PresenceOptions & Pick<HoldingOptions, 'make'>;

/** Has its parts hear, hold, record and tell, in turns. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #stops: (() => void)[] = [];
  readonly #presence: PresenceWriter;
  readonly #hearing: Hearing;
  readonly #recording: CrewRecording;
  readonly #holding: Holding;
  readonly #started: number;
  /** number of the current beat since it started */
  #beat = 0;
  #refreshed_beat = -1;
  #is_turning = false;
  #is_wanted = false;
  #reads = true;
  #is_leaving = false;
  #failed: ((error: Error) => void) | null = null;
  /** Rejects when another process plays under this agent's name. */
  readonly failed: Promise<never>;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { timers, store, id } = options;
    this.#started = timers.now();
    this.#presence = new PresenceWriter({
      ...options,
      on_stale: () => this.#look(false),
      on_second: (where) => this.#fail_as_second(where),
    });
    this.#hearing = new Hearing(store, timers, (text) => options.log('error', `the clients go on as before: ${text}`));
    this.#recording = new CrewRecording(store, id);
    this.#holding = new Holding({
      ...options,
      presence: this.#presence,
      hearing: this.#hearing,
      recording: this.#recording,
      on_change: (reads) => this.#look(reads),
    });
    this.failed = new Promise((_, reject) => (this.#failed = reject));
    this.failed.catch(() => {});
    this.#stops.push(timers.every(STEP_MS, () => this.#step()));
    this.#stops.push(store.on_nudge(id, (text) => this.#hear_nudge(text)));
    this.#look();
  }

  /** Asks to leave: the leader gives its share to others, then it holds nothing any more. */
  leave(): void {
    this.#is_leaving = true;
    this.#look();
  }

  get is_leaving(): boolean {
    return this.#is_leaving;
  }

  /** it was asked to leave and holds nothing any more */
  get has_left(): boolean {
    return this.#is_leaving && this.#holding.is_empty;
  }

  /** Ends the workers and stores what they measured, if the engine answers. */
  async close(): Promise<void> {
    if (this.#holding.is_closed) return;
    for (const stop of this.#stops) stop();
    await this.#holding.close();
    await this.#recording.send_unsent();
    // the next process of this name then knows that nothing of this one lives
    if (this.#presence.is_stored) {
      this.#presence.renew();
      this.#holding.forget();
      for (let tries = 3; tries > 0 && !(await this.#write_presence()); tries--);
    }
    await this.#recording.close();
  }

  /** Five times a second, without asking the engine: ramps go on, and its silence is noticed. */
  #step(): void {
    const age_ms = this.#options.timers.now() - this.#started;
    const beat = Math.floor(age_ms / BEAT_MS);
    if (this.#refreshed_beat !== beat && age_ms % BEAT_MS >= BEAT_MS - LAST_STEP_MS) {
      this.#refreshed_beat = beat;
      this.#holding.refresh();
    }
    if (this.#beat !== beat) {
      this.#beat = beat;
      this.#look();
      this.#recording.beat(this.#holding.measured, this.#hearing.run_ms);
    }
    if (this.#is_silent_too_long) void this.#holding.fence('the engine does not answer');
    else this.#holding.order();
  }

  get #is_silent_too_long(): boolean {
    return this.#hearing.silent_ms >= this.#holding.isolation_ms;
  }

  /** Has a turn come soon. `reads`: it reads the plan first, which is most of the work for hundreds of agents. */
  #look(reads = true): void {
    this.#is_wanted = true;
    this.#reads ||= reads;
    if (!this.#is_turning) void this.#turns();
  }

  async #turns(): Promise<void> {
    this.#is_turning = true;
    try {
      while (this.#is_wanted && !this.#holding.is_closed) {
        this.#is_wanted = false;
        const reads = this.#reads;
        this.#reads = false;
        await this.#turn(reads);
      }
    } catch (error) {
      this.#options.log('error', reason_of(error));
    } finally {
      this.#is_turning = false;
    }
  }

  async #turn(reads: boolean): Promise<void> {
    // if this process was frozen, its share may be long given away: nothing else comes first
    if (this.#is_silent_too_long) await this.#holding.fence('it was frozen, or the engine did not answer');
    const answered = this.#hearing.ask();
    if (reads && !(await this.#hear())) return;
    // orders from a nudge are told of once they are applied
    if (this.#take(this.#hearing.take_nudged(), null) && !reads && this.#holding.is_behind) return;
    if (!(await this.#tell(reads))) return;
    answered();
    this.#holding.permit(this.#hearing.answered_at);
  }

  #hear_nudge(text: string): void {
    const news = this.#hearing.nudge(text);
    if (news) this.#look(news === 'read');
  }

  /** Reads plan and lease, and follows them. False: tell nothing now. */
  async #hear(): Promise<boolean> {
    try {
      const { plan, lease } = await this.#hearing.read();
      if (this.#holding.is_closed) return false;
      // the process may have been frozen while it waited
      if (this.#is_silent_too_long) {
        await this.#holding.fence('it was frozen, or the engine did not answer');
        return false;
      }
      this.#take(plan, lease);
      return true;
    } catch {
      return false;
    }
  }

  /** False: there is no plan, or everything is being closed. */
  #take(plan: SwarmPlan | null, lease: Lease | null): boolean {
    if (!plan || this.#holding.is_fencing) return false;
    if (this.#hearing.accept(plan, lease)) this.#holding.follow(plan, !this.#is_leaving);
    return true;
  }

  /**
   * Stores what was measured, then the presence. Not `fully`: only the presence, which costs an engine with hundreds of
   * agents half. At the end of a run always both: a presence without clients must not come before their last
   * measurements. False: the engine did not take it.
   */
  async #tell(fully: boolean): Promise<boolean> {
    if (!(await this.#recording.send_unsent())) return false;
    const is_brief = !fully && this.#hearing.plan?.stage === 'open' && !this.#is_leaving && this.#recording.seq > 0;
    const measured = is_brief ? null : this.#holding.measured;
    if (measured) {
      const written = await this.#recording.tell(measured.run, measured.incarnation, measured.account);
      if (!written || this.#holding.is_closed) return written;
    }
    // it may have fenced itself meanwhile: a reader of that presence expects what was measured until then
    if (!(await this.#recording.send_unsent())) return false;
    return await this.#write_presence();
  }

  #write_presence(): Promise<boolean> {
    return this.#presence.write({
      ...this.#holding.report(),
      results: this.#recording.seq,
      leaving: this.#is_leaving,
      run_ms: this.#hearing.run_ms,
    });
  }

  async #fail_as_second(where: string): Promise<void> {
    await this.#holding.fence(`another agent plays as ${this.#options.id} (${where})`);
    this.#failed!(new Error(`another agent plays as ${this.#options.id}: ${where}`));
  }
}
