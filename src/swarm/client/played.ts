/** What clients of a group play, as their players need it: made once for all of them. */
import { make_draws } from '../../foundation/draws.ts';
import { MAIN } from '../../metrics/groups.ts';
import { actions_of, type Action, type GroupScript } from '../../script/types.ts';
import type { GroupSpec } from '../plan/run-spec.ts';
import type { PlayedLoop } from './player.ts';

/** At least one. `once`: each is played once. */
export function played_loops({ loops }: GroupScript, seed: string, once: boolean): readonly PlayedLoop[] {
  let end = 0;
  return loops.map(({ name, actions, iterations, sleep_between_iterations }) => {
    const first = end;
    end += actions.length;
    // by name, so that another loop beside it changes nothing of what this one draws
    const draws = make_draws(seed, name === MAIN ? '' : ` ${name}`);
    const only_slots = !once && actions.every(({ rate }) => rate !== null);
    return { first, end, only_slots, iterations: once ? 1 : iterations, sleep_between_iterations, draws };
  });
}

/** By their index. `once`: each rated one is played in turn, for one round. */
export function played_actions(script: GroupScript, once: boolean): readonly Action[] {
  const actions = actions_of(script);
  if (!once) return actions;
  return actions.map((action) => (action.rate === null ? action : { ...action, rounds: [1, 1], rate: null }));
}

/**
 * How many iterations of a group's `iterations_in_all` are the client's whose index in the group, over all machines, is
 * `index`: the first `among` clients have equal parts, the first of them one more where that does not work out.
 */
export function part_of_iterations(iterations_in_all: number, among: GroupSpec['among'], index: number): number {
  const clients = among ?? 1;
  if (index > clients) return 0;
  return Math.floor(iterations_in_all / clients) + (index <= iterations_in_all % clients ? 1 : 0);
}
