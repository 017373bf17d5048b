import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check_books } from '../../src/metrics/books.ts';
import { bury, lose_arrivals, lose_slots, merge_snapshots, NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import type { Summary } from '../../src/metrics/summary.ts';
import { to_summary } from '../../src/metrics/totals.ts';
import { a_snapshot, arrivals, INPUT, rated } from './arbitraries.ts';
import { changed_main } from './one-group.ts';

const DEATH = { worker: 'w2', incarnation: 'i1', at: '2026-01-02T03:04:05Z', silent_ms: 900 };
const [RATED] = fc.sample(rated, { seed: 1, numRuns: 1 });
const [ARRIVALS] = fc.sample(arrivals, { seed: 1, numRuns: 1 });
/** its first action has a rate, and clients arrive */
const one = changed_main(a_snapshot(1), ({ actions }) => ({
  actions: [RATED!, ...actions.slice(1)],
  arrivals: ARRIVALS!,
}));
const balanced = (): Summary =>
  to_summary({
    ...INPUT,
    members: [one],
    dead: lose_arrivals(lose_slots(bury(NO_DEAD, one, DEATH), 'main', 0, 5), 'main', 7),
  });
const over = (): Summary => to_summary({ ...INPUT, members: [merge_snapshots([])] });

const endpoint_of = (summary: Summary): { attempted: number; open: number; closed: number } => {
  const [endpoint] = (summary.endpoints = summary.endpoints.map((one) => ({ ...one })));
  return endpoint!;
};

describe('check_books', () => {
  it('is silent about books that balance', () => {
    expect(check_books(balanced(), false)).toEqual([]);
    expect(check_books(over(), true)).toEqual([]);
  });

  const breaks: [name: string, change: (summary: Summary) => void, said: RegExp][] = [
    ['clients.created', (s) => s.clients.created++, /^clients created: \d+, but live \d+ \+ .*lost \d+ = \d+$/],
    ['clients.live', (s) => s.clients.live++, /^clients live: /],
    ['clients.killed', (s) => s.clients.killed.decr++, /^clients created: /],
    ['clients.done', (s) => s.clients.done++, /^clients created: /],
    ['clients.lost', (s) => s.clients.lost++, /^clients created: /],
    ['a state', (s) => s.clients.states.standby++, /^clients live: .* standby \d+/],
    ['attempted', (s) => s.connections.attempted--, /^connections attempted: /],
    ['connecting', (s) => s.connections.connecting++, /^connections attempted: /],
    ['failed', (s) => (s.connections.failed = { EPERM: 1e6 }), /^connections attempted: .*failed EPERM 1000000/],
    ['cancelled', (s) => s.connections.cancelled++, /^connections attempted: /],
    ['lost_connecting', (s) => s.connections.lost_connecting++, /^connections attempted: /],
    ['established', (s) => s.connections.established++, /^connections established: /],
    ['open', (s) => s.connections.open++, /^connections established: /],
    ['closed', (s) => s.connections.closed.limit++, /^connections established: .*closed limit \d+/],
    ['lost connections', (s) => s.connections.lost++, /^connections established: /],
    ['an endpoint', (s) => endpoint_of(s).attempted++, /^connections to 10.0.0.1:7000 attempted: /],
    ['open to it', (s) => endpoint_of(s).open++, /^connections open to all endpoints: /],
    ['closed to it', (s) => endpoint_of(s).closed++, /^connections to 10.0.0.1:7000 established: /],
    ['a missing endpoint', (s) => (s.endpoints = []), /^connections attempted to all endpoints: /],
    ['sent', (s) => s.requests.sent++, /^requests sent: /],
    ['in_flight', (s) => s.requests.in_flight++, /^requests sent: /],
    ['ok requests', (s) => s.requests.ok++, /^requests sent: /],
    ['wrong', (s) => s.requests.wrong++, /^requests sent: /],
    ['timeout', (s) => s.requests.timeout++, /^requests sent: /],
    ['aborted requests', (s) => s.requests.aborted++, /^requests sent: /],
    ['lost requests', (s) => s.requests.lost++, /^requests sent: /],
    ['started', (s) => s.actions[0]!.started++, /^rounds of heartbeat \(0\) started: /],
    ['running', (s) => s.actions[0]!.running++, /^rounds of heartbeat \(0\) started: /],
    ['ok rounds', (s) => s.actions[0]!.ok++, /^rounds of heartbeat \(0\) started: /],
    ['failed rounds', (s) => (s.actions[1]!.failed = { fatal: 1e6 }), /^rounds of connected \(-1\) started: /],
    ['aborted rounds', (s) => s.actions[1]!.aborted++, /^rounds of connected \(-1\) started: /],
    ['lost rounds', (s) => s.actions[1]!.lost++, /^rounds of connected \(-1\) started: /],
    [
      'planned',
      (s) => s.actions[0]!.slots!.planned++,
      /^slots of heartbeat \(0\) planned: \d+, but started \d+ \+ waiting/,
    ],
    ['started slots', (s) => s.actions[0]!.started--, /^slots of heartbeat \(0\) planned: /],
    ['waiting', (s) => s.actions[0]!.slots!.waiting++, /^slots of heartbeat \(0\) planned: /],
    ['dropped', (s) => s.actions[0]!.slots!.dropped.backlog++, /^slots of heartbeat .* dropped backlog \d+ /],
    [
      'planned arrivals',
      (s) => s.arrivals![0]!.planned++,
      /^arrivals in main planned: \d+, but started \d+ \+ .*dropped no_room \d+ .* lost 7 = \d+$/,
    ],
    ['arrivals that started', (s) => s.arrivals![0]!.started++, /^arrivals in main planned: /],
    ['arrivals without room', (s) => s.arrivals![0]!.dropped.no_room++, /^arrivals in main planned: /],
    ['lost arrivals', (s) => s.arrivals![0]!.lost--, /^arrivals in main planned: /],
    ['lost slots', (s) => s.actions[0]!.slots!.lost--, /^slots of heartbeat \(0\) planned: /],
    ['a number that is none', (s) => (s.requests.ok = NaN), /^requests sent: /],
  ];
  it.each(breaks)('sees that %s is off', (_, change, said) => {
    const summary = balanced();
    change(summary);
    const faults = check_books(summary, false);
    expect(faults.join('\n')).toMatch(new RegExp(said, 'm'));
  });

  it('says what does not add up, without the zeros', () => {
    const summary = over();
    summary.requests = { ...summary.requests, sent: 5, ok: 3, timeout: 1 };
    expect(check_books(summary, false)).toEqual(['requests sent: 5, but ok 3 + timeout 1 = 4']);
    summary.requests = { ...over().requests, sent: 5 };
    expect(check_books(summary, false)).toEqual(['requests sent: 5, but its parts = 0']);
  });

  it('compares the workers with the whole', () => {
    const summary = balanced();
    const { live } = summary.clients;
    const { open } = summary.connections;
    const row = {
      incarnation: 'i',
      pid: 1,
      capacity: 1,
      cpu: 0,
      rss_bytes: 0,
      lag_p99_ms: 0,
      silent_ms: 0,
      state: 'up' as const,
    };
    summary.workers = [
      { ...row, id: 'w1', live: live - 1, open },
      { ...row, id: 'w2', live: 1, open: 0 },
    ];
    expect(check_books(summary, false)).toEqual([]);
    summary.workers[1]!.open = 1;
    expect(check_books(summary, false)).toEqual([
      `connections open of all workers: ${open}, but w1 ${open} + w2 1 = ${open + 1}`,
    ]);
  });

  it('wants nothing going on at the end', () => {
    const summary = over();
    summary.clients = {
      ...summary.clients,
      created: 2,
      live: 2,
      draining: 1,
      finished: 0,
      states: { ...summary.clients.states, acting: 2 },
    };
    summary.connections = { ...summary.connections, attempted: 3, connecting: 1, established: 2, open: 2 };
    summary.endpoints = [
      {
        address: '10.0.0.1:7000',
        attempted: 3,
        connecting: 1,
        established: 2,
        open: 2,
        failed: 0,
        cancelled: 0,
        closed: 0,
        lost: 0,
        lost_connecting: 0,
      },
    ];
    summary.requests = { ...summary.requests, sent: 1, in_flight: 1 };
    const dropped = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
    const slots = { planned: 3, started: 1, waiting: 2, dropped, lost: 0, late_ms: summary.actions[0]!.service_ms };
    summary.actions[0] = { ...summary.actions[0]!, started: 1, running: 1, slots };
    expect(check_books(summary, false)).toEqual([]);
    expect(check_books(summary, true)).toEqual([
      'clients live: 2 at the end, not 0',
      'clients draining: 1 at the end, not 0',
      'connections connecting: 1 at the end, not 0',
      'connections open: 2 at the end, not 0',
      'requests in flight: 1 at the end, not 0',
      'rounds of heartbeat (0) running: 1 at the end, not 0',
      'slots of heartbeat (0) waiting: 2 at the end, not 0',
    ]);
  });
});
