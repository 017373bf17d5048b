import { start_echo } from './lib/servers.mjs';
import { c_client, swarm, window_of } from './lib/sides.mjs';

const CONNECTIONS = 1000;

export const bench = {
  about: `${CONNECTIONS} connections to the C echo server, each asks again as soon as it is answered; 11 bytes each way`,
  seconds: 5,
  server: start_echo,
  measures: [
    { key: 'cpu_us', title: 'CPU per round trip, µs', goal: { of: 'ratio', at_most: 2 } },
    { key: 'per_s', title: 'round trips per second' },
  ],
  reference: {
    name: 'C epoll client',
    run: ({ server, seconds }) => c_client({ server, connections: CONNECTIONS, seconds }),
  },
  subject: ({ server, seconds }) =>
    swarm({
      server,
      script: 'closed-loop',
      connections: CONNECTIONS,
      connect_per_s: 1000,
      measure: async (pid, hold) => {
        await hold();
        return window_of({ pid, server, seconds });
      },
    }),
};
