/** The console's door: where it listens, who may come in, and when. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { is_loopback } from '../foundation/addresses.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { SwarmError, reason_of } from '../foundation/errors.ts';
import type { Control } from '../swarm/command.ts';
import { end_with } from './farewell.ts';
import { Session, type ConsoleLog } from './session.ts';

const MAX_SESSIONS = 32;
const FAREWELL = 'the swarm has ended, good bye';

interface Address {
  readonly host: string;
  readonly port: number;
}

interface ConsoleOptions {
  /** `host` is an IP address */
  readonly listen: Address;
  /** what `auth` must say, without white space; required unless `listen` is a loopback address */
  readonly token?: string | undefined;
  readonly log: ConsoleLog;
}

export interface Console {
  /** where it listens: the real port when 0 was asked for */
  readonly address: Address;
  /** Begins to answer, first those who came before and were held. */
  open(control: Control): void;
  /** Ends the sessions, held ones too, with a last line; takes about 2 s at most. */
  close(): Promise<void>;
}

/**
 * Resolves when it listens; who connects is held, unread and unanswered, until `open`. Rejects with `console_open`, `console_in_use` or
 * `console_listen`.
 */
export async function start_console({ listen, token, log }: ConsoleOptions): Promise<Console> {
  const shown = endpoint_text(listen);
  if (token === undefined && !is_loopback(listen.host)) throw new SwarmError('console_open', { listen: shown });
  const door = new Door(token === undefined ? null : token_check(token), log);
  try {
    const address = await door.listen(listen);
    return { address, open: (control) => door.open(control), close: () => door.close() };
  } catch (error) {
    const in_use = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const code = in_use ? 'console_in_use' : 'console_listen';
    throw new SwarmError(code, { listen: shown, reason: reason_of(error) }, error);
  }
}

class Door {
  readonly #is_token: ((text: string) => boolean) | null;
  readonly #log: ConsoleLog;
  readonly #server: Server;
  /** oldest first; empty once it is open */
  readonly #held = new Set<Socket>();
  readonly #sessions = new Set<Session>();
  #control: Control | null = null;

  constructor(is_token: ((text: string) => boolean) | null, log: ConsoleLog) {
    this.#is_token = is_token;
    this.#log = log;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#on_connection(socket));
  }

  /** Returns where. */
  async listen({ host, port }: Address): Promise<Address> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    this.#server.on('error', (error) => this.#log.warn(`console: ${reason_of(error)}`));
    const bound = this.#server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  open(control: Control): void {
    this.#control = control;
    for (const socket of this.#held) this.#begin(socket, control);
    this.#held.clear();
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#held) end_with(socket, `${FAREWELL}\r\n`);
    await Promise.all([...this.#sessions].map((session) => session.dismiss(FAREWELL)));
    await closed;
  }

  #on_connection(socket: Socket): void {
    socket.on('error', () => {}); // `close` follows
    if (this.#is_full()) this.#make_room();
    if (this.#is_full()) {
      this.#log.warn(`console: turned ${socket.remoteAddress} away, ${MAX_SESSIONS} sessions are open`);
      end_with(socket, `ERR too_many_sessions ${MAX_SESSIONS} are open, quit one of them\r\n`);
    } else if (this.#control) this.#begin(socket, this.#control);
    else this.#hold(socket);
  }

  #is_full(): boolean {
    return this.#held.size + this.#sessions.size >= MAX_SESSIONS;
  }

  /** Strangers who have not shown the token must not keep the operator out. */
  #make_room(): void {
    if (this.#is_token === null) return;
    const why = 'ERR too_many_sessions the place of a session without token was needed';
    const [oldest] = this.#held;
    const stranger = [...this.#sessions].find((one) => !one.is_trusted);
    if (oldest) {
      this.#held.delete(oldest);
      end_with(oldest, `${why}\r\n`);
    } else if (stranger) {
      this.#sessions.delete(stranger);
      void stranger.dismiss(why);
    }
  }

  /** Without a listener node:net reads no more than fills its buffer, yet notices an end. */
  #hold(socket: Socket): void {
    this.#held.add(socket);
    // one that ends after its first bytes is answered all the same
    socket.once('end', () => {
      if (this.#held.delete(socket)) socket.end();
    });
    socket.once('close', () => this.#held.delete(socket));
  }

  #begin(socket: Socket, control: Control): void {
    const session = new Session({ socket, control, log: this.#log, is_token: this.#is_token });
    this.#sessions.add(session);
    void session.closed.then(() => this.#sessions.delete(session));
  }
}

/** Compares hashes, so that the time says neither how long the token is nor how much of it was right. */
function token_check(token: string): (text: string) => boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  const wanted = hash(token);
  return (text) => timingSafeEqual(hash(text), wanted);
}
