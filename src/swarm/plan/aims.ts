/** What `incr`, `decr` and `set` make of the numbers of clients. The same for a person's command and a load's. Pure. */
import { MAX_TARGET, type Command } from '../../grammar/command.ts';
import {
  MAX_LABELS,
  labels_of,
  NO_CLIENTS,
  ramp_ms,
  planned_of,
  target_of,
  targets_of,
  type NamedSharing,
  type Steered,
  type Sum,
} from './intent.ts';
import { planned_at } from './ramp.ts';

export type TargetCommand = Extract<Command, { readonly op: 'incr' | 'decr' | 'set' }>;

/** What bounds it. */
export interface AimBounds {
  /** clients of the whole swarm */
  readonly most: number;
  /** how many clients those agents can hold that have the label; null: none has it */
  readonly room_on: (label: string) => number | null;
}

export interface Aim {
  readonly steered: Pick<Steered, 'target' | 'ramp' | 'labelled' | 'own' | 'graceful'>;
  /** what the command is about, before it: on that label, of that group, or of all */
  readonly had: number;
  /** what it asks for, below 0 perhaps; and what it gets */
  readonly wanted: number;
  readonly aimed: number;
  /** of the whole swarm, all labels and groups included */
  readonly target: number;
  /** `aimed` is too many labels: nothing must be changed */
  readonly is_over_labels: boolean;
}

export function aim(
  before: Steered,
  command: TargetCommand,
  groups: readonly NamedSharing[],
  run_ms: number,
  bounds: AimBounds,
): Aim {
  const { op, count, over_ms, on, in: group } = command;
  const forgets = op === 'set' && group === undefined && on === undefined;
  const all = target_of(before, groups);
  const sum: Sum = group === undefined ? before : (before.own[group] ?? NO_CLIENTS);
  const had = had_of(before, command, groups, all, forgets);
  const wanted = op === 'incr' ? had + count : op === 'decr' ? had - count : count;
  const others = all - had;
  // more than fit by now stay: nobody shrinks by growing, nor by more than was asked
  const aimed = Math.max(0, Math.min(wanted, Math.max(had, Math.min(bounds.most, MAX_TARGET) - others)));
  const counted = count_sum(before, group, groups, run_ms);
  const planned = forgets ? planned_in_all(before, groups, run_ms) : counted.planned;
  const target = forgets ? aimed : counted.target + aimed - had;
  const cut = on === undefined ? cut_waiting(sum, target, bounds) : { labelled: sum.labelled, gone: 0 };
  const labelled = on === undefined ? cut.labelled : with_label(sum.labelled, on, aimed);
  // those that waited for a label may not have been planned yet
  const from = Math.max(planned - cut.gone, Math.min(planned, target));
  const ramp = over_ms > 0 ? { from, to: target, start_ms: run_ms, end_ms: run_ms + over_ms } : null;
  const next: Sum = { target, ramp, labelled };
  const own = forgets ? {} : group === undefined ? before.own : with_own(before.own, group, next);
  const clients = group === undefined ? { ...next, own } : { ...sum_of(before), own };
  const graceful = op === 'incr' ? before.graceful : op === 'decr' && command.graceful;
  return {
    steered: { ...clients, graceful },
    had,
    wanted,
    aimed,
    target: target_of(clients, groups),
    is_over_labels: labels_of(clients).size > MAX_LABELS,
  };
}

const sum_of = ({ target, ramp, labelled }: Sum): Sum => ({ target, ramp, labelled });

function had_of(
  before: Steered,
  { in: group, on }: TargetCommand,
  groups: readonly NamedSharing[],
  all: number,
  forgets: boolean,
): number {
  const in_group = (): number => targets_of(before, groups)[groups.findIndex(({ name }) => name === group)] ?? 0;
  if (on !== undefined) {
    const { labelled } = group === undefined ? before : (before.own[group] ?? NO_CLIENTS);
    const had = Object.hasOwn(labelled, on) ? labelled[on]! : 0;
    // fewer others may be wanted of the group by now than were taken from it
    return group === undefined ? had : Math.min(had, in_group());
  }
  if (group === undefined) return forgets ? all : before.target;
  return in_group();
}

/** What a sum comes to. No more can be missing of a group than its part of the others. */
function count_sum(
  before: Steered,
  group: string | undefined,
  groups: readonly NamedSharing[],
  run_ms: number,
): { readonly target: number; readonly planned: number } {
  const { target, ramp } = before;
  if (group === undefined)
    return { target, planned: ramp === null ? target : planned_at(ramp, ramp_ms(before, run_ms)) };
  // with its load: in a pause by hand ramps stand still
  const others = { ...before, own: {} };
  const g = groups.findIndex(({ name }) => name === group);
  if (g < 0) return { target: 0, planned: 0 };
  return {
    target: targets_of(before, groups)[g]! - targets_of(others, groups)[g]!,
    planned: planned_of(before, groups, run_ms)[g]! - planned_of(others, groups, run_ms)[g]!,
  };
}

/** Not the sum of the sums: a group of which more were taken than are there now has none, not fewer than none. */
const planned_in_all = (before: Steered, groups: readonly NamedSharing[], run_ms: number): number =>
  planned_of(before, groups, run_ms).reduce((all, clients) => all + clients, 0);

/** A group that has no clients of its own any more, and none on their way, is forgotten. */
function with_own(own: Steered['own'], group: string, next: Sum): Steered['own'] {
  const others = Object.entries(own).filter(([name]) => name !== group);
  const is_nothing = next.target === 0 && next.ramp === null && Object.keys(next.labelled).length === 0;
  return Object.fromEntries(is_nothing ? others : [...others, [group, next]]);
}

/**
 * A smaller target takes those first that wait for an agent with their label: nobody hangs up for them. `gone`: how
 * many of them went.
 */
function cut_waiting(
  before: Sum,
  target: number,
  { room_on }: AimBounds,
): { readonly labelled: Sum['labelled']; readonly gone: number } {
  let less = before.target - target;
  let gone = 0;
  const kept = Object.entries(before.labelled).map(([label, clients]): [string, number] => {
    const waiting = Math.max(0, clients - (room_on(label) ?? 0));
    const cut = Math.max(0, Math.min(waiting, less));
    less -= cut;
    gone += cut;
    return [label, clients - cut];
  });
  return { labelled: labels_within(Object.fromEntries(kept), target), gone };
}

/** What `target` clients have room for: the last label gives way first. */
export function labels_within(labelled: Sum['labelled'], target: number): Sum['labelled'] {
  let left = Math.max(0, target);
  const kept = Object.entries(labelled).map(([label, clients]): [string, number] => {
    const part = Math.min(clients, left);
    left -= part;
    return [label, part];
  });
  return Object.fromEntries(kept.filter(([, clients]) => clients > 0));
}

/** A label that has no clients of its own any more is forgotten. */
function with_label(labelled: Sum['labelled'], on: string, clients: number): Sum['labelled'] {
  const others = Object.entries(labelled).filter(([label]) => label !== on);
  return Object.fromEntries(clients > 0 ? [...others, [on, clients]] : others);
}
