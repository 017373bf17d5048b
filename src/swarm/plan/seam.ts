/** The seam between the coordinator and its members: orders cross it downwards, accounts upwards. Only doors know what is behind it. */
import type { Account } from './account.ts';
import type { Orders } from './orders.ts';
import type { MemberId } from './run-spec.ts';

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

/** The coordinator's end. Holds at most one unsent Orders per member, the newest. */
export interface Hub {
  /** The members that shall have a process, all of them: others are told to end, and not started again. A hub of one member needs no telling. */
  want(members: readonly MemberId[]): void;
  publish(orders: Orders): void;
  /** Lets members that live go on by themselves until then, see Permit; ms of the machine's monotonic clock. Without it they always may. */
  permit?(until_machine_ms: number): void;
  /** Has members report now, not only when their second is over. */
  refresh?(): void;
  onAccount(f: (member: MemberId, account: Account) => void): void;
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

/** A member's end. Holds at most one unsent Account. */
export interface Seat {
  onOrders(f: (orders: Orders) => void): void;
  onPermit?(f: (until_machine_ms: number) => void): void;
  onRefresh?(f: () => void): void;
  account(account: Account): void;
  /** the coordinator is gone */
  onCut(f: () => void): void;
  close(): Promise<void>;
}
