/** What an agent holds: a crew of workers that is made for a run, ordered what the plan says, and ended. */
import { reason_of } from '../../foundation/errors.ts';
import { planned_at } from '../../swarm/plan/ramp.ts';
import type { Note } from '../../swarm/plan/account.ts';
import { map_groups } from '../../metrics/groups.ts';
import type { HeldTenure } from '../../swarm/load/tenures.ts';
import type { IdRange, TenureOrders } from '../../swarm/plan/orders.ts';
import { to_machine_ms } from '../../swarm/plan/permit.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { rates_ahead } from '../../swarm/plan/wanted.ts';
import type { SlotsOrder, SquadAccount, SquadOrder } from '../../swarm/squad/ordered-squad.ts';
import { clients_in, type MemberShare, type RunHeader, type SwarmPlan } from '../store/documents.ts';
import { EvolvingPlan } from '../store/evolve.ts';
import type { Hearing } from './hearing.ts';
import type { PresenceOptions, PresenceState, PresenceWriter } from './presence.ts';
import type { CrewAccount, CrewRecording } from './recording.ts';
import { until } from './until.ts';

/**
 * ms after isolation. An agent that is awake closes its clients in good order before the permit runs out; their share
 * goes to others at +1000.
 */
const PERMIT_MORE_MS = 400;
/** ms from the order to close all clients until workers that did not are ended */
const FENCE_WITHIN_MS = 5000;
const CLOSE_WITHIN_MS = 5000;
/** of run times */
const NEARLY_MS = 2;

/** The workers of an agent: all that it needs of an OrderedSquad. */
export interface Crew {
  order(order: SquadOrder): void;
  /** Has the workers send accounts now, so that what the agent tells a little later is not a second old. */
  refresh(): void;
  /** Lets the workers go on without word until then, ms. */
  permit(until: number): void;
  account(): SquadAccount;
  /** calls `f` when a part of the account should be told at once */
  on_change(f: () => void): void;
  /** Ends the workers, whatever they hold, within `deadline_ms`. */
  close(deadline_ms: number): Promise<unknown>;
}

/** What it needs of its agent and of the agent's other parts. */
export interface HoldingOptions extends Pick<PresenceOptions, 'timers' | 'id' | 'facts' | 'log'> {
  /** Reads the bundle, checks hash and signature, starts workers. Rejects with why this agent cannot play. */
  readonly make: (run: RunHeader, on_note: (worker: MemberId, note: Note) => void) => Promise<Crew>;
  readonly hearing: Hearing;
  readonly presence: PresenceWriter;
  readonly recording: CrewRecording;
  /** The presence must be written anew. `reads`: there may also be a plan that could not be followed until now. */
  readonly on_change: (reads: boolean) => void;
}

type CrewOrders = Omit<SquadOrder, 'revision' | 'shared'>;

interface Playing {
  readonly run: RunHeader;
  /** null: the run could not be loaded, or is over */
  readonly crew: Crew | null;
  readonly refuses: string | null;
}

/** Plays one run after the other, each as a new incarnation. */
export class Holding {
  readonly #options: HoldingOptions;
  #playing: Playing | null = null;
  #is_making = false;
  /** revision of the plan that was followed last */
  #accepted = 0;
  /** the newest revision of a plan that the whole crew has applied */
  #applied = 0;
  /** the crew's last order as text, the plan and ids it was made from, and the number of orders so far */
  #told = '';
  #ordered: (Pick<SlotsOrder, 'rates' | 'zero_ms'> & { readonly plan: SwarmPlan; readonly clients: string }) | null =
    null;
  #groups: SquadOrder['groups'] = {};
  /** the tenures of this incarnation, by rate */
  #stretches: SlotsOrder['stretches'] = {};
  /** the machine's clock at run time 0, as the crew was told */
  #zero_ms = -Infinity;
  readonly #evolving = new EvolvingPlan();
  #orders = 0;
  /** it is closing all that it holds */
  #is_fencing = false;
  #fenced = 0;
  #is_closed = false;

  constructor(options: HoldingOptions) {
    this.#options = options;
  }

  get is_fencing(): boolean {
    return this.#is_fencing;
  }

  get is_closed(): boolean {
    return this.#is_closed;
  }

  /** the crew has not applied its last order yet */
  get is_behind(): boolean {
    return this.#crew !== null && this.#crew.account().applied < this.#orders;
  }

  /** it holds no clients, and the plan wants none */
  get is_empty(): boolean {
    const entry = this.#entry;
    const is_wanted = entry !== null && clients_in(entry, ({ ramp }) => ramp.to) > 0;
    return !this.#crew || (is_idle(this.#crew) && !is_wanted);
  }

