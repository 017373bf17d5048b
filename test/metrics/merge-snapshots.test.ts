import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAIN } from '../../src/metrics/groups.ts';
import {
  bury,
  is_idle,
  live_in,
  live_of,
  lose_slots,
  merge_actions,
  merge_dead,
  merge_groups,
  merge_snapshots,
  NO_DEAD,
  open_of,
  settle_lost,
  whole_of,
} from '../../src/metrics/merge-snapshots.ts';
import { DROP_REASONS, type ErrorKind, type GroupSnapshot, type Snapshot } from '../../src/metrics/snapshot.ts';
import { a_snapshot, grouped, NAMES, recorded, snapshots } from './arbitraries.ts';
import { changed_main, main_lost, main_of, NOTHING } from './one-group.ts';

const worker = (i: number) => ({ worker: `w${i}`, incarnation: `i${i}`, at: '2026-01-02T03:04:05Z', silent_ms: 900 });
const with_errors = (errors: Record<string, ErrorKind>): Snapshot => ({ ...merge_snapshots([]), errors });
const kind = (count: number, last: string, last_at: number): ErrorKind => ({ count, last, last_at });

describe('merge_snapshots', () => {
  it('is zero without members', () => {
    const nothing = merge_snapshots([]);
    expect(live_of(nothing)).toBe(0);
    expect(nothing.groups).toEqual({});
    expect(whole_of(nothing)).toEqual(NOTHING);
  });

  it('changes nothing about one', () => {
    fc.assert(
      fc.property(snapshots, (one) => {
        expect(merge_snapshots([one])).toEqual(one);
      }),
    );
  });

  it('does not care in which order members are added', () => {
    fc.assert(
      fc.property(grouped, grouped, grouped, (a, b, c) => {
        expect(merge_snapshots([merge_snapshots([a, b]), c])).toEqual(merge_snapshots([a, b, c]));
      }),
      { numRuns: 50 },
    );
  });

  it('adds counters and gauges, takes the highest peak and lag', () => {
    const [a, b] = [a_snapshot(1), a_snapshot(2)];
    const both = merge_snapshots([a, b]);
    const [x, y, sum] = [main_of(a), main_of(b), main_of(both)];
    expect(sum.clients.created).toBe(x.clients.created + y.clients.created);
    expect(sum.connections.closed.server).toBe(x.connections.closed.server + y.connections.closed.server);
    expect(sum.actions[1]!.ok).toBe(x.actions[1]!.ok + y.actions[1]!.ok);
    expect(live_of(both)).toBe(live_of(a) + live_of(b));
    expect(sum.clients.peak).toBe(Math.max(x.clients.peak, y.clients.peak));
    expect(both.generator.lag_p99_ms).toBe(Math.max(a.generator.lag_p99_ms, b.generator.lag_p99_ms));
  });

  it('merges the times of an action', () => {
    const [a, b] = [a_snapshot(1), a_snapshot(2)].map((snapshot, i) =>
      changed_main(snapshot, ({ actions }) => ({
        actions: [{ ...actions[0]!, service: recorded([100 + i, 5000]) }],
      })),
    );
    expect(main_of(merge_snapshots([a!, b!])).actions[0]!.service).toEqual(recorded([100, 101, 5000, 5000]));
  });

  it('takes a member that does not know its actions yet', () => {
    const one = a_snapshot(3);
    const early = changed_main(one, () => ({ actions: [] }));
    expect(main_of(merge_snapshots([early, one])).actions).toEqual(main_of(one).actions);
  });

  it('adds errors by code with the newest text', () => {
    const merged = merge_snapshots([
      with_errors({ timeout: kind(2, 'newer', 20), wrong_reply: { ...kind(1, 'x', 5), sample: '-ERR' } }),
      with_errors({ timeout: kind(3, 'older', 10), wrong_reply: kind(1, 'y', 6) }),
    ]);
    expect(merged.errors).toEqual({
      timeout: kind(5, 'newer', 20),
      wrong_reply: kind(2, 'y', 6), // not x's bytes beside y's text
    });
  });

  it('keeps the 100 most frequent kinds and the rest as other', () => {
    const many = (from: number): Snapshot['errors'] =>
      Object.fromEntries(
        Array.from({ length: 100 }, (_, i) => [`E${from + i}`, kind(from + i, `e${from + i}`, from + i)]),
      );
    const merged = merge_snapshots([with_errors(many(1)), with_errors({ ...many(51), other: kind(7, 'before', 1) })]);
    expect(Object.keys(merged.errors)).toHaveLength(101);
    // 1…50 are in one member only and least frequent
    expect(merged.errors.other).toEqual(kind(7 + (50 * 51) / 2, 'e50', 50));
    expect(merged.errors.E51).toEqual(kind(102, 'e51', 51));
    expect(merge_snapshots([merged]).errors).toEqual(merged.errors);
  });
});

