/**
 * What the leader decides: the next plan, from the last one and what it knows. Pure but for the moments it remembers.
 */
import { isDeepStrictEqual } from 'node:util';
import { HOOK_WITHIN_MS, is_stuck, STOP_WITHIN_MS } from '../../swarm/plan/deadlines.ts';
import { is_ending, type NamedSharing, type Steered } from '../../swarm/plan/intent.ts';
import { advancing } from '../../swarm/plan/load-play.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import {
  clients_in,
  reassign_ms_of,
  type Bundle,
  type Desired,
  type ProcessPlace,
  type Results,
  type RunHeader,
  type Stage,
  type SwarmPlan,
} from '../store/documents.ts';
import { EvolvingPlan } from '../store/evolve.ts';
import type { KnownAgent } from './agent-seats.ts';
import { next_shares } from './agent-shares.ts';
import { planned_in } from './agent-slots.ts';
import { traces_at } from './desired.ts';
import type { HeardAgent } from './heard-agents.ts';

const MAX_NAMED = 20;

/** What the leader knows when it decides. */
export interface LeaderInput {
  /** as it is stored */
  readonly desired: Desired;
  readonly agents: readonly KnownAgent[];
  readonly results: (agent: MemberId, incarnation: string) => Results | null;
  readonly silent_ms: (agent: MemberId, incarnation: string) => number;
  /** ms, this process' monotonic clock */
  readonly now: number;
  readonly run_ms: number;
  readonly wall_ms: number;
}

/** What stays the same for a whole term. */
export interface LeaderOptions {
  readonly term: number;
  readonly gather_ms: number;
  readonly bundle: Pick<Bundle, 'has_setup' | 'has_teardown'> & { readonly drain_timeout_ms: number };
  /** of the run */
  readonly groups: readonly NamedSharing[];
}

/** The first plan of a run. `old`: of the run before it on this store, whose count it goes on. */
export function first_plan(
  run: RunHeader,
  desired: Desired,
  term: number,
  epoch: string,
  old: SwarmPlan | null,
  groups: readonly NamedSharing[],
): SwarmPlan {
  return {
    format: 'swarm-plan/1',
    epoch: old?.epoch ?? epoch,
    term,
    revision: (old?.revision ?? 0) + 1,
    seeded: 0,
    run,
    stage: 'gather',
    ending_ms: null,
    ...steered_of(desired),
    desired: desired.seq,
    groups: groups.map(({ name, share, actions = [] }) => {
      const rated = actions.filter(({ rate }) => rate !== null);
      return { name, share, ...(rated.length > 0 && { actions: rated }) };
    }),
    piece_ms: null,
    ahead: [],
    rebalance: 0,
    traces: [],
    setup_by: null,
    teardown_by: null,
    shared: null,
    failed: null,
    unconfirmed: [],
    run_ms: 0,
    ids: {},
    slots: {},
    members: {},
    departed: [],
  };
}

const steered_of = (desired: Desired): Steered => {
  const { target, ramp, labelled, own, phase, graceful, connect_per_s, retry_fatal, mark, rates, load } = desired;
  return { target, ramp, labelled, own, phase, graceful, connect_per_s, retry_fatal, mark, rates, load };
};

/** more plans than any coordinator can have missed */
const MISSED_PLANS = 1_000_000;

/**
 * The plan that stands in place of one that the engine lost. Agents may know later plans than this process, up to the
 * revisions they `accepted`: none may take this one for an old one, and all must say what they hold.
 */
export function plan_from_memory(
  plan: SwarmPlan,
  {
    epoch,
    term,
    run_ms,
    accepted,
    place_of,
  }: Pick<SwarmPlan, 'epoch' | 'term' | 'run_ms'> & {
    readonly accepted: readonly number[];
    readonly place_of: (agent: MemberId, incarnation: string) => ProcessPlace | null;
  },
): SwarmPlan {
  const revision = Math.max(plan.revision, ...accepted) + MISSED_PLANS;
  const members = Object.fromEntries(
    Object.entries(plan.members).map(([id, entry]) => {
      // what one that is dead said of itself is lost: its next incarnation must find it here
      const place = place_of(id, entry.incarnation);
      return [id, { ...entry, since: revision, ...(place && { place }) }];
    }),
  );
  return { ...plan, epoch, term, revision, seeded: revision, run_ms, members };
}

/**
 * See {@link LeaseOptions.knows_newest}: agents of a later plan than this process knows were told it by another leader.
 */
export function knows_newest(
  plan: SwarmPlan | undefined,
  members: ReadonlyMap<MemberId, Pick<HeardAgent, 'doc' | 'heard_at'>>,
  since: number,
): boolean | null {
  if (!plan) return null;
  const heard = [...members].filter(([, { heard_at }]) => heard_at >= since);
  if (heard.some(([, { doc }]) => doc.ready === plan.run.id && doc.accepted > plan.revision)) return false;
  return Object.keys(plan.members).every((id) => heard.some(([other]) => other === id)) ? true : null;
}

