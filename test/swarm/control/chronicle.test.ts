import { describe, expect, it } from 'vitest';
import { Chronicle } from '../../../src/swarm/control/chronicle.ts';
import { beat, FakeRecorder, totals_now } from '../../metrics/beats.ts';
import { summary } from '../../console/fakes.ts';

function a_chronicle() {
  const notes: string[] = [];
  const chronicle = new Chronicle(
    { wall: () => 0, on_note: (by, { level, text }) => notes.push(`${by} ${level} ${text}`) },
    'worker',
  );
  const told = (): string[] => chronicle.events.last(100).map(({ kind, text, by }) => `${kind}: ${text} (${by})`);
  return { chronicle, notes, told };
}

describe('a chronicle', () => {
  it('has an event for each member that changes and each new kind of error', () => {
    const { chronicle, told } = a_chronicle();
    const totals = totals_now([]);
    const errors = { timeout: { count: 2, last: 'no reply', last_at: 5 } };
    chronicle.beat(beat(1000, totals), new Map([['w1', 'up']]));
    chronicle.beat(beat(2000, { ...totals, snapshot: { ...totals.snapshot, errors } }), new Map([['w1', 'stalled']]));
    chronicle.beat(beat(3000, { ...totals, snapshot: { ...totals.snapshot, errors } }), new Map([['w1', 'stalled']]));
    expect(told()).toEqual([
      'worker: up (w1)',
      'error: timeout, for the first time: no reply (coordinator)',
      'worker: up → stalled (w1)',
    ]);
    expect([...chronicle.series.rows()]).toHaveLength(3);
  });

  it('says when swarm is saturated, and how many seconds were in the final summary', () => {
    const { chronicle, told } = a_chronicle();
    const totals = totals_now([]);
    const members = [{ id: 'w1', open: 0, cpu: 0.97, lag_p99_ms: 1 }];
    const final = summary();
    chronicle.beat(beat(1000, totals), new Map());
    expect(chronicle.checked(final, totals)).toBe(final);
    expect(chronicle.judged(final)).toBe(final);
    for (let second = 2; second <= 4; second++) chronicle.beat(beat(second * 1000, totals, { members }), new Map());
    expect(told()).toEqual(['saturated: w1 used 0.97 of a core (coordinator)']);
    for (const judged of [chronicle.checked(final, totals), chronicle.judged(final)])
      expect(judged).toEqual({ ...final, saturated_seconds: 3 });
  });

  it('lets a summary balance only if all seconds together are what was measured', () => {
    const { chronicle, notes } = a_chronicle();
    const member = new FakeRecorder(1);
    const final = summary();
    member.ok(0, 5);
    const totals = totals_now([member]);
    chronicle.beat(beat(1000, totals), new Map());
    expect(chronicle.checked(final, totals)).toBe(final);
    expect(notes).toEqual([]);
    member.refused = 1;
    expect(chronicle.checked(final, totals_now([member]))).toEqual({ ...final, balanced: false });
    expect(notes).toEqual([
      'coordinator error the series does not add up to what was measured: connect failed ECONNREFUSED: 0 in the series, 1 in all',
    ]);
  });
});
