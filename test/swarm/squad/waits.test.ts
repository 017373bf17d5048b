import { describe, expect, it, vi } from 'vitest';
import { Waits } from '../../../src/swarm/squad/waits.ts';

describe('Waits', () => {
  let now = 0;
  const make = (): Waits => {
    now = 1000;
    return new Waits(() => now);
  };
  /** what it came to so far; undefined = it waits */
  const outcome = async (wait: Promise<boolean>): Promise<boolean | undefined> =>
    await Promise.race([wait, new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);

  it('looks at once: what holds already needs no time', async () => {
    expect(await outcome(make().until(() => true, 0))).toBe(true);
  });

  it('ends when the condition holds, once somebody says that something changed', async () => {
    const waits = make();
    let holds = false;
    const wait = waits.until(() => holds, 500);
    waits.poke();
    expect(await outcome(wait)).toBeUndefined();
    holds = true;
    expect(await outcome(wait)).toBeUndefined();
    waits.poke();
    expect(await outcome(wait)).toBe(true);
  });

  it('ends at its deadline, not before', async () => {
    const waits = make();
    const wait = waits.until(() => false, 500);
    now = 1499;
    waits.poke();
    expect(await outcome(wait)).toBeUndefined();
    now = 1500;
    waits.poke();
    expect(await outcome(wait)).toBe(false);
  });

  it('a condition that holds at the deadline came true', async () => {
    const waits = make();
    let holds = false;
    const wait = waits.until(() => holds, 500);
    [now, holds] = [9000, true];
    waits.poke();
    expect(await outcome(wait)).toBe(true);
  });

  it('each has its own end, and is not looked at afterwards', async () => {
    const waits = make();
    const [short, long] = [vi.fn(() => false), vi.fn(() => false)];
    const both = [waits.until(short, 100), waits.until(long, 200)] as const;
    now = 1100;
    waits.poke();
    expect([await outcome(both[0]), await outcome(both[1])]).toEqual([false, undefined]);
    const looked = short.mock.calls.length;
    now = 1200;
    waits.poke();
    expect(await outcome(both[1])).toBe(false);
    expect(short).toHaveBeenCalledTimes(looked);
    waits.poke();
    expect(long).toHaveBeenCalledTimes(3);
  });
});
