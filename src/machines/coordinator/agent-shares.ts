/**
 * The leader's arithmetic: from what is wanted and who is there to each agent's share, never more than the target in
 * all. Pure.
 */
import { planned_at, type Ramp } from '../../swarm/plan/ramp.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { allocate, grant, split_rate, type Allotment } from '../../swarm/shares/allocate.ts';
import { Ids } from '../../swarm/shares/ids.ts';
import {
  full_name,
  type Departed,
  type Desired,
  type MemberShare,
  type Presence,
  type SwarmPlan,
} from '../store/documents.ts';

const MAX_DEPARTED = 200;
/** For so long the share of an agent that died and was started anew waits until its workers are up. */
export const RETURN_MS = 15_000;

/** An agent as the leader knows it. */
export interface KnownAgent {
  readonly id: MemberId;
  readonly presence: Presence;
  /** since its presence changed last, by the leader's own clock */
  readonly silent_ms: number;
  /** since its incarnation was heard first */
  readonly known_ms: number;
}

/** What the shares are dealt by. */
export interface ShareInput {
  readonly desired: Desired;
  readonly agents: readonly KnownAgent[];
  /** ms of run time */
  readonly run_ms: number;
  /** silence after which an agent is written off: by then it has cut itself off */
  readonly reassign_ms: number;
  /** since an incarnation was heard last; of one never heard: since the leader looks */
  readonly silent_ms: (agent: MemberId, incarnation: string) => number;
  readonly at: string;
}

/** What a plan says of its members. */
export type Shares = Pick<SwarmPlan, 'seeded' | 'members' | 'departed' | 'next_id' | 'free_ids' | 'rebalance'>;

/** What the next plan says of its members; `revision` is the one it will have. */
export function next_shares(old: SwarmPlan, revision: number, now: ShareInput): Shares {
  const known = new Map(now.agents.map((agent) => [agent.id, agent]));
  const gone = Object.entries(old.members).flatMap(([id, entry]) => departure(id, entry, known.get(id), now) ?? []);
  const ids = Ids.from({
    next: old.next_id,
    free: old.free_ids,
    owned: Object.fromEntries(
      Object.entries(old.members)
        .filter(([id]) => !gone.some(({ agent, attested }) => agent === id && !attested))
        .map(([id, entry]) => [id, entry.ids]),
    ),
  });
  // of one that was only silent, connections may be open yet: nobody else may log in with their ids
  for (const { agent, attested } of gone) if (attested) ids.release(agent);
  const departed = [...old.departed, ...gone].slice(-MAX_DEPARTED);
  const seats = seats_of(old, gone, departed, now);
  const is_sure = old.seeded === 0 || is_known(old, gone, now);
  const anew = now.desired.rebalance > old.rebalance;
  const { shares, labelled } = share_out(seats, now.desired, anew);
  if (is_sure) ids.ensure(seats.map(({ id, ids_wanted }, i) => ({ id, count: Math.max(shares[i]!, ids_wanted) })));
  // a share whose agent is away waits for it: nothing new is ordered of it
  const wanted = seats.map(({ live, allotment }, i) => (live ? shares[i]! : Math.min(shares[i]!, allotment.may)));
  const may = seats.reduce((all, { allotment }) => all + allotment.may, 0);
  const most = is_sure ? now.desired.target : Math.min(now.desired.target, may);
  const granted = grant(
    most,
    wanted,
    seats.map(({ allotment }) => allotment),
  );
  const rates = split_rate(now.desired.connect_per_s, seats.filter(({ live }, i) => live && granted[i]! > 0).length);
  const members: Record<MemberId, MemberShare> = {};
  for (const [i, { id, live, entry, incarnation, allotment }] of seats.entries()) {
    const connect_per_s = live && granted[i]! > 0 ? rates.pop()! : (entry?.connect_per_s ?? 0);
    const ramp = live || !entry ? next_ramp(entry?.ramp, granted[i]!, allotment.may, now) : entry.ramp;
    const is_new = !entry || !is_same(entry.ramp, ramp);
    // growth comes out of what is free; an order to shrink leaves what may run as it is, until the agent says otherwise
    const may = Math.max(allotment.may, ramp.to);
    const since = is_new ? revision : entry.since;
    const place = is_sure ? undefined : entry?.place;
    members[id] = {
      incarnation,
      share: shares[i]!,
      labelled: labelled[i]!,
      ramp,
      may,
      since,
      ids: ids.of(id),
      connect_per_s,
      ...(place && { place }),
    };
  }
  const { next, free } = ids.state;
  const seeded = is_sure ? 0 : old.seeded;
  return { seeded, members, departed, next_id: next, free_ids: free, rebalance: now.desired.rebalance };
}

/**
 * Each seat's part of the target: first of what belongs on agents with a label, which only they can take, then of the
 * rest. `anew`: whatever they have so far, if they can be told so.
 */
