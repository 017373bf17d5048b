import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const lookup = vi.hoisted(() => vi.fn());
vi.mock('node:dns/promises', () => ({ lookup }));
const { Endpoints } = await import('../../../src/swarm/client/endpoints.ts');
const { EndpointRecorder } = await import('../../../src/metrics/recorder.ts');

// The name service of a test machine cannot change its mind in time: this is the one thing that is played.
beforeEach(() => {
  vi.useFakeTimers();
  lookup.mockReset();
});
afterEach(() => vi.useRealTimers());

const answers = (...addresses: string[]): object[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
const labels: string[] = [];
const start = (
  servers: Parameters<typeof Endpoints.start>[0]['servers'],
  sources: readonly string[] = [],
): ReturnType<typeof Endpoints.start> =>
  Endpoints.start({
    servers,
    sources,
    counts: (label) => {
      labels.push(label);
      return new EndpointRecorder();
    },
  });
const hosts = (endpoints: Awaited<ReturnType<typeof start>>): string[] => endpoints.all.map(({ host }) => host);

describe('Endpoints', () => {
  it('takes an address as it is and asks nobody', async () => {
    const endpoints = await start([{ host: '::1', port: 5 }]);
    expect(endpoints.of(1)).toMatchObject({ host: '::1', port: 5, family: 6, tls: false, name: '::1' });
    expect(labels.at(-1)).toBe('[::1]:5');
    expect(lookup).not.toHaveBeenCalled();
  });

  it('gives clients the servers in turn, and the addresses of each in turn', async () => {
    lookup.mockResolvedValueOnce(answers('10.0.0.2', '10.0.0.1'));
    const endpoints = await start([
      { host: 'chat.example', port: 5 },
      { host: '', port: 0, path: '/run/chat.sock' },
      { host: '10.0.0.9', port: 6, tls: true },
    ]);
    expect(labels.slice(-4)).toEqual(['10.0.0.1:5', '10.0.0.2:5', 'unix:/run/chat.sock', 'tls://10.0.0.9:6']);
    const taken = [1, 2, 3, 4, 5].map((id) => endpoints.of(id));
    expect(taken.map(({ host, path }) => path ?? host)).toEqual([
      '10.0.0.1',
      '/run/chat.sock',
      '10.0.0.9',
      '10.0.0.2',
      '/run/chat.sock',
    ]);
    expect(taken[1]).toBe(taken[4]);
    endpoints.close();
  });

  it('keeps to the family the system prefers, or to the one the sources have', async () => {
    lookup.mockResolvedValue(answers('::1', '127.0.0.1'));
    const name = [{ host: 'localhost', port: 5 }];
    expect(hosts(await start(name))).toEqual(['::1']);
    expect(hosts(await start(name, ['127.0.0.2']))).toEqual(['127.0.0.1']);
    await expect(start([{ host: '::1', port: 5 }], ['127.0.0.2'])).rejects.toThrow('no address of --bind is IPv6');
  });

  it('property: a client that misses comes to every address, the preferred family first, then begins anew', async () => {
    const some = fc.uniqueArray(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        some,
        fc.array(fc.integer({ min: 1, max: 200 })),
        fc.integer({ min: 1, max: 50 }),
        async (four, six, id) => {
          const v4 = four.map((n) => `10.0.0.${n}`);
          const v6 = [...new Set(six)].map((n) => `fd00::${n.toString(16)}`);
          lookup.mockResolvedValueOnce(answers(...v4, ...v6));
          const endpoints = await start([{ host: 'chat.example', port: 5 }]);
          const all = v4.length + v6.length;
          const came = Array.from({ length: 2 * all }, (_, misses) => endpoints.of(id, misses).host);
          expect([...came.slice(0, v4.length)].sort()).toEqual([...v4].sort());
          expect([...came.slice(v4.length, all)].sort()).toEqual([...v6].sort());
          expect(came.slice(all)).toEqual(came.slice(0, all));
          expect(came.map((_, misses) => endpoints.has_more(id, misses + 1))).toEqual(
            came.map((_, i) => (i + 1) % all !== 0),
          );
          endpoints.close();
        },
      ),
    );
  });

  it('makes an address of the other family when somebody comes to it, once', async () => {
    lookup.mockResolvedValue(answers('::1', '127.0.0.1'));
    const endpoints = await start([{ host: 'localhost', port: 5 }]);
    expect(labels.at(-1)).toBe('[::1]:5');
    const spare = endpoints.of(1, 1);
    expect([spare.host, labels.at(-1)]).toEqual(['127.0.0.1', '127.0.0.1:5']);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(endpoints.of(7, 1)).toBe(spare);
    expect(hosts(endpoints)).toEqual(['::1']);
    endpoints.close();
  });

  it('asks again each minute in the background; what stays keeps its counts, a failed refresh keeps everything', async () => {
    lookup.mockResolvedValueOnce(answers('10.0.0.1', '10.0.0.2'));
    const endpoints = await start([{ host: 'chat.example', port: 5 }]);
    for (let i = 1; i < 1000; i++) endpoints.of(i);
    expect(lookup).toHaveBeenCalledTimes(1);
    const [, second] = endpoints.all;
    lookup.mockRejectedValueOnce(new Error('EAI_AGAIN'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hosts(endpoints)).toEqual(['10.0.0.1', '10.0.0.2']);
    lookup.mockResolvedValueOnce(answers('10.0.0.3', '10.0.0.2'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(hosts(endpoints)).toEqual(['10.0.0.2', '10.0.0.3']);
    expect(endpoints.all[0]).toBe(second);
    endpoints.close();
    await vi.advanceTimersByTimeAsync(600_000);
    expect(lookup).toHaveBeenCalledTimes(3);
  });

  it('rejects when the name is unknown at the start', async () => {
    lookup.mockRejectedValueOnce(new Error('ENOTFOUND'));
    await expect(start([{ host: 'nowhere.invalid', port: 5 }])).rejects.toThrow('ENOTFOUND');
  });
});
