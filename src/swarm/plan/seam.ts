/** The seam of coordinator and members: orders go down, accounts come up. Only src/cluster knows what is between. */
import type { Account } from './account.ts';
import type { Orders } from './orders.ts';
import type { MemberId } from './run-spec.ts';

/**
 * Why a member has no process. restarting: a new one comes soon, and its share waits. given_up: it died too often, its
 * share goes to the others, and it is tried every 60 s. gone: no new one comes by itself.
 */
export type Absence = 'restarting' | 'given_up' | 'gone';

/** Why a process ended that nobody asked to end, as `errors` shows it; `code` is one of FAILURES. */
export interface Death {
  readonly code: 'worker_died' | 'worker_stalled';
  readonly text: string;
}

/** The coordinator's end. Holds at most one unsent document of Orders per member, the newest. */
export interface Hub {
  /** Names all members that shall have a process; others are told to end. A hub of one member ignores it. */
  want(members: readonly MemberId[]): void;
  publish(orders: Orders): void;
  /** Lets members go on until then (ms, monotonic clock of the machine), see Permit; if never called, always. */
  permit?(until_machine_ms: number): void;
  /** Has members send an account now, not only when their second is over. */
  refresh?(): void;
  onAccount(f: (member: MemberId, account: Account) => void): void;
  /**
   * `attested`: the process is known to be dead; `absence`: what becomes of the member; `death`: null when it ended as
   * it should. Called also for a process that never said hello.
   */
  onGone(
    f: (member: MemberId, incarnation: string, attested: boolean, absence: Absence, death: Death | null) => void,
  ): void;
  /** Ends the process of a member that does not answer; `onGone` follows. A hub of one member cannot. */
  kill?(member: MemberId, why: string): void;
  /** Ends the members. Resolves with those that did not end within `deadline_ms`. */
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
