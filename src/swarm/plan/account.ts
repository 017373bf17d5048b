/** What comes up from the members: measurements since the process started, and notes for the operator. */
import type { Snapshot } from '../../metrics/snapshot.ts';

/** A line for the operator: a log line, or the first stack of a kind of bug. */
export interface Note {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

export type HookResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

/** How far a member is with a stretch of slots, see TenureOrders. */
export interface TenureAccount {
  readonly id: number;
  /** the last slot whose instant it has seen pass, its own or not; never goes back */
  readonly at: number;
  /** the last slot that was its own; null: it goes on */
  readonly closed: number | null;
}

export interface Account {
  readonly incarnation: string;
  readonly pid: number;
  readonly seq: number;
  /** the newest revision applied, 0 before the first */
  readonly revision: number;
  /** the newest revision read, which takes a while to apply if it ends many clients */
  readonly taken: number;
  /** how many clients this member can hold (open files) */
  readonly capacity: number;
  /** what bounds it, for the operator: `open files 20000 per process` */
  readonly capacity_why: string;
  readonly snapshot: Snapshot;
  /** at most 50 */
  readonly notes: readonly Note[];
  /** notes beyond 50 and log lines beyond 100 a second that were dropped since the process started */
  readonly notes_dropped: number;
  /** of all rated actions; a closed one until orders do not name it any more */
  readonly tenures: readonly TenureAccount[];
  readonly traces: readonly { readonly token: string; readonly lines: readonly string[] }[];
  readonly setup: HookResult | null;
  readonly teardown: HookResult | null;
  /** `swarm try`: every client has ended its one iteration */
  readonly finished: boolean;
}
