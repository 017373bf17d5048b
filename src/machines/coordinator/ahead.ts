/**
 * What each agent will have of what a load wants next, so that all go on by themselves: as the leader would deal it,
 * piece after piece. Pure.
 */
import { labels_of, type NamedSharing, type Steered } from '../../swarm/plan/intent.ts';
import { piece_at, upcoming, type Coming } from '../../swarm/plan/load-play.ts';
import { sum } from '../../swarm/shares/allocate.ts';
import { share_groups, type Matrix } from '../../swarm/shares/share-groups.ts';
import { MAX_AHEAD, type SwarmPlan } from '../store/documents.ts';
import type { AgentSeat, ShareInput } from './agent-seats.ts';

/** What a load will want, and by each of it, group and seat the part. */
interface Ahead {
  readonly ahead: SwarmPlan['ahead'];
  readonly parts: readonly Matrix[];
}

export const NOTHING_AHEAD: Ahead = { ahead: [], parts: [] };
/** of all agents and groups together: a plan has to fit into the store */
const MAX_AHEAD_PARTS = 20_000;

/**
 * What is said already stays, as long as it can be held: agents go on by it, and nothing need be written. `shares`: by
 * group and seat, now. Clients for labels are dealt by the leader alone.
 */
export function deal_ahead(old: SwarmPlan, seats: readonly AgentSeat[], shares: Matrix, now: ShareInput): Ahead {
  const { desired, groups, run_ms } = now;
  if (labels_of(desired).size > 0 || seats.length === 0) return NOTHING_AHEAD;
  const most = Math.floor(MAX_AHEAD_PARTS / (seats.length * groups.length));
  const coming = coming_from(desired, groups, run_ms, Math.min(MAX_AHEAD, Math.max(2, most)));
  const parts: Matrix[] = [];
  let is_all_said = true;
  for (const { targets, after } of coming) {
    const dealt = after === null ? shares : deal_targets(seats, groups, targets, parts[after]!);
    const said = said_of(old, seats, groups, targets);
    const stays = said !== null && (after === null ? is_same(said, shares) : can_stay(said, dealt, seats));
    if (!stays && !is_free(dealt, targets, seats)) break;
    parts.push(stays ? said : dealt);
    is_all_said &&= stays;
  }
  if (is_all_said && parts.length > 0 && parts.length === coming.length)
    return { ahead: old.ahead, parts: old.ahead.map((targets) => said_of(old, seats, groups, targets)!) };
  return parts.length < 2
    ? NOTHING_AHEAD
    : { ahead: coming.slice(0, parts.length).map(({ targets }) => targets), parts };
}

/** What was found of a state: it is the same while one piece goes on, and a thousand pieces are a while to look through. */
const kept = new WeakMap<Steered, { readonly key: string; readonly coming: readonly Coming[] }>();

function coming_from(
  desired: Steered,
  groups: readonly NamedSharing[],
  run_ms: number,
  most: number,
): readonly Coming[] {
  const key = `${piece_at(desired, groups, run_ms).until_ms} ${most} ${groups.map(({ name }) => name).join(' ')}`;
  const known = kept.get(desired);
  if (known?.key === key) return known.coming;
  const coming = upcoming(desired, groups, run_ms, most);
  kept.set(desired, { key, coming });
  return coming;
}

/** What the old plan says of it; null: not to all of them. */
function said_of(
  { ahead }: SwarmPlan,
  seats: readonly AgentSeat[],
  groups: readonly NamedSharing[],
  targets: readonly number[],
): Matrix | null {
  const wanted = targets.join();
  const n = ahead.findIndex((one) => one.join() === wanted);
  const parts = groups.map(({ name }) => seats.map(({ entry }) => entry?.groups[name]?.at?.[n]));
  return n >= 0 && parts.every((row) => row.every((part) => part !== undefined)) ? parts : null;
}

const is_same = (a: Matrix, b: Matrix): boolean => a.every((row, g) => row.join() === b[g]!.join());

/** It has room, and is as many of each group as would be dealt now. */
const can_stay = (said: Matrix, dealt: Matrix, seats: readonly AgentSeat[]): boolean =>
  said.every((row, g) => sum(row) === sum(dealt[g]!)) &&
  seats.every(({ capacity }, i) => sum(said.map((row) => row[i]!)) <= capacity);

/**
 * Whoever does not hear of it goes on by what it was told before: with all others neither a group nor all together may
 * be more than is wanted then, or than could be before.
 */
function is_free(parts: Matrix, targets: readonly number[], seats: readonly AgentSeat[]): boolean {
  const is_within = (may: readonly number[], part: readonly number[], target: number): boolean =>
    sum(may.map((most, i) => Math.max(most, part[i]!))) <= Math.max(target, sum(may));
  const all = seats.map((_, i) => sum(parts.map((row) => row[i]!)));
  return (
    is_within(
      seats.map(({ may }) => sum(may)),
      all,
      sum(targets),
    ) &&
    parts.every((row, g) =>
      is_within(
        seats.map(({ may }) => may[g]!),
        row,
        targets[g]!,
      ),
    )
  );
}

/** The part of each seat, by group, if it has so many of each now. */
const deal_targets = (
  seats: readonly AgentSeat[],
  groups: readonly NamedSharing[],
  targets: readonly number[],
  held: Matrix,
): Matrix =>
  share_groups(
    groups.map(({ share }, g) => ({ target: targets[g]!, share: share || 1 })),
    held,
    seats,
  );
