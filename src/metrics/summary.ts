/**
 * The summary: the one object everybody reads (docs/summary.md). In snake_case; durations `_ms` with µs resolution,
 * sizes `_bytes`, instants RFC 3339. `docs/summary.schema.json` describes it; a test validates real summaries against
 * that.
 */
import type { ArrivalDrop, CloseCause, Counts, DropReason, EndpointCounts } from './snapshot.ts';
import type { State } from './state.ts';

/** All 0 when `count` is 0. */
export interface Latency {
  count: number;
  mean: number;
  min: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  p99_9: number;
  max: number;
}

/** What became of the slots of a rated action: planned = started + waiting + dropped + lost. */
export interface SlotsSummary {
  /** whose instant has come */
  planned: number;
  /** the rounds that its action started */
  started: number;
  waiting: number;
  dropped: Record<DropReason, number>;
  /** they waited in a worker when it died, or came after that and nobody made them */
  lost: number;
  /** from a slot's instant to its start, of those that were started */
  late_ms: Latency;
}

/** Clients of a group that arrive at a rate: planned = started + dropped + lost. They are counted among all clients, too. */
export interface ArrivalsSummary {
  group: string;
  /** slots whose instant has come */
  planned: number;
  /** clients that came */
  started: number;
  /** clients that are there */
  live: number;
  dropped: Record<ArrivalDrop, number>;
  /** slots that nobody made, as their worker had died */
  lost: number;
  /** from a slot's instant to its client */
  late_ms: Latency;
  /** as in {@link ActionSummary} */
  rate_per_s?: number;
  /** as in {@link ActionSummary} */
  histograms?: { late: string };
}

export interface ActionSummary {
  /** position in the script; -1 = the module's `connected` */
  index: number;
  command: string;
  /** its name: its command, unless the script gives it another */
  action: string;
  /** of the clients that play it, and which of their loops; `main` in a script without groups and loops */
  group: string;
  loop: string;
  started: number;
  running: number;
  ok: number;
  failed: Counts;
  aborted: number;
  lost: number;
  service_ms: Latency;
  response_ms: Latency;
  /** left out: it has no rate */
  slots?: SlotsSummary;
  /** the rate in force, of the part of the swarm that this run holds; left out where it is not known */
  rate_per_s?: number;
  /** HDR V2, base64, of µs; only in the final summary and in `status json`; `late`: of one with slots */
  histograms?: { service: string; response: string; late?: string };
}

export interface WorkerSummary {
  id: string;
  incarnation: string;
  pid: number;
  live: number;
  open: number;
  capacity: number;
  /** share of one core in the last interval */
  cpu: number;
  rss_bytes: number;
  lag_p99_ms: number;
  /** since its last account */
  silent_ms: number;
  /** given_up: it died too often and is started only once in 60 s */
  state: 'starting' | 'up' | 'stalled' | 'restarting' | 'given_up' | 'gone';
}

/** A machine of a swarm of many. */
export interface AgentSummary {
  id: string;
  host: string;
  swarm: string;
  labels: string[];
  /** processes that hold its clients */
  workers: number;
  capacity: number;
  /** its part of the target, in clients */
  share: number;
  live: number;
  open: number;
  states: Record<State, number>;
  cpu: number;
  lag_p99_ms: number;
  /** errors of its clients by code, for everything that played under its name in this run */
  errors: Record<string, number>;
  /** its wall clock minus this coordinator's, ms; null when not known, as for a lost one */
  offset_ms: number | null;
  /** since it was last heard */
  silent_ms: number;
  /** fenced: it cut itself off, and will come back; lost: it was silent for so long that its clients went to others */
  health: 'ok' | 'loading' | 'suspect' | 'fenced' | 'lost' | 'draining' | 'refused';
  /** why it plays no part, or why clients of its share wait and until when; otherwise '' */
  why: string;
}

/** Clients that wait for more agents, or for one that has the label; null: any agent. */
export interface WaitingClients {
  clients: number;
  label: string | null;
}

/** Where a load is. */
export interface LoadSummary {
  /**
   * paused: by hand, and its time stands still; over: all steps are, and the run goes on or ends by the last of them;
   * stopped: it was ended by hand, or the run was; failed: it could not go on, and the run is ending
   */
  state: 'playing' | 'waiting' | 'paused' | 'over' | 'stopped' | 'failed';
  /** number of the step that goes on or was last, from 1 */
  step: number;
  steps: number;
  /** that step, as it was written */
  text: string;
  /** since the step began */
  seconds: number;
  /** until the next step; null: nobody can say, or there is none */
  left_seconds: number | null;
  /** until all steps are over, without the waits for clients that are yet to come */
  all_left_seconds: number;
  /** why it failed; left out: it did not */
  why?: string;
}

