import { start_redis } from './lib/servers.mjs';
import { closed_loop, peer } from './lib/sides.mjs';

const CONNECTIONS = 50;
/** protocols/pipeline.js says it too */
const IN_FLIGHT = 16;

export const bench = {
  about: `${CONNECTIONS} connections to one redis-server, each with ${IN_FLIGHT} inline PINGs in flight: the next ones when all are answered`,
  seconds: 5,
  needs: { 'redis-server': 'redis-server', 'redis-benchmark': 'redis-tools' },
  versus: { server: 'redis-server', work: `${CONNECTIONS} connections, inline PING, ${IN_FLIGHT} in flight` },
  server: start_redis,
  measures: [
    { key: 'per_cpu_s', title: 'messages per CPU second', better: 'higher' },
    { key: 'cpu_us', title: 'CPU per message, µs' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: `redis-benchmark -P ${IN_FLIGHT}`,
    run: ({ server, seconds }) =>
      peer({
        server,
        seconds,
        connections: CONNECTIONS,
        command: 'redis-benchmark',
        args: `-p ${server.port} -c ${CONNECTIONS} -n 2000000000 -t ping_inline -q -P ${IN_FLIGHT}`.split(' '),
      }),
  },
  subject: ({ server, seconds }) => closed_loop({ server, seconds, script: 'pipeline', connections: CONNECTIONS }),
};
