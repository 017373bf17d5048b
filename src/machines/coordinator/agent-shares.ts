/**
 * The leader's arithmetic: from what is wanted and who is there to each agent's share, never more than the target in
 * all. Pure.
 */
import { map_groups } from '../../metrics/groups.ts';
import { group_targets } from '../../swarm/plan/numbering.ts';
import { planned_at, type Ramp } from '../../swarm/plan/ramp.ts';
import type { IdRange } from '../../swarm/plan/orders.ts';
import type { GroupSpec, MemberId } from '../../swarm/plan/run-spec.ts';
import { allocate, split_rate, sum } from '../../swarm/shares/allocate.ts';
import { Ids } from '../../swarm/shares/ids.ts';
import { grant_groups, share_groups } from '../../swarm/shares/share-groups.ts';
import {
  clients_in,
  full_name,
  type AgentShare,
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
  /** of the run */
  readonly groups: readonly GroupSpec[];
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
export type Shares = Pick<SwarmPlan, 'seeded' | 'members' | 'departed' | 'ids' | 'rebalance'>;

/** What the next plan says of its members; `revision` is the one it will have. */
export function next_shares(old: SwarmPlan, revision: number, now: ShareInput): Shares {
  const { groups, desired } = now;
  const known = new Map(now.agents.map((agent) => [agent.id, agent]));
  const gone = Object.entries(old.members).flatMap(([id, entry]) => departure(id, entry, known.get(id), now) ?? []);
  const dealt = groups.map(({ name }) => ids_of(old, name, gone));
  const departed = [...old.departed, ...gone].slice(-MAX_DEPARTED);
  const seats = seats_of(old, gone, departed, known, now);
  const is_sure = old.seeded === 0 || is_known(old, gone, now);
  const may = groups.map((_, g) => seats.map((seat) => seat.may[g]!));
  const { shares, labelled } = share_out(seats, now, desired.rebalance > old.rebalance);
  if (is_sure)
    for (const [g, ids] of dealt.entries())
      ids.ensure(seats.map(({ id, ids_wanted }, i) => ({ id, count: Math.max(shares[g]![i]!, ids_wanted[g]!) })));
  // a share whose agent is away waits for it: nothing new is ordered of it
  const wanted = shares.map((row, g) => row.map((share, i) => (seats[i]!.live ? share : Math.min(share, may[g]![i]!))));
  const most = group_targets(groups, desired.target).map((target, g) => ({
    target: is_sure ? target : Math.min(target, sum(may[g]!)),
    share: groups[g]!.share,
  }));
  const granted = grant_groups(most, wanted, may, seats);
  const plays = seats.map(({ live }, i) => live && granted.some((row) => row[i]! > 0));
  const rates = split_rate(desired.connect_per_s, plays.filter(Boolean).length);
  const members: Record<MemberId, MemberShare> = {};
  for (const [i, seat] of seats.entries()) {
    const { id, incarnation, live, entry } = seat;
    const connect_per_s = plays[i] ? rates.pop()! : (entry?.connect_per_s ?? 0);
    const own: Record<string, AgentShare> = {};
    let is_new = entry === null;
    for (const [g, { name }] of groups.entries()) {
      const before = entry?.groups[name];
      const ramp = live || !before ? next_ramp(before?.ramp, granted[g]![i]!, seat.may[g]!, now) : before.ramp;
      is_new ||= !before || !is_same(before.ramp, ramp);
      // growth comes out of what is free; an order to shrink leaves what may run as it is, until the agent says otherwise
      const may_now = Math.max(seat.may[g]!, ramp.to);
      own[name] = the_same(before, {
        share: shares[g]![i]!,
        labelled: labelled[i]![g]!,
        ramp,
        may: may_now,
        ids: dealt[g]!.of(id),
      });
    }
    const since = is_new ? revision : entry!.since;
    const place = is_sure ? undefined : entry?.place;
    const is_old = !is_new && connect_per_s === entry!.connect_per_s && place === entry!.place;
    // most of hundreds stay as they are: what is the same object need not be compared with all it has
    const stays = is_old && groups.every(({ name }) => own[name] === entry!.groups[name]);
    members[id] = stays ? entry! : { incarnation, groups: own, since, connect_per_s, ...(place && { place }) };
  }
  const ids = Object.fromEntries(
    groups.map(({ name }, g) => {
      const { next, free } = dealt[g]!;
      return [name, { next, free }];
    }),
  );
  const seeded = is_sure ? 0 : old.seeded;
  return { seeded, members, departed, ids, rebalance: desired.rebalance };
}

/** Who owns which indices of a group's clients, without those that are gone. */
function ids_of({ ids, members }: SwarmPlan, group: string, gone: readonly Departed[]): Ids {
  const { next = 1, free = [] } = ids[group] ?? {};
  const owned: [MemberId, readonly IdRange[]][] = [];
  // of one that was only silent, connections may be open yet: nobody else may log in with their ids
  const is_unsure = (id: MemberId): boolean => gone.some(({ agent, attested }) => agent === id && !attested);
  for (const id in members)
    if (gone.length === 0 || !is_unsure(id)) owned.push([id, members[id]!.groups[group]?.ids ?? []]);
  const dealt = Ids.from(next, free, owned);
  for (const { agent, attested } of gone) if (attested) dealt.release(agent);
  return dealt;
}

/**
 * Each seat's part of the target: first of what belongs on agents with a label, which only they can take, then of the
 * rest. `anew`: whatever they have so far, if they can be told so. `labelled`: by seat, group and label.
 */
function share_out(
  seats: readonly AgentSeat[],
  { desired: { target, labelled }, groups }: Pick<ShareInput, 'desired' | 'groups'>,
  anew: boolean,
): { readonly shares: number[][]; readonly labelled: Record<string, number>[][] } {
  const parts = seats.map(() => groups.map((): Record<string, number> => ({})));
  const shares = groups.map(() => seats.map(() => 0));
  const deal = (
    targets: readonly number[],
    held: (seat: AgentSeat, group: string) => number,
    can: (seat: AgentSeat) => boolean,
  ): number[][] => {
    const taken = seats.map((_, i) => sum(shares.map((row) => row[i]!)));
    const dealt = share_groups(
      groups.map(({ share }, g) => ({ target: targets[g]!, share })),
      groups.map(({ name }) => seats.map((seat) => (anew && seat.live ? 0 : held(seat, name)))),
      seats.map((seat, i) => ({
        weight: seat.weight,
        capacity: can(seat) ? Math.max(0, seat.capacity - taken[i]!) : 0,
      })),
    );
    for (const [g, row] of dealt.entries()) for (const [i, part] of row.entries()) shares[g]![i]! += part;
    return dealt;
  };
  let left = group_targets(groups, target);
  for (const [label, clients] of Object.entries(labelled).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const held = (seat: AgentSeat, group: string): number => seat.entry?.groups[group]?.labelled[label] ?? 0;
    const holds = (seat: AgentSeat): boolean => groups.some(({ name }) => held(seat, name) > 0);
    // the groups have their parts of it as of the target
    const room = left.map((capacity, g) => ({ held: 0, capacity, weight: groups[g]!.share }));
    const targets = allocate(clients, room);
    // one that is away keeps what it has
    const dealt = deal(targets, held, (seat) => (seat.live ? seat.labels.includes(label) : holds(seat)));
    for (const [g, row] of dealt.entries())
      for (const [i, part] of row.entries()) if (part > 0) parts[i]![g]![label] = part;
    left = left.map((clients_left, g) => clients_left - targets[g]!);
  }
  const free = ({ entry }: AgentSeat, group: string): number => {
    const own = entry?.groups[group];
    return own ? own.share - sum(Object.values(own.labelled)) : 0;
  };
  deal(left, free, () => true);
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

interface AgentSeat {
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

function seats_of(
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

/** The old one if it says what the new one does. */
function the_same(old: AgentShare | undefined, now: AgentShare): AgentShare {
  if (!old || old.share !== now.share || old.may !== now.may || !is_same(old.ramp, now.ramp)) return now;
  const labels = Object.keys(now.labelled);
  const are_labels = labels.length === Object.keys(old.labelled).length;
  if (!are_labels || labels.some((label) => old.labelled[label] !== now.labelled[label])) return now;
  const is_range = ([first, last, step]: IdRange, i: number): boolean => {
    const other = old.ids[i];
    return other?.[0] === first && other[1] === last && other[2] === step;
  };
  return old.ids.length === now.ids.length && now.ids.every(is_range) ? old : now;
}

const is_same = (a: Ramp, b: Ramp): boolean =>
  a.from === b.from && a.to === b.to && a.start_ms === b.start_ms && a.end_ms === b.end_ms;