describe('groups', () => {
  it('are added each for itself, in the order of the run', () => {
    const property = (list: readonly Snapshot[]): void => {
      const merged = merge_snapshots(list);
      const known = NAMES.filter((name) => list.some(({ groups }) => name in groups));
      expect(Object.keys(merged.groups)).toEqual(known);
      for (const name of known)
        expect(merged.groups[name]).toEqual(merge_groups(list.flatMap(({ groups }) => groups[name] ?? [])));
    };
    fc.assert(fc.property(fc.array(grouped, { maxLength: 3 }), property), { numRuns: 50 });
  });

  it('are the whole together: its counters are their sums, its actions theirs in their order', () => {
    const property = (one: Snapshot): void => {
      const all = Object.values(one.groups);
      const sum = (of: (group: GroupSnapshot) => number): number =>
        all.reduce((before, group) => before + of(group), 0);
      const whole = whole_of(one);
      expect(whole.clients.created).toBe(sum(({ clients }) => clients.created));
      expect(whole.clients.states.acting).toBe(sum(({ clients }) => clients.states.acting));
      expect(whole.requests.sent).toBe(sum(({ requests }) => requests.sent));
      expect(whole.bytes.received).toBe(sum(({ bytes }) => bytes.received));
      expect(whole.connections.connect.count).toBe(sum(({ connections }) => connections.connect.count));
      expect(whole.connections.closed.server).toBe(sum(({ connections }) => connections.closed.server));
      expect(whole.actions).toEqual(all.flatMap(({ actions }) => actions));
      expect(Object.values(whole.endpoints).reduce((before, { attempted }) => before + attempted, 0)).toBe(
        sum(({ connections }) => connections.attempted),
      );
      expect([live_of(one), open_of(one)]).toEqual([live_in(whole), whole.connections.open]);
    };
    fc.assert(fc.property(grouped, property), { numRuns: 100 });
  });

  it('of which there is one are the whole, not a copy', () => {
    const one = a_snapshot(1);
    expect(whole_of(one)).toBe(one.groups[MAIN]);
  });

  it('must all be idle', () => {
    const idle = settle_lost(a_snapshot(1)).snapshot.groups[MAIN]!;
    const of = (b: GroupSnapshot): Snapshot => ({ ...a_snapshot(1), groups: { a: idle, b } });
    expect(is_idle(of(idle))).toBe(true);
    expect(is_idle(of({ ...idle, connections: { ...idle.connections, connecting: 1 } }))).toBe(false);
    expect(is_idle(of({ ...idle, requests: { ...idle.requests, in_flight: 1 } }))).toBe(false);
  });

  it('of several members have 100 endpoints together, and the rest is under `other`', () => {
    const to = (from: number): GroupSnapshot => {
      const [known] = Object.values(main_of(a_snapshot(1)).endpoints);
      const addresses = Array.from({ length: 80 }, (_, i) => `10.0.0.${from + i}:1`);
      return { ...NOTHING, endpoints: Object.fromEntries(addresses.map((address) => [address, known!])) };
    };
    const whole = whole_of({ ...a_snapshot(1), groups: { a: to(0), b: to(50) } });
    expect(Object.keys(whole.endpoints)).toHaveLength(101);
    const attempted = Object.values(whole.endpoints).reduce((all, one) => all + one.attempted, 0);
    expect(attempted).toBe(160 * Object.values(to(0).endpoints)[0]!.attempted);
  });
});

