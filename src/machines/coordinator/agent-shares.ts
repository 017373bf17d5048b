/**
 * The leader's arithmetic: from what is wanted and who is there to each agent's share, never more than the target in
 * all. Pure.
 */
import { labels_of } from '../../swarm/plan/intent.ts';
import { piece_at } from '../../swarm/plan/load-play.ts';
import type { IdRange } from '../../swarm/plan/orders.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { planned_at } from '../../swarm/plan/ramp.ts';
import { allocate, split_rate, sum } from '../../swarm/shares/allocate.ts';
import { Ids } from '../../swarm/shares/ids.ts';
import { grant_groups, share_groups } from '../../swarm/shares/share-groups.ts';
import type { AgentShare, Departed, MemberShare, SwarmPlan } from '../store/documents.ts';
import { courses_of, is_same_ramp, next_ramp } from '../store/evolve.ts';
import { next_slots, with_forgotten } from './agent-slots.ts';
import { deal_ahead, NOTHING_AHEAD } from './ahead.ts';
import { departure, seats_of, type AgentSeat, type KnownAgent, type ShareInput } from './agent-seats.ts';

const MAX_DEPARTED = 200;

/** What a plan says of its members. */
export type Shares = Pick<
  SwarmPlan,
  'seeded' | 'members' | 'departed' | 'ids' | 'slots' | 'rebalance' | 'piece_ms' | 'ahead'
>;

/**
 * What the next plan says of its members; `revision` is the one it will have. `old`: as it is at `run_ms`, see
 * {@link evolve}.
 */