  /** ms of the engine's silence after which all clients must be closed */
  get isolation_ms(): number {
    return (this.#crew && this.#playing!.run.isolation_ms) ?? Infinity;
  }

  /** null: there is no crew */
  get measured(): CrewAccount | null {
    const { run, crew } = this.#playing ?? {};
    if (!run || !crew) return null;
    return { run: run.id, incarnation: this.#options.presence.incarnation, account: crew.account() };
  }

  /** What the presence says now. */
  report(): Omit<PresenceState, 'results' | 'leaving' | 'run_ms'> {
    const [playing, account] = [this.#playing, this.#crew?.account() ?? null];
    // the crew has applied its newest order, and with it the plan
    if (account && account.applied >= this.#orders) this.#applied = this.#accepted;
    return {
      account: account && { ...account, may: this.#may(account) },
      ready: account && account.capacity > 0 && !this.#is_fencing ? playing!.run.id : null,
      refuses: playing?.refuses ?? this.#options.hearing.refuses,
      accepted: this.#accepted,
      applied: this.#applied,
      fenced: this.#fenced,
    };
  }

  /** What its workers could be running now, or will without another plan. */
  #may({ may }: SquadAccount): SquadAccount['may'] {
    const groups = this.#entry?.groups ?? {};
    return map_groups({ ...map_groups(groups, () => 0), ...may }, (now, name) =>
      Math.max(now, ...(groups[name]?.at ?? [])),
    );
  }

  refresh(): void {
    this.#crew?.refresh();
  }

  /** The engine answered then: the crew may go on without word until the agent has to close everything. */
  permit(answered_at: number): void {
    this.#crew?.permit(answered_at + this.isolation_ms + PERMIT_MORE_MS);
  }

  /** Does what a new plan in force says. `plays`: it may begin a run. */
  follow(plan: SwarmPlan, plays: boolean): void {
    const { id, presence } = this.#options;
    if (plan.departed.some((gone) => gone.agent === id && gone.incarnation === presence.incarnation))
      return void this.fence('it was written off');
    presence.attest(plan.members[id]);
    const playing = this.#playing;
    if (playing && (playing.run.id !== plan.run.id || plan.stage === 'ended')) return void this.#let_go();
    if (this.#orders > 0 && !has_all(this.#groups, this.#entry?.groups ?? {}))
      return void this.fence('the plan was written from an older memory');
    if (!playing && plan.stage !== 'ended' && !this.#is_making && plays) void this.#make(plan.run);
    this.#accepted = plan.revision;
    // a plan that was written from memory may not know what it has: it goes on, and says so
    if (plan.seeded === 0) this.#stretches = map_groups(plan.slots, ({ held }) => this.#own(held));
    this.order();
  }

  /** Orders the crew to hold what the plan wants now. To be called several times a second, as ramps go on. */
  order(): void {
    const { id, hearing } = this.#options;
    const [plan, crew, entry, run_ms] = [hearing.plan, this.#crew, this.#entry, hearing.run_ms];
    if (!plan || !crew || !entry || run_ms === null || this.#is_fencing || plan.run.id !== this.#playing?.run.id)
      return;
    const now = this.#evolving.at(plan, run_ms);
    const groups = map_groups(now.members[id]!.groups, ({ ramp, ids }) => {
      return { clients: planned_at(ramp, run_ms), target: ramp.to, ids };
    });
    const clients = Object.values(groups)
      .map((group) => group.clients)
      .join();
    const rates = rates_ahead(now, now.groups, run_ms);
    // most steps of a plan change nothing
    const ordered = this.#ordered;
    const zero_ms = this.#zero();
    const is_same = ordered?.plan === now && ordered.clients === clients && ordered.rates === rates;
    if (is_same && ordered.zero_ms === zero_ms && this.#told !== '' && plan.traces.length === 0) return;
    this.#ordered = { plan: now, clients, rates, zero_ms };
    this.#tell(crew, {
      phase: now.phase,
      groups,
      slots: rates.length === 0 ? null : { rates, stretches: this.#stretches, zero_ms },
      graceful: now.graceful,
      setup: plan.setup_by === id,
      teardown: plan.teardown_by === id,
      connect_per_s: entry.connect_per_s * (now.connect_per_s / plan.connect_per_s || 1),
      retry_fatal: now.retry_fatal,
      traces: plan.traces.map(({ token, client, until_ms }) => {
        return { token, client, until: Math.round(hearing.clock_ms(until_ms)) };
      }),
    });
  }

  #own(held: readonly HeldTenure[]): TenureOrders[] {
    const { id } = this.#options;
    return this.#entry === null ? [] : held.flatMap(({ owner, ...one }) => (owner === id ? [one] : []));
  }

  /** It is known the better the more often leaders were heard: what is nearly the same is not ordered again. */
  #zero(): number {
    const zero_ms = to_machine_ms(this.#options.hearing.clock_ms(0));
    if (Math.abs(zero_ms - this.#zero_ms) >= NEARLY_MS) this.#zero_ms = zero_ms;
    return this.#zero_ms;
  }

  /** Closes all clients and goes on as a new incarnation. What it held goes to others, or already did. */
  async fence(why: string): Promise<void> {
    if (this.#is_fencing) return;
    this.#fenced++;
    this.#options.log('warn', `cut off: ${why}; its clients are closed`);
    await this.#let_go(true);
  }

  /** Ends the workers, also those that are still being made. */
  async close(): Promise<void> {
    this.#is_closed = true;
    await this.#drop_crew();
  }

  /** The run is not told of any more. */
  forget(): void {
    this.#playing = null;
  }

  get #crew(): Crew | null {
    return this.#playing?.crew ?? null;
  }

  /** the plan's share for this incarnation; null: it has none */
  get #entry(): MemberShare | null {
    const { id, hearing, presence } = this.#options;
    const entry = hearing.plan?.members[id];
    return entry?.incarnation === presence.incarnation ? entry : null;
  }

  /** Loads the run. Later the presence shows it as ready, or why it is not. Never rejects. */
  async #make(run: RunHeader): Promise<void> {
    const { facts, make, recording, on_change, log } = this.#options;
    this.#is_making = true;
    try {
      if (run.swarm !== facts.swarm)
        throw new Error(`the run is of swarm ${run.swarm}, this agent is swarm ${facts.swarm}`);
      const crew = await make(run, (worker, note) => recording.note(worker, note));
      crew.on_change(() => on_change(false));
      this.#playing = { run, crew, refuses: null };
    } catch (error) {
      const refuses = reason_of(error);
      log('error', `cannot play run ${run.id}: ${refuses}`);
      this.#playing = { run, crew: null, refuses };
    } finally {
      this.#is_making = false;
    }
    if (this.#is_closed) await this.#drop_crew();
    else on_change(true);
  }

  #tell(crew: Crew, order: CrewOrders): void {
    const { shared } = this.#options.hearing.plan!;
    const told = JSON.stringify([order, shared !== null]);
    if (told === this.#told) return;
    this.#told = told;
    this.#groups = order.groups;
    crew.order({ ...order, revision: ++this.#orders, shared: shared && { value: shared.value } });
  }

  /** Ends its part in the run. The next run, or the same again, begins with a new incarnation. */
  async #let_go(closes_clients = false): Promise<void> {
    this.#is_fencing = true;
    try {
      if (closes_clients && this.#crew) await this.#close_clients(this.#crew);
      await this.#drop_crew();
      this.#options.presence.renew();
      this.#playing = null;
      this.#accepted = this.#applied = this.#orders = 0;
      this.#told = '';
      this.#groups = {};
      this.#stretches = {};
    } finally {
      this.#is_fencing = false;
    }
    this.#options.on_change(true);
  }

  async #close_clients(crew: Crew): Promise<void> {
    const { timers } = this.#options;
    this.#tell(crew, {
      phase: 'stop',
      groups: map_groups(this.#groups, ({ ids }) => ({ clients: 0, target: 0, ids })),
      slots: null,
      graceful: false,
      setup: false,
      teardown: false,
      connect_per_s: 0,
      retry_fatal: 0,
      traces: [],
    });
    const deadline = timers.now() + FENCE_WITHIN_MS;
    await until(timers, () => is_idle(crew) || timers.now() >= deadline);
  }

  async #drop_crew(): Promise<void> {
    const playing = this.#playing;
    if (!playing?.crew) return;
    await playing.crew.close(CLOSE_WITHIN_MS);
    if (this.#playing !== playing) return;
    const { recording, hearing } = this.#options;
    recording.end(this.measured!, hearing.run_ms);
    this.#playing = { ...playing, crew: null };
  }
}

function is_idle(crew: Crew): boolean {
  const { live, open } = crew.account();
  return live + open === 0;
}

/** Whether `now` has all ids of `before` in their place: those of an incarnation only grow. */
function has_all(before: SquadOrder['groups'], now: MemberShare['groups']): boolean {
  return Object.entries(before).every(([group, { ids }]) => is_more(ids, now[group]?.ids ?? []));
}

function is_more(before: readonly IdRange[], now: readonly IdRange[]): boolean {
  return before.every(([first, last, step], i) => {
    const range = now[i];
    const is_last = i === before.length - 1;
    return range?.[0] === first && range[2] === step && (is_last ? range[1] >= last : range[1] === last);
  });
}