function share_out(
  seats: readonly AgentSeat[],
  { target, labelled }: Desired,
  anew: boolean,
): { readonly shares: number[]; readonly labelled: Record<string, number>[] } {
  const parts = seats.map((): Record<string, number> => ({}));
  const taken = seats.map(() => 0);
  let rest = target;
  const deal = (clients: number, held: (seat: AgentSeat) => number, can: (seat: AgentSeat) => boolean): number[] =>
    allocate(
      clients,
      seats.map((seat, i) => ({
        ...seat.allotment,
        held: anew && seat.live ? 0 : held(seat),
        capacity: can(seat) ? Math.max(0, seat.allotment.capacity - taken[i]!) : 0,
      })),
    );
  for (const [label, clients] of Object.entries(labelled).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const held = (seat: AgentSeat): number => seat.entry?.labelled[label] ?? 0;
    // one that is away keeps what it has
    const can = (seat: AgentSeat): boolean => (seat.live ? seat.labels.includes(label) : held(seat) > 0);
    for (const [i, part] of deal(clients, held, can).entries()) {
      taken[i]! += part;
      if (part > 0) parts[i]![label] = part;
    }
    rest -= clients;
  }
  const free = ({ entry }: AgentSeat): number =>
    entry ? entry.share - Object.values(entry.labelled).reduce((all, part) => all + part, 0) : 0;
  const shares = deal(Math.max(0, rest), free, () => true).map((part, i) => part + taken[i]!);
  return { shares, labelled: parts };
}

/**
 * A plan that was written from memory may be older than what agents were told since. Once all have taken it over, or
 * are written off, what they say they may be running is the truth again; before that nothing grows.
 */
function is_known(old: SwarmPlan, gone: readonly Departed[], { agents, reassign_ms }: ShareInput): boolean {
  const members = Object.entries(old.members).filter(([id]) => !gone.some(({ agent }) => agent === id));
  const is_told = ({ presence, silent_ms }: KnownAgent): boolean =>
    presence.ready !== old.run.id || presence.accepted >= old.seeded || silent_ms >= reassign_ms;
  return (
    agents.every(is_told) &&
    members.every(([id, { incarnation }]) =>
      agents.some(
        ({ id: other, presence }) =>
          other === id && presence.incarnation === incarnation && presence.accepted >= old.seeded,
      ),
    )
  );
}

/**
 * The most an agent could be running: what it says once it has taken over its order, until then what all its orders
 * allow.
 */
export function may_of(entry: MemberShare, known: Pick<KnownAgent, 'presence'> | undefined): number {
  if (known?.presence.incarnation !== entry.incarnation || known.presence.accepted < entry.since) return entry.may;
  return Math.max(known.presence.may, entry.ramp.to);
}

/** Connections of an agent that nobody can say are closed. */
export interface Unsure {
  readonly agent: MemberId;
  readonly incarnation: string;
  readonly open: number;
}

/**
 * Of incarnations that were silent for too long, or did not confirm the end, and have not been heard since. An operator
 * who evicts one vouches for it.
 */
export function unsure_of(
  plan: Pick<SwarmPlan, 'members' | 'departed' | 'unconfirmed'>,
  presences: ReadonlyMap<MemberId, Presence>,
  evicted: readonly string[],
): Unsure[] {
  const is_over = (agent: MemberId, incarnation: string): boolean =>
    evicted.includes(full_name(agent, incarnation)) || presences.get(agent)?.replaces.includes(incarnation) === true;
  const departed = plan.departed.filter(
    ({ agent, incarnation, attested }) => !attested && !is_over(agent, incarnation),
  );
  const unconfirmed = plan.unconfirmed.flatMap((agent): Unsure[] => {
    const entry = plan.members[agent];
    if (!entry || is_over(agent, entry.incarnation)) return [];
    return [{ agent, incarnation: entry.incarnation, open: most_open(entry, presences.get(agent)) }];
  });
  return [...departed.map(({ agent, incarnation, open }) => ({ agent, incarnation, open })), ...unconfirmed].filter(
    ({ open }) => open > 0,
  );
}

/** It may have grown since it was heard last. */
function most_open(entry: MemberShare, presence: Presence | undefined): number {
  return Math.max(
    presence?.incarnation === entry.incarnation ? presence.open : 0,
    may_of(entry, presence && { presence }),
  );
}

interface AgentSeat {
  readonly id: MemberId;
  readonly incarnation: string;
  /** it can be given orders now */
  readonly live: boolean;
  readonly entry: MemberShare | null;
  readonly ids_wanted: number;
  readonly labels: readonly string[];
  readonly allotment: Allotment;
}

