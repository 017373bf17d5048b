/** What an operator can ask for, and what became of it, as data. `sentences.ts` says it in words. */

/** The most clients a swarm can be asked for. */
export const MAX_TARGET = 10_000_000;

/**
 * `in`: only of that group; absent = of all, by their shares. `on`: only on agents with that label, in a swarm of many
 * machines; absent = on any. `over_ms`: ramp linearly from the number planned now to the new target in that time; 0 =
 * at the connect rate.
 */
export type Command =
  | { op: 'incr'; count: number; over_ms: number; in?: string; on?: string }
  | { op: 'decr'; count: number; graceful: boolean; over_ms: number; in?: string; on?: string }
  | { op: 'set'; count: number; over_ms: number; in?: string; on?: string }
  /** clients that may connect per second, over the whole swarm; > 0 */
  | { op: 'connect_rate'; per_s: number }
  /**
   * How often an action that has a rate is played over all clients, per second: a whole number of millionths from 0 on.
   * `action`: `[group.][loop.]action`. It gets there in a straight line, from what it is now. `poisson`: as in a Poisson
   * process, else evenly
   */
  | { op: 'rate'; action: string; per_s: number; over_ms: number; poisson: boolean }
  /**
   * How many new clients come per second, beside the target; numbers as of `rate`. Each plays the iterations of its group
   * and leaves. `at_most`: so many of them may be there at a time; null: as many as fit beside the target. `in` absent: of
   * the one group that has iterations
   */
  | { op: 'arrive'; per_s: number; over_ms: number; poisson: boolean; at_most: number | null; in?: string }
  | { op: 'pause' }
  | { op: 'resume' }
  | { op: 'mark'; text: string }
  /** puts a text among the events */
  | { op: 'annotate'; text: string }
  | { op: 'retry_fatal' }
  | { op: 'stop'; now: boolean }
  /** plays a load, which `read_load` takes without fault; ends one: what it has asked for stays */
  | { op: 'load'; text: string }
  | { op: 'load_end' }
  /**
   * in a swarm of many machines: work out the shares anew; let an agent hold nothing, or take part again; declare one
   * dead
   */
  | { op: 'rebalance' }
  | { op: 'drain'; agent: string; off: boolean }
  | { op: 'evict'; agent: string };

/**
 * A wait for clients: until they are `open` (connected), `ready` (and `connected` of the module has returned) or `done`
 * (they have played all their iterations). `count` null: as many as the target says. `within_ms` null: it was left out.
 */
export interface WaitFor {
  readonly op: 'wait';
  readonly what: 'open' | 'ready' | 'done';
  readonly count: number | null;
  readonly within_ms: number | null;
}

/** Clients are counted over the whole swarm, in whatever segment or group they are. */
export interface Aimed {
  readonly op: 'incr' | 'decr' | 'set';
  /** the number that was typed */
  readonly asked: number;
  /** before; of the label, if there is one */
  readonly had: number;
  /** of the whole swarm, labels included */
  readonly target: number;
  /** `asked` was more than there were: all of them shall end */
  readonly all_of_them: boolean;
  /** why it is less than what was asked for; null: it is not */
  readonly bound: Barrier | null;
  /** by an estimate it may be more than the machine bears; null: it is not */
  readonly doubt: Doubt | null;
  /** some clients wait until there are more agents; null: all fit */
  readonly waiting: { readonly fits: number; readonly agents: number } | null;
  readonly in: { readonly group: string; readonly clients: number } | null;
  /** clients that groups were given by name, which a `decr` without one leaves alone */
  readonly by_name: number;
  readonly on: { readonly label: string; readonly clients: number; readonly is_known: boolean } | null;
  readonly here: Here | null;
}

/** What keeps a target lower than it was asked for. */
export interface Barrier {
  /** `limit_files`, `limit_ports`, … */
  readonly code: string;
  readonly why: string;
  /** the option or command that raises it, for after `try`; null: nothing does */
  readonly lift: string | null;
}

/** About so many fit of what `what` bounds. */
export interface Doubt {
  readonly what: string;
  readonly connections: number;
  readonly lift: string;
}

/** The part of this process, if it plays a segment: clients, or connects per second. */
export interface Here {
  readonly segment: string;
  readonly part: number;
}

/** A rate goes from what it was to `per_s`, over the whole swarm. */
export interface Retimed {
  readonly op: 'rate';
  /** as it is called everywhere */
  readonly action: string;
  /** per second, when the command came */
  readonly had: number;
  readonly per_s: number;
  readonly over_ms: number;
  readonly poisson: boolean;
  /** nothing is played until `resume` */
  readonly is_paused: boolean;
  readonly here: Here | null;
}

/** Clients come to `group` at a rate, as {@link Retimed}. */
export interface Arriving extends Omit<Retimed, 'op' | 'action'> {
  readonly op: 'arrive';
  readonly group: string;
  readonly at_most: number | null;
}

/** Why no clients can arrive. */
export type NoArrivals =
  /** the swarm is one of many machines */
  | { readonly ok: false; readonly code: 'one_machine' }
  | { readonly ok: false; readonly code: 'no_such_group'; readonly group: string; readonly names: readonly string[] }
  /** they would never leave. `in_all`: the group has `iterations_in_all` instead; `group` null: no group has iterations */
  | { readonly ok: false; readonly code: 'no_iterations'; readonly group: string | null; readonly in_all: boolean }
  /** several groups have iterations: these */
  | { readonly ok: false; readonly code: 'which_group'; readonly names: readonly string[] };

