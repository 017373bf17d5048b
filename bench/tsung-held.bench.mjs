import { start_echo } from './lib/servers.mjs';
import { held } from './lib/sides.mjs';
import { tsung } from './lib/tsung.mjs';

const CONNECTIONS = 5000;

export const bench = {
  about: `${CONNECTIONS} held connections to the C echo server, 11 bytes each way, then a sleep of 1 to 5 s`,
  seconds: 15,
  needs: { cc: 'gcc libc6-dev', tsung: 'tsung' },
  versus: { server: 'C echo server', work: `${CONNECTIONS} connections, 11 bytes each way, 1–5 s apart` },
  server: start_echo,
  measures: [
    { key: 'rss_kb', title: 'RSS per connection, KB', better: 'lower' },
    { key: 'cpu_us', title: 'CPU per message, µs', better: 'lower' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'tsung',
    run: ({ server, seconds }) => tsung({ server, seconds, connections: CONNECTIONS, sleep_s: [1, 5] }),
  },
  subject: ({ server, seconds }) => held({ server, seconds, script: 'tsung-held', connections: CONNECTIONS }),
};
