/** Who has acknowledged a command, and who has not. Pure. */
import { MAX_MISSING, type Followers, type Missing } from '../../grammar/command.ts';

/** `all` should follow; of `missing` the first are named. */
export function followers_of(kind: Followers['kind'], all: number, missing: readonly Missing[]): Followers {
  const acknowledged = all - missing.length;
  return { kind, of: all, acknowledged, missing: missing.slice(0, MAX_MISSING), starting: 0 };
}
