/** What members need to know: of the run, of their machine, and of what changes while the run goes on. */
import { CONNECTED, MAIN, type PlayedAction, type PlayedGroup } from '../../metrics/groups.ts';
import type { Server } from '../../protocols/module.ts';
import type { GroupScript } from '../../script/types.ts';
import type { Sharing } from './numbering.ts';
import type { Segment } from './segment.ts';

export type MemberId = string;

/** The same for all members, on all machines, for the whole run. Times in ms, sizes in bytes. */
export interface RunSpec {
  readonly id: string;
  readonly what: Played;
  readonly where: Where;
  readonly how: How;
}

/** A group of the run. */
export interface GroupSpec extends Sharing {
  readonly name: string;
  /** of its actions in order, then `connected` if the module has it: as in `GroupSnapshot.actions` */
  readonly commands: readonly string[];
  readonly script: GroupScript;
  /** over how many clients `iterations_in_all` is divided; null: not known */
  readonly among: number | null;
}

/** What is measured of these groups. */
export const measured_groups = (groups: readonly GroupSpec[]): PlayedGroup[] =>
  groups.map(({ name, commands, script }) => {
    const actions = script.loops.flatMap((loop) =>
      loop.actions.map(({ name: action, command }): PlayedAction => ({ loop: loop.name, action, command })),
    );
    const hook = { loop: MAIN, action: CONNECTED, command: CONNECTED };
    return { name, actions: commands.includes(CONNECTED) ? [...actions, hook] : actions };
  });

export interface Played {
  /** at least one; histograms are numbered in this order */
  readonly groups: readonly GroupSpec[];
  readonly module_sha256: string;
  readonly seed: string;
  /** `swarm try`: one iteration, no sleeps */
  readonly once: boolean;
}

export interface Where {
  /** client `id` connects to server (id − 1) mod n and one of its addresses; at least one server */
  readonly servers: readonly Server[];
  /** null: Node's defaults */
  readonly tls: TlsSpec | null;
  /** null: none */
  readonly connection_limits: ConnectionLimits | null;
  /** silence until the kernel asks whether the server is still there, a multiple of 1000; null: it never asks */
  readonly keep_alive_ms: number | null;
}

export interface How {
  readonly connect_timeout_ms: number;
  readonly reconnect_delay_ms: readonly [number, number];
  readonly reply_timeout_ms: number;
  readonly drain_timeout_ms: number;
  readonly max_reply_bytes: number;
  /** slots of a rated action that may wait in a member; null: as many as are due in a second, at least 1000 */
  readonly max_backlog: number | null;
}

/** What is this machine's own: the same for all its members, for the whole run. */
export interface MachineSpec {
  /** absolute path of the bundled modules, a content-addressed file */
  readonly module_path: string;
  readonly sources: Sources;
  /** the clients of the swarm that this machine holds; numbers of clients and rates in orders are of these alone */
  readonly segment: Segment;
}

/** What changes while the run goes on, the same for all members of a machine. */
export interface LiveSpec {
  /**
   * What `setup` returned, of several modules by their name; in a box, as it may be null or undefined. Null: not known
   * yet, and clients wait
   */
  readonly shared: { readonly value: unknown } | null;
  /**
   * The module's hooks (ADR 0002). The member named in `setup_by` runs `setup` once while `shared` is null, and its
   * accounts show the result. `teardown_by`: the same for `teardown` at the end.
   */
  readonly setup_by: MemberId | null;
  readonly teardown_by: MemberId | null;
  /** number of `retry fatal` commands so far: a member that sees it grow restarts its fatal clients */
  readonly retry_fatal: number;
  /** the machine's clock at run time 0, ms, see permit.ts */
  readonly zero_ms: number;
}

/** For `tls://` servers and `start_tls`. Certificates and keys are PEM texts: members read no files. */
export interface TlsSpec {
  /** issuers to trust instead of Node's own */
  readonly ca: string | null;
  /** what swarm shows to a server that asks; both `cert` and `key`, or neither */
  readonly cert: string | null;
  readonly key: string | null;
  /** the name to ask for and to check; null: the server's name as given */
  readonly servername: string | null;
  /** take any certificate */
  readonly insecure: boolean;
  /** null: Node's default */
  readonly min_version: 'TLSv1.2' | 'TLSv1.3' | null;
  /** protocols to offer, the preferred one first; null: none */
  readonly alpn: readonly string[] | null;
}

/** Limits of each single connection, from when it is established; null: no such limit. */
export interface ConnectionLimits {
  readonly up_bytes_per_s: number | null;
  readonly down_bytes_per_s: number | null;
  /** each connection draws its lifetime from this range */
  readonly lifetime_ms: readonly [number, number] | null;
  /** a connection ends when no byte went either way for so long */
  readonly idle_ms: number | null;
}

/** The (address, port) pairs that connections may come from. Members own ranges of their numbers, see ports.ts. */
export interface Sources {
  /** IP addresses of this machine, used in turn; empty: the kernel chooses one for each server */
  readonly addresses: readonly string[];
  /** never used: ports that somebody listens on, here or as a server */
  readonly excluded_ports: readonly number[];
  /** the kernel's own range (ip_local_port_range), both ends included: used last, and never all of it */
  readonly kernel_ports: readonly [number, number];
  /** where numbering starts, so that a new run does not meet the ports that the last run left in TIME_WAIT */
  readonly offset: number;
}
