/** The two documents between coordinator and members, and the seam they cross (DESIGN 3.3). Absolute orders down, cumulative measurements up. */
import type { Snapshot } from '../metrics/snapshot.ts';
import type { Script } from '../script/types.ts';
import type { Server } from '../protocols/module.ts';
import type { Segment } from './segment.ts';

export type MemberId = string;

/** What a member needs to play its part, the same for all members and for the whole run. Times in ms, sizes in bytes. */
export interface RunSpec {
  readonly id: string;
  readonly seed: string;
  /** the clients of the swarm that are this process' own; numbers of clients and rates below are of these alone */
  readonly segment: Segment;
  /** client `id` connects to endpoint (id − 1) mod n, counted over all addresses these have; at least one */
  readonly servers: readonly Server[];
  readonly sources: Sources;
  /** null: Node's defaults */
  readonly tls: TlsSpec | null;
  /** null: none */
  readonly limits: ConnectionLimits | null;
  /** silence before the kernel asks whether the server is still there, whole seconds; null: it never does */
  readonly keep_alive_ms: number | null;
  readonly script: Script;
  /** the bundled module: an absolute path of a content-addressed file, and its hash */
  readonly module_path: string;
  readonly module_sha256: string;
  readonly connect_timeout_ms: number;
  readonly reconnect_delay_ms: readonly [number, number];
  readonly reply_timeout_ms: number;
  readonly drain_timeout_ms: number;
  readonly max_reply_bytes: number;
  /** the connect rate of all members; a member's part is in its entry */
  readonly connect_per_s: number;
  /** `swarm try`: one iteration, no sleeps */
  readonly once: boolean;
  /**
   * The module's hooks (ADR 0002). A member named in `setup_by` runs `setup` once and reports its result until `shared` is in
   * the plan; `shared` undefined = not known yet, clients wait for it. Likewise `teardown_by` at the end.
   */
  readonly setup_by: MemberId | null;
  readonly teardown_by: MemberId | null;
  /** what `setup` returned, once known: a box, so that null and undefined results are known too */
  readonly shared: { readonly value: unknown } | null;
}

/** For `tls://` servers and `start_tls`. Certificates and keys are PEM texts: members read no files. */
export interface TlsSpec {
  /** issuers to trust instead of those that Node brings */
  readonly ca: string | null;
  /** what swarm shows to a server that asks; both or none */
  readonly cert: string | null;
  readonly key: string | null;
  /** the name to ask for and to check; null: the one the server was given by */
  readonly servername: string | null;
  /** take any certificate */
  readonly insecure: boolean;
  /** null: Node's default */
  readonly min_version: 'TLSv1.2' | 'TLSv1.3' | null;
  /** protocols to offer, the first the best; null: none */
  readonly alpn: readonly string[] | null;
}

/** What holds for each connection by itself, counted from when it is established; null: no such limit. */
export interface ConnectionLimits {
  readonly up_bytes_per_s: number | null;
  readonly down_bytes_per_s: number | null;
  /** each connection draws how long it lives */
  readonly lifetime_ms: readonly [number, number] | null;
  /** no byte either way for so long ends it */
  readonly idle_ms: number | null;
}

/** Which (address, port) pairs connections may come from. A pair has a number, see ports.ts; members own ranges of numbers. */
export interface Sources {
  /** IP addresses of this machine, used in turn; none: the one the kernel chooses for each server */
  readonly addresses: readonly string[];
  /** never taken: ports that somebody listens on, here or as a server */
  readonly excluded_ports: readonly number[];
  /** where the kernel looks for ports by itself, both ends included (ip_local_port_range): taken last, and never all of them */
  readonly kernel_ports: readonly [number, number];
  /** numbering starts here, so that a new run does not meet the ports that wait (TIME_WAIT) behind the last one */
  readonly offset: number;
}

/** `[first, last, step]`, both ends included. */
export type IdRange = readonly [number, number, number];

export interface GroupShare {
  /** how many clients this member shall hold, draining ones apart */
  readonly clients: number;
  /** all ids this member owns, counted within the segment (`id_at`); it uses the lowest free one */
  readonly ids: readonly IdRange[];
  /**
   * Per server in their order: the numbers of (address, port) pairs this member owns towards it. Empty: the kernel chooses ports.
   * Each grows like `ids`.
   */
  readonly ports: readonly (readonly IdRange[])[];
  /** this member's part of the connect rate */
  readonly connect_per_s: number;
  /** shrink by letting clients end their iteration (true) or at once (false) */
  readonly graceful: boolean;
}

