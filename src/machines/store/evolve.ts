/**
 * What becomes of a plan by itself while a load plays: agents and leader go from one piece of it to the next without a
 * word, at the same run time and to the same numbers. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { map_groups } from '../../metrics/groups.ts';
import { is_ending, planned_of, type NamedSharing, type Steered } from '../../swarm/plan/intent.ts';
import { advance, piece_at, type Piece } from '../../swarm/plan/load-play.ts';
import type { PlayedRate } from '../../swarm/plan/rate-piece.ts';
import { planned_at, type Ramp } from '../../swarm/plan/ramp.ts';
import type { MemberShare, SwarmPlan } from './documents.ts';

/** Follows the newest plan; what it has become is not worked out twice. */
export class EvolvingPlan {
  #plan: SwarmPlan | null = null;
  #now: SwarmPlan | null = null;

  /** What `plan` is at `run_ms`, ms of run time, which does not go back. */
  at(plan: SwarmPlan, run_ms: number): SwarmPlan {
    if (plan !== this.#plan) {
      // what is drawn of Poisson slots is kept with their pieces
      const rates = map_groups(plan.rates, (rate, key) => the_same_rate(this.#now?.rates[key] ?? rate, rate));
      this.#now = Object.keys(rates).length === 0 ? plan : { ...plan, rates };
    }
    this.#plan = plan;
    return (this.#now = evolve(this.#now!, run_ms));
  }
}

const the_same_rate = (known: PlayedRate, now: PlayedRate): PlayedRate => (isDeepStrictEqual(known, now) ? known : now);

/** The same object if nothing has changed. */
export function evolve(plan: SwarmPlan, run_ms: number): SwarmPlan {
  let now = plan;
  while (now.piece_ms !== null && now.piece_ms <= run_ms && !is_ending(now)) now = next_piece(now, now.piece_ms);
  return advance(now, now.groups, run_ms);
}

/** The piece that begins at `at_ms`. If nobody said what each member has at its end, all stay as they are. */
function next_piece(plan: SwarmPlan, at_ms: number): SwarmPlan {
  const now = advance(plan, plan.groups, at_ms);
  const piece = piece_at(now, now.groups, at_ms);
  const wanted = now.ahead.findIndex((targets) => targets.join() === piece.targets.join());
  if (wanted < 0 || is_ending(now)) return { ...now, piece_ms: null };
  const courses = courses_of(plan, now, now.groups, piece, at_ms);
  const by_name = new Map(now.groups.map(({ name }, g) => [name, courses[g]!]));
  const members = map_groups(now.members, (entry) => at_piece(entry, wanted, by_name, at_ms));
  return { ...now, piece_ms: piece.until_ms, members };
}

function at_piece(
  entry: MemberShare,
  wanted: number,
  courses: ReadonlyMap<string, GroupCourse>,
  at_ms: number,
): MemberShare {
  const groups = map_groups(entry.groups, (own, name) => {
    const share = own.at?.[wanted] ?? own.share;
    return { ...own, share, ramp: next_ramp(own.ramp, share, Infinity, courses.get(name) ?? NO_COURSE, at_ms) };
  });
  return { ...entry, groups };
}

/** How the clients of a group go on from a moment, all agents together. */
interface GroupCourse {
  /** until when they follow a ramp; null: there is none */
  readonly until_ms: number | null;
  /** wanted just before, from that moment on, and at the end */
  readonly before: number;
  readonly start: number;
  readonly end: number;
  /** of what has to grow, the part that is wanted by now and had to wait for others to shrink; 0 to 1 */
  readonly overdue: number;
}

const NO_COURSE: GroupCourse = { until_ms: null, before: 0, start: 0, end: 0, overdue: 0 };

/** By group. `before`, `now`: what was and what is wanted at `run_ms`. `overdue`: see {@link GroupCourse}. */
export function courses_of(
  before: Steered,
  now: Steered,
  groups: readonly NamedSharing[],
  piece: Piece,
  run_ms: number,
  overdue: (group: number, start: number) => number = () => 0,
): readonly GroupCourse[] {
  const [was, is] = [planned_of(before, groups, run_ms), planned_of(now, groups, run_ms)];
  return piece.targets.map((end, g) => {
    const [before, start] = [was[g]!, is[g]!];
    return { until_ms: piece.ramps[g]! ? piece.until_ms : null, before, start, end, overdue: overdue(g, start) };
  });
}

/** Where an agent's ramp from `held` to `to` begins, if more or fewer are wanted at once beside a ramp. */
function jumped(held: number, to: number, { before, start, end, overdue }: GroupCourse): number {
  if (start < before) return Math.min(held, Math.floor((held * start) / before));
  if (to <= held) return held;
  const asked = start > before && end > before ? (start - before) / (end - before) : 0;
  return held + Math.floor((to - held) * Math.min(1, Math.max(asked, overdue)));
}

/**
 * The old one goes on if it leads where it shall, so that a plan for others does not bend it. A new one never begins
 * above what the agent may be running: its clock may be ahead of ours, and what it gave up belongs to others.
 */
export function next_ramp(old: Ramp | undefined, to: number, may: number, course: GroupCourse, run_ms: number): Ramp {
  const { until_ms, before, start } = course;
  if (old && old.to === to && old.end_ms === until_ms && start === before) return old;
  const held = old === undefined ? 0 : Math.min(planned_at(old, run_ms), Math.max(may, to));
  const from = jumped(held, to, course);
  const is_ramping = until_ms !== null && from !== to;
  const end_ms = is_ramping ? until_ms : 0;
  if (old && old.to === to && (old.end_ms === end_ms || (end_ms === 0 && run_ms >= old.end_ms))) return old;
  return is_ramping ? { from, to, start_ms: run_ms, end_ms } : { from: to, to, start_ms: 0, end_ms: 0 };
}

export const is_same_ramp = (a: Ramp, b: Ramp): boolean =>
  a.from === b.from && a.to === b.to && a.start_ms === b.start_ms && a.end_ms === b.end_ms;
