#!/usr/bin/env node
/** A small chat server to try swarm against; {@link HELP} says how. */
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';

const HELP = `durian: a small chat server to try swarm against. Plain Node, no dependencies, no build:

  node examples/targets/durian.mjs --listen 127.0.0.1:8412

Its first line on stdout is \`listening <host>:<port>\`. Requests and replies are lines that end with CRLF (a bare LF is taken too, for
people with \`nc\`), bytes pass through as they are:

  heartbeat <uid>          OK heartbeat
  create <uid> <rid>       OK create <rid>
  enter <uid> <rid>        OK enter <rid>       (makes the room when there is none)
  leave <uid> <rid>        OK leave <rid>
  closeroom <uid> <rid>    OK closeroom <rid>   (its members are put out)
  say <rid> <text…>        OK say, and \`MSG <rid> <uid> <text>\` to every connection that entered the room, the sender too;
                           uid is the one the sender entered with. Not entered: ERR not in room <rid>
  hello …                  no reply
  anything else            ERR unknown <verb>

--listen <host:port>   default 127.0.0.1:0, a free port
--slow <ms>            carry every request out that much later (default 0)
--faulty <share>       0…1 of the requests that have a reply get, at random, a wrong reply, none, a close or a reset instead (default 0)
--seed <text>          of the faults (default durian)
--end-with-stdin       end when stdin closes, so that it never outlives the process that started it
--help                 this text

SIGTERM ends it. A line over 4 KiB is answered \`ERR line too long\` and the connection closed; a receiver that lets 1 MiB pile up is dropped.
`;

const MAX_LINE_BYTES = 4096;
const MAX_BACKLOG_BYTES = 1024 * 1024;
/** of one connection, waiting for --slow; reading pauses there */
const MAX_DELAYED_BYTES = 64 * 1024;
const MAX_ROOMS = 100_000;
const MAX_ROOMS_PER_CONNECTION = 1000;

/**
 * @typedef {import('node:net').Socket} Socket
 * @typedef {Map<Connection, string>} Room  its members and the uid each entered with
 * @typedef {{ socket: Socket, rest: string, rooms: Set<string>, delayed: number, ended: boolean }} Connection
 *   `rest`: the line that is not whole yet; `delayed`: bytes that wait for --slow; `ended`: no further request is carried out
 * @typedef {'wrong' | 'silent' | 'close' | 'reset'} Fault
 */

/** @type {readonly Fault[]} */
const FAULTS = ['wrong', 'silent', 'close', 'reset'];

const options = read_options();
const random = seeded(options.seed);
/** @type {Map<string, Room>} */
const rooms = new Map();

/**
 * @returns {{ host: string, port: number, slow_ms: number, faulty: number, seed: string, end_with_stdin: boolean }}
 */
