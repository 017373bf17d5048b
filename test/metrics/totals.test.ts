import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check_books } from '../../src/metrics/books.ts';
import { encode_hdr } from '../../src/metrics/hdr.ts';
import { latency_ms } from '../../src/metrics/histogram.ts';
import { bury, live_of, merge_snapshots, NO_DEAD } from '../../src/metrics/merge-snapshots.ts';
import type { Snapshot } from '../../src/metrics/snapshot.ts';
import type { AgentSummary, WorkerSummary } from '../../src/metrics/summary.ts';
import { to_summary, totals_of } from '../../src/metrics/totals.ts';
import { a_snapshot, INPUT, recorded, snapshots } from './arbitraries.ts';

const SCHEMA = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../docs/summary.schema.json'), 'utf8'),
) as Record<string, unknown>;
const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(SCHEMA);

const DEATH = { worker: 'w2', incarnation: 'i1', at: '2026-01-02T03:04:05Z', silent_ms: 900 };

const row_of = (id: string, snapshot: Snapshot): WorkerSummary => ({
  id,
  incarnation: `${id}-1`,
  pid: 4242,
  live: live_of(snapshot),
  open: snapshot.connections.open,
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
      fc.property(fc.array(snapshots, { maxLength: 3 }), fc.array(snapshots, { maxLength: 3 }), (members, fallen) => {
        const dead = fallen.reduce((before, last) => bury(before, last, DEATH), NO_DEAD);
        const summary = to_summary({ ...INPUT, members, dead });
        expect(check_books(summary, false)).toEqual([]);
        expect(summary.balanced).toBe(true);
        expect(summary.complete).toBe(fallen.length === 0);
        expect(summary.clients.created).toBe([...members, ...fallen].reduce((n, s) => n + s.clients.created, 0));
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
    expect(actions.map(({ index, command }) => [index, command])).toEqual([
      [0, 'heartbeat'],
      [-1, 'connected'],
    ]);
    expect(actions[0]!.service_ms).toEqual(latency_ms(a_snapshot(1).actions[0]!.service));
    const early = to_summary({ ...INPUT, members: [{ ...merge_snapshots([]), actions: [] }] });
    expect(early.actions.map((action) => action.started)).toEqual([0, 0]);
  });

  it('carries histograms only when asked', () => {
    const members = [a_snapshot(1), a_snapshot(2)];
    expect(to_summary({ ...INPUT, members }).actions[0]).not.toHaveProperty('histograms');
    expect(to_summary({ ...INPUT, members, histograms: true }).actions[0]!.histograms).toEqual({
      service: encode_hdr(merge_snapshots(members).actions[0]!.service),
      response: encode_hdr(merge_snapshots(members).actions[0]!.response),
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
    const with_action = (ok: number, failed: Record<string, number>, service: number[]): Snapshot => ({
      ...merge_snapshots([]),
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
    const summary = to_summary({ ...INPUT, members, dead, mark, commands: ['heartbeat'] });
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
      const action = { ...a_snapshot(1).actions[0]!, service: recorded(times) };
      return { ...merge_snapshots([]), actions: [action, action] };
    });
    const interval = totals_of([before!], NO_DEAD);
    const members = [before!, later!];
    expect(to_summary({ ...INPUT, members, interval }).interval).toEqual({ p50: 0.03, p99: 0.04 });
    expect(to_summary({ ...INPUT, members: [before!], interval })).not.toHaveProperty('interval');
    expect(to_summary({ ...INPUT, members })).not.toHaveProperty('interval');
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
    members,
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
      fc.property(fc.array(snapshots, { maxLength: 2 }), (some) => {
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
