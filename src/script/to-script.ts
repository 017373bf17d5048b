/** From a file without faults to the frozen {@link Script}: every default filled in. */
import { deep_freeze } from '../foundation/freeze.ts';
import { to_range } from './range.ts';
import { to_rated } from './rated.ts';
import { groups_in, type Raw, type RawAction, type RawGroup, type RawLoop } from './raw.ts';
import { DEFAULT_SIGMA, RANGES, type RangeKey } from './schema.ts';
import type { Action, Distribution, Loop, Range, Script, ScriptGroup, ThinkTime } from './types.ts';

export const to_script = (root: Raw): Script => deep_freeze({ groups: groups_in(root).map(to_group) });

function to_group({ name, raw, protocol, loops }: RawGroup): ScriptGroup {
  let next = 0;
  return {
    name,
    share: (raw['share'] as number | undefined) ?? 1,
    protocol: protocol as string,
    loops: loops.map((loop) => to_loop(loop, (action) => to_action(action, next++))),
    iterations_in_all: (raw['iterations_in_all'] as number | undefined) ?? null,
  };
}

const to_loop = ({ name, raw, actions }: RawLoop, to: (action: RawAction) => Action): Loop => ({
  name,
  actions: actions.map(to),
  iterations: (raw['iterations'] as number | undefined) ?? null,
  sleep_between_iterations: to_time(raw, 'sleep_between_iterations'),
});

/** in turn, of an action with a rate */
const NONE: Range = [0, 0];

function to_action({ raw }: RawAction, index: number): Action {
  const command = raw['command'] as string;
  const rate = to_rated(raw);
  return {
    index,
    name: (raw['name'] as string | undefined) ?? command,
    command,
    args: (raw['args'] ?? {}) as Action['args'],
    rounds: rate === null ? (to_time(raw, 'rounds') as Range) : NONE,
    sleep_between_rounds: rate === null ? to_time(raw, 'sleep_between_rounds') : NONE,
    sleep_after_action: rate === null ? to_time(raw, 'sleep_after_action') : NONE,
    rate,
  };
}

function to_time(raw: Raw, key: RangeKey): ThinkTime {
  const value = (raw[key] ?? RANGES[key].default) as number | Range | Omit<Distribution, 'sigma'>;
  return typeof value === 'object' && 'mean' in value ? { sigma: DEFAULT_SIGMA, ...value } : to_range(value);
}
