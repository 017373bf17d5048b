/** Clients that arrive at a rate, play the iterations of their group and leave: in which group, and at which rate. Pure. */
import type { Command, NoArrivals, NoRate } from '../../grammar/command.ts';
import type { RateStep } from '../../grammar/load-text.ts';
import { name_in_run } from '../../metrics/groups.ts';
import type { NamedSharing, Steered } from './intent.ts';
import { ARRIVALS } from './orders.ts';
import { find_rated, rate_key, retimed, type SteeredRate } from './rated-actions.ts';

export type ArriveCommand = Extract<Command, { readonly op: 'arrive' }>;

/** A group in which clients may arrive. */
export interface ArrivingGroup extends SteeredRate {
  readonly group: string;
}

/**
 * Where clients arrive: in the group of this name; undefined: in the one that has iterations. `has_agents`: it is a swarm
 * of many machines.
 */
export function find_arriving(
  groups: readonly NamedSharing[],
  name: string | undefined,
  has_agents: boolean,
): ArrivingGroup | NoArrivals {
  if (has_agents) return { ok: false, code: 'one_machine' };
  const open = groups.flatMap(({ name: group, arrivals }): ArrivingGroup[] =>
    typeof arrivals === 'object' ? [{ ...arrivals, group, key: rate_key(group, ARRIVALS) }] : [],
  );
  const found = name === undefined && open.length === 1 ? open[0] : open.find(({ group }) => group === name);
  if (found !== undefined) return found;
  const names = groups.map((group) => group.name);
  if (name === undefined && open.length > 1)
    return { ok: false, code: 'which_group', names: open.map(({ group }) => group) };
  const meant =
    name === undefined && groups.length > 1 ? null : groups.find((group) => group.name === (name ?? names[0]));
  if (meant === undefined) return { ok: false, code: 'no_such_group', group: name ?? '', names };
  const in_all = meant?.arrivals === 'iterations_in_all';
  return { ok: false, code: 'no_iterations', group: meant && meant.name, in_all };
}

/** What a command makes of it, at `run_ms`. */
export function arriving(
  before: Steered['rates'],
  found: ArrivingGroup,
  command: ArriveCommand,
  run_ms: number,
): Steered['rates'] {
  const rates = retimed(before, found, command, run_ms);
  const { at_most } = command;
  return at_most === null ? rates : { ...rates, [found.key]: { ...rates[found.key]!, at_most } };
}

/** The rate that a command is about, and what it is called. */
export function find_rate(
  groups: readonly NamedSharing[],
  command: RateStep,
  has_agents: boolean,
): { readonly key: string; readonly called: string; readonly arrive?: true } | NoRate | NoArrivals {
  if ('action' in command) return find_rated(groups, command.action);
  const found = find_arriving(groups, command.in, has_agents);
  return 'key' in found ? { key: found.key, called: name_in_run(found.group, 'arrivals'), arrive: true } : found;
}
