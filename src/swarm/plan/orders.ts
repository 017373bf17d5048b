/** What goes down to the members: absolute orders, of which the newest wins. */
import type { MemberId, RunSpec } from './run-spec.ts';

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

export interface MemberOrders {
  /** the process start this entry is for: another incarnation ignores it */
  readonly incarnation: string;
  readonly groups: { readonly main: GroupShare };
  /** clients whose bytes shall be reported, with the token that names the session (ADR 0002) */
  readonly traces: readonly { readonly token: string; readonly client: number }[];
}

export interface Orders {
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
  readonly members: Readonly<Record<MemberId, MemberOrders>>;
}
