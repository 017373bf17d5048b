import { describe, expect, it } from 'vitest';
import type { LoadSummary } from '../../src/metrics/summary.ts';
import { final_table, state_line } from '../../src/outputs/render.ts';
import { action, rated_action, summary } from '../console/fakes.ts';

const error = (count: number): { code: string; count: number; last: string; last_at: string } => ({
  code: 'timeout',
  count,
  last: 'no\x1b[2J reply',
  last_at: '2026-11-22T00:00:10.000Z',
});

describe('state_line', () => {
  const before = summary({ errors: [error(5)] });
  const now = summary({
    run: { ...before.run, seconds: 30 },
    requests: { ...before.requests, ok: 1980, noreply: 120 },
    errors: [error(25)],
    interval: { p50: 1.25, p99: 7.5 },
  });

  it('gives rates since the one before, and the latency of the last interval', () => {
    expect(state_line(now, before, false)).toEqual([
      'run 30 s | target 100, live 90, open 88, ready 86 | 110.0 messages/s | 2.0 errors/s | p50 1.25 p99 7.50 ms',
      '  Realtime: total: 90, connect: 2, acting: 38, standby: 50',
      '  Aggregates: initial: 95, connect: 95, acting: 200, standby: 150, killed: 5',
    ]);
  });

  it('gives rates since the start when there is none before, and says whose latency it is', () => {
    expect(state_line(summary({ actions: [action(0, 'a'), action(1, 'b')] }), null, false)[0]).toBe(
      'run 20 s | target 100, live 90, open 88, ready 86 | 50.0 messages/s | 0.0 errors/s | p50 1.50 p99 6.00 ms (a, since the start)',
    );
  });

  it('divides by no zero and invents no latency', () => {
    const first = summary({ run: { ...before.run, seconds: 0 }, actions: [] });
    expect(state_line(first, null, false)[0]).toContain('0.0 messages/s | 0.0 errors/s | p50 - p99 - ms');
    expect(state_line(now, now, false)[0]).toContain('0.0 messages/s');
  });

  it('has response beside service times, and slots, where an action has a rate', () => {
    const [slow, fast] = [
      rated_action(0, 'say', { planned: 35 }),
      rated_action(0, 'say', { planned: 15, dropped: { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 } }),
    ];
    const interval = { p50: 1.25, p99: 7.5, response_p50: 20, response_p99: 900, late_p99: 800 };
    const later = { ...now, actions: [slow], interval };
    const earlier = { ...before, actions: [fast] };
    expect(state_line(later, earlier, false).slice(0, 2)).toEqual([
      'run 30 s | target 100, live 90, open 88, ready 86 | 110.0 messages/s | 2.0 errors/s | service p50 1.25 p99 7.50, response p50 20.0 p99 900 ms',
      '  slots: 2.0 planned/s, 0.0 started/s, waiting 2, 2.0 dropped/s, late p99 800 ms',
    ]);
    expect(state_line(later, earlier, true)[1]).toMatch(/^ {2}\x1b\[31mslots: /);
    const { interval: _, ...first } = later;
    expect(state_line(first, null, false)[0]).toMatch(
      / \| service p50 1.50 p99 6.00, response p50 30.0 p99 120 ms \(say, since the start\)$/,
    );
  });

  it('says how many seconds were saturated since the one before', () => {
    const later = { ...now, saturated_seconds: 9 };
    expect(state_line(later, { ...before, saturated_seconds: 6 }, false)[0]).toMatch(/ ms \| saturated 3 s$/);
    expect(state_line(later, later, false)[0]).not.toContain('saturated');
  });

  it('says where the load is while it is played', () => {
    const load = { step: 2, steps: 4, text: 'hold 5m', seconds: 12, left_seconds: 288, all_left_seconds: 300 } as const;
    expect(state_line({ ...now, load: { ...load, state: 'playing' } }, before, false)[1]).toBe(
      '  load: step 2 of 4, hold 5m: 12 s of it, 4 min 48 s left, 5 min to its end',
    );
    expect(state_line({ ...now, load: { ...load, state: 'over' } }, before, false)).toHaveLength(3);
  });

  it('is coloured only when told so', () => {
    expect(state_line(now, before, true).join()).toContain('\x1b[31m2.0 errors/s');
    expect(state_line(now, before, false).join()).not.toContain('\x1b');
  });
});

describe('final_table', () => {
  it('shows actions and errors as tables, and that the books balance', () => {
    const text = final_table(summary({ final: true, errors: [error(3)] }), false);
    expect(text).toMatch(/^swarm 0\.1\.0, run r1: 20\.0 s\n/);
    expect(text).toMatch(/│ 0 heartbeat │ +12 │ +1 │ +10 │/);
    expect(text).toMatch(/│ timeout │ +3 │ 2026-11-22T00:00:10.000Z │ no\\x1b\[2J reply │/);
    expect(text).toContain('closed: decr: 5');
    expect(text).toContain('the books balance');
    expect(text).not.toMatch(/Workers|incomplete|NOT/);
    expect(text).not.toContain('\x1b');
  });

  it('shows slots, and how many seconds were saturated, where there are any', () => {
    const text = final_table(summary({ final: true, actions: [rated_action(0, 'say')], saturated_seconds: 7 }), false);
    expect(text).toContain('\nslots: planned 35, started 12, waiting 2, dropped 20 (no_free_client: 17, backlog: 3)');
    expect(text).toContain('\nSlots of actions with a rate, late in ms\n');
    expect(text).toMatch(/│ 0 say +│ +1.75 │ +35 │ +12 │ +2 │ +20 │ +1 │ .* │ no_free_client: 17, backlog: 3 │/);
    expect(text).toContain('\nsaturated: swarm itself was the bottleneck in 7 of these seconds\n');
    expect(final_table(summary({ final: true }), false)).not.toMatch(/[Ss]lots|saturated|rates:/);
  });

  it('says what became of the load', () => {
    const load = { step: 4, steps: 4, text: 'stop', seconds: 2, left_seconds: null, all_left_seconds: 0 } as const;
    const text = (change: Partial<LoadSummary>): string =>
      final_table(summary({ load: { ...load, state: 'over', ...change } }), false);
    expect(text({})).toContain('\nload: over, after 4 steps\n');
    const why = '`wait within 1m`: 5 of 10 clients were open';
    expect(text({ state: 'failed', step: 2, text: 'wait within 1m', why })).toContain(
      `\nload: failed in step 2 of 4: ${why}\n`,
    );
    expect(text({ state: 'stopped', step: 3, text: 'hold 5m' })).toContain('\nload: stopped in step 3 of 4, hold 5m\n');
  });

  it('says what is missing', () => {
    const [worker] = summary().workers;
    const lost_workers = [{ worker: 'w2', incarnation: 'i', at: '2026-11-22T00:00:10.000Z', silent_ms: 812 }];
    const text = final_table(
      summary({
        workers: [worker!, { ...worker!, id: 'w2', state: 'gone' }],
        lost_workers,
        balanced: false,
        complete: false,
      }),
      true,
    );
    expect(text).toMatch(/w2 .* gone/);
    expect(text).toContain('worker w2 died at 2026-11-22T00:00:10.000Z: up to 812 ms of its counts are missing');
    const silent = {
      worker: 'a2',
      incarnation: 'i',
      at: '2026-11-22T00:00:10.000Z',
      silent_ms: 55_000,
      may_live: true,
    } as const;
    const many = final_table(summary({ lost_workers: [silent], possibly_open: 40, complete: false }), false);
    expect(many).toContain('agent a2 did not answer, and was given up at 2026-11-22T00:00:10.000Z: up to 55000 ms');
    expect(many).toContain('possibly open yet: 40 connections of agents that did not answer');
    expect(many).not.toContain('died');
    expect(text).toContain('the books do NOT balance');
    expect(text).toContain('incomplete: ');
    expect(text).toContain('\x1b[31m');
  });
});
