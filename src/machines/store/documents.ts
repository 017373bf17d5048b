/**
 * What is stored of a swarm of many machines, each document under one key with one kind of writer:
 *
 *     lease                          Lease      the leader, or who takes over
 *     desired                        Desired    any coordinator, in a compare-and-set loop
 *     plan                           SwarmPlan  the leader
 *     members.<agent>                Presence   that agent, each second
 *     results.<agent>.<incarnation>  Head       that agent, each second
 *     latencies.<agent>.<incarnation>.<n>  LatencyPart  that agent, when they changed
 *     bundle.<sha256>.<n>            text       who starts a run: parts of a Bundle, at most 256 KiB each
 *     summary.<run>.<n>              text       the leader at the end: parts of the final summary
 */
import { map_groups } from '../../metrics/groups.ts';
import type { Dead } from '../../metrics/merge-snapshots.ts';
import type { Counters } from '../../metrics/packed.ts';
import type { DeadCounters } from '../../metrics/snapshot-shape.ts';
import type { GroupSnapshot, HistogramSnapshot, Snapshot } from '../../metrics/snapshot.ts';
import type { WorkerSummary } from '../../metrics/summary.ts';
import type { HookResult, Note } from '../../swarm/plan/account.ts';
import type { Intent, NamedSharing, Steered } from '../../swarm/plan/intent.ts';
import type { IdRange } from '../../swarm/plan/orders.ts';
import type { Ramp } from '../../swarm/plan/ramp.ts';
import type { MemberId, RunSpec } from '../../swarm/plan/run-spec.ts';
import type { TraceLines } from '../../swarm/squad/ordered-squad.ts';

import type { ActionSlots, SlotsWord } from './slot-documents.ts';

/**
 * Who leads. Renewed by its holder; whoever has seen it unchanged for its whole time may take it over, with the next
 * term.
 */
export interface Lease {
  readonly id: string;
  /** of this renewal: two texts are never equal */
  readonly nonce: string;
  readonly term: number;
  /** ms that it is good for after a renewal */
  readonly ttl_ms: number;
  /** where its console listens, for people */
  readonly console: string;
  readonly host: string;
  /** the run it leads; null: none is known */
  readonly run: string | null;
  /** ms of its run time when it was sent */
  readonly run_ms: number | null;
  /** {@link plan_name} of the newest plan it knows: who has read that need not read it again */
  readonly plan: string | null;
}

/** What the operators want of a run. `evicted` has the {@link full_name} of incarnations. */
export interface Desired extends Intent {
  readonly run: string;
  /** counts the changes */
  readonly seq: number;
  /** at most MAX_TRACES */
  readonly traces: readonly TraceOrder[];
  /** the last command of each coordinator that was applied, dropped 10 min after it came; at most 32 */
  readonly sessions: Readonly<Record<string, { readonly seq: number; readonly at_ms: number }>>;
  /** the newest {@link MAX_SAID} commands that changed something, `seq` as above */
  readonly said: readonly SaidCommand[];
}

/** A command that was carried out, for whoever asks later what happened. */
export interface SaidCommand {
  readonly seq: number;
  /** ms since the epoch, by the clock of the coordinator that took it */
  readonly at_ms: number;
  /** who gave it: `127.0.0.1:5022 on host-1` */
  readonly by: string;
  readonly text: string;
}

export const MAX_SAID = 20;

/** A client whose bytes somebody wants to see. */
export interface TraceOrder {
  /** of whoever asked */
  readonly token: string;
  readonly client: number;
  /** ms of run time */
  readonly until_ms: number;
}

/** A run as the plan names it: what it is made of is in the bundle. */
export interface RunHeader {
  readonly id: string;
  readonly swarm: string;
  readonly bundle_sha256: string;
  /**
   * ms of silence after which an agent cuts itself off, and a second or a tenth later is written off; null: neither
   * ever happens
   */
  readonly isolation_ms: number | null;
  /** so many agents must be ready before it starts, 0 = it starts without */
  readonly agents: number;
  /** ed25519 over {@link signed_text}, base64 */
  readonly signature: string;
  /** RFC 3339 */
  readonly started: string;
}

/** Everything an agent needs to play, by content hash. */
export interface Bundle {
  readonly run: RunSpec;
  readonly module_text: string;
  readonly has_setup: boolean;
  readonly has_teardown: boolean;
  readonly script_sha256: string;
}

/**
 * gather: waiting for the agents asked for; setup: one of them runs the module's; open: consoles may steer; ending:
 * clients leave; teardown; ended: nothing is left, the summary is stored.
 */
export type Stage = 'gather' | 'setup' | 'open' | 'ending' | 'teardown' | 'ended';

/** of {@link SwarmPlan.ahead} */
export const MAX_AHEAD = 32;

export interface MemberShare {
  /** of the agent that this is for: another one ignores it */
  readonly incarnation: string;
  /** by name, all of the run */
  readonly groups: Readonly<Record<string, AgentShare>>;
  /** the plan revision that ordered it so */
  readonly since: number;
  readonly connect_per_s: number;
  /** in a plan that was written from memory: what its next incarnation must know to say that this one is dead */
  readonly place?: ProcessPlace;
}

