import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check_books, check_groups } from '../../src/metrics/books.ts';
import { encode_hdr } from '../../src/metrics/hdr.ts';
import { latency_ms } from '../../src/metrics/histogram.ts';
import {
  bury,
  live_of,
  lose_slots,
  merge_actions,
  merge_snapshots,
  NO_DEAD,
  open_of,
  whole_of,
} from '../../src/metrics/merge-snapshots.ts';
import type {
  ActionSnapshot,
  GroupSnapshot,
  HistogramSnapshot,
  SlotSnapshot,
  Snapshot,
} from '../../src/metrics/snapshot.ts';
import type { AgentSummary, WorkerSummary } from '../../src/metrics/summary.ts';
import { to_summary, totals_of, type Totals } from '../../src/metrics/totals.ts';
import { a_snapshot, grouped, groups as group_snapshots, INPUT, NAMES, rated, recorded } from './arbitraries.ts';
import { changed_main, group_playing, main_of, NOTHING, of_main, playing } from './one-group.ts';

const SCHEMA = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../docs/summary.schema.json'), 'utf8'),
) as Record<string, unknown>;
const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(SCHEMA);

const RATED = fc.sample(rated, { seed: 1, numRuns: 1 })[0]! as ActionSnapshot & { slots: SlotSnapshot };
const DEATH = { worker: 'w2', incarnation: 'i1', at: '2026-01-02T03:04:05Z', silent_ms: 900 };

const row_of = (id: string, snapshot: Snapshot): WorkerSummary => ({
  id,
  incarnation: `${id}-1`,
  pid: 4242,
  live: live_of(snapshot),
  open: open_of(snapshot),
  capacity: 20_000,
  cpu: 0.5,
  rss_bytes: 1e8,
  lag_p99_ms: 1.25,
  silent_ms: 400,
  state: 'up',
});

