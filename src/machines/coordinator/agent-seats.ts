/** Who is there to hold clients, and what each could be running: the leader's arithmetic deals by it. Pure. */
import { map_groups } from '../../metrics/groups.ts';
import type { NamedSharing } from '../../swarm/plan/intent.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { sum } from '../../swarm/shares/allocate.ts';
import {
  clients_in,
  full_name,
  type Departed,
  type Desired,
  type MemberShare,
  type Presence,
  type SwarmPlan,
} from '../store/documents.ts';

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
  /** of the run */
  readonly groups: readonly NamedSharing[];
  /** as it is at `run_ms`, see {@link advance} */
  readonly desired: Desired;
  readonly agents: readonly KnownAgent[];
  /** ms of run time */
  readonly run_ms: number;
  /** silence after which an agent is written off: by then it has cut itself off */
  readonly reassign_ms: number;
  /** since an incarnation was heard last; of one never heard: since the leader looks */
  readonly silent_ms: (agent: MemberId, incarnation: string) => number;
  readonly at: string;
  /** how many slots of an action an incarnation said that it planned; by {@link rate_key} */
  readonly planned: (agent: MemberId, incarnation: string, key: string) => number;
}

/** A member of the next plan, and what it can take. */
export interface AgentSeat {
  readonly id: MemberId;
  readonly incarnation: string;
  /** it can be given orders now */
  readonly live: boolean;
  readonly entry: MemberShare | null;
  readonly labels: readonly string[];
  readonly capacity: number;
  readonly weight: number;
  /** by group: the most it could be running */
  readonly may: readonly number[];
  readonly ids_wanted: readonly number[];
}

export function seats_of(
  old: SwarmPlan,
  gone: readonly Departed[],
  departed: readonly Departed[],
  known: ReadonlyMap<MemberId, KnownAgent>,
  now: ShareInput,
): AgentSeat[] {
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
    const capacity = live ? capacity_of(agent, old, now) : clients_in(entry);
    const { weight = 1, ids_wanted = {}, labels = [] } = agent?.presence ?? {};
    return {
      id,
      incarnation: entry.incarnation,
      live,
      entry,
      labels,
      capacity,
      weight,
      may: now.groups.map(({ name }) => may_of(entry, name, agent)),
      ids_wanted: now.groups.map(({ name }) => (live ? (ids_wanted[name] ?? 0) : 0)),
    };
  });
  const seated = new Set(kept.map(([id]) => id));
  const newcomers = now.agents
    .filter(({ id, presence, silent_ms }) => {
      const is_over = departed.some(({ agent, incarnation }) => agent === id && incarnation === presence.incarnation);
      return !seated.has(id) && !is_over && presence.ready === old.run.id && silent_ms < now.reassign_ms / 2;
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, Math.max(0, most_seats(now.groups) - seats.length))
    .map((agent): AgentSeat => {
      const { id, presence } = agent;
      const nothing = now.groups.map(() => 0);
      return {
        id,
        incarnation: presence.incarnation,
        live: true,
        entry: null,
        labels: presence.labels,
        capacity: capacity_of(agent, old, now),
        weight: presence.weight,
        may: nothing,
        ids_wanted: nothing,
      };
    });
  return [...seats, ...newcomers];
}

/** of a plan, which has to fit into the store with a load and what `setup` returned; of an agent's part in a group */
const MAX_BYTES = 800_000;
const PART_BYTES = 110;
/** of an agent's part of a rate: its tenures, most often two or three of a hundred bytes, and its place in the layout */
const SLOTS_BYTES = 500;

/** How many agents a plan has room for. */
export const most_seats = (groups: readonly NamedSharing[]): number =>
  Math.floor(MAX_BYTES / groups.reduce((all, group) => all + bytes_of(group), 0));

const bytes_of = ({ name, actions = [] }: NamedSharing): number =>
  PART_BYTES + name.length + SLOTS_BYTES * actions.filter(({ rate }) => rate !== null).length;

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
const heir_of = ({ groups }: MemberShare, { presence }: KnownAgent): MemberShare => ({
  incarnation: presence.incarnation,
  groups: map_groups(groups, ({ share, labelled }) => ({
    share,
    labelled,
    ramp: { from: 0, to: 0, start_ms: 0, end_ms: 0 },
    may: 0,
    ids: [],
  })),
  since: 0,
  connect_per_s: 0,
});

function capacity_of({ id, presence }: KnownAgent, { run }: SwarmPlan, { desired }: ShareInput): number {
  const holds_nothing = presence.leaving || desired.drained.includes(id) || presence.ready !== run.id;
  return holds_nothing ? 0 : presence.capacity;
}

/** Why a member's incarnation is written off now; null: it is not. */
export function departure(
  id: MemberId,
  entry: MemberShare,
  agent: KnownAgent | undefined,
  now: ShareInput,
): Departed | null {
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
 * The most clients of a group that an agent could be running: what it says once it has taken over its order, until then
 * what all its orders allow.
 */
export function may_of(entry: MemberShare, group: string, known: Pick<KnownAgent, 'presence'> | undefined): number {
  const own = entry.groups[group];
  if (!own) return 0;
  if (known?.presence.incarnation !== entry.incarnation || known.presence.accepted < entry.since) return own.may;
  return Math.max(known.presence.may[group] ?? 0, own.ramp.to);
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
    sum(Object.keys(entry.groups).map((group) => may_of(entry, group, presence && { presence }))),
  );
}
