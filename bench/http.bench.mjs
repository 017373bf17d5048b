import { join } from 'node:path';
import { start_nginx } from './lib/servers.mjs';
import { closed_loop, peer } from './lib/sides.mjs';

const CONNECTIONS = 1000;
const EXAMPLES = join(import.meta.dirname, '../examples/protocols');

export const bench = {
  about: `${CONNECTIONS} keep-alive connections to nginx with one worker, GET in a closed loop, 13 bytes of text back; swarm with examples/protocols/http.ts`,
  seconds: 5,
  needs: { nginx: 'nginx-light', wrk: 'wrk' },
  versus: { server: 'nginx', work: `${CONNECTIONS} keep-alive connections, GET` },
  server: start_nginx,
  measures: [
    { key: 'cpu_us', title: 'CPU per message, µs', better: 'lower' },
    { key: 'per_s', title: 'messages per second' },
  ],
  reference: {
    name: 'wrk',
    run: ({ server, seconds }) =>
      peer({
        server,
        seconds,
        connections: CONNECTIONS,
        command: 'wrk',
        args: ['-t', '1', '-c', String(CONNECTIONS), '-d', '24h', `http://127.0.0.1:${server.port}/`],
      }),
  },
  subject: ({ server, seconds }) =>
    closed_loop({ server, seconds, script: 'http', options: ['--protocol-dir', EXAMPLES], connections: CONNECTIONS }),
};
