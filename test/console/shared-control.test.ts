import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SharedControl } from '../../src/console/shared-control.ts';
import { FakeControl, summary } from './fakes.ts';

/** Its summary is a new one each time. */
class Counted extends FakeControl {
  made = 0;
  override summary(): ReturnType<FakeControl['summary']> {
    return summary({ target: ++this.made });
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('SharedControl', () => {
  it('is never older than 100 ms nor than the last command, and is made once for all who ask between', async () => {
    const step = fc.oneof(fc.constantFrom('ask', 'command'), fc.integer({ min: 0, max: 60 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const control = new Counted();
        const shared = new SharedControl(control);
        let [at, since, target] = [0, -Infinity, 0];
        for (const one of steps) {
          if (typeof one === 'number') vi.advanceTimersByTime(((at += one), one));
          else if (one === 'command') {
            await shared.apply({ op: 'pause' }, 'somebody');
            since = -Infinity;
          } else {
            if (at - since >= 100) [since, target] = [at, target + 1];
            expect(shared.summary().target).toBe(target);
          }
        }
        vi.advanceTimersByTime(1000);
      }),
    );
  });

  it('one that was made while a command was under way is not shown after it', async () => {
    const control = new Counted();
    const shared = new SharedControl(control);
    let acknowledge = (): void => {};
    control.reply = () =>
      new Promise((resolve) => (acknowledge = () => resolve({ ok: true, op: 'pause', followers: null })));
    const applied = shared.apply({ op: 'pause' }, 'somebody');
    expect(shared.summary().target).toBe(1);
    acknowledge();
    await applied;
    expect(shared.summary().target).toBe(2);
  });

  it('keeps histograms apart, and nothing for ever', () => {
    const shared = new SharedControl(new Counted());
    expect([shared.summary(true).target, shared.summary().target, shared.summary(true).target]).toEqual([1, 2, 1]);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(100);
    expect(vi.getTimerCount()).toBe(0);
  });
});
