import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RareLog } from '../../src/console/rare-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('RareLog', () => {
  it('says one of each kind in a second, and how many more there were', () => {
    const said: string[] = [];
    const log = new RareLog((text) => said.push(text));
    for (let i = 0; i < 500; i++) log.warn('auth_failed', `auth ${i}`);
    log.warn('bad_line', 'bad');
    expect(said.splice(0)).toEqual(['auth 0', 'bad']);
    vi.advanceTimersByTime(1000);
    expect(said.splice(0)).toEqual(['console: auth_failed: 499 more']);
    log.warn('auth_failed', 'one more');
    expect(said).toEqual([]);
    vi.advanceTimersByTime(2000);
    log.warn('auth_failed', 'later');
    expect(said).toEqual(['console: auth_failed: 1 more', 'later']);
    expect(vi.getTimerCount()).toBe(1);
    log.warn('auth_failed', 'x');
    log.close();
    expect(said.at(-1)).toBe('console: auth_failed: 1 more');
    expect(vi.getTimerCount()).toBe(0);
  });
});
