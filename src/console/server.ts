/** The console's door: where it listens, who may come in. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { BlockList, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { SwarmError, reason_of } from '../foundation/errors.ts';
import type { Control } from '../swarm/command.ts';
import { Session, type ConsoleLog } from './session.ts';

const MAX_SESSIONS = 32;
/** ms for a client that was turned away to read why */
const TURN_AWAY_MS = 1000;

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConsoleOptions {
  readonly listen: Address;
  readonly control: Control;
  /** what `auth` must say, without white space; required unless `listen` is a loopback address */
  readonly token?: string | undefined;
  readonly log: ConsoleLog;
}

export interface Console {
  /** where it listens: the real port when 0 was asked for */
  readonly address: Address;
  /** Ends the sessions with a last line; takes about 2 s at most. */
  close(): Promise<void>;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Resolves when it listens. Rejects with `console_open`, `console_in_use` or `console_listen`, before the first client. */
export async function start_console(options: ConsoleOptions): Promise<Console> {
  const { listen, control, token, log } = options;
  const is_token = token === undefined ? null : token_check(token);
  const sessions = new Set<Session>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sessions.size >= MAX_SESSIONS) {
      // strangers who have not shown the token must not keep the operator out
      const stranger = [...sessions].find((one) => !one.is_trusted);
      if (stranger !== undefined) {
        sessions.delete(stranger);
        void stranger.dismiss('ERR too_many_sessions the place of a session without token was needed');
      }
    }
    if (sessions.size >= MAX_SESSIONS) {
      log.warn(`console: turned ${socket.remoteAddress} away, ${MAX_SESSIONS} sessions are open`);
      turn_away(socket, `ERR too_many_sessions ${MAX_SESSIONS} are open, quit one of them`);
      return;
    }
    const session = new Session({ socket, control, log, is_token });
    sessions.add(session);
    void session.closed.then(() => sessions.delete(session));
  });
  await open(server, listen, token !== undefined);
  server.on('error', (error) => log.warn(`console: ${reason_of(error)}`));
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    async close() {
      const closed = once(server, 'close');
      server.close();
      await Promise.all([...sessions].map((session) => session.dismiss('the swarm has ended, good bye')));
      await closed;
    },
  };
}

async function open(server: Server, listen: Address, has_token: boolean): Promise<void> {
  const shown = `${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${listen.port}`;
  try {
    // The address is resolved here, so that what is checked is what is listened at.
    const { address, family } = await lookup(listen.host);
    if (!has_token && !LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4'))
      throw new SwarmError('console_open', { listen: shown });
    server.listen(listen.port, address);
    await once(server, 'listening');
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    const in_use = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw new SwarmError(
      in_use ? 'console_in_use' : 'console_listen',
      { listen: shown, reason: reason_of(error) },
      error,
    );
  }
}

/** Compares hashes, so that the time says neither how long the token is nor how much of it was right. */
function token_check(token: string): (text: string) => boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  const wanted = hash(token);
  return (text) => timingSafeEqual(hash(text), wanted);
}

function turn_away(socket: Socket, line: string): void {
  socket.on('error', () => {});
  socket.end(`${line}\r\n`);
  socket.resume();
  const destroy = setTimeout(() => socket.destroy(), TURN_AWAY_MS).unref();
  socket.once('close', () => clearTimeout(destroy));
}