function seats_of(
  old: SwarmPlan,
  gone: readonly Departed[],
  departed: readonly Departed[],
  now: ShareInput,
): AgentSeat[] {
  const known = new Map(now.agents.map((agent) => [agent.id, agent]));
  const is_gone = (id: MemberId): boolean => gone.some(({ agent }) => agent === id);
  const kept = Object.entries(old.members).flatMap(([id, entry]): [MemberId, MemberShare][] => {
    if (!is_gone(id)) return [[id, entry]];
    const agent = known.get(id);
    const is_attested = gone.some((one) => one.agent === id && one.attested);
    // its next incarnation has its share, if it plays or is coming
    return is_attested && agent && (is_coming(agent, old, now) || capacity_of(agent, old, now) > 0)
      ? [[id, heir_of(entry, agent)]]
      : [];
  });
  const seats = kept.map(([id, entry]): AgentSeat => {
    const agent = known.get(id);
    const is_heard = agent?.presence.incarnation === entry.incarnation && agent.silent_ms < now.reassign_ms / 2;
    const live = is_heard && !is_coming(agent, old, now);
    const capacity = live ? capacity_of(agent, old, now) : entry.share;
    const { weight = 1, ids_wanted = 0, labels = [] } = agent?.presence ?? {};
    return {
      id,
      incarnation: entry.incarnation,
      live,
      entry,
      ids_wanted: live ? ids_wanted : 0,
      labels,
      allotment: { id, may: may_of(entry, agent), held: entry.share, capacity, weight },
    };
  });
  const newcomers = now.agents
    .filter(({ id, presence, silent_ms }) => {
      const is_over = departed.some(({ agent, incarnation }) => agent === id && incarnation === presence.incarnation);
      const has_seat = kept.some(([seated]) => seated === id);
      return !has_seat && !is_over && presence.ready === old.run.id && silent_ms < now.reassign_ms / 2;
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((agent): AgentSeat => {
      const { id, presence } = agent;
      const allotment = { id, may: 0, held: 0, capacity: capacity_of(agent, old, now), weight: presence.weight };
      return {
        id,
        incarnation: presence.incarnation,
        live: true,
        entry: null,
        ids_wanted: 0,
        labels: presence.labels,
        allotment,
      };
    });
  return [...seats, ...newcomers];
}

/** It is there and will play, but its workers are not up yet. */
function is_coming(
  { id, presence, known_ms, silent_ms }: KnownAgent,
  { run }: SwarmPlan,
  { desired, reassign_ms }: ShareInput,
): boolean {
  const is_able = presence.refuses === null && !presence.leaving && !desired.drained.includes(id);
  return is_able && presence.ready !== run.id && known_ms < RETURN_MS && silent_ms < reassign_ms / 2;
}

/** What is left to the next incarnation: the share, of which nothing is ordered yet. */
const heir_of = ({ share, labelled }: MemberShare, { presence }: KnownAgent): MemberShare => ({
  incarnation: presence.incarnation,
  share,
  labelled,
  ramp: { from: 0, to: 0, start_ms: 0, end_ms: 0 },
  may: 0,
  since: 0,
  ids: [],
  connect_per_s: 0,
});

function capacity_of({ id, presence }: KnownAgent, { run }: SwarmPlan, { desired }: ShareInput): number {
  const holds_nothing = presence.leaving || desired.drained.includes(id) || presence.ready !== run.id;
  return holds_nothing ? 0 : presence.capacity;
}

/** Why a member's incarnation is written off now; null: it is not. */
function departure(id: MemberId, entry: MemberShare, agent: KnownAgent | undefined, now: ShareInput): Departed | null {
  const { incarnation } = entry;
  const is_its = agent?.presence.incarnation === incarnation;
  const attested = agent !== undefined && !is_its && agent.presence.replaces.includes(incarnation);
  const silent_ms = now.silent_ms(id, incarnation);
  const is_out = attested || now.desired.evicted.includes(full_name(id, incarnation)) || silent_ms >= now.reassign_ms;
  if (!is_out) return null;
  const open = attested ? 0 : most_open(entry, agent?.presence);
  return { agent: id, incarnation, at: now.at, silent_ms: Math.round(silent_ms), attested, open };
}

/**
 * The old one goes on if it leads where it shall, so that a plan for others does not bend it. A new one never begins
 * above what the agent may be running: its clock may be ahead of ours, and what it gave up belongs to others.
 */
function next_ramp(old: Ramp | undefined, granted: number, may: number, { desired, run_ms }: ShareInput): Ramp {
  const from = old === undefined ? 0 : Math.min(planned_at(old, run_ms), Math.max(may, granted));
  const is_ramping = desired.ramp !== null && run_ms < desired.ramp.end_ms && from !== granted;
  const end_ms = is_ramping ? desired.ramp.end_ms : 0;
  if (old && old.to === granted && (old.end_ms === end_ms || (end_ms === 0 && run_ms >= old.end_ms))) return old;
  return is_ramping
    ? { from, to: granted, start_ms: run_ms, end_ms }
    : { from: granted, to: granted, start_ms: 0, end_ms: 0 };
}

const is_same = (a: Ramp, b: Ramp): boolean =>
  a.from === b.from && a.to === b.to && a.start_ms === b.start_ms && a.end_ms === b.end_ms;
