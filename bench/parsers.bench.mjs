import { start_echo } from './lib/servers.mjs';
import { closed_loop } from './lib/sides.mjs';

const CONNECTIONS = 1000;

/** Both sides are swarm: what does a module pay for the parser contract of the original? */
export const bench = {
  about: `${CONNECTIONS} connections in a closed loop, replies of 11 bytes cut by a framer (reply_parser_crlf) and by a function of the original style`,
  seconds: 5,
  needs: { cc: 'gcc libc6-dev' },
  server: start_echo,
  measures: [
    { key: 'cpu_us', title: 'CPU per round trip, µs', better: 'lower', goal: { of: 'ratio', at_most: 1.5 } },
    { key: 'per_s', title: 'round trips per second' },
  ],
  reference: {
    name: 'framer',
    run: ({ server, seconds }) => closed_loop({ server, seconds, script: 'closed-loop', connections: CONNECTIONS }),
  },
  subject_name: 'function',
  subject: ({ server, seconds }) =>
    closed_loop({ server, seconds, script: 'function-parser', connections: CONNECTIONS }),
};