describe('settle_lost', () => {
  it('moves every gauge and nothing else', () => {
    fc.assert(
      fc.property(grouped, (last) => {
        const { snapshot, lost } = settle_lost(last);
        expect(Object.keys(lost)).toEqual(Object.keys(last.groups));
        for (const [name, group] of Object.entries(last.groups)) {
          expect(lost[name]).toEqual({
            clients: live_in(group),
            connecting: group.connections.connecting,
            open: group.connections.open,
            in_flight: group.requests.in_flight,
            running: group.actions.map((action) => action.running),
            ...(group.actions.some(({ slots }) => slots) && {
              slots: group.actions.map(({ slots }) => slots?.waiting ?? 0),
            }),
          });
          const { clients, connections, requests, actions } = snapshot.groups[name]!;
          expect(clients.draining).toBe(0);
          expect([connections.connecting, connections.open, requests.in_flight]).toEqual([0, 0, 0]);
          expect(actions.every((action) => action.running === 0)).toBe(true);
          expect(actions.map(({ slots }) => slots)).toEqual(
            group.actions.map(({ slots }) => slots && { ...slots, waiting: 0 }),
          );
          expect(clients.created).toBe(group.clients.created);
          expect(requests.sent).toBe(group.requests.sent);
          expect(settle_lost(snapshot).lost[name]!.clients).toBe(0);
        }
        expect(live_of(snapshot)).toBe(0);
        expect(snapshot.generator).toEqual({ cpu_s: last.generator.cpu_s, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 });
      }),
    );
  });
});

describe('bury', () => {
  it('adds up what was lost, also of one that did not know its actions', () => {
    const [a, b] = [a_snapshot(1), changed_main(a_snapshot(2), () => ({ actions: [] }))];
    const dead = bury(bury(NO_DEAD, b, worker(1)), a, worker(2));
    expect(main_lost(dead.lost).clients).toBe(live_of(a) + live_of(b));
    expect(main_lost(dead.lost).running).toEqual(main_of(a).actions.map((action) => action.running));
    expect(dead.snapshot).toEqual(merge_snapshots([settle_lost(a).snapshot, settle_lost(b).snapshot]));
    expect(dead.workers).toEqual([worker(1), worker(2)]);
  });

  it('does not grow with restarts: the newest 100 are named', () => {
    let dead = NO_DEAD;
    const last = a_snapshot(1);
    for (let i = 1; i <= 150; i++) dead = bury(dead, last, worker(i));
    expect(dead.workers).toHaveLength(100);
    expect(dead.workers.at(-1)).toEqual(worker(150));
    expect(main_lost(dead.lost).open).toBe(150 * main_of(last).connections.open);
  });
});

