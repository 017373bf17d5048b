import { setTimeout as sleep } from 'node:timers/promises';
import { scoped, start } from './lib/processes.mjs';
import { start_redis } from './lib/servers.mjs';
import { swarm, window_of } from './lib/sides.mjs';

const CONNECTIONS = 1000;

export const bench = {
  about: `${CONNECTIONS} connections to one redis-server, inline PING in a closed loop, no pipelining`,
  seconds: 5,
  server: start_redis,
  measures: [
    { key: 'per_cpu_s', title: 'messages per CPU second', goal: { of: 'ratio', at_least: 1 } },
    { key: 'cpu_us', title: 'CPU per message, µs' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: { name: 'redis-benchmark', run: redis_benchmark },
  subject: ({ server, seconds }) =>
    swarm({
      server,
      script: 'redis',
      connections: CONNECTIONS,
      connect_per_s: 1000,
      measure: async (pid, hold) => {
        await hold();
        return window_of({ pid, server, seconds });
      },
    }),
};

/** Told to go on for longer than anybody waits, measured in the same way as swarm, ended. */
function redis_benchmark({ server, seconds }) {
  return scoped(async (keep) => {
    const endless = ['-n', '2000000000', '-t', 'ping_inline', '-q'];
    const child = await keep(
      start('redis-benchmark', ['-p', String(server.port), '-c', String(CONNECTIONS), ...endless], { lines: false }),
    );
    for (const deadline = Date.now() + 10_000; server.clients() < CONNECTIONS; await sleep(50)) {
      if (child.died() !== undefined || Date.now() > deadline)
        throw new Error(child.died() ?? 'redis-benchmark did not connect within 10 s');
    }
    await sleep(500);
    return window_of({ pid: child.pid, server, seconds });
  });
}
