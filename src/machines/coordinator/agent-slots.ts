/**
 * The leader's arithmetic of slots: which agent fires which of them, and which were lost with agents that died. All that
 * it goes on from is in the plan, so that any leader can. Pure.
 */
import { lose_slots, type Dead } from '../../metrics/merge-snapshots.ts';
import type { Snapshot } from '../../metrics/snapshot.ts';
import { nobodys, Tenures, type HeldTenure, type Weighted } from '../../swarm/load/tenures.ts';
import { slots_by } from '../../swarm/plan/rate-piece.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { parts_of_key, rate_key } from '../../swarm/plan/rated-actions.ts';
import { part_of, WHOLE, type Places } from '../../swarm/plan/segment.ts';
import { sum } from '../../swarm/shares/allocate.ts';
import type { StretchAccount } from '../../swarm/squad/rate-grants.ts';
import type { Departed, Results, SwarmPlan } from '../store/documents.ts';
import { MAX_RATES, type ActionSlots, type SlotsWord } from '../store/slot-documents.ts';
import type { KnownAgent, ShareInput } from './agent-seats.ts';

/** more tenures than any coordinator can have missed */
const MISSED_TENURES = 1_000_000;

const NOTHING_GIVEN: ActionSlots = { ...nobodys(WHOLE), last_id: 0, ended: {}, lost: 0 };

/** What the next plan says of slots, and of those that departed. */
interface NextSlots {
  readonly slots: SwarmPlan['slots'];
  readonly gone: readonly Departed[];
}

/**
 * `gone`: who is written off now; `members`: of the next plan. `is_sure`: all agents have said what they hold, see
 * {@link SwarmPlan.seeded}: until then nothing is given to anybody.
 */
export function next_slots(
  old: SwarmPlan,
  members: SwarmPlan['members'],
  gone: readonly Departed[],
  is_sure: boolean,
  now: ShareInput,
): NextSlots {
  const known = new Map(now.agents.map((agent) => [agent.id, agent]));
  // what the plan says of tenures is what agents were told
  const is_told = old.seeded === 0;
  const slots: Record<string, ActionSlots> = {};
  const given = new Map<Departed, Record<string, number>>(gone.map((one) => [one, {}]));
  for (const { name: group, actions = [] } of now.groups)
    for (const { index } of actions) {
      const key = rate_key(group, index);
      const rate = now.desired.rates[key];
      if (rate === undefined) continue;
      const due = slots_by(rate.piece, now.run_ms * 1000);
      const before = old.slots[key] ?? NOTHING_GIVEN;
      const parts = is_told ? parts_of(before, group, members, old, now.desired.drained, known) : [];
      const action = new SlotsOfAction(before, parts);
      if (is_told) for (const [id, word] of words_of(old, key, known)) action.heard(id, word);
      for (const one of gone) {
        const own = action.died(one.agent, word_of(one.agent, one.incarnation, key, known), due);
        if (own > 0) given.get(one)![key] = own;
      }
      if (is_sure && !is_told) slots[key] = told_anew(action.state, words_of(old, key, known, gone), old, key, due);
      else {
        if (is_told) action.deal(parts, now.run_ms);
        slots[key] = action.state;
      }
    }
  const with_slots = gone.map((one): Departed => {
    const own = given.get(one)!;
    return Object.keys(own).length === 0 ? one : { ...one, slots: own };
  });
  return { slots, gone: with_slots };
}

/** How many slots of an action an incarnation said that it planned, whatever became of them. */
export type PlannedBy = (agent: MemberId, incarnation: string, key: string) => number;

export const planned_in =
  (results: (agent: MemberId, incarnation: string) => Results | null): PlannedBy =>
  (agent, incarnation, key) => {
    const { group, action } = parts_of_key(key);
    const told = results(agent, incarnation);
    const count = (of: Snapshot | undefined): number => of?.groups[group]?.actions[action]?.slots?.planned ?? 0;
    return count(told?.snapshot) + count(told?.dead?.snapshot);
  };

/**
 * By {@link rate_key}: what nobody knows anything about. `planned`: what an incarnation told in the end may be more than
 * was known when it was written off.
 */