/** One per term. */
export class Leader {
  readonly #options: LeaderOptions;
  /** when this leader saw the stage first, or anything go on in it */
  #stage: { stage: Stage; phase: SwarmPlan['phase']; since: number; moved: number; left: number } | null = null;
  #hook: { by: MemberId; incarnation: string; since: number } | null = null;
  readonly #plan = new EvolvingPlan();
  readonly #desired: (stored: Desired, run_ms: number) => Desired;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#desired = advancing<Desired>(options.groups);
  }

  /** `stored`: the newest plan. Null: nothing changes but what members change by themselves. */
  next(stored: SwarmPlan, known: LeaderInput): SwarmPlan | null {
    if (stored.stage === 'ended') return null;
    const { run_ms, wall_ms, agents, silent_ms, results } = known;
    const { term, groups } = this.#options;
    const desired = this.#desired(known.desired, run_ms);
    const seen = { ...known, desired };
    const old = this.#plan.at(stored, run_ms);
    const reassign_ms = reassign_ms_of(old.run);
    const revision = old.revision + 1;
    const at = new Date(wall_ms).toISOString();
    const planned = planned_in(results);
    const now = { groups, desired, agents, run_ms, reassign_ms, silent_ms, at, planned };
    const shares = next_shares(old, revision, now);
    const { phase: _, ...steered } = steered_of(desired);
    const wanted = { traces: traces_at(desired, run_ms), desired: desired.seq, ...steered };
    const next: SwarmPlan = { ...old, term, revision, run_ms, ...wanted, ...shares, ...this.#stage_after(old, seen) };
    return same_orders(old, next) ? null : next;
  }

  #stage_after(old: SwarmPlan, seen: LeaderInput): Partial<SwarmPlan> {
    const { now, desired } = seen;
    const left = seen.agents.reduce((all, { presence }) => all + presence.live + presence.open, 0);
    const stage = this.#stage;
    if (stage?.stage !== old.stage || stage.phase !== old.phase)
      this.#stage = { stage: old.stage, phase: old.phase, since: now, moved: now, left };
    else if (left < stage.left) this.#stage = { ...stage, moved: now, left };
    // a load may have ended by itself what somebody then kept from ending
    const has_begun_to_end = old.stage === 'ending' || old.stage === 'teardown';
    const phase = has_begun_to_end ? old.phase : desired.phase;
    if (is_ending(desired) && old.stage !== 'ending' && old.stage !== 'teardown')
      return { stage: 'ending', phase: desired.phase, ending_ms: seen.run_ms };
    switch (old.stage) {
      case 'gather':
        return { phase, ...this.#gather(old, seen) };
      case 'setup':
        return { phase, ...this.#set_up(old, seen) };
      case 'ending':
        return this.#end(old, seen);
      case 'teardown':
        return this.#tear_down(old, seen);
      default:
        return { phase };
    }
  }

  /** After this stage the clients may come: `setup` has run, where there is one. */
  #gather(old: SwarmPlan, { agents, now }: LeaderInput): Partial<SwarmPlan> {
    const ready = agents.filter(({ presence }) => presence.ready === old.run.id);
    if (ready.length < old.run.agents) {
      if (now - this.#stage!.since < this.#options.gather_ms) return {};
      const not_ready = agents.filter(({ presence }) => presence.ready !== old.run.id);
      const missing = not_ready
        .slice(0, MAX_NAMED)
        .map(({ id, presence }) => `${id}: ${presence.refuses ?? 'not ready'}`);
      if (not_ready.length > MAX_NAMED) missing.push(`${not_ready.length - MAX_NAMED} more are not`);
      const unseen = old.run.agents - agents.length;
      // who never came has no name here: those who did tell who it is
      const here =
        ready.length > 0 && unseen > 0
          ? [
              `here: ${ready
                .slice(0, MAX_NAMED)
                .map(({ id }) => id)
                .join(', ')}${ready.length > MAX_NAMED ? ', …' : ''}`,
            ]
          : [];
      const never = unseen > 0 ? [`${unseen} not seen`] : [];
      const failed = `${ready.length} of ${old.run.agents} agents are ready (${[...missing, ...never, ...here].join('; ')})`;
      return { stage: 'ending', phase: 'stop', failed };
    }
    if (!this.#options.bundle.has_setup) return { stage: 'open', shared: { value: undefined } };
    return ready.length > 0 ? { stage: 'setup' } : {};
  }

  #set_up(old: SwarmPlan, seen: LeaderInput): Partial<SwarmPlan> {
    const result = this.#run_hook('setup', old.setup_by, old, seen);
    if ('by' in result) return { setup_by: result.by };
    if (result.ok) return { stage: 'open', setup_by: null, shared: { value: result.value } };
    return { stage: 'ending', phase: 'stop', setup_by: null, failed: `setup of the module failed: ${result.reason}` };
  }

  #end(old: SwarmPlan, { desired, agents, results, now, run_ms, silent_ms }: LeaderInput): Partial<SwarmPlan> {
    const { since, moved } = this.#stage!;
    // counted from the command, whoever led then
    const ending_ms = run_ms - (old.ending_ms ?? run_ms);
    const phase = old.phase === 'stop' || desired.phase === 'stop' ? 'stop' : 'drain';
    const busy = Object.entries(old.members).filter(([id, entry]) => {
      const { incarnation } = entry;
      const may = clients_in(entry, (share) => share.may);
      const presence = agents.find((agent) => agent.id === id)?.presence;
      if (presence?.incarnation !== incarnation) return may > 0;
      // its workers are not up yet: its share waits for it, and it never held anything
      const holds_nothing = may === 0 && presence.ready !== old.run.id;
      const is_done = (holds_nothing || presence.applied >= old.revision) && presence.live === 0 && presence.open === 0;
      return !is_done || (results(id, incarnation)?.seq ?? 0) < presence.results;
    });
    if (busy.length > 0 && phase === 'drain') {
      return { phase: ending_ms >= this.#options.bundle.drain_timeout_ms ? 'stop' : 'drain' };
    }
    if (phase !== old.phase) return { phase };
    if (phase === 'drain') return { phase: 'stop' };
    // those that were silent all the time are not given it twice
    const all_silent = busy.every(([id, { incarnation }]) => silent_ms(id, incarnation) >= STOP_WITHIN_MS);
    const stuck_ms = all_silent ? ending_ms : now - moved;
    if (busy.length > 0 && !is_stuck(stuck_ms, now - since)) return {};
    const unconfirmed = busy.map(([id]) => id);
    const has_hook = this.#options.bundle.has_teardown && old.shared !== null;
    return { stage: has_hook ? 'teardown' : 'ended', unconfirmed };
  }

  #tear_down(old: SwarmPlan, seen: LeaderInput): Partial<SwarmPlan> {
    const result = this.#run_hook('teardown', old.teardown_by, old, seen);
    if ('by' in result) return { teardown_by: result.by };
    return {
      stage: 'ended',
      teardown_by: null,
      ...(!result.ok && { failed: `teardown of the module failed: ${result.reason}` }),
    };
  }

  /** `by`: who shall run it, or null while nobody can. */
  #run_hook(hook: 'setup' | 'teardown', by: MemberId | null, old: SwarmPlan, { agents, results, now }: LeaderInput) {
    const { since } = this.#stage!;
    if (by === null) {
      const all_able = agents.filter(
        ({ id, presence }) => old.members[id]?.incarnation === presence.incarnation && presence.ready === old.run.id,
      );
      // one that answers, rather than one that stands still
      const able = all_able.find(({ silent_ms }) => silent_ms < STOP_WITHIN_MS) ?? all_able[0];
      if (!able && now - since >= HOOK_WITHIN_MS) return { ok: false as const, reason: 'no agent is there to run it' };
      return { by: able?.id ?? null };
    }
    const incarnation = old.members[by]?.incarnation;
    const is_other = this.#hook?.by !== by || this.#hook.incarnation !== incarnation;
    if (incarnation === undefined || (is_other && this.#hook?.by === by)) {
      this.#hook = null;
      return { ok: false as const, reason: `agent ${by} died while it ran` };
    }
    if (is_other) this.#hook = { by, incarnation, since: now };
    const result = results(by, incarnation)?.[hook];
    if (result) return result;
    if (now - this.#hook!.since < HOOK_WITHIN_MS) return { by };
    return { ok: false as const, reason: `no result within ${HOOK_WITHIN_MS / 1000} s` };
  }
}

/** The same but for when it was written: it need not be written. A new term must be, whatever it says. */
const same_orders = (a: SwarmPlan, b: SwarmPlan): boolean =>
  isDeepStrictEqual({ ...a, revision: 0, run_ms: 0 }, { ...b, revision: 0, run_ms: 0 });

/** Who is there, for {@link Leader} and for people. */
export const known_of = (
  members: ReadonlyMap<MemberId, Pick<HeardAgent, 'doc' | 'heard_at' | 'first_at'>>,
  now: number,
): KnownAgent[] =>
  [...members].map(([id, { doc, heard_at, first_at }]) => ({
    id,
    presence: doc,
    silent_ms: now - heard_at,
    known_ms: now - first_at,
  }));
