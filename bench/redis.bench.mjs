import { start_redis } from './lib/servers.mjs';
import { closed_loop, peer } from './lib/sides.mjs';

const CONNECTIONS = 1000;

export const bench = {
  about: `${CONNECTIONS} connections to one redis-server, inline PING in a closed loop, no pipelining`,
  seconds: 5,
  needs: { 'redis-server': 'redis-server', 'redis-benchmark': 'redis-tools' },
  versus: { server: 'redis-server', work: `${CONNECTIONS} connections, inline PING` },
  server: start_redis,
  measures: [
    { key: 'per_cpu_s', title: 'messages per CPU second', better: 'higher', goal: { of: 'ratio', at_least: 1 } },
    { key: 'cpu_us', title: 'CPU per message, µs' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'redis-benchmark',
    run: ({ server, seconds }) =>
      peer({
        server,
        seconds,
        connections: CONNECTIONS,
        command: 'redis-benchmark',
        args: `-p ${server.port} -c ${CONNECTIONS} -n 2000000000 -t ping_inline -q`.split(' '),
      }),
  },
  subject: ({ server, seconds }) => closed_loop({ server, seconds, script: 'redis', connections: CONNECTIONS }),
};
