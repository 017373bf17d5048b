/**
 * The books (docs/summary.md): whatever began, a client, connection, request or round, still goes on or ended in
 * exactly one way. So does every slot, of actions and of clients that arrive.
 */
import { full_name } from './groups.ts';
import { add_lost, live_in, merge_groups, type GroupLost, type Lost } from './merge-snapshots.ts';
import type { GroupSnapshot, Snapshot } from './snapshot.ts';
import type { ActionSummary, Summary } from './summary.ts';

/** What most equations are about: the whole has it, and each group. */
interface BookedCounts {
  readonly clients: GroupSnapshot['clients'] & { readonly live: number; readonly lost: number };
  readonly connections: Omit<GroupSnapshot['connections'], 'connect' | 'handshake'> & {
    readonly lost: number;
    readonly lost_connecting: number;
  };
  readonly endpoints: Summary['endpoints'];
  readonly requests: GroupSnapshot['requests'] & { readonly lost: number };
}

/** With what was lost in its place, as in a summary. */
export function booked_counts(group: GroupSnapshot, lost: GroupLost): BookedCounts {
  const { connect: _connect, handshake: _handshake, ...connections } = group.connections;
  return {
    clients: { live: live_in(group), ...group.clients, lost: lost.clients },
    connections: { ...connections, lost: lost.open, lost_connecting: lost.connecting },
    endpoints: Object.entries(group.endpoints)
      .map(([address, counts]) => ({ address, ...counts }))
      .sort((a, b) => (a.address < b.address ? -1 : 1)),
    requests: { ...group.requests, lost: lost.in_flight },
  };
}

/**
 * The equations that do not hold, each as a sentence with its numbers; empty when the books balance. With `at_end`,
 * nothing may still go on either.
 */
export function check_books(summary: Summary, at_end: boolean): string[] {
  const { clients, arrivals = [], connections, actions, workers } = summary;
  const faults = [
    ...check_counts(summary),
    ...actions.flatMap((action) =>
      equation(`${rounds_of(action)} started`, action.started, {
        running: action.running,
        ok: action.ok,
        ...prefixed('failed', action.failed),
        aborted: action.aborted,
        lost: action.lost,
      }),
    ),
    ...actions.flatMap((action) => check_slots(action)),
    ...arrivals.flatMap(({ group, planned, started, dropped, lost }) =>
      equation(`arrivals in ${group} planned`, planned, { started, ...prefixed('dropped', dropped), lost }),
    ),
  ];
  if (workers.length > 0) {
    const of_each = (gauge: 'live' | 'open') => Object.fromEntries(workers.map((worker) => [worker.id, worker[gauge]]));
    faults.push(
      ...equation('clients live of all workers', clients.live, of_each('live')),
      ...equation('connections open of all workers', connections.open, of_each('open')),
    );
  }
  if (!at_end) return faults;
  const running = Object.fromEntries(actions.map((action) => [`${rounds_of(action)} running`, action.running]));
  const waiting = Object.fromEntries(
    actions.map((action) => [`${slots_of(action)} waiting`, action.slots?.waiting ?? 0]),
  );
  const arrived = Object.fromEntries(arrivals.map(({ group, live }) => [`arrivals in ${group} live`, live]));
  return [...faults, ...not_zero({ ...gauges_of(summary), ...running, ...waiting, ...arrived })];
}

/** Each slot whose instant has come was started, waits, or was given up; each round of a rated action is a slot. */
function check_slots(action: ActionSummary): string[] {
  const { started, slots } = action;
  if (!slots) return [];
  return equation(`${slots_of(action)} planned`, slots.planned, {
    started,
    waiting: slots.waiting,
    ...prefixed('dropped', slots.dropped),
    lost: slots.lost,
  });
}

/**
 * The same for each group: what is missing in one may be too much in another. Rounds are left out, a summary tells them
 * by group. Of a single group there is nothing to say that {@link check_books} does not.
 */
export function check_groups({ groups }: Snapshot, lost: Lost, at_end: boolean): string[] {
  const names = new Set([...Object.keys(groups), ...Object.keys(lost)]);
  if (names.size <= 1) return [];
  return [...names].flatMap((name) => {
    const counted = booked_counts(groups[name] ?? merge_groups([]), lost[name] ?? add_lost([]));
    const faults = [...check_counts(counted), ...(at_end ? not_zero(gauges_of(counted)) : [])];
    return faults.map((fault) => `group ${name}: ${fault}`);
  });
}

function check_counts({ clients, connections, endpoints, requests }: BookedCounts): string[] {
  return [
    ...equation('clients created', clients.created, {
      live: clients.live,
      'killed by decr': clients.killed.decr,
      'killed by stop': clients.killed.stop,
      done: clients.done,
      lost: clients.lost,
    }),
    ...equation('clients live', clients.live, clients.states),
    ...equation('connections attempted', connections.attempted, {
      connecting: connections.connecting,
      established: connections.established,
      ...prefixed('failed', connections.failed),
      cancelled: connections.cancelled,
      'lost connecting': connections.lost_connecting,
    }),
    ...equation('connections established', connections.established, {
      open: connections.open,
      ...prefixed('closed', connections.closed),
      lost: connections.lost,
    }),
    ...(['attempted', 'established', 'open', 'connecting'] as const).flatMap((what) =>
      equation(
        `connections ${what} to all endpoints`,
        connections[what],
        Object.fromEntries(endpoints.map((endpoint) => [endpoint.address, endpoint[what]])),
      ),
    ),
    ...endpoints.flatMap((endpoint) => [
      ...equation(`connections to ${endpoint.address} attempted`, endpoint.attempted, {
        connecting: endpoint.connecting,
        established: endpoint.established,
        failed: endpoint.failed,
        cancelled: endpoint.cancelled,
        'lost connecting': endpoint.lost_connecting,
      }),
      ...equation(`connections to ${endpoint.address} established`, endpoint.established, {
        open: endpoint.open,
        closed: endpoint.closed,
        lost: endpoint.lost,
      }),
    ]),
    ...equation('requests sent', requests.sent, {
      'in flight': requests.in_flight,
      ok: requests.ok,
      wrong: requests.wrong,
      timeout: requests.timeout,
      aborted: requests.aborted,
      lost: requests.lost,
    }),
  ];
}

const rounds_of = (action: ActionSummary): string => `rounds of ${full_name(action)} (${action.index})`;

const slots_of = (action: ActionSummary): string => `slots of ${full_name(action)} (${action.index})`;

const gauges_of = ({ clients, connections, requests }: BookedCounts): Record<string, number> => ({
  'clients live': clients.live,
  'clients draining': clients.draining,
  'places finished': clients.finished,
  'connections connecting': connections.connecting,
  'connections open': connections.open,
  'requests in flight': requests.in_flight,
});

function not_zero(gauges: Readonly<Record<string, number>>): string[] {
  return Object.entries(gauges)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name}: ${value} at the end, not 0`);
}

/** `what: 5, but a 1 + b 3 = 4`; parts that are 0 are left out. */
function equation(what: string, whole: number, parts: Readonly<Record<string, number>>): string[] {
  const sum = Object.values(parts).reduce((all, part) => all + part, 0);
  if (whole === sum) return [];
  const said = Object.entries(parts).filter(([, part]) => part !== 0);
  return [
    `${what}: ${whole}, but ${said.map(([name, part]) => `${name} ${part}`).join(' + ') || 'its parts'} = ${sum}`,
  ];
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [`${prefix} ${key}`, count]));
}
