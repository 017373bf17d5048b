/**
 * An agent: holds its share of a swarm with the workers of one machine and answers to the plan, whoever writes it. It decides one thing by
 * itself: cut off from the engine for too long it closes everything it holds, as by then its share goes to others.
 */
import { reason_of } from '../../foundation/errors.ts';
import { planned_at } from '../../swarm/load/pacer.ts';
import type { Note } from '../../swarm/plan/account.ts';
import { index_within } from '../../swarm/plan/id-map.ts';
import type { MemberId, RunSpec } from '../../swarm/plan/run-spec.ts';
import type { SquadAccount, SquadOrder } from '../../swarm/squad/ordered-squad.ts';
import type { Lease, MemberShare, RunHeader, SwarmPlan } from '../store/documents.ts';
import { Hearing } from './hearing.ts';
import { PresenceWriter, type PresenceOptions } from './presence.ts';
import { CrewRecording, type CrewAccount } from './recording.ts';
import { until } from './until.ts';

const STEP_MS = 200;
/** it looks and tells so often, without drift: each second of a run is told of */
const BEAT_MS = 1000;
/** a beat's last step is within that */
const LAST_STEP_MS = 1.25 * STEP_MS;
/** an agent that is awake closes its clients in good order, before its workers see that their permit ran out; their share goes to others at +1000 */
const PERMIT_MORE_MS = 2 * STEP_MS;
/** from the order to close everything to the end of the workers that do not */
const FENCE_WITHIN_MS = 5000;
const CLOSE_WITHIN_MS = 5000;

/** The workers of an agent, all that it needs of a Squad. */
export interface Crew {
  order(order: SquadOrder): void;
  /** Has the workers report now: what is told a little later is not a second old. */
  refresh(): void;
  /** Lets the workers go on by themselves until then, ms. */
  permit(until: number): void;
  account(): SquadAccount;
  /** something of the report should be told now */
  on_change(f: () => void): void;
  /** Ends the workers, whatever they hold. */
  close(deadline_ms: number): Promise<unknown>;
}

/** A bundle that was read and checked, ready to run here. */
export interface LoadedRun {
  readonly crew: Crew;
  /** with what is this machine's own: sources, the module's path */
  readonly run: RunSpec;
}

export interface AgentOptions extends PresenceOptions {
  /** Reads the bundle, checks hash and signature, starts workers. Rejects with the reason why this agent cannot play. */
  readonly make: (run: RunHeader, on_note: (worker: MemberId, note: Note) => void) => Promise<LoadedRun>;
}

type CrewOrders = Omit<SquadOrder, 'revision' | 'run' | 'retry_fatal'> & { readonly connect_per_s: number };