export function lost_slots(
  plan: Pick<SwarmPlan, 'slots' | 'departed' | 'members' | 'rates' | 'stage' | 'run_ms'>,
  planned: PlannedBy,
): Record<string, number> {
  const lost: Record<string, number> = {};
  const missing = (agent: MemberId, incarnation: string, key: string, own: number): number =>
    Math.max(0, own - planned(agent, incarnation, key));
  for (const [key, { lost: before, held, free, ended }] of Object.entries(plan.slots)) {
    let all = before;
    for (const { agent, incarnation, slots } of plan.departed)
      all += missing(agent, incarnation, key, slots?.[key] ?? 0);
    const piece = plan.rates[key]?.piece;
    if (plan.stage === 'ended' && piece !== undefined) {
      const due = slots_by(piece, plan.run_ms * 1000);
      for (const [agent, { incarnation }] of Object.entries(plan.members)) {
        const own = held.filter(({ owner }) => owner === agent).map((one) => slots_in(one, one.first, due));
        all += missing(agent, incarnation, key, (ended[agent] ?? 0) + sum(own));
      }
      all += sum(free.map((one) => slots_in(one, one.first, due)));
    }
    lost[key] = counted(all);
  }
  return lost;
}

/** Adds what was lost with agents to what is dead. */
export function with_lost_slots(dead: Dead, plan: SwarmPlan | null, planned: PlannedBy): Dead {
  return Object.entries(plan === null ? {} : lost_slots(plan, planned)).reduce((all, [key, slots]) => {
    const { group, action } = parts_of_key(key);
    return action >= 0 && action < MAX_RATES ? lose_slots(all, group, action, slots) : all;
  }, dead);
}

/** Adds to what was lost what is known of those whose departure is forgotten. */
export function with_forgotten(
  slots: SwarmPlan['slots'],
  forgotten: readonly Departed[],
  planned: PlannedBy,
): SwarmPlan['slots'] {
  if (forgotten.every((one) => one.slots === undefined)) return slots;
  const lost = lost_slots({ slots, departed: forgotten, members: {}, rates: {}, stage: 'open', run_ms: 0 }, planned);
  return Object.fromEntries(Object.entries(slots).map(([key, one]) => [key, { ...one, lost: lost[key]! }]));
}

class SlotsOfAction {
  readonly #before: ActionSlots;
  readonly #tenures: Tenures;
  readonly #ended: Record<MemberId, number>;
  #last_id: number;

  constructor(before: ActionSlots, parts: readonly Weighted[]) {
    this.#before = before;
    this.#last_id = before.last_id;
    this.#ended = { ...before.ended };
    this.#tenures = new Tenures(before, () => ++this.#last_id);
    this.#tenures.members = parts;
  }

  get state(): ActionSlots {
    return { ...this.#tenures.state, last_id: this.#last_id, ended: this.#ended, lost: this.#before.lost };
  }

  deal(parts: readonly Weighted[], run_ms: number): void {
    this.#tenures.deal(parts, run_ms);
  }

  /** Those that an agent has ended go to their heirs. */
  heard(id: MemberId, { stretches }: SlotsWord[string]): void {
    if (stretches.every(({ closed }) => closed === null)) return;
    const over = this.#of(id).flatMap((held) => {
      const closed = stretches.find((one) => one.id === held.id)?.closed ?? null;
      return closed === null || closed < held.first - 1 ? [] : [{ held, closed }];
    });
    if (over.length === 0) return;
    this.#end(id, sum(over.map(({ held, closed }) => slots_in(held, held.first, closed))));
    this.#tenures.closed(
      id,
      over.map(({ held, closed }) => ({ id: held.id, at: closed, closed })),
    );
  }

  /** Its places go to others, behind what is due by now. Returns how many slots were its own. */
  died(id: MemberId, word: SlotsWord[string] | null, due: number): number {
    if (word !== null) this.heard(id, word);
    const held = this.#of(id);
    const at_of = ({ id: tenure }: HeldTenure): number => word?.stretches.find((one) => one.id === tenure)?.at ?? 0;
    const last = Math.max(due, ...held.map(at_of));
    const own = counted((this.#ended[id] ?? 0) + sum(held.map((one) => slots_in(one, one.first, last))));
    delete this.#ended[id];
    if (held.length > 0 || this.#tenures.state.layout.some(({ owner }) => owner === id))
      this.#tenures.died(id, [], last);
    return own;
  }

  #of(id: MemberId): HeldTenure[] {
    return this.#tenures.state.held.filter(({ owner }) => owner === id);
  }

  #end(id: MemberId, slots: number): void {
    this.#ended[id] = counted((this.#ended[id] ?? 0) + slots);
  }
}

/** Whatever an agent says: sums of it stay whole numbers. */
const counted = (slots: number): number => Math.min(slots, 2 ** 52);

/** From one slot to another, both included. */
const slots_in = (places: Places, first: number, last: number): number =>
  last < first ? 0 : part_of(places, last) - part_of(places, first - 1);

