import { setTimeout as sleep } from 'node:timers/promises';
import { rss_bytes_of } from './lib/processes.mjs';
import { start_echo } from './lib/servers.mjs';
import { c_client, swarm, window_of } from './lib/sides.mjs';

const CONNECTIONS = 15_000;

export const bench = {
  about: `${CONNECTIONS} held connections to the C echo server with the example script's rounds and sleeps; reference: a closed loop`,
  seconds: 15,
  server: start_echo,
  measures: [
    { key: 'rss_kb', title: 'RSS per connection, KB', goal: { of: 'value', at_most: 8 } },
    { key: 'cpu_us', title: 'CPU per message, µs', goal: { of: 'value', at_most: 50 } },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'C epoll client',
    run: async ({ server }) => {
      const { cpu_us } = await c_client({ server, connections: 1000, seconds: 2 });
      return { cpu_us };
    },
  },
  subject: ({ server, seconds }) =>
    swarm({
      server,
      script: 'sleepy',
      connections: CONNECTIONS,
      connect_per_s: 2000,
      measure: async (pid, hold) => {
        await sleep(1000); // idle: what start-up needed has been freed
        const idle = rss_bytes_of(pid);
        await hold();
        const figures = await window_of({ pid, server, seconds });
        return { ...figures, rss_kb: (rss_bytes_of(pid) - idle) / CONNECTIONS / 1024 };
      },
    }),
};
