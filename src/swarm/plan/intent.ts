/**
 * What the operators want of a swarm, as one value. On one machine the coordinator holds it, on many the engine stores
 * it. `carry_out` makes the next one of it; planners follow it. Pure.
 */
import { targets_here, type Sharing } from './numbering.ts';
import type { Orders } from './orders.ts';
import { planned_at, type Ramp } from './ramp.ts';
import { rate_of, type Segment } from './segment.ts';

export interface Intent {
  /** clients of the whole swarm */
  readonly target: number;
  /** how many of them belong on agents with a label, by label; at most {@link MAX_LABELS} */
  readonly labelled: Readonly<Record<string, number>>;
  /** to `target`, in ms of run time; null: at the connect rate */
  readonly ramp: Ramp | null;
  readonly phase: Orders['phase'];
  /** clients that are too many end their iteration first */
  readonly graceful: boolean;
  /** of the whole swarm */
  readonly connect_per_s: number;
  /** counts the commands that had fatal clients start again */
  readonly retry_fatal: number;
  /** the newest; `at_ms` since the epoch, `seq` counts them */
  readonly mark: { readonly text: string; readonly at_ms: number; readonly seq: number } | null;
  /** counts the commands that had all shares worked out anew */
  readonly rebalance: number;
  /** agents that shall hold nothing */
  readonly drained: readonly string[];
  /** incarnations of agents that an operator declared dead, the newest {@link MAX_EVICTED} */
  readonly evicted: readonly string[];
}

/** The most clients a swarm can be asked for. */
export const MAX_TARGET = 10_000_000;
export const MAX_LABELS = 32;
export const MAX_EVICTED = 100;

/** Before the first command. */
export const first_intent = (connect_per_s: number, is_paused = false): Intent => ({
  target: 0,
  labelled: {},
  ramp: null,
  phase: is_paused ? 'pause' : 'run',
  graceful: false,
  connect_per_s,
  retry_fatal: 0,
  mark: null,
  rebalance: 0,
  drained: [],
  evicted: [],
});

/** The clients asked for at this moment. */
export const planned_of = ({ target, ramp }: Pick<Intent, 'target' | 'ramp'>, run_ms: number): number =>
  ramp === null ? target : planned_at(ramp, run_ms);

/** The clients shall leave. */
export const is_ending = ({ phase }: Pick<Intent, 'phase'>): boolean => phase === 'drain' || phase === 'stop';

/** What the members of one process shall do at one moment. */
export interface Wanted {
  readonly phase: Orders['phase'];
  /** by group, in the order of the run: clients at the end of a ramp, and now */
  readonly groups: readonly { readonly target: number; readonly planned: number }[];
  readonly graceful: boolean;
  /** of all members together */
  readonly connect_per_s: number;
  readonly retry_fatal: number;
}

export const NOTHING_WANTED: Wanted = {
  phase: 'run',
  groups: [],
  graceful: false,
  connect_per_s: 0,
  retry_fatal: 0,
};

/** What this process has to do of it, whose clients are those of `segment`. */
export function wanted_of(intent: Intent, groups: readonly Sharing[], segment: Segment, run_ms: number): Wanted {
  const { phase, graceful, connect_per_s, retry_fatal } = intent;
  const planned = targets_here(groups, segment, planned_of(intent, run_ms));
  const targets = targets_here(groups, segment, intent.target);
  return {
    phase,
    groups: targets.map((target, group) => ({ target, planned: planned[group]! })),
    graceful,
    connect_per_s: rate_of(segment, connect_per_s),
    retry_fatal,
  };
}
