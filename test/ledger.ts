/**
 * A TCP server that keeps its own books, for tests to compare swarm's with. It lives in the test's process, so its counts are those of
 * this instant: what it has accepted, read and written, never what somebody reported.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { until as wait_until } from './patience.ts';

/**
 * What the ledger does about one request. `text` goes out as a line; `raw` as it is; `drip` a line byte by byte; `wrong` the line
 * `WRONG`; `silent` nothing; `close` FIN; `reset` RST. Requests behind a close or a reset are neither answered nor counted.
 */
export type ReplyAction =
  { text: string } | { raw: Buffer } | { drip: string; every_ms: number } | 'wrong' | 'silent' | 'close' | 'reset';

export interface LedgerConnection {
  /** from 1, in the order of accepting */
  readonly id: number;
  /** lines received so far, this one included */
  readonly requests: number;
  /** sends bytes nobody asked for: counted in `bytes.sent`, not as a reply */
  push(data: string | Buffer): void;
}

export interface LedgerOptions {
  /** default: `OK <first word>` */
  reply?: (line: string, connection: LedgerConnection) => ReplyAction;
  /** default 0, a free one: give the port of a closed ledger to play a server that comes back */
  port?: number;
  /** default 127.0.0.1; another one must take what comes to 127.0.0.1 too, as 0.0.0.0 does */
  host?: string;
}

export interface LedgerBooks {
  accepted: number;
  open: number;
  open_peak: number;
  /** by who did it first: FIN or RST from the client, close or reset by the ledger. accepted = open + the sum of these */
  closed: { client_fin: number; client_reset: number; ledger: number };
  /** CRLF lines */
  requests: number;
  /** in the order of accepting; their sum is `requests` */
  requests_per_connection: number[];
  /** whole replies handed to the socket: text, raw, wrong, and drip at its last byte */
  replies: number;
  /** sent: handed to the socket, whether or not the client was still there to read it */
  bytes: { received: number; sent: number };
}

export interface Ledger {
  readonly host: string;
  readonly port: number;
  /** a copy: it does not change any more */
  books(): LedgerBooks;
  /** the connections that are open now */
  connections(): LedgerConnection[];
  /** Resolves with the books once they please `condition`; rejects after `within_ms` with the books as they were then. */
  until(condition: (books: LedgerBooks) => boolean, within_ms?: number): Promise<LedgerBooks>;
  /** Until no connection is open, those included that had connected before this call and were not accepted yet. Linux. */
  settled(within_ms?: number): Promise<LedgerBooks>;
  /** Stops listening and ends all connections (FIN, or RST with unread bytes). */
  close(): Promise<void>;
}

/** A test that sends more than this without a line end has gone wrong: the ledger resets the connection. */
const MAX_LINE_BYTES = 1024 * 1024;

const HOST = '127.0.0.1';
/** Where the ledger's own knocks come from: whoever connected before one was accepted before it, and it is in no book. */
const KNOCK_FROM = '127.255.255.254';

type Closer = keyof LedgerBooks['closed'];

/** One accepted socket: cuts lines, acts on them, writes into the books. */
class Entry implements LedgerConnection {
  readonly id: number;
  requests = 0;
  readonly #socket: Socket;
  readonly #books: LedgerBooks;
  readonly #reply: (line: string, connection: LedgerConnection) => ReplyAction;
  #rest = '';
  #dripping = 0;
  #client_is_done = false;
  #closer: Closer | null = null;

