import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../src/foundation/machine.ts';
import type { Bound } from '../../../src/metrics/summary.ts';
import type { Action, Loop, Script, ScriptGroup } from '../../../src/script/types.ts';
import { bounds_of, messages_per_s, NOTHING_YET, type Demand } from '../../../src/swarm/control/bounds.ts';
import { action_of, group_of } from '../specs.ts';

const DEMAND: Demand = {
  sources: { addresses: [], excluded_ports: [], kernel_ports: [32_768, 60_999] as const, offset: 0 },
  endpoints: [[4]],
  processes: { first: 1, most: 1, forked: false },
  messages_per_s: null,
  max_reply_bytes: 1024 * 1024,
  max_connections: null,
};
const FILES = { soft: 20_000, hard: 20_000 };
const bounds = (machine: Partial<Machine>, demand: Partial<Demand> = {}, now = NOTHING_YET): readonly Bound[] =>
  bounds_of({ cores: 2, ...machine }, { ...DEMAND, ...demand }, now);
const find = (what: string, ...args: Parameters<typeof bounds>): Bound | undefined =>
  bounds(...args).find((bound) => bound.what === what);

/** of one address: all from 1024 on, but for those left to other programs */
const PORTS = 64_512 - 1024;

describe('bounds_of', () => {
  it('names what it knows, the tightest first', () => {
    const all = bounds({ open_files: FILES, files: { max: 30_000, used: 1000 }, memory: { max: 24e9, used: 1e9 } });
    expect(all.map(({ what, connections }) => [what, connections])).toEqual([
      ['open files', 19_900],
      ['files of all processes', 29_000],
      ['local ports', PORTS],
      ['memory', 2_184_285],
    ]);
    for (const { why, lift } of all) expect(why.length * lift.length).toBeGreaterThan(0);
  });

  it('leaves out what has no limit', () => {
    const unlimited = { soft: 99_999_999, hard: 99_999_999 };
    expect(bounds({ open_files: unlimited, files: { max: 2 ** 63, used: 1 } }).map(({ what }) => what)).toEqual([
      'local ports',
    ]);
  });

  it('counts open files in as many processes as there may be, and says which option makes it more', () => {
    const of = (first: number, most: number, nr_open = 20_000): Bound =>
      find('open files', { open_files: FILES, nr_open }, { processes: { first, most, forked: true } })!;
    expect(of(4, 4)).toMatchObject({ connections: 79_600, lift: '--workers 8', hard: true });
    expect(of(2, 40)).toMatchObject({ connections: 796_000, lift: '--max-workers 64' });
    expect(of(64, 64, 1_048_576).lift).toBe('ulimit -n 1048576 as root before it starts');
    expect(of(1, 1).why).toBe("soft 20000, hard 20000, less 100 of swarm's own, x 1 worker");
  });

  it.each<[string, string[], (4 | 6 | null)[][], number | undefined]>([
    ['one address', [], [[4]], PORTS],
    ['each server anew', [], [[4], [4], [6]], 3 * PORTS],
    ['each address of a server anew', [], [[4, 4, 4]], 3 * PORTS],
    ['clients are spread over servers, not over their addresses', [], [[4, 4, 4], [4]], 2 * PORTS],
    ['each source address', ['10.0.0.1', '10.0.0.2'], [[4]], 2 * PORTS],
    [
      'the family with fewer addresses, clients take servers in turn',
      ['10.0.0.1', '10.0.0.2', 'fd00::1'],
      [[4], [6]],
      2 * PORTS,
    ],
    ['a unix socket takes none', [], [[null]], undefined],
    ['but its clients wait for those that do', [], [[null], [4]], 2 * PORTS],
  ])('counts local ports: %s', (_, addresses, endpoints, connections) => {
    const sources = { addresses, excluded_ports: [], kernel_ports: [32_768, 60_999] as const, offset: 0 };
    expect(find('local ports', {}, { sources, endpoints })?.connections).toBe(connections);
  });

  it('takes away ports that somebody listens on, and tells of those that wait', () => {
    const sources = {
      addresses: [],
      excluded_ports: [22, 1023, 1024, 8411, 65_535],
      kernel_ports: [32_768, 60_999] as const,
      offset: 0,
    };
    const bound = find('local ports', { time_wait: 120, port_range: [32_768, 60_999] }, { sources })!;
    expect(bound.connections).toBe(PORTS - 3);
    expect(bound.why).toBe(
      `${PORTS - 3} ports x 1 source address x 1 server address; from 1024-65535, those of 32768-60999 last; 120 still in TIME_WAIT`,
    );
  });

  it('counts what is open as fitting', () => {
    const now = { open: 500, rss_bytes: 70e6, workers: 1 };
    expect(find('files of all processes', { files: { max: 2000, used: 800 } }, {}, now)!.connections).toBe(1700);
    expect(find('connection tracking', { conntrack: { max: 1000, used: 600 } }, {}, now)!.connections).toBe(900);
    const others = { conntrack: { max: 1000, used: 100 } };
    expect(find('connection tracking', others, {}, now)).toBeUndefined();
  });

  it('takes the memory of a connection as measured once there are enough', () => {
    const memory = { max: 10e9, used: 0 };
    const open = (open: number, rss_bytes: number): Bound =>
      find('memory', { memory }, {}, { open, rss_bytes, workers: 1 })!;
    expect(open(100, 70e6)).toMatchObject({ connections: 952_480, hard: false });
    expect(open(10_000, 165e6).connections).toBe(10_000 + Math.floor(10e9 / 15_000));
    expect(open(10_000, 165e6).why).toContain('10.0 KB per connection (measured)');
  });

  it('says how many fit when each holds all but the last byte of a reply', () => {
    const memory = { max: 10e9, used: 0 };
    const why = (max_reply_bytes: number): string => find('memory', { memory }, { max_reply_bytes })!.why;
    expect(why(2 ** 20)).toMatch(/; 9380 with a reply of 1\.0 MB to come in each$/);
    expect(why(2 ** 30)).toMatch(/; 9 with a reply of 1073\.7 MB to come in each$/);
    expect(find('memory', { memory }, { max_reply_bytes: 2 ** 30 })!.connections).toBe(946_190);
  });

  it('counts the memory of workers: those to be started, and those that come when they are needed', () => {
    const of = (first: number, most: number): number =>
      find(
        'memory',
        { open_files: FILES, memory: { max: 10e9, used: 0 } },
        { processes: { first, most, forked: true } },
      )!.connections;
    expect(of(2, 2)).toBe(Math.floor((10e9 - 100e6) / 10_500));
    expect(of(2, 64)).toBe(Math.floor((10e9 - 100e6) / (10_500 + 50e6 / 19_900)));
  });

  it('bounds processes when not all can be there', () => {
    const machine = { open_files: FILES, cgroup_tasks: { max: 64, used: 9 } };
    const forked = { processes: { first: 2, most: 64, forked: true } };
    expect(find('cgroup pids', machine, forked)).toMatchObject({ connections: 5 * 19_900, hard: true });
    expect(find('cgroup pids', machine, forked, { ...NOTHING_YET, workers: 64 })).toBeUndefined();
    expect(find('cgroup pids', machine)).toBeUndefined();
  });

  it('bounds by CPU and socket buffers at the rate of the script', () => {
    const tcp_pages = { max: 575_796, used: 796, tcp_mem: [1, 2, 575_796] };
    const slow = { messages_per_s: 1 / 60 };
    expect(find('CPU', {}, slow)).toMatchObject({
      connections: 2_000_000,
      hard: false,
      lift: expect.stringContaining('--workers auto') as string,
    });
    expect(find('CPU', {}, { ...slow, processes: { first: 2, most: 2, forked: true } })!.connections).toBe(4_000_000);
    expect(find('CPU', {}, {})).toBeUndefined();
    expect(find('socket buffers', { tcp_pages }, slow)!.connections).toBe(34_500_000);
    expect(find('socket buffers', { tcp_pages }, {})).toMatchObject({
      connections: 575_000,
      lift: 'sysctl -w net.ipv4.tcp_mem="2 4 1151592"',
    });
  });

  it('has the number of the operator', () => {
    expect(bounds({}, { max_connections: 10 })[0]).toMatchObject({ code: 'limit_connections', connections: 10 });
  });

  it('is made of whole numbers that are not negative, sorted, whatever the facts', () => {
    const amount = fc.nat({ max: 2 ** 40 });
    const usage = fc.record({ max: amount, used: amount });
    const facts = fc.record(
      {
        open_files: fc.record({ soft: fc.nat(200), hard: amount }),
        files: usage,
        memory: usage,
        cgroup_memory: usage,
        cgroup_tasks: usage,
        tasks: usage,
        conntrack: usage,
        tcp_pages: usage.map((one) => ({ ...one, tcp_mem: [] })),
      },
      { requiredKeys: [] },
    );
    const now = fc.record({ open: fc.nat(10 ** 6), rss_bytes: amount, workers: fc.nat(64) });
    const rate = fc.option(fc.double({ min: 1e-9, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(facts, now, rate, (machine, now, messages_per_s) => {
        const numbers = bounds(machine, { messages_per_s }, now).map(({ connections }) => connections);
        expect(numbers.every((n) => Number.isSafeInteger(n) && n >= 0)).toBe(true);
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      }),
    );
  });
});

describe('messages_per_s', () => {
  const loops_of = (name: string, share: number, ...loops: (Pick<Loop, 'actions'> & Partial<Loop>)[]): ScriptGroup => ({
    ...{ name, share, protocol: 'p', iterations_in_all: null },
    loops: loops.map((loop) => ({ name: 'l', iterations: null, sleep_between_iterations: [0, 0] as const, ...loop })),
  });
  const every = (s: number): Action => action_of({ sleep_between_rounds: [s, s] });
  const script = (
    ...actions: { rounds: [number, number]; between: [number, number]; after: [number, number] }[]
  ): Script => {
    const { name, share, script } = group_of({
      actions: actions.map(({ rounds, between, after }) => ({
        rounds,
        sleep_between_rounds: between,
        sleep_after_action: after,
      })),
    });
    return { groups: [{ name, share, ...script }] };
  };

  it.each<[string, Script, number | null]>([
    ['one round a minute', script({ rounds: [1, 1], between: [0, 0], after: [60, 60] }), 1 / 60],
    ['means', script({ rounds: [2, 10], between: [1, 5], after: [0, 12] }), 6 / (6 * 3 + 6)],
    [
      'all actions together',
      script({ rounds: [1, 1], between: [1, 1], after: [1, 1] }, { rounds: [3, 3], between: [0, 0], after: [8, 8] }),
      4 / 10,
    ],
    ['no sleep: as fast as the server', script({ rounds: [1, 1], between: [0, 0], after: [0, 0] }), null],
    [
      'sleeps around a mean, and between iterations',
      {
        groups: [
          loops_of('main', 1, {
            actions: [
              action_of({ sleep_between_rounds: { mean: 3, distribution: 'lognormal', sigma: 2 } }),
              action_of({ sleep_after_action: { mean: 1, distribution: 'exponential', sigma: 1 } }),
            ],
            sleep_between_iterations: [2, 6],
          }),
        ],
      },
      2 / 8,
    ],
    [
      'all loops of a client, and groups by their shares',
      {
        groups: [
          loops_of('a', 1, { actions: [every(2)] }, { actions: [every(4)] }),
          loops_of('b', 3, { actions: [every(10)] }),
          loops_of('none', 0, { actions: [every(0)] }),
        ],
      },
      (1 * (1 / 2 + 1 / 4) + 3 * (1 / 10)) / 4,
    ],
    [
      'one group that never sleeps',
      { groups: [loops_of('a', 1, { actions: [every(2)] }), loops_of('b', 1, { actions: [every(0)] })] },
      null,
    ],
    ['no round', script({ rounds: [0, 0], between: [1, 1], after: [1, 1] }), null],
  ])('%s', (_, script, rate) => expect(messages_per_s(script)).toBe(rate));
});
