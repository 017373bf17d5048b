import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const lookup = vi.hoisted(() => vi.fn());
vi.mock('node:dns/promises', () => ({ lookup }));
const { Resolver } = await import('../../src/swarm/resolver.ts');

// The name service of a test machine cannot change its mind in time: this is the one thing that is played.
beforeEach(() => {
  vi.useFakeTimers();
  lookup.mockReset();
});
afterEach(() => vi.useRealTimers());

describe('Resolver', () => {
  it('takes an address as it is and asks nobody', async () => {
    const resolver = await Resolver.start({ host: '::1', port: 5 });
    expect(resolver.address).toEqual({ host: '::1', port: 5, family: 6 });
    expect(lookup).not.toHaveBeenCalled();
  });

  it('asks once, then again each minute in the background; a failed refresh keeps the address', async () => {
    lookup.mockResolvedValueOnce({ address: '10.0.0.1', family: 4 });
    const resolver = await Resolver.start({ host: 'chat.example', port: 5 });
    for (let i = 0; i < 1000; i++) expect(resolver.address.host).toBe('10.0.0.1');
    expect(lookup).toHaveBeenCalledTimes(1);
    lookup.mockRejectedValueOnce(new Error('EAI_AGAIN'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(resolver.address.host).toBe('10.0.0.1');
    lookup.mockResolvedValueOnce({ address: '10.0.0.2', family: 4 });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(resolver.address.host).toBe('10.0.0.2');
    resolver.close();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(lookup).toHaveBeenCalledTimes(3);
  });

  it('rejects when the name is unknown at the start', async () => {
    lookup.mockRejectedValueOnce(new Error('ENOTFOUND'));
    await expect(Resolver.start({ host: 'nowhere.invalid', port: 5 })).rejects.toThrow('ENOTFOUND');
  });
});
