import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { answer, wait_for } from '../../src/console/questions.ts';
import { SharedControl } from '../../src/console/shared-control.ts';
import { beat, totals_now } from '../metrics/beats.ts';
import { FakeControl, summary } from './fakes.ts';

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

describe('a wait', () => {
  it('is for those that are there and those that have left, as they are done', async () => {
    const clients = fc.nat(20);
    const what = fc.constantFrom('open' as const, 'ready' as const, 'done' as const);
    await fc.assert(
      fc.asyncProperty(what, fc.option(clients), clients, clients, clients, async (what, count, ready, more, done) => {
        const { clients, connections } = summary();
        const control = new FakeControl();
        const open = ready + more;
        control.now = summary({
          target: 15,
          connections: { ...connections, open, ready },
          clients: { ...clients, finished: done },
        });
        const reached = what === 'done' ? done : done + (what === 'open' ? open : ready);
        const wanted = count ?? 15;
        const reply = await wait_for({ op: 'wait', what, count, within_ms: 0 }, control, new AbortController().signal);
        expect(reply).toEqual(
          reached >= wanted
            ? { ok: true, op: 'wait', what, clients: reached, followers: null }
            : { ok: false, code: 'not_yet', clients: reached, wanted },
        );
        expect(control.watchers.size).toBe(0);
      }),
    );
  });
});
