import { reply_parser_crlf } from 'swarm';

const REPLY = reply_parser_crlf();

/** 11 bytes out, 11 bytes back: what the C client does. */
export function heartbeat(client) {
  return client.send_for_reply('heartbeat\r\n', REPLY);
}

/** As redis-benchmark's ping_inline. */
export function ping(client) {
  return client.send_for_reply('PING\r\n', REPLY);
}
