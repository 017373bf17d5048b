/** The console's server: where it listens, who may come in, and when. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { is_loopback } from '../foundation/addresses.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import type { Control } from '../swarm/plan/control.ts';
import { end_with } from './farewell.ts';
import { RareLog, type ConsoleLog } from './rare-log.ts';
import { Session, type Shared } from './session.ts';
import { SharedControl } from './shared-control.ts';
import { Token } from './token.ts';

const MAX_SESSIONS = 32;
/** One session is kept for somebody on this machine. */
const MAX_REMOTE = MAX_SESSIONS - 1;
/** ended connections that may still read their last words */
const MAX_LEAVING = 32;
const FAREWELL = 'the swarm has ended, good bye';

interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

interface ConsoleOptions {
  /** `host` is an IP address */
  readonly listen: ListenAddress;
  /** the token that `auth` must name, without white space; required unless `listen` is a loopback address */
  readonly token?: string | undefined;
  readonly log: ConsoleLog;
}

export interface Console {
  /** where it listens, with the real port when 0 was asked for */
  readonly address: ListenAddress;
  /** Begins to answer, first the connections that came before and were held. */
  open(control: Control): void;
  /** Ends all connections, held ones too, with a last line; takes about 2 s at most. */
  close(): Promise<void>;
}

/**
 * Resolves when it listens. Connections are held, unread and unanswered, until `open`.
 * @throws SwarmError `console_open`, `console_in_use` or `console_listen`
 */
export async function start_console({ listen, token, log }: ConsoleOptions): Promise<Console> {
  const shown = endpoint_text(listen);
  if (token === undefined && !is_loopback(listen.host)) throw new SwarmError('console_open', { listen: shown });
  const door = new Door(token === undefined ? null : new Token(token), log);
  try {
    const address = await door.listen(listen);
    return { address, open: (control) => door.open(control), close: () => door.close() };
  } catch (error) {
    const in_use = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const code = in_use ? 'console_in_use' : 'console_listen';
    throw new SwarmError(code, { listen: shown, reason: reason_of(error) }, error);
  }
}

/** A connection that counts as a session. */
interface Visitor {
  readonly socket: Socket;
  readonly is_remote: boolean;
  /** null while it is held */
  session: Session | null;
}

class Door {
  readonly #shared: Shared;
  readonly #server: Server;
  /** in the order in which they came */
  readonly #seats = new Set<Visitor>();
  readonly #leaving = new Set<Socket>();
  #control: Control | null = null;

  constructor(token: Token | null, log: ConsoleLog) {
    this.#shared = { token, log, rare: new RareLog((text) => log.warn(text)) };
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#on_connection(socket));
  }

  async listen({ host, port }: ListenAddress): Promise<ListenAddress> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    this.#server.on('error', (error) => this.#shared.log.warn(`console: ${reason_of(error)}`));
    const bound = this.#server.address() as AddressInfo;
    return { host: bound.address, port: bound.port };
  }

  open(control: Control): void {
    this.#control = new SharedControl(control);
    for (const seat of this.#seats) this.#begin(seat, this.#control);
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    await Promise.all([...this.#seats].map((seat) => dismiss(seat, FAREWELL)));
    await closed;
    this.#shared.rare.close();
  }

  #on_connection(socket: Socket): void {
    socket.on('error', () => {}); // `close` follows
    const is_remote = !is_loopback(socket.remoteAddress ?? '0.0.0.0');
    if (this.#is_full(is_remote)) this.#make_room();
    if (this.#is_full(is_remote)) {
      this.#shared.rare.warn(
        'too_many_sessions',
        `console: turned ${socket.remoteAddress} away, too many sessions are open`,
      );
      this.#see_off(socket);
      end_with(socket, `ERR too_many_sessions ${this.#seats.size} are open, quit one of them\r\n`);
      return;
    }
    const seat: Visitor = { socket, is_remote, session: null };
    this.#seats.add(seat);
    if (this.#control) this.#begin(seat, this.#control);
    else this.#hold(seat);
  }

  #is_full(for_remote: boolean): boolean {
    const remote = [...this.#seats].filter((seat) => seat.is_remote).length;
    return this.#seats.size >= MAX_SESSIONS || (for_remote && remote >= MAX_REMOTE);
  }

  /**
   * Strangers must not keep the operator out: the connection of least worth goes, of several the one idle for longest.
   */
  #make_room(): void {
    const all_taken = this.#seats.size >= MAX_SESSIONS;
    const may_go = [...this.#seats].filter((seat) => !seat.session?.is_privileged && (all_taken || seat.is_remote));
    const [first, ...others] = may_go;
    if (!first) return;
    const gone = others.reduce((least, seat) => (goes_before(seat, least) ? seat : least), first);
    this.#seats.delete(gone);
    this.#see_off(gone.socket);
    const why = 'ERR too_many_sessions the place of the session that was idle for longest was needed';
    this.#shared.rare.warn(
      'too_many_sessions',
      `console: ${gone.socket.remoteAddress} had to go, too many sessions are open`,
    );
    void dismiss(gone, why);
  }

  /** It no longer counts as a session. When very many end at once, the first get no time to read why. */
  #see_off(socket: Socket): void {
    this.#leaving.add(socket);
    socket.once('close', () => this.#leaving.delete(socket));
    const [oldest] = this.#leaving;
    if (this.#leaving.size > MAX_LEAVING) oldest?.destroy();
  }

  /** Without a listener for data, node:net reads no more than its buffer holds, yet notices an end. */
  #hold(seat: Visitor): void {
    // a client that ended its input is answered all the same
    seat.socket.once('end', () => {
      if (seat.session) return;
      this.#seats.delete(seat);
      seat.socket.end();
    });
    seat.socket.once('close', () => {
      if (!seat.session) this.#seats.delete(seat);
    });
  }

  #begin(seat: Visitor, control: Control): void {
    seat.session = new Session(seat.socket, control, this.#shared);
    void seat.session.closed.then(() => this.#seats.delete(seat));
  }
}

async function dismiss({ session, socket }: Visitor, last_words: string): Promise<void> {
  if (session) await session.dismiss(last_words);
  else end_with(socket, `${last_words}\r\n`);
}

function goes_before(a: Visitor, b: Visitor): boolean {
  const [worth_a, worth_b] = [a.session?.worth ?? 0, b.session?.worth ?? 0];
  // held ones are in order of arrival
  return worth_a !== worth_b ? worth_a < worth_b : (a.session?.idle_since ?? 0) < (b.session?.idle_since ?? 0);
}
