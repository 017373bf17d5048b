/** What an agent told, as a coordinator shows it: by its own clock, and by the names of the whole swarm. Pure. */
import type { Dead } from '../../metrics/merge-snapshots.ts';
import { LATEST_MS } from '../../metrics/snapshot-shape.ts';
import type { Snapshot } from '../../metrics/snapshot.ts';
import type { WorkerSummary } from '../../metrics/summary.ts';
import type { MemberId } from '../../swarm/plan/run-spec.ts';
import { STALLED_AFTER_MS } from '../../swarm/squad/members.ts';

/** What an agent says its clock is may be anything; no instant is outside what a summary can say. */
export function shifted(snapshot: Snapshot, ahead_ms: number): Snapshot {
  const kinds = Object.entries(snapshot.errors);
  if (ahead_ms === 0 || kinds.length === 0) return snapshot;
  const errors = kinds.map(([code, { last_at, ...kind }]) => [
    code,
    { ...kind, last_at: Math.min(Math.max(last_at - ahead_ms, 0), LATEST_MS) },
  ]);
  return { ...snapshot, errors: Object.fromEntries(errors) as Snapshot['errors'] };
}

/** Its dead workers by the names they have in the whole swarm. */
export function named_after(dead: Dead, agent: MemberId): Dead {
  return { ...dead, workers: dead.workers.map((lost) => ({ ...lost, worker: `${agent}/${lost.worker}` })) };
}

/** A worker of an agent that was silent for so long is at least as silent. */
export function as_seen(worker: WorkerSummary, agent: MemberId, silent_ms: number): WorkerSummary {
  const stalled = silent_ms > STALLED_AFTER_MS && worker.state === 'up';
  return {
    ...worker,
    id: `${agent}/${worker.id}`,
    silent_ms: worker.silent_ms + silent_ms,
    state: stalled ? 'stalled' : worker.state,
  };
}
