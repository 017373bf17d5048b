/**
 * What the operators want of a swarm, as one value. On one machine the coordinator holds it, on many the engine stores
 * it. `carry_out` makes the next one of it; a load that plays makes more as time passes (`load-play.ts`); planners
 * follow it. Pure.
 */
import { group_targets, type Sharing } from './numbering.ts';
import type { BoundedPiece, Orders } from './orders.ts';
import { planned_at, type Ramp } from './ramp.ts';
import type { PlayedRate } from './rate-piece.ts';

/** Clients that were asked for together, of the whole swarm. */
export interface Sum {
  readonly target: number;
  /** to `target`, in ms of run time; null: at the connect rate */
  readonly ramp: Ramp | null;
  /** how many of them belong on agents with a label, by label */
  readonly labelled: Readonly<Record<string, number>>;
}

/** What a load steers, and where it is. Its own `target`, `ramp` and `labelled` are of clients in all groups by share. */
export interface Steered extends Sum {
  /**
   * By group: clients that were asked for by its name, beside its part of the others; below 0: so many fewer than its
   * part. Groups of which none were have no entry.
   */
  readonly own: Readonly<Record<string, Sum>>;
  readonly phase: Orders['phase'];
  /** clients that are too many end their iteration first */
  readonly graceful: boolean;
  /** of the whole swarm */
  readonly connect_per_s: number;
  /** counts the commands that had fatal clients start again */
  readonly retry_fatal: number;
  /** the newest; `at_ms` since the epoch, `seq` counts them */
  readonly mark: { readonly text: string; readonly at_ms: number; readonly seq: number } | null;
  /**
   * Of actions that have a rate: by `group.index`, see `rate_key`. One that has not begun has no entry: those of the
   * script begin with the first command or step that wants clients, or with a command about it before that. Those of
   * clients that arrive begin with a command
   */
  readonly rates: Readonly<Record<string, KeptRate>>;
  /** null: none was begun */
  readonly load: Play | null;
}

/** `at_most`: of clients that arrive, how many may be there at a time; left out: as many as fit. */
export interface KeptRate extends PlayedRate {
  readonly at_most?: number;
}

/** A load that plays. */
export interface Play {
  /** see `read_load` */
  readonly text: string;
  /** counts the loads of the run, from 1 */
  readonly number: number;
  /** number of the step that goes on, from 0; as many as there are steps: all are over */
  readonly step: number;
  /** ms of run time when this step began */
  readonly step_ms: number;
  /** ms since the epoch at run time 0, by the clock of who began it */
  readonly epoch_ms: number;
  /** since when its time stands still, as somebody paused the swarm by hand, ms of run time; null: it goes on */
  readonly frozen_ms: number | null;
  /** the most clients that fitted when it began, of the whole swarm */
  readonly most: number;
  /** the highest connect rate that was allowed then, per second */
  readonly most_per_s: number;
  /** somebody ended it by hand, in this step */
  readonly is_ended: boolean;
  /** why it was given up; null: it was not */
  readonly failed: string | null;
}

export interface Intent extends Steered {
  /** counts the commands that had all shares worked out anew */
  readonly rebalance: number;
  /** agents that shall hold nothing */
  readonly drained: readonly string[];
  /** incarnations of agents that an operator declared dead, the newest {@link MAX_EVICTED} */
  readonly evicted: readonly string[];
}

export const MAX_LABELS = 32;
export const MAX_EVICTED = 100;

export const NO_CLIENTS: Sum = { target: 0, ramp: null, labelled: {} };

/** Before the first command. */
export const first_intent = (connect_per_s: number, is_paused = false): Intent => ({
  ...NO_CLIENTS,
  own: {},
  phase: is_paused ? 'pause' : 'run',
  graceful: false,
  connect_per_s,
  retry_fatal: 0,
  mark: null,
  rates: {},
  load: null,
  rebalance: 0,
  drained: [],
  evicted: [],
});

/** An action as far as commands go. */
export interface NamedAction {
  /** position in its group */
  readonly index: number;
  readonly loop: string;
  /** its own, without group and loop */
  readonly name: string;
  /** with which it begins; null: it is played in turn */
  readonly rate: {
    /** slots in 10⁶ s */
    readonly to_rate: number;
    readonly is_poisson: boolean;
    /** the key of its Poisson draws; null: it is only looked at, and its slots come evenly */
    readonly draws: number | null;
  } | null;
}

/** How clients may arrive in a group: `draws` as of {@link NamedAction}; or why they may not. */
export type NamedArrivals = { readonly draws: number | null } | 'no_iterations' | 'iterations_in_all';

/** A group by name, as far as what is wanted of it goes. `actions`, `arrivals` left out: it has no rates. */
export type NamedSharing = Sharing & {
  readonly name: string;
  readonly actions?: readonly NamedAction[];
  readonly arrivals?: NamedArrivals;
};

type Clients = Pick<Steered, 'target' | 'ramp' | 'own'> & Partial<Pick<Steered, 'load'>>;

/** The moment on whose ramps everybody stands: where they are when a load was paused by hand. */
export const ramp_ms = ({ load }: Partial<Pick<Steered, 'load'>>, run_ms: number): number =>
  Math.min(run_ms, load?.frozen_ms ?? Infinity);

/** The clients asked for at the end of all ramps, by group. */
export const targets_of = (wanted: Clients, groups: readonly NamedSharing[]): number[] =>
  by_group(wanted, groups, ({ target }) => target);

/** The clients asked for at this moment, by group. */
export const planned_of = (wanted: Clients, groups: readonly NamedSharing[], run_ms: number): number[] =>
  by_group(wanted, groups, ({ target, ramp }) => (ramp === null ? target : planned_at(ramp, ramp_ms(wanted, run_ms))));

function by_group(
  wanted: Clients,
  groups: readonly NamedSharing[],
  of: (sum: Omit<Sum, 'labelled'>) => number,
): number[] {
  return group_targets(groups, of(wanted)).map((part, g) => {
    const own = wanted.own[groups[g]!.name];
    return own === undefined ? part : Math.max(0, part + of(own));
  });
}

/** All clients asked for, at the end of all ramps. */
export const target_of = (wanted: Clients, groups: readonly NamedSharing[]): number =>
  targets_of(wanted, groups).reduce((all, target) => all + target, 0);

/** How many clients belong on agents with a label, by label and, for each, of all groups and of single ones. */
export function labels_of({ labelled, own }: Pick<Steered, 'labelled' | 'own'>): Map<string, number> {
  const all = new Map(Object.entries(labelled));
  for (const sum of Object.values(own))
    for (const [label, clients] of Object.entries(sum.labelled)) all.set(label, (all.get(label) ?? 0) + clients);
  return all;
}

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
  readonly rates: WantedRates;
}

/**
 * When slots are due, by group in the order of the run and by index as in orders, of those rates that have begun. In
 * order of time, at least 1 and at most {@link MAX_PIECES}: what goes on, and what comes next as far as it is known.
 * Each holds until the next one begins. The same object as long as nothing of it changes.
 */
export type WantedRates = readonly Readonly<Record<number, readonly BoundedPiece[]>>[];
export const MAX_PIECES = 16;

export const NOTHING_WANTED: Wanted = {
  phase: 'run',
  groups: [],
  graceful: false,
  connect_per_s: 0,
  retry_fatal: 0,
  rates: [],
};
