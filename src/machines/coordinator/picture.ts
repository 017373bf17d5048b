/**
 * What a coordinator shows of a swarm of many machines: the newest results of all agents, living and dead, as one
 * summary.
 */
import type { Clock } from '../../foundation/clock.ts';
import { endpoint_text } from '../../foundation/endpoint-text.ts';
import { RESERVED_FILES } from '../../foundation/open-files.ts';
import { bury, is_idle, merge_counts, merge_dead, NO_DEAD, type Dead } from '../../metrics/merge-snapshots.ts';
import { action_names, type ActionName } from '../../metrics/counted.ts';
import { reached_in, type Reached } from '../../metrics/reached.ts';
import type { Beat } from '../../metrics/series.ts';
import type { Counts, Snapshot } from '../../metrics/snapshot.ts';
import type { AgentSummary, LoadSummary, LostWorker, Summary, WorkerSummary } from '../../metrics/summary.ts';
import { totals_of, type Totals } from '../../metrics/totals.ts';
import { NOT_TOLD_MS } from '../../swarm/control/chronicle.ts';
import { SummaryMaker, type Known } from '../../swarm/control/summary-maker.ts';
import { planned_of, target_of, type NamedSharing } from '../../swarm/plan/intent.ts';
import { advancing, load_summary, steps_begun } from '../../swarm/plan/load-play.ts';
import { groups_in_run, rates_now } from '../../swarm/plan/rated-actions.ts';
import { measured_groups, type MemberId } from '../../swarm/plan/run-spec.ts';
import { WHOLE } from '../../swarm/plan/segment.ts';
import { sum } from '../../swarm/shares/allocate.ts';
import { STALLED_AFTER_MS } from '../../swarm/squad/members.ts';
import {
  clients_in,
  full_name,
  reassign_ms_of,
  type Bundle,
  type Departed,
  type Desired,
  type MemberShare,
  type Results,
  type RunHeader,
  type SwarmPlan,
} from '../store/documents.ts';
import { EvolvingPlan } from '../store/evolve.ts';
import { AgentsHere, unconnected } from './agents-here.ts';
import { most_seats, RETURN_MS, unsure_of, type Unsure } from './agent-seats.ts';
import { planned_in, with_lost_slots } from './agent-slots.ts';
import type { HeardAgent } from './heard-agents.ts';
import { as_seen, named_after, shifted } from './told-results.ts';
import type { View } from './view.ts';

/** The run that a coordinator plays, and what it shows of it. */
export interface PlayedRun {
  readonly run: RunHeader;
  readonly bundle: Bundle;
  readonly picture: Picture;
}

interface AddedUp {
  readonly snapshots: readonly Snapshot[];
  readonly dead: Dead;
  readonly workers: WorkerSummary[];
  readonly totals: Totals;
}

/** ms */
const SAME_MOMENT_MS = 100;

/** Made anew for each call, but for marks, peaks and intervals. */
export class Picture {
  /** who is there, and what they can hold */
  readonly who: AgentsHere;
  readonly #view: View;
  readonly #timers: Clock;
  readonly #actions: readonly ActionName[];
  /** of the run it shows */
  readonly #run: string;
  readonly #summaries: SummaryMaker;
  readonly #groups: readonly NamedSharing[];
  readonly #advanced: (stored: Desired, run_ms: number) => Desired;
  readonly #evolving = new EvolvingPlan();
  readonly #planned = planned_in((agent, incarnation) => this.#view.results_of(agent, incarnation));
  /** the steps of the load that were told */
  #told: Desired | null = null;
  #added_up: { plan: SwarmPlan | null; heard: number; at: number; value: AddedUp } | null = null;

