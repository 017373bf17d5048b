/** Reports of members that exist only on paper. */
import type { Account } from '../../src/swarm/plan/account.ts';
import type { MemberId } from '../../src/swarm/plan/run-spec.ts';
import { Members } from '../../src/swarm/squad/members.ts';
import { NOTHING, of_main } from '../metrics/one-group.ts';

/** The first report of process `incarnation`, with `live` clients, all connected; it can hold 1000. */
export function account(incarnation: string, live = 0, changes: Partial<Account> = {}): Account {
  const { clients, connections } = NOTHING;
  return {
    incarnation,
    pid: 100,
    seq: 1,
    revision: 0,
    taken: 0,
    capacity: 1000,
    capacity_why: 'open files 1100 per process',
    snapshot: of_main({
      clients: { ...clients, created: live, peak: live, states: { ...clients.states, acting: live } },
      connections: { ...connections, attempted: live, established: live, open: live, open_peak: live },
    }),
    notes: [],
    notes_dropped: 0,
    tenures: [],
    traces: [],
    setup: null,
    teardown: null,
    finished: false,
    ...changes,
  };
}

/** Members that are all wanted, and up unless `up` is false: the process of w1 is w1-1. */
export function members_of(ids: readonly MemberId[], up = true, groups = 1): Members {
  const members = new Members(ids, groups);
  for (const member of members.all) members.want(member, 0);
  if (up) for (const id of ids) members.accept(id, account(`${id}-1`), 0, 0);
  return members;
}
