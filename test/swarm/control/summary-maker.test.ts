import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { merge_actions, NO_DEAD } from '../../../src/metrics/merge-snapshots.ts';
import { Histogram } from '../../../src/metrics/histogram.ts';
import type { Snapshot } from '../../../src/metrics/snapshot.ts';
import { totals_of, type Totals } from '../../../src/metrics/totals.ts';
import { SummaryMaker, type Known } from '../../../src/swarm/control/summary-maker.ts';
import { NOTHING, of_main, playing } from '../../metrics/one-group.ts';

const RUN = {
  id: 'r',
  script_sha256: '',
  module_sha256: '',
  seed: '1',
  segment: null,
  servers: [],
  versions: { swarm: '', node: '' },
  started: '2026-01-01T00:00:00.000Z',
};

/** So many rounds ended, each after so many µs. */
function measured(ok: number, us = 1000): Snapshot {
  const service = new Histogram();
  for (let i = 0; i < ok; i++) service.record(us);
  const action = { ...merge_actions([]), started: ok, ok, service: service.snapshot() };
  return of_main({ requests: { ...NOTHING.requests, sent: ok, ok }, actions: [action] });
}

const known = (run_ms: number, snapshot: Snapshot, live = 0): Known => ({
  run_ms,
  phase: 'run',
  target: 0,
  planned: 0,
  connect_per_s: 1,
  workers: [],
  limits: { capacity: 1, why: '', bounds: [], open_files_per_process: 1, reserved_files: 0 },
  live,
  open: live,
  members: [snapshot],
  dead: NO_DEAD,
  totals: totals_of([snapshot], NO_DEAD),
});
const totals = (ok: number): (() => Totals) => {
  return () => totals_of([measured(ok)], NO_DEAD);
};

describe('the summaries of a run', () => {
  it('have the highest numbers there were, whoever looked when', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ live: fc.nat(1000), looks: fc.boolean() }), { minLength: 1 }), (moments) => {
        const maker = new SummaryMaker(RUN, playing('hi'));
        for (const { live, looks } of moments)
          if (looks) maker.make(known(0, measured(0), live));
          else maker.raise(live, live);
        const highest = Math.max(...moments.map(({ live }) => live));
        const { clients, connections } = maker.make(known(0, measured(0), 0));
        expect([clients.peak, connections.open_peak]).toEqual([highest, highest]);
      }),
    );
  });

  it('count a mark from when it was seen first, and the next one anew', () => {
    const maker = new SummaryMaker(RUN, playing('hi'));
    const mark = { text: 'here', at_ms: Date.parse('2026-01-01T00:00:02Z'), seq: 1 };
    expect(maker.make(known(1000, measured(3))).mark).toBe(null);
    maker.mark(null, 1500, totals(3));
    maker.mark(mark, 2000, totals(5));
    maker.mark(mark, 4000, totals(7));
    const { mark: first } = maker.make(known(5000, measured(9)));
    expect([first!.text, first!.at, first!.seconds]).toEqual(['here', '2026-01-01T00:00:02.000Z', 3]);
    expect(first!.actions.map(({ ok }) => ok)).toEqual([4]);
    maker.mark({ ...mark, text: 'there', seq: 2 }, 6000, totals(9));
    const { mark: next } = maker.make(known(6500, measured(10)));
    expect([next!.text, next!.seconds, next!.actions[0]!.ok]).toEqual(['there', 0.5, 1]);
  });

  it('have the rates and the saturated seconds that are known', () => {
    const maker = new SummaryMaker(RUN, playing('hi', 'ho'));
    const summary = maker.make({ ...known(1000, measured(1)), rates: { 'main.1': 0.5 }, saturated_seconds: 2 });
    expect(summary.actions.map(({ rate_per_s }) => rate_per_s)).toEqual([undefined, 0.5]);
    expect(summary.saturated_seconds).toBe(2);
  });

  it('of state lines say what the time since the last one was like', () => {
    const maker = new SummaryMaker(RUN, playing('hi'));
    expect(maker.next_interval(known(1000, measured(10))).interval).toBeUndefined();
    expect(maker.next_interval(known(2000, measured(10))).interval).toBeUndefined();
    expect(maker.make(known(2500, measured(20))).interval).toBeUndefined();
    const { interval } = maker.next_interval(known(3000, measured(20)));
    expect(interval!.p50).toBeGreaterThan(0.9);
    expect(maker.next_interval(known(4000, measured(20))).interval).toBeUndefined();
  });
});