describe('to_summary', () => {
  it('balances whatever members measured and however many died', () => {
    fc.assert(
      fc.property(fc.array(grouped, { maxLength: 3 }), fc.array(grouped, { maxLength: 3 }), (members, fallen) => {
        const dead = fallen.reduce((before, last) => bury(before, last, DEATH), NO_DEAD);
        const summary = to_summary({ ...INPUT, members, dead });
        expect(check_books(summary, false)).toEqual([]);
        expect(summary.balanced).toBe(true);
        expect(summary.complete).toBe(fallen.length === 0);
        const created = [...members, ...fallen].reduce((n, s) => n + whole_of(s).clients.created, 0);
        expect(summary.clients.created).toBe(created);
        expect(summary.clients.live).toBe(members.reduce((n, s) => n + live_of(s), 0));
      }),
      { numRuns: 50 },
    );
  });

  it('is not balanced at the end while something is going on', () => {
    expect(to_summary({ ...INPUT, members: [a_snapshot(1)], final: true }).balanced).toBe(false);
    const settled = bury(NO_DEAD, a_snapshot(1), DEATH);
    expect(to_summary({ ...INPUT, members: [], dead: settled, final: true }).balanced).toBe(true);
  });

  it('names the actions in order, `connected` as -1, and those not known yet as zeros', () => {
    const { actions } = to_summary({ ...INPUT, members: [a_snapshot(1)] });
    expect(actions.map(({ index, command, group, loop }) => [index, command, group, loop])).toEqual([
      [0, 'heartbeat', 'main', 'main'],
      [-1, 'connected', 'main', 'main'],
    ]);
    expect(Object.keys(actions[0]!).slice(0, 6)).toEqual(['index', 'command', 'action', 'group', 'loop', 'started']);
    expect(actions[0]!.service_ms).toEqual(latency_ms(main_of(a_snapshot(1)).actions[0]!.service));
    const early = to_summary({ ...INPUT, members: [merge_snapshots([])] });
    expect(early.actions.map((action) => action.started)).toEqual([0, 0]);
  });

  it('carries histograms only when asked', () => {
    const members = [a_snapshot(1), a_snapshot(2)];
    expect(to_summary({ ...INPUT, members }).actions[0]).not.toHaveProperty('histograms');
    expect(to_summary({ ...INPUT, members, histograms: true }).actions[0]!.histograms).toEqual({
      service: encode_hdr(main_of(merge_snapshots(members)).actions[0]!.service),
      response: encode_hdr(main_of(merge_snapshots(members)).actions[0]!.response),
    });
  });

  it("takes the coordinator's peaks, never below what is live now", () => {
    const one = a_snapshot(1);
    expect(to_summary({ ...INPUT, members: [one], peaks: { live: 1e6, open: 2e6 } })).toMatchObject({
      clients: { peak: 1e6 },
      connections: { open_peak: 2e6 },
    });
    expect(to_summary({ ...INPUT, members: [one] }).clients.peak).toBe(live_of(one));
  });

  it('shows what happened since the mark, over a death in between', () => {
    const with_action = (ok: number, failed: Record<string, number>, service: number[]): Snapshot =>
      of_main({
        actions: [
          {
            started: ok + 1 + Object.values(failed).reduce((a, b) => a + b, 0),
            running: 1,
            ok,
            failed,
            aborted: 0,
            service: recorded(service),
            response: recorded(service),
          },
        ],
      });
    const base = totals_of([with_action(3, { timeout: 1 }, [10, 20, 30])], NO_DEAD);
    const dead = bury(NO_DEAD, with_action(4, { timeout: 1, fatal: 2 }, [10, 20, 30, 40]), DEATH);
    const members = [with_action(2, {}, [50, 60])];
    const mark = { text: 'ramped', at_ms: Date.UTC(2026, 0, 2, 3, 4, 10), run_seconds: 4.25, base };
    const summary = to_summary({ ...INPUT, members, dead, mark, groups: playing('heartbeat') });
    expect(summary.mark).toMatchObject({ text: 'ramped', at: '2026-01-02T03:04:10.000Z', seconds: 8.25 });
    expect(summary.mark!.actions[0]).toMatchObject({
      started: 6,
      running: 1,
      ok: 3,
      failed: { fatal: 2 },
      lost: 1,
      service_ms: { count: 3, min: 0.04, max: 0.06, mean: 0.05 },
    });
    expect(summary.actions[0]).toMatchObject({ ok: 6, service_ms: { count: 6, min: 0.01 } });
  });

  it('shows the times since the last state line, of all actions together, when there were any', () => {
    const [before, later] = [
      [10, 900],
      [20, 30, 40],
    ].map((times): Snapshot => {
      const action = { ...main_of(a_snapshot(1)).actions[0]!, service: recorded(times) };
      const group = { ...NOTHING, actions: [action] };
      return { ...merge_snapshots([]), groups: { a: group, b: group } };
    });
    const interval = totals_of([before!], NO_DEAD);
    const members = [before!, later!];
    expect(to_summary({ ...INPUT, members, interval }).interval).toEqual({ p50: 0.03, p99: 0.04 });
    expect(to_summary({ ...INPUT, members: [before!], interval })).not.toHaveProperty('interval');
    expect(to_summary({ ...INPUT, members })).not.toHaveProperty('interval');
  });

  it('has the slots of actions with rates, and none of others', () => {
    const { slots } = RATED;
    const members = [changed_main(a_snapshot(1), ({ actions }) => ({ actions: [RATED, actions[1]!] }))];
    const dead = lose_slots(NO_DEAD, 'main', 0, 7);
    const rates = { 'main.0': 2.5 };
    const { actions } = to_summary({ ...INPUT, members, dead, rates, histograms: true });
    expect(actions[0]).toMatchObject({
      rate_per_s: 2.5,
      slots: {
        planned: slots.planned + 7,
        started: RATED.started,
        waiting: slots.waiting,
        dropped: slots.dropped,
        lost: 7,
        late_ms: latency_ms(slots.late),
      },
      histograms: { late: encode_hdr(slots.late) },
    });
    for (const what of ['slots', 'rate_per_s', 'histograms.late']) expect(actions[1]).not.toHaveProperty(what);
  });

  it('counts slots since the mark too, one of which nobody knew then', () => {
    const late = [
      [10, 20],
      [10, 20, 30, 5000],
    ].map(recorded) as [HistogramSnapshot, HistogramSnapshot];
    const slots = (planned: number, waiting: number, backlog: number, i: 0 | 1): SlotSnapshot => ({
      planned,
      waiting,
      dropped: { no_free_client: 1, backlog, stopped: 0, paused: 0 },
      tardy: 0,
      late: late[i],
    });
    const of = (started: number, one: SlotSnapshot): Snapshot =>
      of_main({ actions: [{ ...merge_actions([]), started, running: started, slots: one }] });
    const base = totals_of([of(2, slots(9, 4, 2, 0))], lose_slots(NO_DEAD, 'main', 0, 3));
    const input = { ...INPUT, groups: playing('say'), members: [of(4, slots(16, 5, 6, 1))] };
    const dead = lose_slots(NO_DEAD, 'main', 0, 5);
    const since = (before: Totals) =>
      to_summary({ ...input, dead, mark: { text: '', at_ms: 0, run_seconds: 0, base: before } }).mark!.actions[0]!
        .slots;
    const dropped = { no_free_client: 0, backlog: 4, stopped: 0, paused: 0 };
    expect(since(base)).toMatchObject({ planned: 9, started: 2, waiting: 5, dropped, lost: 2, late_ms: { count: 2 } });
    expect(since(base)!.late_ms.min).toBe(0.03);
    const early = totals_of([of_main({ actions: [merge_actions([])] })], NO_DEAD);
    expect(since(early)).toMatchObject({ planned: 21, started: 4, lost: 5, late_ms: { count: 4 } });
  });

  it('shows beside service times response and lateness since the last state line, where there are slots', () => {
    const of = (service: number[], response: number[], late: number[]): Snapshot => {
      const slots = { ...RATED.slots, late: recorded(late) };
      const action = { ...merge_actions([]), service: recorded(service), response: recorded(response), slots };
      const other = { ...merge_actions([]), service: recorded([]) };
      return of_main({ actions: [action, other] });
    };
    const before = of([10], [900], [800]);
    const interval = totals_of([before], NO_DEAD);
    expect(to_summary({ ...INPUT, members: [before, of([20], [500], [400, 7])], interval }).interval).toEqual({
      p50: 0.02,
      p99: 0.02,
      response_p50: 0.5,
      response_p99: 0.5,
      late_p99: 0.4,
    });
  });

  it('counts the seconds in which swarm was saturated, if there were any', () => {
    expect(to_summary({ ...INPUT, members: [], saturated_seconds: 3 }).saturated_seconds).toBe(3);
    expect(to_summary({ ...INPUT, members: [], saturated_seconds: 0 })).not.toHaveProperty('saturated_seconds');
  });

  it('puts the most frequent error first', () => {
    const errors = {
      timeout: { count: 1, last: 'a', last_at: 0 },
      wrong_reply: { count: 5, last: 'b', last_at: 1500, sample: '-ERR\\r\\n' },
      fatal: { count: 1, last: 'c', last_at: 0 },
    };
    expect(to_summary({ ...INPUT, members: [{ ...merge_snapshots([]), errors }] }).errors).toEqual([
      { code: 'wrong_reply', count: 5, last: 'b', last_at: '1970-01-01T00:00:01.500Z', sample: '-ERR\\r\\n' },
      { code: 'fatal', count: 1, last: 'c', last_at: '1970-01-01T00:00:00.000Z' },
      { code: 'timeout', count: 1, last: 'a', last_at: '1970-01-01T00:00:00.000Z' },
    ]);
  });
});

