import { line, match } from 'swarm';

export const messages = line('\r\n');

const PONG = match((message) => message === '+PONG');

/** As redis-benchmark -P 16: as many requests at once, the next ones when all are answered. */
export function pings(client) {
  return Promise.all(Array.from({ length: 16 }, () => client.send_for_reply('PING\r\n', PONG)));
}