function read_options() {
  try {
    const { values } = parseArgs({
      options: {
        listen: { type: 'string', default: '127.0.0.1:0' },
        slow: { type: 'string', default: '0' },
        faulty: { type: 'string', default: '0' },
        seed: { type: 'string', default: 'durian' },
        'end-with-stdin': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const address = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(values.listen);
    if (!address) throw new Error(`--listen ${values.listen}: give host:port, like 127.0.0.1:8412 or [::1]:0`);
    return {
      host: String(address[1] ?? address[2]),
      port: number_in('--listen', String(address[3]), 0, 65_535),
      slow_ms: number_in('--slow', values.slow, 0, 3_600_000),
      faulty: number_in('--faulty', values.faulty, 0, 1),
      seed: values.seed,
      end_with_stdin: values['end-with-stdin'],
    };
  } catch (error) {
    process.stderr.write(`durian: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

/** @param {string} option @param {string} text @param {number} least @param {number} most */
function number_in(option, text, least, most) {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new Error(`${option} ${text}: give a number from ${least} to ${most}`);
  return value;
}

/**
 * mulberry32 over an FNV-1a hash of the seed: enough to repeat a run, nothing to keep a secret with.
 * @param {string} seed
 * @returns {() => number} 0 ≤ x < 1
 */
function seeded(seed) {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(seed)) state = Math.imul(state ^ byte, 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {Connection} to @param {string | Buffer} data */
function send(to, data) {
  if (to.socket.destroyed || to.socket.writableEnded) return;
  to.socket.write(data, 'latin1');
  if (to.socket.writableLength > MAX_BACKLOG_BYTES) drop(to);
}

/** @param {Connection} connection */
function drop(connection) {
  connection.ended = true;
  connection.socket.resetAndDestroy();
}

/** @param {Connection} connection */
function end(connection) {
  connection.ended = true;
  connection.socket.end();
}

/** @param {Connection} connection @param {string} rid @param {string} uid @returns {boolean} false when there are too many rooms */
function enter(connection, rid, uid) {
  const room = make_room(rid);
  if (!room || (connection.rooms.size >= MAX_ROOMS_PER_CONNECTION && !connection.rooms.has(rid))) return false;
  room.set(connection, uid);
  connection.rooms.add(rid);
  return true;
}

/** @param {string} rid @returns {Room | undefined} */
function make_room(rid) {
  let room = rooms.get(rid);
  if (!room && rooms.size < MAX_ROOMS) rooms.set(rid, (room = new Map()));
  return room;
}

/** The last one out closes the room. @param {Connection} connection @param {string} rid */
function leave(connection, rid) {
  const room = rooms.get(rid);
  if (!connection.rooms.delete(rid) || !room) return;
  room.delete(connection);
  if (room.size === 0) rooms.delete(rid);
}

/** @param {string} rid */
function close_room(rid) {
  for (const member of rooms.get(rid)?.keys() ?? []) member.rooms.delete(rid);
  rooms.delete(rid);
}

/**
 * Carries one request out.
 * @param {Connection} connection
 * @param {string} line
 * @returns {string} what to reply, '' for nothing
 */
function answer(connection, line) {
  const [verb = '', first = '', rid = ''] = line.split(' ', 3);
  switch (verb) {
    case 'heartbeat':
      return 'OK heartbeat\r\n';
    case 'create':
      return make_room(rid) ? `OK create ${rid}\r\n` : 'ERR too many rooms\r\n';
    case 'enter':
      return enter(connection, rid, first) ? `OK enter ${rid}\r\n` : 'ERR too many rooms\r\n';
    case 'leave':
      leave(connection, rid);
      return `OK leave ${rid}\r\n`;
    case 'closeroom':
      close_room(rid);
      return `OK closeroom ${rid}\r\n`;
    case 'say':
      return say(connection, first, line.slice(verb.length + first.length + 2));
    case 'hello':
      return '';
    default:
      return `ERR unknown ${verb}\r\n`;
  }
}

/**
 * The sender's own copy goes with its reply, behind `OK say`, so that what it gets keeps the order it asked in.
 * @param {Connection} connection
 * @param {string} rid
 * @param {string} text
 */
function say(connection, rid, text) {
  const room = rooms.get(rid);
  const uid = room?.get(connection);
  if (!room || uid === undefined) return `ERR not in room ${rid}\r\n`;
  const message = `MSG ${rid} ${uid} ${text}\r\n`;
  const bytes = Buffer.from(message, 'latin1'); // one copy for all receivers
  for (const member of room.keys()) if (member !== connection) send(member, bytes);
  return `OK say\r\n${message}`;
}

/** @param {Connection} connection @param {Fault} fault */
function misbehave(connection, fault) {
  if (fault === 'wrong') send(connection, `WRONG ${Math.floor(random() * 1e9)}\r\n`);
  else if (fault === 'close') end(connection);
  else if (fault === 'reset') drop(connection);
}

/** Carries out all whole lines, with one write for their replies. @param {Connection} connection @param {string} text */
function receive(connection, text) {
  if (connection.ended) return;
  const data = connection.rest + text;
  let replies = '';
  let start = 0;
  for (let lf; (lf = data.indexOf('\n', start)) >= 0 && !connection.ended; start = lf + 1) {
    const stop = lf > start && data.charCodeAt(lf - 1) === 13 ? lf - 1 : lf;
    if (stop - start > MAX_LINE_BYTES) break;
    const line = data.slice(start, stop);
    if (options.faulty > 0 && !line.startsWith('hello') && random() < options.faulty) {
      if (replies) send(connection, replies);
      replies = '';
      misbehave(connection, /** @type {Fault} */ (FAULTS[Math.floor(random() * FAULTS.length)]));
    } else replies += answer(connection, line);
  }
  if (connection.ended) return;
  if (replies) send(connection, replies);
  connection.rest = data.slice(start);
  if (connection.rest.length > MAX_LINE_BYTES + 1) {
    send(connection, 'ERR line too long\r\n');
    end(connection);
  }
}

/** The same, `--slow` later: equal delays keep the order. @param {Connection} connection @param {string} text */
function receive_later(connection, text) {
  connection.delayed += text.length;
  if (connection.delayed > MAX_DELAYED_BYTES) connection.socket.pause();
  setTimeout(() => {
    receive(connection, text);
    connection.delayed -= text.length;
    if (connection.delayed <= MAX_DELAYED_BYTES) connection.socket.resume();
  }, options.slow_ms);
}

// Half-open on purpose: who shuts its side down still gets the answers to what it had asked.
const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  /** @type {Connection} */
  const connection = { socket, rest: '', rooms: new Set(), delayed: 0, ended: false };
  const take = options.slow_ms > 0 ? receive_later : receive;
  socket.setEncoding('latin1');
  socket.on('data', (text) => take(connection, String(text)));
  socket.on('end', () => {
    if (options.slow_ms > 0) setTimeout(end, options.slow_ms, connection);
    else end(connection);
  });
  socket.on('error', () => {}); // 'close' follows
  socket.on('close', () => {
    connection.ended = true;
    for (const rid of connection.rooms) leave(connection, rid);
  });
});

server.on('error', (error) => {
  process.stderr.write(`durian: ${error.message}\n`);
  if (!server.listening) process.exit(1); // once it listens: accept failed, for want of files; the others go on
});
process.stdout.on('error', () => {}); // nobody reads its first line: no reason to end
server.listen({ host: options.host, port: options.port, backlog: 4096 }, () => {
  const { address, port, family } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`listening ${family === 'IPv6' ? `[${address}]` : address}:${port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
if (options.end_with_stdin) {
  process.stdin.on('error', () => process.exit(0));
  process.stdin.on('close', () => process.exit(0));
  process.stdin.resume();
}