export function next_shares(old: SwarmPlan, revision: number, now: ShareInput): Shares {
  const { groups, desired, run_ms } = now;
  const piece = piece_at(desired, groups, run_ms);
  const known = new Map(now.agents.map((agent) => [agent.id, agent]));
  const gone = Object.entries(old.members).flatMap(([id, entry]) => departure(id, entry, known.get(id), now) ?? []);
  const dealt = groups.map(({ name }) => ids_of(old, name, gone));
  const departed = [...old.departed, ...gone].slice(-MAX_DEPARTED);
  const seats = seats_of(old, gone, departed, known, now);
  const is_sure = old.seeded === 0 || is_known(old, gone, now);
  const may = groups.map((_, g) => seats.map((seat) => seat.may[g]!));
  const { shares, labelled } = share_out(seats, now, piece.targets, desired.rebalance > old.rebalance);
  // a share whose agent is away waits for it: nothing new is ordered of it
  const wanted = shares.map((row, g) => row.map((share, i) => (seats[i]!.live ? share : Math.min(share, may[g]![i]!))));
  const most = piece.targets.map((target, g) => ({
    target: is_sure ? target : Math.min(target, sum(may[g]!)),
    share: groups[g]!.share || 1,
  }));
  const granted = grant_groups(most, wanted, may, seats);
  // what comes next is known to all, once all have what they shall have now
  const is_settled =
    is_sure && seats.every(({ live }) => live) && shares.every((row, g) => row.every((n, i) => n === granted[g]![i]!));
  const comes = is_settled ? deal_ahead(old, seats, shares, now) : NOTHING_AHEAD;
  const peak = (g: number, i: number): number => Math.max(shares[g]![i]!, ...comes.parts.map((part) => part[g]![i]!));
  if (is_sure)
    for (const [g, ids] of dealt.entries())
      ids.ensure(seats.map(({ id, ids_wanted }, i) => ({ id, count: Math.max(peak(g, i), ids_wanted[g]!) })));
  const plays = seats.map(({ live }, i) => live && groups.some((_, g) => granted[g]![i]! > 0 || peak(g, i) > 0));
  const rates = split_rate(desired.connect_per_s, plays.filter(Boolean).length);
  const overdue = (g: number, start: number): number =>
    overdue_of(start, groups[g]!.name, seats, granted[g]!, may[g]!, run_ms);
  const courses = courses_of(old, desired, groups, piece, run_ms, overdue);
  const members: Record<MemberId, MemberShare> = {};
  for (const [i, seat] of seats.entries()) {
    const { id, incarnation, live, entry } = seat;
    const connect_per_s = plays[i] ? rates.pop()! : (entry?.connect_per_s ?? 0);
    const own: Record<string, AgentShare> = {};
    let is_new = entry === null;
    for (const [g, { name }] of groups.entries()) {
      const before = entry?.groups[name];
      const to = granted[g]![i]!;
      const ramp = live || !before ? next_ramp(before?.ramp, to, seat.may[g]!, courses[g]!, run_ms) : before.ramp;
      const at = comes.parts.map((part) => part[g]![i]!);
      is_new ||= !before || !is_same_ramp(before.ramp, ramp) || (before.at ?? []).join() !== at.join();
      // growth comes out of what is free; an order to shrink leaves what may run as it is, until the agent says otherwise
      const may_now = Math.max(seat.may[g]!, ramp.to, ...at);
      own[name] = the_same(before, {
        share: shares[g]![i]!,
        labelled: labelled[i]![g]!,
        ramp,
        may: may_now,
        ids: dealt[g]!.of(id),
        ...(at.length > 0 && { at }),
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
  const { ahead } = comes;
  const piece_ms = ahead.length > 0 ? piece.until_ms : null;
  const dealt_slots = next_slots(old, members, gone, is_sure, now);
  const all_departed = [...old.departed, ...dealt_slots.gone];
  const forgotten = all_departed.splice(0, all_departed.length - MAX_DEPARTED);
  const slots = with_forgotten(dealt_slots.slots, forgotten, now.planned);
  return { seeded, members, departed: all_departed, ids, slots, rebalance: desired.rebalance, piece_ms, ahead };
}

/**
 * Beside a ramp, what others had to give up first is not asked for along the ramp, once it is free: which part of what
 * has to grow of a group is wanted by now, and nobody is running it yet.
 */
function overdue_of(
  start: number,
  group: string,
  seats: readonly AgentSeat[],
  granted: readonly number[],
  may: readonly number[],
  run_ms: number,
): number {
  let [running, growth] = [0, 0];
  for (const [i, { entry }] of seats.entries()) {
    const ramp = entry?.groups[group]?.ramp;
    const held = ramp === undefined ? 0 : planned_at(ramp, run_ms);
    // one that shrinks may not have heard of it yet
    running += ramp !== undefined && may[i]! > ramp.to ? may[i]! : held;
    growth += Math.max(0, granted[i]! - held);
  }
  return growth > 0 ? Math.min(1, Math.max(0, start - running) / growth) : 0;
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
  { desired: { labelled, own }, groups }: Pick<ShareInput, 'desired' | 'groups'>,
  wanted: readonly number[],
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
      groups.map(({ share }, g) => ({ target: targets[g]!, share: share || 1 })),
      groups.map(({ name }) => seats.map((seat) => (anew && seat.live ? 0 : held(seat, name)))),
      seats.map((seat, i) => ({
        weight: seat.weight,
        capacity: can(seat) ? Math.max(0, seat.capacity - taken[i]!) : 0,
      })),
    );
    for (const [g, row] of dealt.entries()) for (const [i, part] of row.entries()) shares[g]![i]! += part;
    return dealt;
  };
  let left = [...wanted];
  for (const label of [...labels_of({ labelled, own }).keys()].sort()) {
    const held = (seat: AgentSeat, group: string): number => seat.entry?.groups[group]?.labelled[label] ?? 0;
    const holds = (seat: AgentSeat): boolean => groups.some(({ name }) => held(seat, name) > 0);
    // the groups have their parts of it as of the target
    const by_name = groups.map(({ name }, g) => Math.min(left[g]!, own[name]?.labelled[label] ?? 0));
    const room = left.map((clients, g) => ({
      held: 0,
      capacity: groups[g]!.share > 0 ? clients - by_name[g]! : 0,
      weight: groups[g]!.share || 1,
    }));
    const targets = allocate(labelled[label] ?? 0, room).map((clients, g) => clients + by_name[g]!);
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

/** The old one if it says what the new one does. */
function the_same(old: AgentShare | undefined, now: AgentShare): AgentShare {
  if (!old || old.share !== now.share || old.may !== now.may || !is_same_ramp(old.ramp, now.ramp)) return now;
  const labels = Object.keys(now.labelled);
  const are_labels = labels.length === Object.keys(old.labelled).length;
  if (!are_labels || labels.some((label) => old.labelled[label] !== now.labelled[label])) return now;
  const is_range = ([first, last, step]: IdRange, i: number): boolean => {
    const other = old.ids[i];
    return other?.[0] === first && other[1] === last && other[2] === step;
  };
  if ((old.at ?? []).join() !== (now.at ?? []).join()) return now;
  return old.ids.length === now.ids.length && now.ids.every(is_range) ? old : now;
}