/** What an agent has of a group. */
export interface AgentShare {
  /** its part of the target, clients; what it was ordered may lag behind */
  readonly share: number;
  /** how many of its share are for a label, by label */
  readonly labelled: Readonly<Record<string, number>>;
  /** ordered, in ms of run time; from = to when there is no ramp */
  readonly ramp: Ramp;
  /** the most it could be running after this and earlier plans */
  readonly may: number;
  /** indices of all clients that are its own, see Numbering; grows only */
  readonly ids: readonly IdRange[];
  /** its part of each of {@link SwarmPlan.ahead}; left out where there are none */
  readonly at?: readonly number[];
}

/** As it is stored: what is at its default is left out, since hundreds of agents may have dozens of groups each. */
export interface StoredShare extends Partial<Omit<AgentShare, 'ramp'>> {
  /** from, to, start, end */
  readonly ramp?: readonly [number, number, number, number];
}

export function whole_share({ share = 0, labelled = {}, ramp, may = share, ids = [], at }: StoredShare): AgentShare {
  const [from, to, start_ms, end_ms] = ramp ?? [share, share, 0, 0];
  return { share, labelled, ramp: { from, to, start_ms, end_ms }, may, ids, ...(at && { at }) };
}

function stored_share({ share, labelled, ramp, may, ids, at }: AgentShare): StoredShare {
  const rests = ramp.from === share && ramp.to === share && ramp.start_ms === 0 && ramp.end_ms === 0;
  return {
    ...(share !== 0 && { share }),
    ...(Object.keys(labelled).length > 0 && { labelled }),
    ...(!rests && { ramp: [ramp.from, ramp.to, ramp.start_ms, ramp.end_ms] }),
    ...(may !== share && { may }),
    ...(ids.length > 0 && { ids }),
    ...(at && { at }),
  };
}

/** The text of a plan, as it is stored and sent. */
export function plan_text(plan: SwarmPlan): string {
  const members = map_groups(plan.members, (entry) => ({ ...entry, groups: map_groups(entry.groups, stored_share) }));
  return to_text({ ...plan, members });
}

/** How many clients that is in all groups. */
export const clients_in = (
  { groups }: Pick<MemberShare, 'groups'>,
  of: (share: AgentShare) => number = ({ share }) => share,
): number => Object.values(groups).reduce((all, share) => all + of(share), 0);

/** See `pid_place`: within `machine`, `pid` names one process at a time. */
export interface ProcessPlace {
  readonly machine: string;
  readonly pid: number;
}

/** An incarnation that was written off. */
export interface Departed {
  readonly agent: MemberId;
  readonly incarnation: string;
  readonly at: string;
  /** since it was heard last */
  readonly silent_ms: number;
  /** its process is known to be dead; otherwise it was only silent for too long, and may hold `open` connections yet */
  readonly attested: boolean;
  readonly open: number;
  /** how many slots were its own, by {@link rate_key}: what it told of less than that is lost; left out: none were */
  readonly slots?: Readonly<Record<string, number>>;
}

/** `target`, `ramp` and all else that a load steers are as they were when it was written, see {@link evolve}. */
export interface SwarmPlan extends Steered {
  readonly format: 'swarm-plan/1';
  /** random, of this store's life: another one means that the store lost its memory */
  readonly epoch: string;
  readonly term: number;
  /** grows with every change, over all terms */
  readonly revision: number;
  /**
   * the revision that was written from memory after the store lost its own, until all agents have taken it over; 0: all
   * have
   */
  readonly seeded: number;
  readonly run: RunHeader;
  readonly stage: Stage;
  /**
   * ms of run time when the end began that was asked for, from which its time counts, whoever leads; null: it has not
   */
  readonly ending_ms: number | null;
  /** `seq` of the {@link Desired} it follows */
  readonly desired: number;
  /** of the run, in their order, with those of their actions that have a rate */
  readonly groups: readonly NamedSharing[];
  /** ms of run time when the ramps of its members end and others begin, without a new plan; null: there is none to come */
  readonly piece_ms: number | null;
  /** different numbers of clients, by group, that a load will want: what each member has of them is in its entry */
  readonly ahead: readonly (readonly number[])[];
  /** of {@link Desired}: the one that was carried out */
  readonly rebalance: number;
  readonly traces: readonly TraceOrder[];
  readonly setup_by: MemberId | null;
  readonly teardown_by: MemberId | null;
  readonly shared: { readonly value: unknown } | null;
  /** why it ends without being asked to, or a hook of the module did not do its work */
  readonly failed: string | null;
  /** agents that did not confirm the end */
  readonly unconfirmed: readonly MemberId[];
  /** ms of run time when it was written */
  readonly run_ms: number;
  /** by group: the lowest index of a client that nobody was granted, and those given back */
  readonly ids: Readonly<Record<string, { readonly next: number; readonly free: readonly IdRange[] }>>;
  /** by {@link rate_key}, of rates that have begun */
  readonly slots: Readonly<Record<string, ActionSlots>>;
  readonly members: Readonly<Record<MemberId, MemberShare>>;
  /** the newest 200 */
  readonly departed: readonly Departed[];
}

