import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { expand_bind, find_endpoints, find_sources, type Interfaces } from '../../src/launch/sources.ts';
import { parse_options } from '../../src/options/parse-options.ts';
import type { Server } from '../../src/protocols/module.ts';
import type { Sources } from '../../src/swarm/plan/run-spec.ts';

const address = (address: string, family: 'IPv4' | 'IPv6'): NonNullable<Interfaces[string]>[number] => ({
  address,
  netmask: '',
  mac: '',
  internal: false,
  cidr: null,
  ...(family === 'IPv4' ? { family } : { family, scopeid: 0 }),
});
const INTERFACES: Interfaces = {
  eth0: [address('10.0.0.1', 'IPv4'), address('10.0.0.2', 'IPv4'), address('fe80::1', 'IPv6')],
  'br-1': [address('fd00::1', 'IPv6')],
  dummy0: [address('fe80::2', 'IPv6')],
};
const expand = (...texts: string[]): string[] => expand_bind(texts, INTERFACES).map(({ address }) => address);

describe('expand_bind', () => {
  it('takes addresses, ranges, nets and interfaces, each address once', () => {
    expect(expand('10.0.0.2', 'eth0', '10.0.0.1-3', 'br-1', '10.0.1.0/30', 'FD00:0::1')).toEqual([
      '10.0.0.2',
      '10.0.0.1',
      '10.0.0.3',
      'fd00::1',
      '10.0.1.1',
      '10.0.1.2',
    ]);
  });

  it('takes 4096 addresses and no more', () => {
    expect(expand('10.0.0.0-10.0.15.255')).toHaveLength(4096);
    expect(() => expand('10.0.0.0-10.0.16.0')).toThrow(
      '--bind 10.0.0.0-10.0.16.0: at most 4096 addresses in all, it has 4097',
    );
    expect(() => expand('fd00::/8')).toThrow(/fd00::\/8: at most 4096.*it has 1329227995784915872903807060280344576/);
    expect(() => expand('10.0.0.0/21', '10.1.0.0/21', '10.2.0.0/21')).toThrow(/10.2.0.0\/21: at most 4096/);
  });

  it.each([
    ['eth1', /eth1: it is neither .* nor an interface with addresses \(eth0, br-1, dummy0\)/],
    ['dummy0', /link-local addresses only/],
    ['10.0.0.9-10.0.0.1', /the range ends before it begins/],
    ['0.0.0.0', /no connection can come from 0\.0\.0\.0/],
    ['239.255.255.250-240.0.0.1', /no connection can come from 239\.255\.255\.250/],
    ['10.0.0.300', /neither an address/],
  ])('refuses %s', (text, reason) => {
    expect(() => expand(text)).toThrow(reason);
    expect(() => expand(text)).toThrow(/\(bad_bind: .*ip addr add/);
  });
});

const LOOPBACK: Server = { host: '127.0.0.1', port: 7000 };

function sources(bind: string[], servers: Server[] = [LOOPBACK]): Promise<Sources> {
  const result = parse_options({ bind: { texts: bind, from: 'flag' } }, 'run');
  if ('faults' in result) throw result.faults[0]!;
  return find_sources({ ...result.options, bind: bind.length === 0 ? null : bind, server: servers });
}

describe('find_sources', () => {
  it('leaves out the ports of servers, of the console and of everybody who listens', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const { addresses, excluded_ports } = await sources([], [LOOPBACK, { host: '127.0.0.1', port }]);
    server.close();
    expect(addresses).toEqual([]);
    expect(excluded_ports).toEqual(expect.arrayContaining([7000, 8411, port]));
    expect(new Set(excluded_ports).size).toBe(excluded_ports.length);
  });

  it('tries whether the addresses are here', async () => {
    expect((await sources(['127.0.0.2-127.0.0.40'])).addresses).toHaveLength(39);
    const absent = sources(['127.0.0.1', '192.0.2.77', '198.51.100.0/28']);
    await expect(absent).rejects.toThrow(
      /--bind cannot bind 192\.0\.2\.77 \(EADDRNOTAVAIL\), .* and 7 more: this machine has .*127\.0\.0\.1/,
    );
    await expect(absent).rejects.toMatchObject({ code: 'bad_bind', exit: 2 });
  });

  it('refuses an address that no server is reached by, and a server that no address reaches', async () => {
    await expect(sources(['127.0.0.1'], [{ host: '', port: 0, path: '/run/s' }])).rejects.toThrow(
      '--bind 127.0.0.1: no server is reached by IPv4',
    );
    await expect(sources(['127.0.0.1'], [LOOPBACK, { host: '::1', port: 1 }])).rejects.toThrow(
      /no address of --bind is IPv6, as ::1 is/,
    );
  });

  it('takes of an interface what some server is reached by', async () => {
    const [name] = Object.entries(networkInterfaces()).find(([, all]) => all!.some((one) => one.internal))!;
    expect((await sources([name])).addresses).toEqual(['127.0.0.1']);
    await expect(sources([name], [{ host: '', port: 0, path: '/run/s' }])).rejects.toThrow(/no server is reached/);
  });
});

describe('find_endpoints', () => {
  it('tells the family of each address', async () => {
    const servers = [LOOPBACK, { host: '::1', port: 1 }, { host: '', port: 0, path: '/run/s' }];
    expect(await find_endpoints(servers, [])).toEqual([[4], [6], [null]]);
    expect(await find_endpoints([{ host: 'localhost', port: 1 }], ['127.0.0.1'])).toEqual([[4]]);
  });

  it('names a server that does not resolve', async () => {
    await expect(find_endpoints([{ host: 'no.such.invalid', port: 1 }], [])).rejects.toMatchObject({
      code: 'name_unknown',
    });
  });
});
