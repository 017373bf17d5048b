/** What all members need to know of a run: what is played, where it connects, how. */
import type { Server } from '../../protocols/module.ts';
import type { Script } from '../../script/types.ts';
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
  readonly connection_limits: ConnectionLimits | null;
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
