import { start_echo } from './lib/servers.mjs';
import { closed_loop } from './lib/sides.mjs';
import { tsung } from './lib/tsung.mjs';

const CONNECTIONS = 1000;

export const bench = {
  about: `${CONNECTIONS} connections to the C echo server, raw TCP in a closed loop, 11 bytes each way`,
  seconds: 5,
  needs: { cc: 'gcc libc6-dev', tsung: 'tsung' },
  versus: { server: 'C echo server', work: `${CONNECTIONS} connections, 11 bytes each way` },
  server: start_echo,
  measures: [
    { key: 'cpu_us', title: 'CPU per round trip, µs', better: 'lower' },
    { key: 'per_s', title: 'round trips per second' },
  ],
  reference: {
    name: 'tsung',
    run: async ({ server, seconds }) => {
      const { cpu_us, per_s } = await tsung({ server, seconds, connections: CONNECTIONS });
      return { cpu_us, per_s };
    },
  },
  subject: ({ server, seconds }) => closed_loop({ server, seconds, script: 'closed-loop', connections: CONNECTIONS }),
};