  constructor(view: View, timers: Clock, versions: Summary['run']['versions'], header: RunHeader, bundle: Bundle) {
    const { id, started } = header;
    const { what, where } = bundle.run;
    const { module_sha256, seed, groups } = what;
    this.#view = view;
    this.who = new AgentsHere(view, timers, id);
    this.#timers = timers;
    this.#run = id;
    const measured = measured_groups(groups);
    this.#actions = action_names(measured);
    this.#groups = groups_in_run(what);
    this.#advanced = advancing<Desired>(this.#groups);
    this.#summaries = new SummaryMaker(
      {
        id,
        script_sha256: bundle.script_sha256,
        module_sha256,
        seed,
        segment: null,
        servers: where.servers.map(endpoint_text),
        versions,
        started,
      },
      measured,
    );
  }

  /** To be called each second: what only moments show. Each coordinator counts a mark from when it saw it. */
  sample(agents = this.agents()): void {
    const here = agents.filter(is_here);
    this.#summaries.raise(sum_of(here, 'live'), sum_of(here, 'open'));
    const mark = this.#desired?.mark ?? null;
    this.#summaries.mark(mark, this.#run_ms, () => this.#totals().totals);
  }

  /** What is known now, for the series. */
  beat(agents: readonly AgentSummary[]): Beat {
    const here = agents.filter(is_here);
    return {
      run_ms: this.#run_ms,
      totals: this.#totals().totals,
      actions: this.#actions,
      members: here.map(({ id, open, cpu, lag_p99_ms }) => ({ id, open, cpu, lag_p99_ms })),
      not_told: here.filter(({ silent_ms }) => silent_ms >= NOT_TOLD_MS).map(({ id }) => id),
      processes: this.#totals().workers.filter(({ silent_ms }) => silent_ms < NOT_TOLD_MS),
    };
  }

  /** The summary for a state line: `interval` is the time since the last call. */
  next_interval(): Summary {
    return this.#summaries.next_interval(this.#known());
  }

  get #run_ms(): number {
    return this.#view.run_ms ?? 0;
  }

  /** What is wanted now, as a load may have gone on since it was stored. */
  get #desired(): Desired | null {
    const stored = this.#view.desired?.doc;
    return stored === undefined ? null : this.#advanced(stored, this.#run_ms);
  }

  /** What the plan has become by now. */
  get #plan(): SwarmPlan | null {
    const stored = this.#view.plan?.doc;
    return stored === undefined ? null : this.#evolving.at(stored, this.#run_ms);
  }

  /** Where the load is; null: none was begun. */
  load(): LoadSummary | null {
    const desired = this.#desired;
    return desired && load_summary(desired, this.#run_ms);
  }

  /** Steps of the load that began since the last call. Who looks for the first time has missed them. */
  steps_begun(): readonly string[] {
    const [before, now] = [this.#told, this.#desired];
    this.#told = now;
    return before === null || now === null ? [] : steps_begun(before, now);
  }

  /** How many clients are where a load may wait for them. */
  reached(): Reached {
    return reached_in(this.#totals().snapshots);
  }

  /** Everything measured. Added up once for all who ask at the same moment. */
  #totals(plan: SwarmPlan | null = this.#view.plan?.doc ?? null): AddedUp {
    const [heard, now, known] = [this.#view.heard_results, this.#timers.now(), this.#added_up];
    if (known?.plan === plan && known.heard === heard && now - known.at < SAME_MOMENT_MS) return known.value;
    const value = this.#add_up(plan);
    this.#added_up = { plan, heard, at: now, value };
    return value;
  }

  /** The newest of each incarnation, whether it lives or not. */
  #add_up(plan: SwarmPlan | null): AddedUp {
    const snapshots: Snapshot[] = [];
    const workers: WorkerSummary[] = [];
    const dead: Dead[] = [];
    let departed = NO_DEAD;
    const unsure = new Map(
      (plan === null ? [] : this.unsure(plan)).map((one) => [full_name(one.agent, one.incarnation), one]),
    );
    const gone_of = (agent: MemberId, incarnation: string): Departed | undefined =>
      plan?.departed.find((one) => one.agent === agent && one.incarnation === incarnation);
    for (const { agent, incarnation, results: told } of this.#view.results(this.#run)) {
      const results = this.#by_our_clock(agent, told);
      const gone = gone_of(agent, incarnation);
      const is_over = gone !== undefined || this.#view.members.get(agent)?.doc.incarnation !== incarnation;
      const is_lost = is_over || plan?.unconfirmed.includes(agent) === true;
      if (results.dead) dead.push(named_after(results.dead, agent));
      if (!is_lost) {
        snapshots.push(results.snapshot);
        workers.push(...results.workers.map((worker) => as_seen(worker, agent, this.#silent_ms(agent))));
        continue;
      }
      // what it told last may be older than the clients it was given
      const holds = unsure.delete(full_name(agent, incarnation)) || !is_idle(results.snapshot);
      departed = bury(departed, results.snapshot, holds ? this.#lost(agent, incarnation, gone) : null);
    }
    // those that never told anything
    for (const { agent, incarnation } of unsure.values())
      departed = bury(departed, NO_DEAD.snapshot, this.#lost(agent, incarnation, gone_of(agent, incarnation)));
    const all = with_lost_slots(merge_dead([...dead, departed]), plan, this.#planned);
    return { snapshots, dead: all, workers, totals: totals_of(snapshots, all) };
  }

  /** `gone`: undefined when it has not departed, only did not confirm the end. */
  #lost(worker: MemberId, incarnation: string, gone: Departed | undefined): LostWorker {
    const silent_ms = gone?.silent_ms ?? Math.round(this.#view.silent_ms(worker, incarnation));
    const at = gone?.at ?? new Date(this.#timers.wall()).toISOString();
    const may_live = gone?.attested !== true && !this.#is_replaced(worker, incarnation);
    return { worker, incarnation, at, silent_ms, ...(may_live && { may_live }) };
  }

  /**
   * With instants of this process' clock instead of the agent's, if it was heard often enough to know the difference.
   */
  #by_our_clock(agent: MemberId, { snapshot, dead, ...results }: Results): Results {
    const { offsets = [] } = this.#view.members.get(agent) ?? {};
    const ahead_ms = offsets.length < 2 ? 0 : Math.max(...offsets);
    return {
      ...results,
      snapshot: shifted(snapshot, ahead_ms),
      dead: dead && { ...dead, snapshot: shifted(dead.snapshot, ahead_ms) },
    };
  }

  /** Of each agent in this run, by code. */
  #errors(): Map<MemberId, Counts> {
    const errors = new Map<MemberId, Counts>();
    for (const { agent, results } of this.#view.results(this.#run))
      for (const kinds of [results.snapshot.errors, results.dead?.snapshot.errors ?? {}]) {
        const counts = Object.fromEntries(Object.entries(kinds).map(([code, { count }]) => [code, count]));
        errors.set(agent, merge_counts([errors.get(agent) ?? {}, counts]));
      }
    return errors;
  }

  /** That incarnation is over: the one that came after it says so. */
  #is_replaced(agent: MemberId, incarnation: string): boolean {
    return this.#view.members.get(agent)?.doc.replaces.includes(incarnation) === true;
  }

  /** Connections that nobody can say are closed, by agent. */
  unsure(plan: SwarmPlan = this.#view.plan!.doc): Unsure[] {
    const presences = new Map([...this.#view.members].map(([agent, { doc }]) => [agent, doc]));
    return unsure_of(plan, presences, this.#view.desired?.doc.evicted ?? []);
  }

  /** Workers that agents had to kill for the run to end. */
  killed_at_end(plan: SwarmPlan): MemberId[] {
    return [...this.#view.results(this.#run)]
      .filter(({ agent, incarnation }) => plan.members[agent]?.incarnation === incarnation)
      .flatMap(({ agent, results }) => (results.killed_at_end ?? []).map((worker) => `${agent}/${worker}`));
  }

  #silent_ms(id: MemberId): number {
    return Math.round(this.#timers.now() - (this.#view.members.get(id)?.heard_at ?? 0));
  }

  /** Whose clients an agent's share waits for, and until when; '': for nobody's. */
  #withheld(id: MemberId): string {
    const heard = this.#view.members.get(id)!;
    const plan = this.#view.plan?.doc;
    const entry = plan?.members[id];
    const seats = most_seats(this.#groups);
    if (plan && !entry && Object.keys(plan.members).length >= seats)
      return `a run with ${this.#groups.length} groups has room for ${seats} agents, and there are as many`;
    const share = share_of(entry);
    if (!plan || !entry || share === 0) return '';
    const { doc, heard_at, first_at } = heard;
    const now = this.#timers.now();
    const is_other = entry.incarnation !== doc.incarnation;
    const silent_ms = is_other ? this.#view.silent_ms(id, entry.incarnation) : now - heard_at;
    const off_ms = reassign_ms_of(plan.run) - silent_ms;
    const off = off_ms === Infinity ? `until \`evict ${id}\`` : `${in_s(off_ms)} more, or until \`evict ${id}\``;
    if (is_other) return `its predecessor may still hold ${share} clients: they wait ${off}`;
    if (silent_ms >= STALLED_AFTER_MS) return `it may still hold its ${share} clients: they wait for it ${off}`;
    if (doc.ready !== plan.run.id && clients_in(entry, ({ may }) => may) === 0)
      return `its ${share} clients wait until its workers have started, ${in_s(RETURN_MS - (now - first_at))} at most`;
    const is_behind = plan.seeded > 0 && doc.live < share && doc.accepted >= plan.seeded;
    return is_behind ? 'the engine lost its memory: nothing grows until all agents have said what they hold' : '';
  }

  agents(): AgentSummary[] {
    const plan = this.#plan;
    const errors = this.#errors();
    // one that has left said so with its last word
    return [...this.#view.members]
      .filter(([id, { doc }]) => !doc.leaving || doc.ready !== null || plan?.members[id] !== undefined)
      .map(([id, heard]) => this.#agent(id, heard, share_of(plan?.members[id]), errors.get(id) ?? {}))
      .concat(this.#strangers())
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Of whom nothing could be read so far. */
  #strangers(): AgentSummary[] {
    const { members, refusals } = this.#view;
    const nothing = { labels: [], workers: 0, capacity: 0, share: 0, live: 0, open: 0, states: NO_STATES };
    return refusals.agents
      .filter((id) => !members.has(id))
      .map((id) => ({
        id,
        host: '',
        swarm: '',
        ...nothing,
        errors: {},
        cpu: 0,
        lag_p99_ms: 0,
        offset_ms: null,
        silent_ms: 0,
        health: 'refused',
        why: refusals.of(id) ?? '',
      }));
  }

  #agent(id: MemberId, { doc, heard_at, offsets }: HeardAgent, share: number, errors: Counts): AgentSummary {
    const silent_ms = Math.round(this.#timers.now() - heard_at);
    const results = this.#view.results_of(id, doc.incarnation);
    const { host, swarm, labels, capacity, live, open, states, cpu, lag_p99_ms } = doc;
    const health = this.who.health(id);
    const offset_ms = health === 'lost' ? null : Math.round(Math.max(...offsets));
    const workers = results?.workers.length ?? 0;
    const why = this.#view.refusals.of(id) ?? doc.refuses ?? (this.#withheld(id) || unconnected(doc, errors));
    return {
      id,
      host,
      swarm,
      labels: [...labels],
      workers,
      capacity,
      share,
      live,
      open,
      states,
      errors: { ...errors },
      cpu,
      lag_p99_ms,
      offset_ms,
      silent_ms,
      health,
      why,
    };
  }

  /** `as`: what it would be if this plan were in force. */
  summary(options: { final?: boolean; histograms?: boolean } = {}, as?: SwarmPlan): Summary {
    return this.#summaries.make(this.#known(options.final, as), options);
  }

  #known(final = false, plan: SwarmPlan = this.#plan!): Known {
    const desired = this.#desired!;
    const target = target_of(desired, this.#groups);
    const { snapshots, dead, workers, totals } = this.#totals(plan);
    const agents = this.agents();
    const here = agents.filter(is_here);
    this.sample(agents);
    return {
      run_ms: this.#run_ms,
      phase: plan.phase,
      target,
      planned: sum(planned_of(desired, this.#groups, this.#run_ms)),
      load: load_summary(desired, this.#run_ms),
      connect_per_s: desired.connect_per_s,
      rates: rates_now(desired.rates, WHOLE, this.#run_ms),
      workers,
      agents,
      possibly_open: this.unsure(plan).reduce((all, { open }) => all + open, 0),
      waiting: final ? [] : this.who.waiting(desired, target),
      limits: {
        capacity: sum_of(here, 'capacity'),
        why: `what ${here.length} agents can hold`,
        bounds: [],
        open_files_per_process: this.who.open_files,
        reserved_files: RESERVED_FILES,
      },
      live: sum_of(here, 'live'),
      open: sum_of(here, 'open'),
      members: snapshots,
      dead,
      totals,
    };
  }
}

const share_of = (entry: MemberShare | undefined): number => (entry ? clients_in(entry) : 0);

const is_here = ({ health }: AgentSummary): boolean => health !== 'lost';

const in_s = (ms: number): string => `${Math.max(1, Math.ceil(ms / 1000))} s`;

const NO_STATES: AgentSummary['states'] = { initial: 0, connect: 0, acting: 0, standby: 0, backoff: 0, fatal: 0 };

const sum_of = (agents: readonly AgentSummary[], of: 'live' | 'open' | 'capacity'): number =>
  agents.reduce((all, one) => all + one[of], 0);