/** Which plan it is, over losses of memory too. */
export const plan_name = ({ epoch, term, revision }: SwarmPlan): string => `${epoch} ${term} ${revision}`;

/** An agent, each second. */
export interface Presence extends ProcessPlace {
  /** fresh for each start of the process, and after each time it cut itself off */
  readonly incarnation: string;
  /** earlier incarnations of this agent of which it knows that nothing of them lives; the newest 20 */
  readonly replaces: readonly string[];
  readonly seq: number;
  readonly host: string;
  readonly swarm: string;
  readonly node: string;
  readonly labels: readonly string[];
  /** > 0 */
  readonly weight: number;
  readonly capacity: number;
  readonly capacity_why: string;
  /** that a process there may have open; left out by agents of before */
  readonly open_files?: number;
  /** the run it has loaded, with its workers up; null: none */
  readonly ready: string | null;
  /** why it cannot play the run of the plan */
  readonly refuses: string | null;
  /** the plan revision it has taken over */
  readonly accepted: number;
  /** the one that all its workers have applied */
  readonly applied: number;
  /** by group: the most its workers could be running now; from `accepted` on only orders of later plans raise it */
  readonly may: Readonly<Record<string, number>>;
  /** by group: ids that its workers were dealt: they need as many, even if some hold fewer clients now */
  readonly ids_wanted: Readonly<Record<string, number>>;
  /** how far it is with its slots */
  readonly slots: SlotsWord;
  /** `seq` of the results written before this */
  readonly results: number;
  readonly live: number;
  readonly open: number;
  /** of all groups together */
  readonly states: GroupSnapshot['clients']['states'];
  readonly cpu: number;
  readonly rss_bytes: number;
  readonly lag_p99_ms: number;
  /** it leaves for good once it holds nothing */
  readonly leaving: boolean;
  /** its idea of the run time, ms; null: it has none yet */
  readonly run_ms: number | null;
  /** wall clock against that of the engine's machine is not known here: this is its own, ms since the epoch */
  readonly wall_ms: number;
  /** times it cut itself off since the process started */
  readonly fenced: number;
}

/** What an incarnation measured in a run, cumulative. */
export interface Results {
  readonly run: string;
  readonly seq: number;
  /** of its living workers */
  readonly snapshot: Snapshot;
  /** of its workers that died; null: none did */
  readonly dead: Dead | null;
  readonly workers: readonly WorkerSummary[];
  /** 50: the newest 25 errors at least, of the rest the newest; counted from the start of the process */
  readonly notes: readonly (Note & { readonly n: number; readonly worker: string })[];
  readonly traces: readonly TraceLines[];
  readonly setup: HookResult | null;
  readonly teardown: HookResult | null;
  /** workers that had to be killed for the run to end; left out when there are none */
  readonly killed_at_end?: readonly MemberId[];
}

/** Results as they are stored: histograms are in parts of their own. */
export type Head = Omit<Results, 'snapshot' | 'dead'> & {
  readonly snapshot: Counters;
  readonly dead: DeadCounters | null;
  /** for each part the `seq` of the results that it changed with last; at most {@link MAX_PARTS} */
  readonly parts: readonly number[];
};

export const MAX_PARTS = 16;

export interface LatencyPart {
  readonly run: string;
  readonly seq: number;
  /**
   * by number, see {@link histograms_of}; those of the dead from MAX_HISTOGRAMS on. Stored as base64 of {@link pack}.
   */
  readonly histograms: readonly (readonly [number, HistogramSnapshot])[];
}

/** ms of silence after which an agent's share goes to others: by then it has cut itself off, if it lives. */
export const reassign_ms_of = ({ isolation_ms }: Pick<RunHeader, 'isolation_ms'>): number =>
  isolation_ms === null ? Infinity : isolation_ms + Math.max(1000, isolation_ms / 11);

/** Stands in the text of a module for where swarm is installed: each machine puts its own place there. */
export const HOST_MARK = 'swarm-host:entry';

/** What the signature of a bundle is over. */
export const signed_text = (run: string, bundle_sha256: string): string => `swarm-bundle/1 ${run} ${bundle_sha256}`;

/** Of an incarnation: what it calls itself may be what another agent's is called. */
export const full_name = (agent: MemberId, incarnation: string): string => `${agent}.${incarnation}`;

export const MEMBER = 'members.';
export const RESULTS = 'results.';
export const results_key = (agent: MemberId, incarnation: string): string =>
  `${RESULTS}${full_name(agent, incarnation)}`;
export const LATENCIES = 'latencies.';
export const latencies_key = (agent: MemberId, incarnation: string, part: number): string =>
  `${LATENCIES}${full_name(agent, incarnation)}.${part}`;

/** What JSON has no word for travels as an array. */
export function to_text(document: unknown): string {
  return JSON.stringify(document, (_, value: unknown) =>
    value instanceof Uint32Array || value instanceof Float64Array ? Array.from(value) : value,
  );
}
