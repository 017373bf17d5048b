import { describe, expect, it } from 'vitest';
import { listening_ports, read_machine, type ReadFile } from '../../src/foundation/machine.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max open files            20000                1048576              files
`;
const SOCKSTAT = `sockets: used 15
TCP: inuse 12 orphan 0 tw 345 alloc 15 mem 182
UDP: inuse 0 mem 7
`;
const MEMINFO = 'MemTotal:       24684084 kB\nMemFree:        22738176 kB\nMemAvailable:   24006616 kB\n';

const of =
  (files: Record<string, string>): ReadFile =>
  (path) =>
    files[path];
const machine = (files: Record<string, string>): ReturnType<typeof read_machine> => read_machine(of(files), 2);
const told = (files: Record<string, string>): object =>
  Object.fromEntries(Object.entries(machine(files)).filter(([, fact]) => fact !== undefined));

describe('read_machine', () => {
  it('knows the cores when the system tells nothing else', () => expect(told({})).toEqual({ cores: 2 }));

  it('reads what Linux tells', () => {
    const files = {
      '/proc/self/limits': LIMITS,
      '/proc/sys/fs/nr_open': '1048576\n',
      '/proc/sys/fs/file-nr': '521\t0\t2466170\n',
      '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
      '/proc/sys/net/ipv4/tcp_mem': '287898\t383867\t575796\n',
      '/proc/net/sockstat': SOCKSTAT,
      '/proc/meminfo': MEMINFO,
      '/proc/loadavg': '1.10 1.04 0.90 1/90 2966\n',
      '/proc/sys/kernel/pid_max': '32768\n',
      '/proc/sys/kernel/threads-max': '192730\n',
      '/proc/sys/net/netfilter/nf_conntrack_max': '262144\n',
      '/proc/sys/net/netfilter/nf_conntrack_count': '12\n',
    };
    expect(told(files)).toEqual({
      cores: 2,
      open_files: { soft: 20_000, hard: 1_048_576 },
      nr_open: 1_048_576,
      files: { max: 2_466_170, used: 521 },
      port_range: [32_768, 60_999],
      time_wait: 345,
      memory: { max: 24_684_084 * 1024, used: (24_684_084 - 24_006_616) * 1024 },
      tasks: { max: 32_768, used: 90 },
      tcp_pages: { max: 575_796, used: 182, tcp_mem: [287_898, 383_867, 575_796] },
      conntrack: { max: 262_144, used: 12 },
    });
  });

  it('takes a firewall that follows nothing for none', () => {
    const conntrack = '/proc/sys/net/netfilter/nf_conntrack_';
    expect(told({ [`${conntrack}max`]: '262144\n', [`${conntrack}count`]: '0\n' })).toEqual({ cores: 2 });
  });

  it('finds the tightest cgroup v2, its own or one above, and forgives the file cache', () => {
    const group = '/sys/fs/cgroup/system.slice/swarm.service';
    const files = {
      '/proc/self/cgroup': '0::/system.slice/swarm.service\n',
      [`${group}/memory.max`]: 'max\n',
      [`${group}/memory.current`]: '500\n',
      '/sys/fs/cgroup/system.slice/memory.max': '1000\n',
      '/sys/fs/cgroup/system.slice/memory.current': '700\n',
      '/sys/fs/cgroup/system.slice/memory.stat': 'anon 5\ninactive_file 300\nactive_file 1\n',
      [`${group}/pids.max`]: '100\n',
      [`${group}/pids.current`]: '7\n',
      '/sys/fs/cgroup/system.slice/pids.max': '5000\n',
      '/sys/fs/cgroup/system.slice/pids.current': '7\n',
    };
    expect(told(files)).toEqual({
      cores: 2,
      cgroup_memory: { max: 1000, used: 400 },
      cgroup_tasks: { max: 100, used: 7 },
    });
  });

  it('reads a container whose path names folders of its host, and cgroup v1, where a huge number is none', () => {
    const container = { '/proc/self/cgroup': '0::/docker/abc\n', '/sys/fs/cgroup/pids.max': '64\n' };
    expect(told({ ...container, '/sys/fs/cgroup/pids.current': '4\n' })).toMatchObject({
      cgroup_tasks: { max: 64, used: 4 },
    });
    const v1 = {
      '/proc/self/cgroup': '8:pids:/\n4:cpu,memory:/a/b\n0::/\n',
      '/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes': '10\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '1000\n',
      '/sys/fs/cgroup/memory/a/memory.usage_in_bytes': '10\n',
    };
    expect(told(v1)).toEqual({ cores: 2, cgroup_memory: { max: 1000, used: 10 } });
  });

  it('bears texts of another shape', () => {
    const nonsense = 'no such thing';
    const all = ['/proc/self/limits', '/proc/self/cgroup', '/proc/net/sockstat', '/proc/meminfo', '/proc/loadavg'];
    expect(told(Object.fromEntries(all.map((path) => [path, nonsense])))).toEqual({ cores: 2 });
  });

  it('reads this machine', () => expect(read_machine().cores).toBeGreaterThan(0));
});

describe('listening_ports', () => {
  it('finds those of both families, each once', () => {
    const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:A8BD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3197840 1 000000001ece2058 100 0 0 10 0
   1: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 113 1 00000000657ee81f 100 0 0 10 0
   2: 0100007F:8558 0100007F:A835 06 00000000:00000000 03:0000167C 00000000     0        0 0 3 00000000ccce0ca0
  10: 0100007F:8060 0100007F:A1E1 01 00000000:00000000 03:00001682 00000000     0        0 0 3 0000000068a50712
`;
    const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:07E8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
`;
    expect(listening_ports(of({ '/proc/net/tcp': tcp, '/proc/net/tcp6': tcp6 }))).toEqual([0xa8bd, 0x7e8, 0x16]);
    expect(listening_ports(of({}))).toEqual([]);
  });
});
