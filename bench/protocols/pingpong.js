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

/** The same, with a parser as modules of the original have it. */
export function heartbeat_by_count(client) {
  return client.send_for_reply('heartbeat\r\n', crlf_by_count());
}

/** Never asks for a byte too many: for two until a CR ends what came, then for the one that should be its LF. */
function crlf_by_count() {
  let last = 0;
  return (data) => {
    if (data === null) return 2;
    const before = data.length > 1 ? data[0] : last;
    last = data[data.length - 1];
    if (before === 13 && last === 10) return 0;
    return last === 13 ? 1 : 2;
  };
}