export interface MemberPlan {
  /** the process start this entry is for: another incarnation ignores it */
  readonly incarnation: string;
  readonly groups: { readonly main: GroupShare };
  /** clients whose bytes shall be reported, with the token that names the session (ADR 0002) */
  readonly traces: readonly { readonly token: string; readonly client: number }[];
}

export interface Plan {
  readonly term: number;
  /** grows with every change; a member applies only newer ones */
  readonly revision: number;
  /**
   * run: as it says. pause: connect and run `connected`, start no action. drain: each client ends after its round, nothing connects.
   * stop: every client ends now.
   */
  readonly phase: 'run' | 'pause' | 'drain' | 'stop';
  readonly run: RunSpec;
  /** counts `retry fatal` commands: a member that sees it grow restarts its fatal clients */
  readonly retry_fatal: number;
  readonly members: Readonly<Record<MemberId, MemberPlan>>;
}

/** A line for the operator: a log line, or the first stack of a kind of bug. */
export interface Note {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

export type HookResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

export interface Report {
  readonly incarnation: string;
  readonly pid: number;
  readonly seq: number;
  /** the newest revision applied, 0 before the first */
  readonly revision: number;
  /** the newest revision it has read: applying one that ends many clients takes a while */
  readonly taken: number;
  /** how many clients this member can hold (open files) */
  readonly capacity: number;
  /** what bounds it, for the operator: `open files 20000 per process` */
  readonly capacity_why: string;
  readonly snapshot: Snapshot;
  /** at most 50 */
  readonly notes: readonly Note[];
  /** notes beyond 50 and log lines beyond 100 a second, since the process started */
  readonly notes_dropped: number;
  readonly traces: readonly { readonly token: string; readonly lines: readonly string[] }[];
  readonly setup: HookResult | null;
  readonly teardown: HookResult | null;
  /** `swarm try`: every client has ended its one iteration */
  readonly finished: boolean;
}

/**
 * A member without a process. restarting: another one comes soon, the share waits for it. given_up: it died too often, its share goes to the others,
 * a try comes each 60 s. gone: none will come by itself.
 */
export type Absence = 'restarting' | 'given_up' | 'gone';

/** Why a process is no more that nobody asked to end, as `errors` tells it: a code of FAILURES. */
export interface Death {
  readonly code: 'worker_died' | 'worker_stalled';
  readonly text: string;
}

/** The coordinator's end. Holds at most one unsent Plan per member, the newest. */
export interface Hub {
  /** The members that shall have a process, all of them: others are told to end, and not started again. A hub of one member needs no telling. */
  want(members: readonly MemberId[]): void;
  publish(plan: Plan): void;
  /** Lets members that live go on by themselves until then, see Permit; ms of the machine's monotonic clock. Without it they always may. */
  permit?(until_machine_ms: number): void;
  /** Has members report now, not only when their second is over. */
  refresh?(): void;
  onReport(f: (member: MemberId, report: Report) => void): void;
  /**
   * `attested`: its process is known to be dead; `absence`: what becomes of the member; `death`: null when it ended as it should. A process
   * that never said hello is told of too.
   */
  onGone(
    f: (member: MemberId, incarnation: string, attested: boolean, absence: Absence, death: Death | null) => void,
  ): void;
  /** Ends the process of a member at once, as it does not answer: `onGone` tells of it as of any death. A hub of one member cannot. */
  kill?(member: MemberId, why: string): void;
  /** Ends the members; resolves with those that did not end by the deadline. */
  close(deadline_ms: number): Promise<MemberId[]>;
}

/** A member's end. Holds at most one unsent Report. */
export interface Seat {
  onPlan(f: (plan: Plan) => void): void;
  onPermit?(f: (until_machine_ms: number) => void): void;
  onRefresh?(f: () => void): void;
  report(report: Report): void;
  /** the coordinator is gone */
  onCut(f: () => void): void;
  close(): Promise<void>;
}
