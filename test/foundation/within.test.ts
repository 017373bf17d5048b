import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { within } from '../../src/foundation/within.ts';

describe('within', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
  afterEach(() => void vi.useRealTimers());

  const never = new Promise<never>(() => {});
  const too_late = (): never => {
    throw new Error('too late');
  };

  it('settles as the promise does, and leaves no timer', async () => {
    await expect(within(Promise.resolve(7), 100, too_late)).resolves.toBe(7);
    await expect(within(Promise.reject(new Error('no')), 100, too_late)).rejects.toThrow('no');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('comes at the deadline to what `late` returns or throws, not before', async () => {
    const late = vi.fn(() => 'late');
    const [value, fault] = [within(never, 100, late), within(never, 100, too_late)];
    vi.advanceTimersByTime(99);
    await Promise.resolve();
    expect(late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    await expect(value).resolves.toBe('late');
    await expect(fault).rejects.toThrow('too late');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets a promise fail after its deadline without an unhandled rejection', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    let fail = (_: Error): void => {};
    const asked = within(new Promise((_, reject) => (fail = reject)), 100, () => null);
    vi.advanceTimersByTime(100);
    await expect(asked).resolves.toBeNull();
    fail(new Error('afterwards'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});
