/** The answers to commands that change something: the text after `OK`, or a code and the text after `ERR`. Pure. */
import { MAX_WORKERS } from '../../foundation/open-files.ts';
import type { Reply } from '../../grammar/command.ts';
import type { Bound } from '../../metrics/summary.ts';
import { whole_of, type Segment } from './segment.ts';

/** The most clients a swarm can be asked for. */
export const MAX_TARGET = 10_000_000;
/** most members named in one answer */
const MAX_NAMED = 5;

/** How many clients fit, and why not more. */
export interface Room {
  /** clients that all members together can hold */
  readonly capacity: number;
  /** what bounds it: `open files 20000 per process` */
  readonly why: string;
  /** the largest capacity of one member */
  readonly per_member: number;
  readonly members: number;
  /** the option that gives more members */
  readonly more_by: '--workers' | '--max-workers';
  /** the bounds of the machine, the tightest first */
  readonly bounds: readonly Bound[];
}

export const ok = (text: string): Reply => ({ ok: true, text });
export const err = (code: string, text: string): Reply => ({ ok: false, code, text });

/** The target after a command, and the answer. The target stays as it was when the answer is not ok. */
export interface Aim {
  readonly target: number;
  readonly answer: Reply;
}

/**
 * `asked`: the number as typed; `wanted`: the target it means; `had`: the target so far. Growth ends where the system
 * would refuse more. Beyond an estimate it goes on, and the answer says so.
 */
export function aim(asked: number, wanted: number, had: number, room: Room): Aim {
  if (wanted < 0) return { target: 0, answer: ok(`target 0 (asked ${asked}, had ${had})`) };
  const { most, code, why } = ceiling(wanted, had, room);
  const target = Math.min(wanted, most);
  if (target === wanted) return { target, answer: ok(`target ${target}${doubt(target, had, room.bounds)}`) };
  if (wanted > had && target <= had)
    return { target: had, answer: err(code, `nothing fits: target ${had} (asked ${asked}: ${why})`) };
  return { target, answer: ok(`target ${target} (asked ${asked}${had > 0 ? `, had ${had}` : ''}: ${why})`) };
}

/** The highest target that can be reached. */
function ceiling(wanted: number, had: number, room: Room): { most: number; code: string; why: string } {
  const hard = wanted > had ? room.bounds.find((bound) => bound.hard) : undefined;
  const least = Math.min(MAX_TARGET, room.capacity);
  if (hard && hard.connections < least)
    return { most: hard.connections, code: hard.code, why: `${hard.what}: ${hard.why}; try ${hard.lift}` };
  if (room.capacity < MAX_TARGET) return { most: least, code: 'limit_files', why: why_full(wanted, room) };
  return { most: MAX_TARGET, code: 'limit_clients', why: `at most ${MAX_TARGET} clients` };
}

function doubt(target: number, had: number, bounds: readonly Bound[]): string {
  const estimate = bounds.find((bound) => !bound.hard);
  if (!estimate || target <= had || target <= estimate.connections) return '';
  return ` (${estimate.what} may not suffice: about ${estimate.connections} fit; try ${estimate.lift})`;
}

function why_full(wanted: number, { why, per_member, members, more_by }: Room): string {
  const enough = Math.ceil(Math.min(wanted, MAX_TARGET) / per_member);
  return enough > members && enough <= MAX_WORKERS ? `${why}; try ${more_by} ${enough}` : why;
}

/** The room of this process' segment as targets of the whole swarm, as which `--max-connections` is given already. */
export function over_whole(room: Room, segment: Segment): Room {
  const whole = (clients: number): number => whole_of(segment, clients);
  const bounds = room.bounds.map((bound) =>
    bound.code === 'limit_connections' ? bound : { ...bound, connections: whole(bound.connections) },
  );
  bounds.sort((a, b) => a.connections - b.connections || Number(b.hard) - Number(a.hard));
  return { ...room, capacity: whole(room.capacity), per_member: whole(room.per_member), bounds };
}

/** If this process holds a segment, adds its own part: `… (segment 2/5: 200 here)`. */
export function with_here(text: string, segment: Segment, here: number): string {
  return segment.text === null ? text : `${text} (segment ${segment.text}: ${here} here)`;
}

/** Adds how many workers are on their way: `…, 4 workers are starting`. */
export function with_starting(text: string, starting: number): string {
  return starting === 0 ? text : `${text}, ${starting === 1 ? '1 worker is' : `${starting} workers are`} starting`;
}

/** A member whose acknowledgement an answer waited for. */
export interface Acknowledger {
  readonly id: string;
  /** null: not heard from; `absent_text` says why */
  readonly account: unknown;
  readonly absent_text: string;
  /** ms, by the clock of `now` */
  readonly heard_at: number;
}

/** Adds who did not acknowledge, if any: `…, 1 of 2 workers acknowledged (w2 silent 3 s)`. */
export function with_acks(
  text: string,
  members: readonly Acknowledger[],
  late: readonly Acknowledger[],
  now: number,
): string {
  if (members.length === 0) return `${text}, but no worker is up`;
  if (late.length === 0) return text;
  const named = late.slice(0, MAX_NAMED).map((member) => {
    if (!member.account) return member.absent_text;
    const silent_s = Math.round((now - member.heard_at) / 1000);
    return silent_s < 2 ? `${member.id} is still working on it` : `${member.id} silent ${silent_s} s`;
  });
  if (late.length > MAX_NAMED) named.push(`and ${late.length - MAX_NAMED} more`);
  return `${text}, ${members.length - late.length} of ${members.length} workers acknowledged (${named.join(', ')})`;
}

/** `stopping, within 12 s`. `teardown_ms`: what the module's teardown may take after that; null: it has none. */
export function stopping(at_once: boolean, within_ms: number, teardown_ms: number | null): string {
  const teardown = teardown_ms === null ? '' : `, then teardown of the module within ${seconds(teardown_ms)}`;
  return `${at_once ? 'stopping now' : `stopping, within ${seconds(within_ms)}`}${teardown}`;
}

/** `10 s`, `0.5 s` */
export const seconds = (ms: number): string => `${Number((ms / 1000).toFixed(1))} s`;