interface Playing {
  readonly run: RunHeader;
  readonly made: LoadedRun | null;
  readonly refuses: string | null;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #stops: (() => void)[] = [];
  readonly #presence: PresenceWriter;
  #playing: Playing | null = null;
  #is_making = false;
  readonly #hearing: Hearing;
  /** the revision that was taken over */
  #accepted = 0;
  /** the newest revision that the crew has applied altogether */
  #applied = 0;
  /** what the crew was told last, of which plan, with which ids, and how often it was told something */
  #told = '';
  #ordered: { readonly plan: SwarmPlan; readonly clients: number } | null = null;
  #ids: MemberShare['ids'] = [];
  #orders = 0;
  readonly #recording: CrewRecording;
  #is_turning = false;
  /** since it started */
  #beat = 0;
  #refreshed_beat = -1;
  readonly #started: number;
  #is_wanted = false;
  #reads = true;
  /** it lets go of all it holds */
  #is_fencing = false;
  #fenced = 0;
  #is_leaving = false;
  #is_closed = false;
  #failed: ((error: Error) => void) | null = null;
  /** Rejects when another process plays under this agent's name. */
  readonly failed: Promise<never>;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { timers, store, id } = options;
    this.#started = timers.now();
    this.#presence = new PresenceWriter(
      options,
      () => this.#look(false),
      (where) => this.#fail_as_second(where),
    );
    this.#recording = new CrewRecording(store, id);
    this.#hearing = new Hearing(options);
    this.failed = new Promise((_, reject) => (this.#failed = reject));
    this.failed.catch(() => {});
    this.#stops.push(timers.every(STEP_MS, () => this.#step()));
    this.#stops.push(store.on_nudge(id, (text) => this.#hear_nudge(text)));
    this.#look();
  }

  /** Holds nothing more as soon as the leader has given its share to others. */
  leave(): void {
    this.#is_leaving = true;
    this.#look();
  }

  get is_leaving(): boolean {
    return this.#is_leaving;
  }

  /** it holds nothing and was asked to leave */
  get has_left(): boolean {
    const crew = this.#crew;
    if (!this.#is_leaving) return false;
    if (!crew) return true;
    const { live, open } = crew.account();
    const entry = this.#entry;
    return live === 0 && open === 0 && (!entry || entry.ramp.to === 0);
  }

  /** Ends the workers and tells what they measured, as far as the engine answers. */
  async close(): Promise<void> {
    if (this.#is_closed) return;
    this.#is_closed = true;
    for (const stop of this.#stops) stop();
    await this.#drop_crew();
    await this.#recording.send_last_words();
    // whoever comes next under this name knows that nothing of this one lives
    if (this.#presence.is_stored) {
      this.#presence.renew();
      this.#playing = null;
      for (let tries = 3; tries > 0 && !(await this.#write_presence()); tries--);
    }
    await this.#recording.close();
  }

  get #crew(): Crew | null {
    return this.#playing?.made?.crew ?? null;
  }

  /** what the plan says of this incarnation */
  get #entry(): MemberShare | null {
    const entry = this.#hearing.plan?.members[this.#options.id];
    return entry?.incarnation === this.#presence.incarnation ? entry : null;
  }

  /** Five times a second, without asking anybody: ramps go on and silence counts whoever is away. */
  #step(): void {
    const age_ms = this.#options.timers.now() - this.#started;
    const beat = Math.floor(age_ms / BEAT_MS);
    if (this.#refreshed_beat !== beat && age_ms % BEAT_MS >= BEAT_MS - LAST_STEP_MS) {
      this.#refreshed_beat = beat;
      this.#crew?.refresh();
    }
    if (this.#beat !== beat) {
      this.#beat = beat;
      this.#look();
      this.#recording.beat(this.#measured, this.#hearing.run_ms);
    }
    if (this.#is_silent_too_long()) return void this.#fence('the engine does not answer');
    this.#order();
  }

  /** Null: there is no crew. */
  get #measured(): CrewAccount | null {
    if (!this.#playing?.made) return null;
    return {
      run: this.#playing.run.id,
      incarnation: this.#presence.incarnation,
      account: this.#playing.made.crew.account(),
    };
  }

  #is_silent_too_long(): boolean {
    return this.#crew !== null && this.#hearing.silent_ms >= (this.#playing!.run.isolation_ms ?? Infinity);
  }

  /** `reads`: not only tells, but looks whether there is another plan: for hundreds of agents that is most of the work. */
  #look(reads = true): void {
    this.#is_wanted = true;
    this.#reads ||= reads;
    if (!this.#is_turning) void this.#turns();
  }

  async #turns(): Promise<void> {
    this.#is_turning = true;
    try {
      while (this.#is_wanted && !this.#is_closed) {
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
    // one that was frozen may be long written off: nothing else comes before that
    if (this.#is_silent_too_long()) await this.#fence('it was frozen, or the engine did not answer');
    const answered = this.#hearing.ask();
    if (reads && !(await this.#hear())) return;
    // what was ordered by it is told when it is applied
    if (this.#take_nudged() && !reads && this.#is_behind) return;
    if (!(await this.#tell(reads))) return;
    answered();
    this.#crew?.permit(this.#hearing.answered_at + (this.#playing?.run.isolation_ms ?? Infinity) + PERMIT_MORE_MS);
  }

  #hear_nudge(text: string): void {
    const news = this.#hearing.nudge(text);
    if (news) this.#look(news === 'read');
  }

  /** Does what the plan says that came by itself; false: there is none. */
  #take_nudged(): boolean {
    const plan = this.#hearing.take_nudged();
    if (!plan || this.#is_fencing) return false;
    this.#take(plan, null);
    return true;
  }

  /** the crew has not applied yet what it was ordered last */
  get #is_behind(): boolean {
    return this.#crew !== null && this.#crew.account().applied < this.#orders;
  }

  /** Reads plan and lease, and does what they say. False: there is nothing to tell now. */
  async #hear(): Promise<boolean> {
    try {
      const { plan, lease } = await this.#hearing.read();
      if (this.#is_closed) return false;
      // it may have been frozen while it waited for that
      if (this.#is_silent_too_long()) {
        await this.#fence('it was frozen, or the engine did not answer');
        return false;
      }
      if (plan && !this.#is_fencing) this.#take(plan, lease);
      return true;
    } catch {
      return false;
    }
  }

  #take(plan: SwarmPlan, lease: Lease | null): void {
    const { id } = this.#options;
    if (!this.#hearing.accept(plan, lease)) return;
    if (plan.departed.some((gone) => gone.agent === id && gone.incarnation === this.#presence.incarnation))
      return void this.#fence('it was written off');
    this.#presence.attest(plan.members[id]);
    if (this.#playing && (this.#playing.run.id !== plan.run.id || plan.stage === 'ended')) return void this.#let_go();
    if (this.#orders > 0 && !is_more(this.#ids, this.#entry?.ids ?? []))
      return void this.#fence('the plan was written from an older memory');
    if (!this.#playing && plan.stage !== 'ended' && !this.#is_making && !this.#is_leaving) void this.#make(plan.run);
    this.#accepted = plan.revision;
    this.#order();
  }

  /** Loads the run: a while later it is ready, or says why not. Never rejects. */
  async #make(run: RunHeader): Promise<void> {
    this.#is_making = true;
    try {
      const { facts } = this.#options;
      if (run.swarm !== facts.swarm)
        throw new Error(`the run is of swarm ${run.swarm}, this agent is swarm ${facts.swarm}`);
      const made = await this.#options.make(run, (worker, note) => this.#recording.note(worker, note));
      made.crew.on_change(() => this.#look(false));
      this.#playing = { run, made, refuses: null };
    } catch (error) {
      const refuses = reason_of(error);
      this.#options.log('error', `cannot play run ${run.id}: ${refuses}`);
      this.#playing = { run, made: null, refuses };
    } finally {
      this.#is_making = false;
    }
    if (this.#is_closed) await this.#drop_crew();
    else this.#look();
  }

  /** Tells the crew what it shall hold now. */
  #order(): void {
    const { id } = this.#options;
    const [plan, made, entry, run_ms] = [this.#hearing.plan, this.#playing?.made, this.#entry, this.#hearing.run_ms];
    if (!plan || !made || !entry || run_ms === null || this.#is_fencing || plan.run.id !== this.#playing?.run.id)
      return;
    const clients = planned_at(entry.ramp, run_ms);
    // between two plans most steps change nothing
    const is_told = this.#ordered?.plan === plan && this.#ordered.clients === clients && this.#told !== '';
    if (is_told && plan.traces.length === 0) return;
    this.#ordered = { plan, clients };
    this.#tell_crew(made, {
      phase: plan.phase,
      clients,
      target: entry.ramp.to,
      ids: entry.ids,
      graceful: plan.graceful,
      setup: plan.setup_by === id,
      teardown: plan.teardown_by === id,
      connect_per_s: entry.connect_per_s,
      traces: plan.traces
        .filter(({ client }) => index_within(client, entry.ids) !== null)
        .map(({ token, client, until_ms }) => ({ token, client, until: Math.round(this.#hearing.clock_ms(until_ms)) })),
    });
  }

  #tell_crew({ crew, run }: LoadedRun, { connect_per_s, ...order }: CrewOrders): void {
    const { shared, retry_fatal } = this.#hearing.plan!;
    const told = JSON.stringify([order, connect_per_s, shared !== null, retry_fatal]);
    if (told === this.#told) return;
    this.#told = told;
    this.#ids = order.ids;
    const known = shared && { value: shared.value };
    crew.order({ ...order, revision: ++this.#orders, retry_fatal, run: { ...run, shared: known, connect_per_s } });
  }

  /** Closes everything, and goes on as another incarnation: what it held goes to others, or did already. */
  async #fence(why: string): Promise<void> {
    const crew = this.#crew;
    if (this.#is_fencing) return;
    this.#is_fencing = true;
    this.#fenced++;
    this.#options.log('warn', `cut off: ${why}; its clients are closed`);
    try {
      const made = this.#playing?.made;
      if (crew && made) {
        const nothing = {
          clients: 0,
          target: 0,
          ids: this.#ids,
          graceful: false,
          setup: false,
          teardown: false,
          connect_per_s: 1,
          traces: [],
        };
        this.#tell_crew(made, { phase: 'stop', ...nothing });
        const deadline = this.#options.timers.now() + FENCE_WITHIN_MS;
        const is_idle = (): boolean => crew.account().live + crew.account().open === 0;
        await until(this.#options.timers, () => is_idle() || this.#options.timers.now() >= deadline);
      }
      await this.#retire();
    } finally {
      this.#is_fencing = false;
    }
    this.#look();
  }

  /** The run is over here. */
  async #let_go(): Promise<void> {
    this.#is_fencing = true;
    try {
      await this.#retire();
    } finally {
      this.#is_fencing = false;
    }
    this.#look();
  }

  /** Lets go of the run: the next one, or the same, begins with another incarnation. */
  async #retire(): Promise<void> {
    await this.#drop_crew();
    this.#presence.renew();
    this.#playing = null;
    this.#accepted = this.#applied = this.#orders = 0;
    this.#told = '';
    this.#ids = [];
  }

  async #drop_crew(): Promise<void> {
    const playing = this.#playing;
    if (!playing?.made) return;
    await playing.made.crew.close(CLOSE_WITHIN_MS);
    if (this.#playing !== playing) return;
    this.#recording.retire(this.#measured!, this.#hearing.run_ms);
    this.#playing = { ...playing, made: null };
  }

  /**
   * Stores what was measured, then that it lives. In between, `fully` false, only that, which costs an engine with hundreds of agents half; at the
   * end of a run nothing may say that all clients are gone before their last measurements are there. False: the engine did not take it.
   */
  async #tell(fully: boolean): Promise<boolean> {
    if (!(await this.#recording.send_last_words())) return false;
    const is_brief = !fully && this.#hearing.plan?.stage === 'open' && !this.#is_leaving && this.#recording.seq > 0;
    const measured = is_brief ? null : this.#measured;
    if (measured && this.#hearing.plan) {
      const written = await this.#recording.store(measured);
      if (!written || this.#is_closed) return written;
    }
    // it may have cut itself off meanwhile: whoever reads that it did counts on what was measured until then
    if (!(await this.#recording.send_last_words())) return false;
    return await this.#write_presence();
  }

  #write_presence(): Promise<boolean> {
    const [playing, account] = [this.#playing, this.#crew?.account() ?? null];
    // what was told before the newest order is of no interest any more
    if (account && account.applied >= this.#orders) this.#applied = this.#accepted;
    return this.#presence.write({
      account,
      ready: account && account.capacity > 0 && !this.#is_fencing ? playing!.run.id : null,
      refuses: playing?.refuses ?? this.#hearing.refuses,
      accepted: this.#accepted,
      applied: this.#applied,
      results: this.#recording.seq,
      leaving: this.#is_leaving,
      run_ms: this.#hearing.run_ms,
      fenced: this.#fenced,
    });
  }

  async #fail_as_second(where: string): Promise<void> {
    await this.#fence(`another agent plays as ${this.#options.id} (${where})`);
    this.#failed!(new Error(`another agent plays as ${this.#options.id}: ${where}`));
  }
}

/** `now` begins as `before` does: ids of an incarnation only ever become more. */
function is_more(before: MemberShare['ids'], now: MemberShare['ids']): boolean {
  return before.every(([first, last, step], i) => {
    const range = now[i];
    const is_last = i === before.length - 1;
    return range?.[0] === first && range[2] === step && (is_last ? range[1] >= last : range[1] === last);
  });
}
