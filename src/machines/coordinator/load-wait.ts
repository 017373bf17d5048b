/** Whether a wait of a load is over: for the leader, who alone decides it. */
import type { Reached } from '../../metrics/reached.ts';
import type { NamedSharing } from '../../swarm/plan/intent.ts';
import { advancing, awaited, judge_wait } from '../../swarm/plan/load-play.ts';
import type { Desired } from '../store/documents.ts';

/** agents report once a second */
const LOOK_MS = 500;

/** One per term: the time in which nobody led does not count as waited for. */
export class LoadWait {
  readonly #groups: readonly NamedSharing[];
  readonly #now: (stored: Desired, run_ms: number) => Desired;
  /** the wait that was seen last, and since when, ms of run time */
  #seen: { readonly key: string; readonly since_ms: number } | null = null;
  #looked_at = -Infinity;
  #is_first = true;

  constructor(groups: readonly NamedSharing[]) {
    this.#groups = groups;
    this.#now = advancing<Desired>(groups);
  }

  /** As {@link judge_wait}; at most twice a second it asks how many are `reached`. `now`: ms, monotonic. */
  judge(stored: Desired, run_ms: number, now: number, reached: () => Reached): string | null {
    const desired = this.#now(stored, run_ms);
    const { load } = desired;
    const was_first = this.#is_first;
    this.#is_first = false;
    if (load === null || load.frozen_ms !== null || awaited(desired) === null) return null;
    const key = `${load.number} ${load.step}`;
    // it may have begun before this term: the leader before may have been gone for long
    if (this.#seen?.key !== key) this.#seen = { key, since_ms: was_first ? run_ms : load.step_ms };
    if (now - this.#looked_at < LOOK_MS) return null;
    this.#looked_at = now;
    const since = Math.max(this.#seen.since_ms, load.step_ms);
    return judge_wait({ ...desired, load: { ...load, step_ms: since } }, this.#groups, run_ms, reached());
  }
}
