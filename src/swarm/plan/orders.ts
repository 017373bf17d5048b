/** What goes down to the members: absolute orders, of which the newest wins. */
import type { RatePiece } from './rate-piece.ts';
import type { LiveSpec, MachineSpec, MemberId, RunSpec } from './run-spec.ts';

/** `[first, last, step]`, both ends included. */
export type IdRange = readonly [number, number, number];

/** A member fires the slots of a rate whose places are in a stretch of them, see segment.ts, from one slot on. */
export interface TenureOrders {
  /** unique in the run */
  readonly id: number;
  /** its places, without `to` */
  readonly from: number;
  readonly to: number;
  /** the first slot that is its own */
  readonly first: number;
  /** somebody else shall go on: the member ends it at a slot of its own choice and says at which */
  readonly closing: boolean;
  /** its last slot: the member ends it there by itself; left out: it has none */
  readonly last?: number;
}

/** `at_most`: of clients that arrive, how many may be there at a time while it is in force; left out: as many as fit. */
export interface BoundedPiece extends RatePiece {
  readonly at_most?: number;
}

/** What a member does of a rated action, or of the clients that arrive in a group. */
export interface RateOrders {
  /** of the whole swarm, but for `at_most`; in order of time, each goes on where the one before it ends */
  readonly pieces: readonly BoundedPiece[];
  readonly tenures: readonly TenureOrders[];
}

/** The index of the clients that arrive in a group, among its actions that have a rate. */
export const ARRIVALS = -1;

export interface GroupShare {
  /** how many clients this member shall hold, without draining ones */
  readonly clients: number;
  /** indices of all clients that are this member's own, see Numbering; it uses the lowest free one */
  readonly ids: readonly IdRange[];
  /**
   * By server: the numbers of the (address, port) pairs that this member owns towards it, see ports.ts. Each list grows
   * as `ids` does. Empty: the kernel chooses ports.
   */
  readonly ports: readonly (readonly IdRange[])[];
  /** this member's part of the connect rate: those of its groups are added, and clients take turns as they ask */
  readonly connect_per_s: number;
  /** into how many parts the connect rate is divided: one for each member that shall hold clients */
  readonly rate_parts: number;
  /** how to shrink: true lets clients end their iteration, false ends them at once */
  readonly graceful: boolean;
  /** by index of the action: those that have a rate; {@link ARRIVALS}: of clients that arrive */
  readonly rates?: Readonly<Record<number, RateOrders>>;
}

export interface MemberOrders {
  /** the start of a process that this entry is for; another incarnation ignores it */
  readonly incarnation: string;
  /** by name, all of the run in its order; what one that is not here holds has to go */
  readonly groups: Readonly<Record<string, GroupShare>>;
  /** clients whose bytes the account shall show, with the token that names the trace (ADR 0002) */
  readonly traces: readonly { readonly token: string; readonly client: number }[];
}

/** how many clients the member shall hold in all groups */
export const clients_of = ({ groups }: Pick<MemberOrders, 'groups'>): number =>
  Object.values(groups).reduce((all, { clients }) => all + clients, 0);

export interface Orders {
  /** grows with every change; a member applies only newer ones */
  readonly revision: number;
  /**
   * run: play the script. pause: connect and run `connected`, start no action. drain: each client ends after its round,
   * nothing connects. stop: every client ends now.
   */
  readonly phase: 'run' | 'pause' | 'drain' | 'stop';
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  readonly live: LiveSpec;
  readonly members: Readonly<Record<MemberId, MemberOrders>>;
}
