import { describe, expect, it, vi } from 'vitest';
import { answer } from '../../src/console/questions.ts';
import { SharedControl } from '../../src/console/shared-control.ts';
import { beat, totals_now } from '../metrics/beats.ts';
import { FakeControl } from './fakes.ts';

const course = (seconds: number) => ({ op: 'series', seconds }) as const;

/** A swarm of so many seconds. */
function ran(seconds: number): FakeControl {
  const control = new FakeControl();
  for (let second = 1; second <= seconds; second++) control.series.beat(beat(second * 1000, totals_now([])));
  return control;
}

describe('the answer to series', () => {
  it('is made once for all sessions', () => {
    const control = ran(3);
    const read = vi.spyOn(control.series, 'last');
    const [one, other] = [new SharedControl(control), new SharedControl(control)];
    const lines = answer(course(60), one);
    expect(lines[0]).toBe(`OK ${lines.length - 1}`);
    expect(answer(course(60), other)).toBe(lines);
    expect(read).toHaveBeenCalledTimes(1);
    expect(answer(course(20), one)).not.toEqual(lines);
    expect(answer(course(60), ran(4))).not.toEqual(lines);
    expect(answer(course(60), other)).toBe(lines);
    expect(read).toHaveBeenCalledTimes(2);
  });

  it('is a new one after each look at the swarm, in the same second too', () => {
    const control = ran(3);
    const lines = answer(course(60), control);
    control.series.beat(beat(3010, totals_now([]), { not_told: ['w1'] }));
    expect(answer(course(60), control).join()).toContain('not told: w1');
    expect(answer(course(60), control)).not.toBe(lines);
  });

  it('is kept while others are asked for, but not those of all', () => {
    const control = ran(3);
    const lines = answer(course(60), control);
    const first = answer(course(1), control);
    for (let seconds = 2; seconds <= 50; seconds++) {
      answer(course(seconds), control);
      expect(answer(course(60), control)).toBe(lines);
    }
    expect(answer(course(1), control)).not.toBe(first);
    expect(answer(course(1), control)).toEqual(first);
  });
});
