import { start_echo } from './lib/servers.mjs';
import { c_client, closed_loop } from './lib/sides.mjs';

const CONNECTIONS = 1000;

export const bench = {
  about: `${CONNECTIONS} connections to the C echo server, each asks again as soon as it is answered; 11 bytes each way`,
  seconds: 5,
  needs: { cc: 'gcc libc6-dev' },
  versus: { server: 'C echo server', work: `${CONNECTIONS} connections, 11 bytes each way` },
  server: start_echo,
  measures: [
    { key: 'cpu_us', title: 'CPU per round trip, µs', better: 'lower', goal: { of: 'ratio', at_most: 1.8 } },
    { key: 'per_s', title: 'round trips per second' },
  ],
  reference: {
    name: 'C epoll client',
    run: ({ server, seconds }) => c_client({ server, connections: CONNECTIONS, seconds }),
  },
  subject: ({ server, seconds }) => closed_loop({ server, seconds, script: 'closed-loop', connections: CONNECTIONS }),
};