describe('to_summary of groups', () => {
  const groups = NAMES.map((name) => group_playing(name, `say-${name}`, 'connected'));

  it('has the actions of each group, one group after another, and the sums of all', () => {
    const property = (members: readonly Snapshot[]): void => {
      const { snapshot } = totals_of(members, NO_DEAD);
      const summary = to_summary({ ...INPUT, groups, members });
      expect(summary.actions.map(({ group, command, index, ok }) => [group, command, index, ok])).toEqual(
        NAMES.flatMap((name) =>
          [0, 1].map((i) => [
            name,
            i === 0 ? `say-${name}` : 'connected',
            i === 0 ? 0 : -1,
            snapshot.groups[name]?.actions[i]!.ok ?? 0,
          ]),
        ),
      );
      expect(summary.requests).toEqual({ ...whole_of(snapshot).requests, lost: 0 });
      expect(summary.clients.live).toBe(live_of(snapshot));
      expect(summary.balanced).toBe(true);
    };
    fc.assert(fc.property(fc.array(grouped, { maxLength: 3 }), property), { numRuns: 50 });
  });

  it('shows what happened since the mark in each group, one that came later too', () => {
    const [talkers, later] = [main_of(a_snapshot(1)), main_of(a_snapshot(2))];
    const of = (...list: [string, GroupSnapshot][]): Snapshot => ({
      ...a_snapshot(1),
      groups: Object.fromEntries(list),
    });
    const base = totals_of([of(['talkers', talkers])], NO_DEAD);
    const mark = { text: '', at_ms: 0, run_seconds: 0, base };
    const summary = to_summary({ ...INPUT, groups, mark, members: [of(['talkers', talkers], ['main', later])] });
    const since = (group: string): number[] =>
      summary.mark!.actions.filter((action) => action.group === group).map(({ started }) => started);
    expect(since('talkers')).toEqual([0, 0]);
    expect(since('main')).toEqual(later.actions.map(({ started }) => started));
  });

  type Leak = [name: string, by: (group: GroupSnapshot, count: number) => GroupSnapshot, said: RegExp];
  const leaks: readonly Leak[] = [
    ['clients', (g, n) => ({ ...g, clients: { ...g.clients, done: g.clients.done + n } }), /clients created/],
    ['requests', (g, n) => ({ ...g, requests: { ...g.requests, ok: g.requests.ok + n } }), /requests sent/],
    [
      'connections',
      (g, n) => ({ ...g, connections: { ...g.connections, cancelled: g.connections.cancelled + n } }),
      /connections attempted/,
    ],
  ];
  it.each(leaks)('finds %s that leak in one group, hidden by another one', (_, by, said) => {
    const property = (one: GroupSnapshot, other: GroupSnapshot, count: number): void => {
      const [a, b] = [by(one, count), by(other, -count)];
      const members = [{ ...a_snapshot(1), groups: { talkers: a, listeners: b } }];
      const summary = to_summary({ ...INPUT, groups, members });
      expect(check_books(summary, false)).toEqual([]);
      expect(summary.balanced).toBe(false);
      const { snapshot, lost } = totals_of(members, NO_DEAD);
      const faults = check_groups(snapshot, lost, false);
      expect(faults.map((fault) => fault.split(':')[0])).toEqual(['group talkers', 'group listeners']);
      for (const fault of faults) expect(fault).toMatch(said);
    };
    fc.assert(fc.property(group_snapshots, group_snapshots, fc.integer({ min: 1, max: 1e6 }), property), {
      numRuns: 20,
    });
  });

  it('finds at the end what goes on in one group, hidden by another one', () => {
    const draining = (count: number): GroupSnapshot => ({
      ...NOTHING,
      clients: { ...NOTHING.clients, draining: count },
    });
    const members = [{ ...merge_snapshots([]), groups: { talkers: draining(2), listeners: draining(-2) } }];
    expect(to_summary({ ...INPUT, groups, members }).balanced).toBe(true);
    expect(to_summary({ ...INPUT, groups, members, final: true }).balanced).toBe(false);
  });
});