describe('slots', () => {
  const counts = (group: GroupSnapshot | undefined, i: number): number[] => {
    const { planned = 0, waiting = 0, dropped } = group?.actions[i]?.slots ?? {};
    return [planned, waiting, ...DROP_REASONS.map((reason) => dropped?.[reason] ?? 0)];
  };

  it('are added each for itself, and left out of actions that have none', () => {
    const property = (list: readonly Snapshot[]): void => {
      const { groups } = merge_snapshots(list);
      for (const [name, { actions }] of Object.entries(groups))
        for (const [i, { slots }] of actions.entries()) {
          const parts = list.flatMap((one) => one.groups[name]?.actions[i]?.slots ?? []);
          expect(slots === undefined).toBe(parts.length === 0);
          const sums = counts(NOTHING, 0);
          for (const one of list) counts(one.groups[name], i).forEach((count, at) => (sums[at]! += count));
          expect(counts(groups[name], i)).toEqual(sums);
          expect(slots?.late.sum ?? 0).toBeCloseTo(
            parts.reduce((all, { late }) => all + late.sum, 0),
            3,
          );
        }
    };
    fc.assert(fc.property(fc.array(grouped, { maxLength: 3 }), property), { numRuns: 50 });
  });

  it('that nobody made are planned and lost alike, whoever died before', () => {
    const losses = fc.array(
      fc.record({ group: fc.constantFrom(...NAMES), action: fc.nat(3), count: fc.oneof(fc.constant(0), fc.nat(1e6)) }),
      { maxLength: 8 },
    );
    const property = (list: { group: string; action: number; count: number }[], last: Snapshot | null): void => {
      const before = last ? bury(NO_DEAD, last, worker(1)) : NO_DEAD;
      const dead = list.reduce((so_far, { group, action, count }) => lose_slots(so_far, group, action, count), before);
      for (const group of NAMES)
        for (const i of [0, 1, 2, 3]) {
          const lost = list.filter((one) => one.group === group && one.action === i);
          const count = lost.reduce((all, one) => all + one.count, 0);
          const [planned, ...rest] = counts(before.snapshot.groups[group], i);
          expect(counts(dead.snapshot.groups[group], i)).toEqual([planned! + count, ...rest]);
          expect(dead.lost[group]?.slots?.[i] ?? 0).toBe((before.lost[group]?.slots?.[i] ?? 0) + count);
          expect(dead.lost[group]?.running[i] ?? 0).toBe(before.lost[group]?.running[i] ?? 0);
        }
      expect(dead.workers).toEqual(before.workers);
      expect(live_of(dead.snapshot)).toBe(0);
    };
    fc.assert(fc.property(losses, fc.option(grouped), property), { numRuns: 50 });
  });

  it('that none lost change nothing', () => {
    expect(lose_slots(NO_DEAD, MAIN, 0, 0)).toBe(NO_DEAD);
  });

  it('that wait are something that goes on', () => {
    const late = recorded([]);
    const dropped = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };
    const waits = (waiting: number): Snapshot => {
      const slots = { planned: waiting, waiting, dropped, tardy: 0, late };
      return { ...merge_snapshots([]), groups: { a: { ...NOTHING, actions: [{ ...merge_actions([]), slots }] } } };
    };
    expect([is_idle(waits(0)), is_idle(waits(1))]).toEqual([true, false]);
  });
});

describe('merge_dead', () => {
  const at = (second: number, i: number) => ({ ...worker(i), at: new Date(second * 1000).toISOString() });

  it('is nothing of none, and changes nothing about one', () => {
    expect(merge_dead([])).toEqual(NO_DEAD);
    const one = bury(NO_DEAD, a_snapshot(1), worker(1));
    expect(merge_dead([one])).toEqual(one);
    expect(merge_dead([NO_DEAD, one, NO_DEAD])).toEqual(one);
  });

  it('is what one would have buried that saw all die', () => {
    fc.assert(
      fc.property(grouped, grouped, grouped, (a, b, c) => {
        const [first, second] = [bury(bury(NO_DEAD, a, at(1, 1)), c, at(3, 3)), bury(NO_DEAD, b, at(2, 2))];
        const all = bury(bury(bury(NO_DEAD, a, at(1, 1)), b, at(2, 2)), c, at(3, 3));
        expect(merge_dead([first, second])).toEqual(all);
        expect(merge_dead([second, first])).toEqual(all);
      }),
      { numRuns: 50 },
    );
  });

  it('adds up what was lost by action, also of those that did not know theirs', () => {
    const lost = { clients: 1, connecting: 2, open: 3, in_flight: 4, running: [5, 6] };
    const merged = merge_dead([
      { ...NO_DEAD, lost: { a: lost } },
      NO_DEAD,
      { ...NO_DEAD, lost: { a: { ...lost, running: [1] }, b: lost } },
    ]);
    expect(merged.lost).toEqual({
      a: { clients: 2, connecting: 4, open: 6, in_flight: 8, running: [6, 6] },
      b: lost,
    });
    const slots = merge_dead([
      { ...NO_DEAD, lost: { a: { ...lost, slots: [0, 7] } } },
      { ...NO_DEAD, lost: { a: lost } },
      { ...NO_DEAD, lost: { a: { ...lost, slots: [2] } } },
    ]).lost.a!.slots;
    expect(slots).toEqual([2, 7]);
  });

  it('names the newest 100, wherever they died', () => {
    const dead = (seconds: number[]) => ({ ...NO_DEAD, workers: seconds.map((second) => at(second, second)) });
    const every = (from: number) => Array.from({ length: 90 }, (_, i) => from + 2 * i);
    const { workers } = merge_dead([dead(every(0)), dead(every(1))]);
    expect(workers.map((one) => one.worker)).toEqual(Array.from({ length: 100 }, (_, i) => `w${80 + i}`));
  });
});
