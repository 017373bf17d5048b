import { start_echo } from './lib/servers.mjs';
import { c_client, held } from './lib/sides.mjs';

const CONNECTIONS = 15_000;

export const bench = {
  about: `${CONNECTIONS} held connections to the C echo server with the example script's rounds and sleeps; reference: a closed loop`,
  seconds: 15,
  needs: { cc: 'gcc libc6-dev' },
  server: start_echo,
  measures: [
    { key: 'rss_kb', title: 'RSS per connection, KB', goal: { of: 'value', at_most: 6.5 } },
    { key: 'cpu_us', title: 'CPU per message, µs', better: 'lower', goal: { of: 'value', at_most: 33 } },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'C epoll client',
    run: async ({ server }) => {
      const { cpu_us } = await c_client({ server, connections: 1000, seconds: 2 });
      return { cpu_us };
    },
  },
  subject: ({ server, seconds }) => held({ server, seconds, script: 'sleepy', connections: CONNECTIONS }),
};
