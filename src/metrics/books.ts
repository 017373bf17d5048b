/**
 * The books (docs/summary.md): whatever began, a client, connection, request or round, still goes on or ended in
 * exactly one way.
 */
import type { Summary } from './summary.ts';

/**
 * The equations that do not hold, each as a sentence with its numbers; empty when the books balance. With `at_end`,
 * nothing may still go on either.
 */
export function check_books(summary: Summary, at_end: boolean): string[] {
  const { clients, connections, endpoints, requests, actions, workers } = summary;
  const faults = [
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
    ...actions.flatMap((action) =>
      equation(`rounds of ${action.command} (${action.index}) started`, action.started, {
        running: action.running,
        ok: action.ok,
        ...prefixed('failed', action.failed),
        aborted: action.aborted,
        lost: action.lost,
      }),
    ),
  ];
  if (workers.length > 0) {
    const of_each = (gauge: 'live' | 'open') => Object.fromEntries(workers.map((worker) => [worker.id, worker[gauge]]));
    faults.push(
      ...equation('clients live of all workers', clients.live, of_each('live')),
      ...equation('connections open of all workers', connections.open, of_each('open')),
    );
  }
  return at_end ? [...faults, ...still_going_on(summary)] : faults;
}

function still_going_on({ clients, connections, requests, actions }: Summary): string[] {
  const gauges = {
    'clients live': clients.live,
    'clients draining': clients.draining,
    'connections connecting': connections.connecting,
    'connections open': connections.open,
    'requests in flight': requests.in_flight,
    ...Object.fromEntries(
      actions.map((action) => [`rounds of ${action.command} (${action.index}) running`, action.running]),
    ),
  };
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