/** Why no rate can be steered by this name. */
export type NoRate =
  /** `near`: what may be meant; null: nothing is near. `rated`: those that have a rate */
  | {
      readonly ok: false;
      readonly code: 'no_such_action';
      readonly action: string;
      readonly near: string | null;
      readonly rated: readonly string[];
    }
  /** the script gives it none */
  | { readonly ok: false; readonly code: 'no_rate'; readonly action: string }
  /** several are called so; `names`: what each is called in full */
  | {
      readonly ok: false;
      readonly code: 'ambiguous_action';
      readonly action: string;
      readonly names: readonly string[];
    };

/** What a command changed. */
export type Deed =
  | Aimed
  /** `per_s` is less than `asked` where --max-connect-rate bounds it */
  | { readonly op: 'connect_rate'; readonly asked: number; readonly per_s: number; readonly here: Here | null }
  | Retimed
  | Arriving
  | { readonly op: 'pause' | 'resume' }
  | { readonly op: 'mark'; readonly text: string }
  | { readonly op: 'annotate'; readonly text: string }
  /** `most`: clients that it asks for at once; `first`: its first step */
  | { readonly op: 'load'; readonly steps: number; readonly first: string; readonly most: number }
  /** `step`: the one that went on */
  | { readonly op: 'load_end'; readonly step: string }
  /** clients that start again */
  | { readonly op: 'retry_fatal'; readonly clients: number }
  /** `teardown_ms`: what the module's teardown may take after that; null: it has none */
  | { readonly op: 'stop'; readonly now: boolean; readonly within_ms: number; readonly teardown_ms: number | null }
  | { readonly op: 'rebalance'; readonly clients: number; readonly agents: number }
  | { readonly op: 'drain'; readonly agent: string; readonly off: boolean }
  | { readonly op: 'evict'; readonly agent: string }
  /** `member`: who has the client; null: nobody */
  | { readonly op: 'trace'; readonly client: number; readonly member: string | null }
  | { readonly op: 'wait'; readonly what: WaitFor['what']; readonly clients: number };

/** The step of a load that comes next, and when: in so many ms, or when a wait is over, or the pause. */
export interface NextStep {
  readonly step: string;
  readonly when: number | 'waited' | 'resumed';
}

/** Who has followed a command when it is answered, 2 s after it at most. */
export interface Followers {
  readonly kind: 'worker' | 'agent';
  /** how many should */
  readonly of: number;
  readonly acknowledged: number;
  /** the first {@link MAX_MISSING} of those that did not */
  readonly missing: readonly Missing[];
  /** workers that are on their way: they read it as soon as they are up */
  readonly starting: number;
  /** it is in no plan yet: the host of the leader that is silent, null if nobody leads. Left out: it is in one */
  readonly unplanned_by?: string | null;
}

/** One that did not acknowledge. */
export interface Missing {
  readonly id: string;
  /** why it has no process: `restarting`; null: it has one */
  readonly absent: string | null;
  /** since it was heard last */
  readonly silent_ms: number;
}

export const MAX_MISSING = 5;
/** of the whole swarm, at once */
export const MAX_TRACES = 16;
export const MAX_TRACE_S = 300;

/** Nothing was changed. What there is to say beyond the code is in the fields. */
export type Refusal =
  | { readonly ok: false; readonly code: 'not_ready' | 'interrupted' }
  | { readonly ok: false; readonly code: 'stopping'; readonly has_ended: boolean }
  /** `what`: the command or clause that needs agents */
  | { readonly ok: false; readonly code: 'no_agents'; readonly what: string }
  | { readonly ok: false; readonly code: 'no_such_agent'; readonly agent: string; readonly known: readonly string[] }
  /** `down`: the worker that has it, which is not up; null: there is none */
  | { readonly ok: false; readonly code: 'no_such_client'; readonly client: number; readonly down: string | null }
  | { readonly ok: false; readonly code: 'too_many'; readonly of: 'traces' | 'labels'; readonly most: number }
  /** `what`: the command, as it is typed */
  | { readonly ok: false; readonly code: 'read_only'; readonly what: string }
  /** `lost`: the engine has forgotten it; else it does not answer. `away_ms`: for so long, null: not known */
  | { readonly ok: false; readonly code: 'unknown'; readonly lost: boolean; readonly away_ms: number | null }
  | { readonly ok: false; readonly code: 'engine_away'; readonly away_ms: number | null }
  | NoArrivals
  | NoRate
  /** none plays; one does, and this is its step */
  | { readonly ok: false; readonly code: 'no_load' }
  | { readonly ok: false; readonly code: 'load_plays'; readonly step: string }
  | { readonly ok: false; readonly code: 'not_yet'; readonly clients: number; readonly wanted: number }
  | { readonly ok: false; readonly code: 'internal' | 'bad_command' | 'bad_load'; readonly reason: string }
  /** the code is that of `bound`: not one more fits; `fits`: a load asks for more at once than that */
  | {
      readonly ok: false;
      readonly code: string;
      readonly asked: number;
      readonly target: number;
      readonly bound: Barrier;
      readonly fits?: number;
    };

/** The answer to a command. */
export type Done = {
  readonly ok: true;
  readonly followers: Followers | null;
  /** a load plays beside it; left out: none does */
  readonly next?: NextStep;
} & Deed;
export type Reply = Done | Refusal;
