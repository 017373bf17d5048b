import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { decided, first_desired } from '../../../src/machines/coordinator/desired.ts';
import { LoadWait } from '../../../src/machines/coordinator/load-wait.ts';
import type { Desired } from '../../../src/machines/store/documents.ts';
import { begin, freeze, step_of, thaw } from '../../../src/swarm/plan/load-play.ts';
import { GROUPS } from '../../swarm/specs.ts';

const begun = (text: string, run_ms: number): Desired =>
  begin(first_desired('r', 100, false), { text, epoch_ms: 0, most: 1000, most_per_s: 1000 }, GROUPS, run_ms);

const there = (open: number) => ({ open, ready: open, done: 0 });
const FAILED = '`wait within 10s`: 3 of 5 clients were open';

describe('a wait of a load', () => {
  const stored = begun('set 5 over 2s; wait within 10s; hold 5', 1000);

  test('runs out by the time of the load, and only while somebody leads', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 60_000 }), fc.nat(20_000), (begins_ms, after_ms) => {
        const wait = new LoadWait(GROUPS);
        // whoever leads from within the wait on cannot know who led before, and since when nobody did
        expect(wait.judge(stored, begins_ms, begins_ms, () => there(3))).toBe(null);
        const since_ms = Math.max(3000, begins_ms);
        const run_ms = since_ms + after_ms;
        const said = wait.judge(stored, run_ms, run_ms + 1000, () => there(3));
        expect(said).toBe(after_ms < 10_000 ? null : FAILED);
      }),
    );
  });

  test('is looked at twice a second at most', () => {
    const wait = new LoadWait(GROUPS);
    let looks = 0;
    const reached = () => (looks++, there(3));
    for (let ms = 0; ms < 5000; ms += 100) expect(wait.judge(stored, 3000 + ms, ms, reached)).toBe(null);
    expect(looks).toBe(10);
    for (let ms = 0; ms < 3000; ms += 100) expect(new LoadWait(GROUPS).judge(stored, ms, ms, reached)).toBe(null);
    expect(looks).toBe(10);
    expect(wait.judge(stored, 9000, 9000, () => there(5))).toBe('');
  });

  test('stands still in a pause by hand', () => {
    const wait = new LoadWait(GROUPS);
    expect(wait.judge(stored, 2000, 0, () => there(3))).toBe(null);
    const paused = freeze({ ...stored, load: { ...stored.load!, step: 1, step_ms: 3000 } }, 4000);
    expect(wait.judge(paused, 90_000, 1000, () => there(9))).toBe(null);
    const resumed = thaw(paused, 90_000);
    expect(wait.judge(resumed, 98_999, 2000, () => there(3))).toBe(null);
    expect(wait.judge(resumed, 99_000, 3000, () => there(3))).toBe(FAILED);
  });

  it('is decided for the step that waits, however long ago the load was stored', () => {
    const next = decided(stored, '', GROUPS, 7000);
    expect(next).toMatchObject({ seq: stored.seq + 1, target: 5, phase: 'run', load: { step: 2, step_ms: 7000 } });
    expect(step_of(next)!.text).toBe('hold 5');
    expect(decided(stored, 'no', GROUPS, 7000)).toMatchObject({ phase: 'drain', load: { step: 1, failed: 'no' } });
  });
});