  constructor(socket: Socket, books: LedgerBooks, reply: (line: string, connection: LedgerConnection) => ReplyAction) {
    this.#socket = socket;
    this.#books = books;
    this.#reply = reply;
    this.id = ++books.accepted;
    books.requests_per_connection.push(0);
    books.open_peak = Math.max(books.open_peak, ++books.open);
    socket.setEncoding('latin1');
    socket.on('data', (data) => this.#receive(String(data)));
    socket.on('end', () => this.#on_fin());
    socket.on('error', () => (this.#closer ??= 'client_reset'));
    socket.on('close', () => {
      books.open--;
      books.closed[this.#closer ?? 'ledger']++;
    });
  }

  push(data: string | Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#books.bytes.sent += Buffer.byteLength(data);
    this.#socket.write(data);
  }

  end(how: 'close' | 'reset' | 'destroy'): void {
    this.#closer ??= 'ledger';
    if (how === 'close') this.#socket.end();
    else if (how === 'reset') this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  #on_fin(): void {
    this.#closer ??= 'client_fin';
    this.#client_is_done = true;
    if (this.#dripping === 0) this.#socket.end();
  }

  #receive(data: string): void {
    this.#books.bytes.received += data.length; // latin1: a character is a byte
    const lines = (this.#rest + data).split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (this.#closer !== null) return;
      this.requests++;
      this.#books.requests++;
      this.#books.requests_per_connection[this.id - 1] = this.requests;
      this.#act(this.#reply(line, this));
    }
    if (this.#rest.length > MAX_LINE_BYTES) this.end('reset');
  }

  #act(action: ReplyAction): void {
    if (action === 'silent') return;
    if (action === 'close' || action === 'reset') return this.end(action);
    if (typeof action === 'object' && 'drip' in action) return void this.#drip(action.drip, action.every_ms);
    this.push(action === 'wrong' ? 'WRONG\r\n' : 'raw' in action ? action.raw : `${action.text}\r\n`);
    this.#books.replies++;
  }

  async #drip(text: string, every_ms: number): Promise<void> {
    this.#dripping++;
    for (const byte of Buffer.from(`${text}\r\n`)) {
      this.push(Buffer.of(byte));
      await sleep(every_ms);
      if (this.#socket.destroyed) return;
    }
    this.#books.replies++;
    if (--this.#dripping === 0 && this.#client_is_done) this.#socket.end();
  }
}

/** Listens on 127.0.0.1, unless told otherwise. Close it in `afterEach`. */
export async function start_ledger(options: LedgerOptions = {}): Promise<Ledger> {
  const reply = options.reply ?? ((line: string): ReplyAction => ({ text: `OK ${line.split(' ', 1)[0]}` }));
  const books: LedgerBooks = {
    accepted: 0,
    open: 0,
    open_peak: 0,
    closed: { client_fin: 0, client_reset: 0, ledger: 0 },
    requests: 0,
    requests_per_connection: [],
    replies: 0,
    bytes: { received: 0, sent: 0 },
  };
  const entries = new Set<Entry>();
  // Half-open: a client that shuts its side down still gets what it asked for.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    if (socket.remoteAddress === KNOCK_FROM) return void socket.destroy();
    const entry = new Entry(socket, books, reply);
    entries.add(entry);
    socket.once('close', () => entries.delete(entry));
  });
  server.listen({ host: options.host ?? HOST, port: options.port ?? 0, backlog: 4096 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  const knock = async (): Promise<void> => {
    const socket = connect({ host: HOST, port, localAddress: KNOCK_FROM }).resume();
    socket.on('error', () => {}); // the ledger is closed: nobody waits at its door
    await new Promise((resolve) => socket.once('close', resolve));
  };
  const shown = (): string => {
    const { requests_per_connection: _, ...rest } = books;
    return `the ledger: ${JSON.stringify(rest)}`;
  };
  const until = async (condition: (books: LedgerBooks) => boolean, within_ms?: number): Promise<LedgerBooks> => {
    await wait_until(shown, () => condition(books), within_ms);
    return structuredClone(books);
  };

  return {
    host: HOST,
    port,
    books: () => structuredClone(books),
    connections: () => [...entries],
    until,
    settled: async (within_ms) => {
      await knock();
      return until((now) => now.open === 0, within_ms);
    },
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const entry of entries) entry.end('destroy');
      await closed;
    },
  };
}