const AGENT: AgentSummary = {
  id: 'agent-01',
  host: 'load1',
  swarm: '0.1.0',
  labels: ['eu'],
  workers: 2,
  capacity: 100,
  share: 10,
  live: 10,
  open: 9,
  states: { initial: 0, connect: 1, acting: 4, standby: 5, backoff: 0, fatal: 0 },
  cpu: 0.5,
  lag_p99_ms: 1.25,
  errors: { timeout: 2 },
  offset_ms: -3,
  silent_ms: 120,
  health: 'suspect',
  why: '',
};

describe('docs/summary.schema.json', () => {
  const members = [a_snapshot(1), a_snapshot(2)];
  const full = to_summary({
    ...INPUT,
    members: [...members, of_main({ actions: [RATED] })],
    rates: { 'main.0': 0.5 },
    saturated_seconds: 4,
    workers: members.map((snapshot, i) => row_of(`w${i + 1}`, snapshot)),
    dead: bury(NO_DEAD, a_snapshot(3), DEATH),
    mark: { text: '', at_ms: 0, run_seconds: 0, base: totals_of([a_snapshot(1)], NO_DEAD) },
    interval: totals_of([a_snapshot(1)], NO_DEAD),
    agents: [AGENT],
    possibly_open: 7,
    histograms: true,
  });
  const roundtrip = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

  it('accepts a full summary and an empty one', () => {
    validate(roundtrip(full));
    expect(validate.errors ?? []).toEqual([]);
    validate(roundtrip(to_summary({ ...INPUT, members: [] })));
    expect(validate.errors ?? []).toEqual([]);
  });

  it('accepts any summary', () => {
    fc.assert(
      fc.property(fc.array(grouped, { maxLength: 2 }), (some) => {
        validate(roundtrip(to_summary({ ...INPUT, members: some })));
        expect(validate.errors ?? []).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('refuses what it does not know, what is missing and what cannot be', () => {
    expect(validate({ ...full, extra: 1 })).toBe(false);
    expect(validate({ ...full, clients: { ...full.clients, lost: undefined } })).toBe(false);
    expect(validate({ ...full, clients: { ...full.clients, live: -1 } })).toBe(false);
    expect(validate({ ...full, run: { ...full.run, started: 'yesterday' } })).toBe(false);
    expect(validate({ ...full, clients: { ...full.clients, states: { ...full.clients.states, dead: 1 } } })).toBe(
      false,
    );
  });

  it('describes every field and closes every object', () => {
    const faults: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (Array.isArray(node)) return node.forEach((item, i) => walk(item, `${path}/${i}`));
      if (typeof node !== 'object' || node === null) return;
      const { type, additionalProperties, properties } = node as Record<string, unknown>;
      if (type === 'object' && additionalProperties === undefined) faults.push(`${path} is open`);
      for (const [name, field] of Object.entries((properties ?? {}) as Record<string, { description?: string }>)) {
        if (!field.description) faults.push(`${path}/${name} is not described`);
      }
      for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`);
    };
    walk(SCHEMA, '');
    expect(faults).toEqual([]);
  });
});