/** An incarnation of a worker that died with clients of its own. */
export interface LostWorker {
  worker: string;
  incarnation: string;
  /** when its death was noticed */
  at: string;
  /** since its last account: what happened in that time is not counted anywhere */
  silent_ms: number;
  /** an agent that was silent for too long, or did not confirm its end: it may still be alive */
  may_live?: true;
}

export interface Summary {
  format: 'swarm-summary/1';
  final: boolean;
  run: {
    id: string;
    script_sha256: string;
    module_sha256: string;
    seed: string;
    /** the part of the swarm that this run held, as --segment takes it; null: the whole */
    segment: string | null;
    servers: string[];
    versions: { swarm: string; node: string };
    started: string;
    seconds: number;
  };
  phase: 'run' | 'pause' | 'drain' | 'stop';
  target: number;
  planned: number;
  /** left out where no load was begun */
  load?: LoadSummary;
  /** the connect rate of all members */
  connect_per_s: number;
  clients: {
    live: number;
    draining: number;
    peak: number;
    created: number;
    killed: { decr: number; stop: number };
    done: number;
    /** places whose clients played all their iterations: nobody replaces them until `decr` takes the place */
    finished: number;
    lost: number;
    states: Record<State, number>;
    entered: Record<string, number>;
  };
  /** by group; left out where no clients arrived at a rate */
  arrivals?: ArrivalsSummary[];
  connections: {
    attempted: number;
    connecting: number;
    established: number;
    open: number;
    /** of these, those on which `connected` is over */
    ready: number;
    open_peak: number;
    cancelled: number;
    failed: Counts;
    closed: Record<CloseCause, number>;
    lost: number;
    /** attempts lost with their worker while connecting */
    lost_connecting: number;
    ports_skipped: number;
    connect_ms: Latency;
    /** of the TLS handshake, from the TCP connection on; `connect_ms` ends before it */
    handshake_ms: Latency;
    /** as in {@link ActionSummary} */
    histograms?: { connect: string; handshake: string };
  };
  /** connections by the address they go to; at most 100, the rest under `other` */
  endpoints: ({ address: string } & EndpointCounts)[];
  requests: {
    sent: number;
    in_flight: number;
    ok: number;
    wrong: number;
    timeout: number;
    aborted: number;
    lost: number;
    noreply: number;
    unasked_bytes: number;
  };
  bytes: { sent: number; received: number };
  actions: ActionSummary[];
  /**
   * percentiles are at most this share above what was measured; left out when that is a thousandth, as it is unless
   * histograms had to be coarse
   */
  latency_resolution?: number;
  /**
   * service times of all rounds that ended in the last --report-every, ms. Only in the summary of a state line; left
   * out when no round ended. Where an action has a rate, also the response times, and how late slots started
   */
  interval?: { p50: number; p99: number; response_p50?: number; response_p99?: number; late_p99?: number };
  /** numbers since the last `mark`; null before the first (ADR 0003) */
  mark: { text: string; at: string; seconds: number; actions: ActionSummary[] } | null;
  errors: { code: string; count: number; last: string; last_at: string; sample?: string }[];
  workers: WorkerSummary[];
  /** only in a swarm of many machines */
  agents?: AgentSummary[];
  /** connections of agents that were silent for too long and not heard since; only in a swarm of many machines */
  possibly_open?: number;
  /** clients of the target that nobody can hold now; only in a swarm of many machines, left out when there are none */
  waiting?: WaitingClients[];
  /** the engine of a swarm of many machines does not answer: since when, and of when the newest figures are */
  engine_away?: { since: string; figures_of: string };
  limits: {
    capacity: number;
    open_files_per_process: number;
    reserved_files: number;
    why: string;
    /** what bounds the number of connections on this machine, the tightest first */
    bounds: readonly Bound[];
  };
  generator: { cpu: number; rss_bytes: number; lag_p99_ms: number };
  /** seconds in which swarm itself was the bottleneck, see saturation.ts; left out when there are none */
  saturated_seconds?: number;
  /** the newest 100 */
  lost_workers: LostWorker[];
  /** whether the equations of the books hold (docs/summary.md) */
  balanced: boolean;
  /** false: counts of up to `lost_workers[].silent_ms` are missing */
  complete: boolean;
}

/** Something that bounds how many clients fit on this machine. */
export interface Bound {
  /** the code of the answer when it is exceeded: `ERR limit_ports …` */
  readonly code: string;
  readonly what: string;
  /** how many fit at once, including those that are open */
  readonly connections: number;
  /** true when the system refuses more; false for an estimate */
  readonly hard: boolean;
  readonly why: string;
  /** the option or command that raises it; reads well after `try` */
  readonly lift: string;
}