/** Who can fire slots: by the clients that each is ordered to hold, by what each can hold while nobody shall have any. */
function parts_of(
  { held }: ActionSlots,
  group: string,
  members: SwarmPlan['members'],
  old: SwarmPlan,
  drained: readonly MemberId[],
  known: ReadonlyMap<MemberId, KnownAgent>,
): Weighted[] {
  const owners = new Set(held.map(({ owner }) => owner));
  const there = Object.entries(members).flatMap(([id, { incarnation, groups }]) => {
    const presence = known.get(id)?.presence;
    const plays = presence?.incarnation === incarnation && presence.ready === old.run.id;
    if (!plays && !owners.has(id)) return [];
    const leaves = !plays || presence.leaving || drained.includes(id);
    return [{ id, clients: groups[group]?.ramp.to ?? 0, capacity: leaves ? 0 : presence.capacity }];
  });
  there.sort((a, b) => (a.id < b.id ? -1 : 1));
  const by_clients = there.some(({ clients }) => clients > 0);
  return there.map(({ id, clients, capacity }) => ({ id, weight: by_clients ? clients : capacity }));
}

/** What an incarnation says of an action; null: nothing. */
function word_of(
  id: MemberId,
  incarnation: string,
  key: string,
  known: ReadonlyMap<MemberId, KnownAgent>,
): SlotsWord[string] | null {
  const presence = known.get(id)?.presence;
  return presence?.incarnation === incarnation ? (presence.slots?.[key] ?? null) : null;
}

/** Of the members that are planned, without those that are `gone`. */
const words_of = (
  { members }: SwarmPlan,
  key: string,
  known: ReadonlyMap<MemberId, KnownAgent>,
  gone: readonly Departed[] = [],
): [MemberId, SlotsWord[string]][] =>
  Object.entries(members).flatMap(([id, { incarnation }]) => {
    const word = gone.some(({ agent }) => agent === id) ? null : word_of(id, incarnation, key, known);
    return word === null ? [] : [[id, word]];
  });

/**
 * After the engine lost its memory: what agents say that they have is theirs. Of places that none of them has, nobody
 * knows who fired what since: they begin behind all that is due, and what was due since is lost. `before`: as it was
 * written from memory.
 */
function told_anew(
  before: ActionSlots,
  words: readonly [MemberId, SlotsWord[string]][],
  { run_ms, rates }: SwarmPlan,
  key: string,
  due: number,
): ActionSlots {
  const claims = words
    .flatMap(([owner, { stretches }]) => stretches.map((stretch) => ({ owner, ...stretch })))
    .sort((a, b) => a.from - b.from);
  const told = claims.filter(({ from }, i) => from >= Math.max(0, ...claims.slice(0, i).map(({ to }) => to)));
  const goes_on = ({ closed }: StretchAccount): boolean => closed === null;
  const last = Math.max(due, ...told.map(({ at }) => at));
  const piece = rates[key]?.piece;
  const known = piece === undefined ? 0 : slots_by(piece, run_ms * 1000);
  const free = told.flatMap(({ from, to, closed }) => (closed === null ? [] : [{ from, to, first: closed + 1 }]));
  // whoever has ended nothing since then has not begun it; of others nobody knows who had it after them
  const begins = ({ owner, first }: HeldTenure): number => {
    const word = words.find(([id]) => id === owner)?.[1];
    return word?.ended === (before.ended[owner] ?? 0) ? first : known + 1;
  };
  let lost = before.lost;
  for (const gap of gaps_of(told)) {
    free.push({ ...gap, first: last + 1 });
    for (const one of [...before.held.map((held) => ({ ...held, first: begins(held) })), ...before.free]) {
      const both = { from: Math.max(gap.from, one.from), to: Math.min(gap.to, one.to) };
      if (both.from < both.to) lost += slots_in(both, one.first, last);
    }
  }
  const ended = words.map(([owner, word]) => {
    const over = told.filter((one) => one.owner === owner && one.closed !== null);
    return [owner, counted(word.ended + sum(over.map((one) => slots_in(one, one.first, one.closed!))))] as const;
  });
  return {
    held: told
      .filter(goes_on)
      .map(({ id, from, to, first, owner }) => ({ id, from, to, first, owner, closing: false })),
    free,
    layout: [],
    dealt_ms: before.dealt_ms,
    last_id: before.last_id + MISSED_TENURES,
    ended: Object.fromEntries(ended),
    lost: counted(lost),
  };
}

function gaps_of(told: readonly Places[]): Places[] {
  const ends = [...told, { from: WHOLE.to, to: WHOLE.to }];
  return ends.flatMap(({ from: to }, i) => {
    const from = i === 0 ? WHOLE.from : ends[i - 1]!.to;
    return from < to ? [{ from, to }] : [];
  });
}
