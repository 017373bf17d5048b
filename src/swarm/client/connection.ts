/**
 * One socket and what it is doing: connecting, shaking hands, open, or closing after its life is over. The file stays
 * whole because it is the message path: a split into objects would cost an allocation and a call for each reply.
 */
import { Buffer } from 'node:buffer'; // faster than the global one, which is looked up at each use
import type { Socket } from 'node:net';
import { TLSSocket, type ConnectionOptions } from 'node:tls';
import { now, Timer, type Wheel } from '../../foundation/clock.ts';
import { reason_of } from '../../foundation/errors.ts';
import type { CloseCause } from '../../metrics/snapshot.ts';
import type { FakeClient } from '../../protocols/client.ts';
import { wrong_reply, type Parser } from '../../protocols/parser.ts';
import type { Permit } from '../plan/permit.ts';
import type { ConnectionLimits } from '../plan/run-spec.ts';
import type { Ports } from '../shares/ports.ts';
import { bad_data, bad_parser, bad_servername } from './call-check.ts';
import { CallError } from './call-error.ts';
import { ConnectionLimiter, type Limited } from './connection-limits.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import { FakeClientHandle, type Calls, type Identity } from './fake-client.ts';
import { Inbound, reject_quietly, Waiter, type InboundOwner, type InboundRules, type Trace } from './inbound.ts';
import { tls_error_text, type Secure, type TlsSession } from './secure.ts';
import {
  await_drain,
  failing_socket,
  forget_drain,
  open_socket,
  secure_socket,
  unopened_socket,
  type Reads,
  type SocketOwner,
} from './socket.ts';

/** Bytes waiting in user space below which send_noreply resolves at once. */
const NOREPLY_PRESSURE = 64 * 1024;
/** Unsent bytes of one client beyond which the module is at fault: it sends without waiting. */
const MAX_UNSENT = 16 * 1024 * 1024;
/** Bytes. Larger requests go out at once: copying them would cost more than a write. */
const MAX_GATHERED = 16 * 1024;
/** Characters. Texts up to this long are checked for ASCII, which goes to the kernel without the stream (ADR 16). */
const MAX_SHORT = 256;
/** Most connections whose writes go out together. The first of them waits while as many rounds start, some 50 µs. */
const MAX_TOGETHER = 16;
/** Of the calls that settle at once, one in so many waits for a turn of the event loop. */
const INSTANT_CALLS = 64;
/** Local ports tried for one connect. Another process holds those that fail, and so many in a row are no accident. */
const MAX_SKIPS = 64;
const NO_PORT = 'no local port is free: all that --bind gives are in use';
const SHIFTED =
  "a request went out while bytes of the server's waited that nobody had read: they are taken for its reply, and each reply for the next one's. " +
  "Read a greeting with send_for_reply('', …) in connected; a server that pushes needs `messages` (unread_bytes)";
/** ms until a unix socket whose backlog was full is tried again. */
const BACKLOG_MS = 20;
/** The code of a connection that ends with its client. */
export const TAKEN_AWAY = 'killed';
/** ms that a closed connection has to send its queued bytes. */
const LINGER_MS = 1000;

/** What all connections of a process share. */
export interface ConnectionRules extends InboundRules {
  readonly wheel: Wheel;
  readonly endpoints: Endpoints;
  readonly ports: Ports;
  readonly secure: Secure;
  readonly connection_limits: ConnectionLimits | null;
  /** options that sockets are made with */
  readonly reads: Reads;
  readonly permit: Permit;
  readonly keep_alive_ms: number | null;
  readonly connect_timeout_ms: number;
  readonly reply_timeout_ms: number;
  /** sockets that exist, closing ones included, as these hold descriptors too */
  sockets: number;
  /** a descriptor became free */
  socket_freed(): void;
  /** the member's own draws: 0 ≤ u < 1 */
  readonly unit: () => number;
}

/** The client whose connection it is. */
export interface ConnectionClient extends Identity {
  readonly trace: Trace | null;
  /** a round of the client runs */
  readonly in_round: boolean;
  /** left by its last TLS connection, for the next one */
  tls_session: TlsSession | null;
  /** failed attempts since it last began with its first address */
  misses: number;
  established(): void;
  /**
   * The connection's life is over. `cause` null: it was never established. `error` undefined: nothing failed (script,
   * decr, stop). Called once, before pending calls reject.
   */
  ended(cause: CloseCause | null, code: string, error: unknown): void;
  /** The last open call settled. Returns true if that ended the round. */
  calls_done(): boolean;
}

/** What send_noreply returns when nothing waits. */
const SENT = Promise.resolve();

/** Connections with something to send: written in one batch, not each behind the work of a round (ADR 9). */
const gathering: Connection[] = [];

/**
 * A send within a round waits for the end of the event loop's callback. A send after a reply waits until the other
 * replies that came with it were read.
 */
function send_later(connection: Connection): void {
  const waiting = gathering.push(connection);
  if (waiting === MAX_TOGETHER) send_all();
  else if (waiting > 1) return;
  else if (connection.at > 0) process.nextTick(send_all);
  else setImmediate(send_all);
}

function send_all(): void {
  try {
    for (const connection of gathering) if (connection.gathers) connection.send_gathered();
  } finally {
    gathering.length = 0; // also after a throw: send_later schedules nothing while the list has entries
  }
}

export class Connection implements InboundOwner, Calls, SocketOwner, Limited {
  /** true from the start of the attempt until it failed, was lost, closed or taken away */
  alive = true;
  /** calls of the module that have not settled */
  open_calls = 0;
  /** the time, while the runner is calling a function of the module; else 0 */
  at = 0;
  /** of this round: when the module says that a reply is wrong, it most likely means this one */
  last_reply: unknown = undefined;
  /** it is in `gathering`, with something to send */
  gathers = false;
  /** its lifetime is over, or the server ended a reply by closing; the connection ends with the round that runs */
  worn_out: 'limit' | 'server' | null = null;
  readonly handle: FakeClient = new FakeClientHandle(this);
  readonly client: ConnectionClient;
  readonly #rules: ConnectionRules;
  readonly #inbound: Inbound;
  readonly #endpoint: Endpoint;
  #socket: Socket;
  /** number of its (address, port) pair, see ports.ts; 0: the kernel chose the port */
  #port = 0;
  /** local ports tried that others held */
  #skips = 0;
  readonly #started = now();
  #established = false;
  /** when the TLS handshake that runs now began; 0: none runs */
  #handshake_at = 0;
  /** the name asked for in the handshake (SNI) */
  #servername: string | undefined = undefined;
  /** what start_tls waits for */
  #securing: Waiter | null = null;
  #limits: ConnectionLimiter | null = null;
  /** text to send with `gathering` */
  #gathered = '';
  /** no TLS: writes may bypass the socket's stream. A TLS socket takes one write at a time, from its stream (ADR 16) */
  #plain: boolean;
  /** the kernel has not yet taken the text that was written past the stream */
  #untaken = false;
  /** something went through the socket's stream, so bytes may wait there too */
  #streamed = false;
  readonly #on_taken = (error?: Error | null): void => {
    this.#untaken = false;
    if (error) this.#socket.destroy(error);
  };
  /** what send_noreply calls above NOREPLY_PRESSURE wait for */
  #drained: Waiter | null = null;
  /** time of the last send, 0: never */
  #sent_at = 0;
  /** calls that settled at once */
  #instant = 0;
  /** the connect deadline, then the oldest call's (checked when it fires, not re-armed per call), then the linger */
  readonly #timer = new Timer<Connection>(this, on_timer);

  constructor(client: ConnectionClient, rules: ConnectionRules) {
    this.client = client;
    this.#rules = rules;
    this.#inbound = new Inbound(this, rules);
    const endpoint = rules.endpoints.of(client.id, client.misses);
    this.#endpoint = endpoint;
    this.#plain = !endpoint.tls;
    const { connections } = rules.recorder;
    connections.attempted++;
    connections.connecting++;
    endpoint.counts.attempted++;
    endpoint.counts.connecting++;
    rules.sockets++;
    this.#socket = this.#dial();
    rules.wheel.arm(this.#timer, this.#started + rules.connect_timeout_ms);
  }

  get trace(): Trace | null {
    return this.client.trace;
  }

  /** Is `value` the promise of the newest call? The runner waits for open calls and need not wait for it too. */
  is_call(value: unknown): boolean {
    return value === this.#inbound.newest || value === SENT;
  }

  /** Sends and waits for the reply; see FakeClient.send_for_reply. */
  request(data: string | Uint8Array, parser: Parser | null): Promise<unknown> {
    if (!this.alive) return new Promise(() => {});
    const messages = this.#rules.messages !== null;
    const fault = bad_data(data) ?? bad_parser(parser, messages);
    if (fault !== null) return this.#bad_call(`send_for_reply: ${fault}`);
    if (!messages && this.#inbound.waiting)
      return this.#bad_call('send_for_reply: another call waits for its reply; without `messages` only one may');
    const { requests } = this.#rules.recorder;
    // sending '' is how a module reads a greeting
    if (!messages && data.length > 0 && this.#inbound.unread > 0) this.#tell_unread();
    const at = this.at || now();
    if (at > this.#rules.permit.until) return this.#refused();
    const deadline = at + this.#rules.reply_timeout_ms;
    const waiter = new Waiter(parser, deadline);
    const unwritten = this.#write(data, at);
    if (unwritten !== null) return this.#bad_call(`send_for_reply: ${unwritten}`);
    requests.sent++;
    requests.in_flight++;
    const open_before = this.open_calls++;
    if (!this.#timer.armed) this.#rules.wheel.arm(this.#timer, deadline);
    this.#inbound.add(waiter);
    // the bytes were there already: a loop of such calls must not starve the process
    if (this.alive && this.open_calls === open_before && ++this.#instant % INSTANT_CALLS === 0)
      return waiter.promise.then((reply) => new Promise((done) => setImmediate(done, reply)));
    return waiter.promise;
  }

  /**
   * The unread bytes will be taken for the reply to this request, and each later reply for that of the request after
   * it. Without this error all would look well.
   */
  #tell_unread(): void {
    const { unread, unread_sample } = this.#inbound;
    this.#rules.recorder.error('unread_bytes', `a request went out before ${unread} bytes were read`, unread_sample);
    this.#rules.unasked(SHIFTED);
  }

  /** Sends, no reply expected; see FakeClient.send_noreply. */
  send(data: string | Uint8Array): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    const fault = bad_data(data);
    if (fault !== null) return this.#bad_call(`send_noreply: ${fault}`) as Promise<never>;
    const at = this.at || now();
    if (at > this.#rules.permit.until) return this.#refused();
    const unwritten = this.#write(data, at);
    if (unwritten !== null) return this.#bad_call(`send_noreply: ${unwritten}`) as Promise<never>;
    this.#rules.recorder.requests.noreply++;
    if (this.#unsent < NOREPLY_PRESSURE) {
      if (++this.#instant % INSTANT_CALLS !== 0) return SENT;
      return new Promise((done) => setImmediate(done));
    }
    if (this.#drained === null) {
      const deadline = now() + this.#rules.reply_timeout_ms;
      this.#drained = new Waiter(null, deadline);
      this.open_calls++;
      await_drain(this.#socket);
      if (!this.#timer.armed) this.#rules.wheel.arm(this.#timer, deadline);
    }
    return this.#drained.promise as Promise<void>;
  }

  /** The permit ran out: this process must not send. The call never settles, as the process ends. */
  #refused(): Promise<never> {
    this.#rules.permit.expire();
    return new Promise(() => {});
  }

  /** Goes on with TLS; see FakeClient.start_tls. */
  start_tls(options: { readonly servername?: string } | undefined): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    const fault = this.#why_no_tls() ?? bad_servername(options?.servername);
    if (fault !== null) return this.#bad_call(`start_tls: ${fault}`) as Promise<never>;
    const started = now();
    const waiter = new Waiter(null, started + this.#rules.connect_timeout_ms);
    const unread = this.#inbound.unread;
    if (unread > 0) {
      // after the handshake they would pass for protected bytes (CVE-2011-0411)
      const error = wrong_reply(`start_tls: the server sent ${unread} bytes that nobody read before the handshake`);
      this.fail('wrong_reply', 'wrong_reply', error);
      reject_quietly(waiter, error);
      return waiter.promise as Promise<void>;
    }
    if (this.gathers) this.send_gathered();
    this.#limits?.flush();
    this.#securing = waiter;
    this.open_calls++;
    this.#handshake_at = started;
    this.#rules.wheel.arm(this.#timer, waiter.deadline);
    this.#plain = false;
    this.#socket = secure_socket(this, this.#socket, this.#tls_options(options?.servername));
    return waiter.promise as Promise<void>;
  }

  /** The module ends the connection. */
  close_by_script(): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    this.#end('script', 'closed', undefined, false);
    return Promise.resolve();
  }

  /**
   * The client goes: the operator takes it away, or its script is over. A connect attempt is cancelled. `at_once`: do
   * not wait for queued bytes. `told`: what a trace says instead of the cause.
   */
  take_away(cause: 'decr' | 'stop' | 'script', at_once: boolean, told?: string): void {
    if (!this.alive) return;
    this.#end(cause, TAKEN_AWAY, undefined, at_once, told);
  }

  /** Ends the connection because the server failed or the module has a bug. */
  fail(cause: CloseCause, code: string, error: unknown, sample?: string): void {
    if (!this.alive) return;
    this.#rules.recorder.error(code, reason_of(error), sample);
    this.#end(cause, code, error, cause !== 'fatal');
  }

  settled(reply: unknown): void {
    if (--this.open_calls > 0 || !this.client.calls_done()) this.last_reply = reply;
  }

  on_bytes(buffer: Buffer, size: number): boolean {
    this.#rules.recorder.bytes.received += size;
    if (this.alive) this.#inbound.feed(buffer, size);
    return this.#limits === null || !this.alive || this.#limits.received(size);
  }

  on_connect(): void {
    if (!this.alive) return;
    const { recorder, keep_alive_ms } = this.#rules;
    const endpoint = this.#endpoint;
    if (endpoint.path === undefined) {
      const port = this.#port > 0 ? this.#rules.ports.port(this.#port) : this.#socket.localPort;
      if (port === endpoint.port && this.#socket.localAddress === endpoint.host) return this.#fail_self_connect();
      endpoint.source ??= this.#socket.localAddress ?? null;
    }
    const at = now();
    recorder.connect.record((at - this.#started) * 1000);
    if (keep_alive_ms !== null) this.#socket.setKeepAlive(true, keep_alive_ms);
    if (this.trace !== null) this.trace('connect', null, endpoint.path ?? ends_of(this.#socket, endpoint));
    if (endpoint.tls) this.#handshake_at = at;
    else this.#open();
  }

  on_secure(socket: TLSSocket): void {
    if (!this.alive) return;
    this.#rules.recorder.handshake.record((now() - this.#handshake_at) * 1000);
    this.#handshake_at = 0;
    if (this.trace !== null) {
      const resumed = socket.isSessionReused() ? ', session resumed' : '';
      const alpn = typeof socket.alpnProtocol === 'string' ? `, ${socket.alpnProtocol}` : '';
      this.trace('secure', null, `${socket.getProtocol()} ${socket.getCipher().name}${alpn}${resumed}`);
    }
    const waiter = this.#securing;
    if (waiter === null) return this.#open();
    this.#securing = null;
    waiter.resolve(undefined);
    this.settled(undefined);
  }

  on_session(bytes: Buffer): void {
    this.client.tls_session = { of: this.#endpoint, servername: this.#servername, bytes };
  }

  on_error(socket: Socket, error: NodeJS.ErrnoException): void {
    if (!this.alive || socket !== this.#socket) return;
    const code = error.code ?? 'error';
    let text = socket instanceof TLSSocket ? tls_error_text(error) : error.message;
    if (this.#port > 0 && !this.#established && (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL')) {
      this.#rules.recorder.connections.ports_skipped++;
      if (++this.#skips < MAX_SKIPS) {
        this.#rules.ports.give_back(this.#endpoint.pool, this.#port);
        this.#socket = this.#dial();
        return;
      }
      text = `${text}: others hold the ${MAX_SKIPS} local ports that were tried`;
    }
    if (code === 'EAGAIN' && !this.#established && this.#endpoint.path !== undefined) return this.#dial_again();
    this.#rules.recorder.error(code, text);
    this.#end('reset', code, CallError.make(code, text), true);
  }

  /** The backlog of a unix socket is full. For TCP the kernel would wait, here it fails at once. */
  #dial_again(): void {
    const waiting = (this.#socket = unopened_socket(this));
    setTimeout(() => {
      if (this.#socket !== waiting || !this.alive) return;
      this.#socket = this.#dial();
    }, BACKLOG_MS);
  }

  on_end(): void {
    // an end during a handshake is followed by an error
    if (!this.alive || this.#handshake_at > 0) return;
    this.#limits?.stop(); // Node sends nothing after the server's FIN
    if (this.#was_reset) {
      this.#rules.recorder.error('ECONNRESET', 'read ECONNRESET');
      return this.#end('reset', 'ECONNRESET', CallError.make('ECONNRESET', 'read ECONNRESET'), true);
    }
    if (this.#inbound.end()) {
      // the module has yet to work on the reply: the connection ends with its round
      this.worn_out = 'server';
      if (!this.client.in_round) this.retire();
      return;
    }
    // Between calls a FIN is the server's right: no error is counted, only the cause.
    if (this.open_calls > 0)
      this.#rules.recorder.error('server_closed', 'the server closed the connection during a call');
    this.#end('server', 'server_closed', CallError.make('server_closed', 'the server closed the connection'), false);
  }

  /**
   * After bytes were read, libuv shows a reset as an orderly end. The kernel then knows no peer address any more. Node
   * keeps the address it was first asked for, so it must not be asked before. Below TLS Node hides it, and a unix
   * socket has none.
   */
  get #was_reset(): boolean {
    return this.#plain && this.#endpoint.path === undefined && this.#socket.remoteAddress === undefined;
  }

  on_close(socket: Socket): void {
    if (socket !== this.#socket) return; // an attempt whose local port others held
    if (this.worn_out === 'server') this.retire();
    this.#rules.wheel.disarm(this.#timer);
    this.#limits?.stop();
    if (this.#port > 0) this.#rules.ports.give_back(this.#endpoint.pool, this.#port);
    this.#port = 0;
    if (this.alive) this.#end('reset', 'closed', CallError.make('closed', 'the socket closed'), true);
    this.#rules.sockets--;
    this.#rules.socket_freed();
  }

  on_drain(): void {
    const waiter = this.#drained;
    if (waiter === null || (this.#limits !== null && this.#limits.waiting > 0)) return;
    this.#drained = null;
    forget_drain(this.#socket);
    waiter.resolve(undefined);
    this.settled(undefined);
  }

  on_timer(): void {
    if (!this.alive) {
      this.#destroy();
    } else if (!this.#established) {
      const text = this.#late_text();
      this.#rules.recorder.error('connect_timeout', text);
      this.#end('timeout', 'connect_timeout', CallError.make('connect_timeout', text), true);
    } else {
      const drain_deadline = this.#drained?.deadline ?? Infinity;
      const reply_deadline = this.#inbound.deadline;
      const tls_deadline = this.#securing?.deadline ?? Infinity;
      const deadline = Math.min(drain_deadline, reply_deadline, tls_deadline);
      if (deadline === Infinity) return;
      if (deadline > now()) this.#rules.wheel.arm(this.#timer, deadline);
      else if (deadline === tls_deadline) {
        this.fail('timeout', 'connect_timeout', CallError.make('connect_timeout', this.#late_text()));
      } else if (reply_deadline <= drain_deadline) this.#inbound.time_out(this.#rules.reply_timeout_ms);
      else {
        const text = `sent bytes did not drain within ${this.#rules.reply_timeout_ms} ms`;
        this.fail('timeout', 'timeout', CallError.make('timeout', text));
      }
    }
  }

  write(data: string | Uint8Array): void {
    if (this.#plain && !this.#untaken && typeof data === 'string' && is_ascii(data) && this.#buffered === 0) {
      this.#untaken = true;
      this.#socket._write(data, 'latin1', this.#on_taken);
      this.#rules.recorder.bytes.sent += data.length;
    } else this.#stream(data);
  }

  emptied(): void {
    if (!this.alive) this.#socket.end();
    else if (this.#socket.writableLength < NOREPLY_PRESSURE) this.on_drain();
  }

  resume(): void {
    this.#socket.resume();
  }

  fell_silent(): void {
    const text = `no byte either way for ${this.#rules.connection_limits!.idle_ms} ms`;
    this.#rules.recorder.error('idle_timeout', text);
    this.#end('limit', 'idle_timeout', CallError.make('idle_timeout', text), false);
  }

  wore_out(): void {
    this.worn_out ??= 'limit';
    if (!this.client.in_round) this.retire();
  }

  /** It is worn out and no round runs any more. */
  retire(): void {
    if (!this.alive) return;
    if (this.worn_out === 'limit') return this.#end('limit', 'max_lifetime', undefined, false);
    this.#end('server', 'server_closed', CallError.make('server_closed', 'the server closed the connection'), false);
  }

  /** Connects from a port that the orders grant, or from one that the kernel chooses. */
  #dial(): Socket {
    const { ports, reads } = this.#rules;
    const endpoint = this.#endpoint;
    const { host, port, family, path, tls } = endpoint;
    if (path !== undefined) return open_socket(this, { path }, reads, null);
    // the first connection shows which source address the kernel prefers towards this endpoint
    const chooses = ports.has_addresses || endpoint.source !== null;
    this.#port = chooses ? ports.take(endpoint.pool, endpoint.server, family) : 0;
    // a port of the kernel's choice for an address of ours costs it milliseconds when few are left
    if (this.#port === 0 && ports.has_addresses) return failing_socket(this, CallError.make('EADDRNOTAVAIL', NO_PORT));
    const localAddress = this.#port > 0 ? (ports.address(this.#port) ?? endpoint.source!) : undefined;
    const localPort = this.#port > 0 ? ports.port(this.#port) : undefined;
    return open_socket(
      this,
      { host, port, family, localAddress, localPort, autoSelectFamily: false },
      reads,
      tls ? this.#tls_options(undefined) : null,
    );
  }

  #tls_options(asked: string | undefined): ConnectionOptions {
    const { secure } = this.#rules;
    this.#servername = secure.servername(this.#endpoint, asked);
    return secure.options(this.#endpoint, this.#servername, this.client.tls_session);
  }

  /** The connection is ready for the client. */
  #open(): void {
    const { recorder, wheel, connection_limits: limits } = this.#rules;
    const { connections } = recorder;
    const { counts } = this.#endpoint;
    connections.connecting--;
    connections.established++;
    counts.connecting--;
    counts.established++;
    counts.open++;
    if (++connections.open > connections.open_peak) connections.open_peak = connections.open;
    this.#established = true;
    wheel.disarm(this.#timer);
    if (limits !== null) this.#limits = new ConnectionLimiter(this, limits, wheel, this.#rules.unit);
    this.client.established();
  }

  #why_no_tls(): string | null {
    if (!this.#plain) return 'the connection speaks TLS already';
    if (this.open_calls > 0) return 'another call is open';
    return this.#inbound.busy ? 'a message is being read: call it later, not from within on_message' : null;
  }

  #late_text(): string {
    const within = `within ${this.#rules.connect_timeout_ms} ms`;
    return this.#handshake_at > 0 ? `connected, but no TLS handshake ${within}` : `no connection ${within}`;
  }

  /** From a local port that is also the server's a connection may reach itself (simultaneous open, RFC 9293 3.5). */
  #fail_self_connect(): void {
    const { host, port } = this.#endpoint;
    const text = `the connection came back to itself: nobody listens on ${host} port ${port}`;
    this.#rules.recorder.error('self_connect', text);
    this.#end('reset', 'self_connect', CallError.make('self_connect', text), true);
  }

  /**
   * The server has read long ago what this connection sent, and no reply is due: it need not linger. Closed at once it
   * sends the same FIN, for half the CPU time. Not so where the server may be sending: bytes left unread would turn the
   * FIN into a reset.
   */
  get #is_quiet(): boolean {
    const { connection_limits: limits, messages } = this.#rules;
    const waits = this.open_calls > 0 || this.gathers || this.#untaken || this.#buffered > 0;
    if (waits || limits !== null || messages !== null || !this.#plain) return false;
    return now() - this.#sent_at > LINGER_MS;
  }

  /** Returns why it could not write, else null. A detached buffer, for one, cannot be written. */
  #write(data: string | Uint8Array, at: number): string | null {
    this.#sent_at = at;
    // checked before this request is added: a single one may be of any size
    if (this.#unsent > MAX_UNSENT) return `more than ${MAX_UNSENT} bytes wait to be sent: await each call`;
    try {
      if (this.#limits !== null) this.#limits.send(data);
      else if (data.length > MAX_GATHERED) this.#write_through(data);
      else this.#gather(data);
    } catch (error) {
      return reason_of(error);
    }
    if (this.trace !== null) this.trace('send', typeof data === 'string' ? Buffer.from(data) : data, '');
    return null;
  }

  /** unsent bytes in user space */
  get #unsent(): number {
    return this.#buffered + (this.#limits === null ? this.#gathered.length : this.#limits.waiting);
  }

  /** Bytes in the socket's stream, which is not asked before something went through it. */
  get #buffered(): number {
    return this.#streamed ? this.#socket.writableLength : 0;
  }

  #stream(data: string | Uint8Array): void {
    this.#streamed = true;
    this.#socket.write(data);
    this.#rules.recorder.bytes.sent += typeof data === 'string' ? Buffer.byteLength(data) : data.length;
  }

  #write_through(data: string | Uint8Array): void {
    if (this.gathers) this.send_gathered();
    this.write(data);
  }

  /** What a connection sends in one turn goes out in one write. Bytes are copied: the module may reuse its buffer. */
  #gather(data: string | Uint8Array): void {
    if (typeof data === 'string') this.#gathered += data;
    else {
      if (this.#socket.writableCorked === 0) this.#socket.cork();
      if (this.#gathered !== '') this.#stream(this.#gathered);
      this.#gathered = '';
      this.#stream(Buffer.from(data));
    }
    if (this.gathers) return;
    this.gathers = true;
    send_later(this);
  }

  send_gathered(): void {
    this.gathers = false;
    const text = this.#gathered;
    this.#gathered = '';
    // the process may have been frozen since it gathered this; corked bytes go with the connection
    if (this.#rules.permit.has_run_out) return this.#rules.permit.expire();
    if (text !== '') this.write(text);
    if (this.#streamed && this.#socket.writableCorked > 0) this.#socket.uncork();
  }

  /** The module may not make this call. That is a bug, even if the module catches the rejection. */
  #bad_call(text: string): Promise<unknown> {
    const error = new TypeError(text);
    const waiter = new Waiter(null, 0);
    this.fail('fatal', 'bad_call', error);
    reject_quietly(waiter, error);
    return waiter.promise;
  }

  #end(cause: CloseCause, code: string, error: unknown, at_once: boolean, ending?: string): void {
    this.alive = false;
    const { recorder, wheel } = this.#rules;
    const { counts } = this.#endpoint;
    if (this.#established) {
      recorder.connections.open--;
      recorder.closed[cause]++;
      counts.open--;
      counts.closed++;
      // back to its first address once others are open there: it would stay empty otherwise
      if (this.client.misses > 0 && this.#rules.endpoints.of(this.client.id).counts.open > 0) this.client.misses = 0;
    } else {
      recorder.connections.connecting--;
      counts.connecting--;
      if (error === undefined) {
        recorder.connections.cancelled++;
        counts.cancelled++;
      } else {
        recorder.connect_failed.add(code);
        counts.failed++;
        this.client.misses++;
      }
    }
    const told = error ?? CallError.make(code, ENDED[cause] ?? cause);
    if (this.trace !== null) {
      const reason = this.#established ? `${cause}: ${reason_of(told)}` : reason_of(told);
      this.trace('end', null, ending ?? reason);
    }
    const is_quiet = this.#is_quiet;
    this.client.ended(this.#established ? cause : null, code, error);
    this.#inbound.abort(told);
    if (this.#drained !== null) reject_quietly(this.#drained, told);
    if (this.#securing !== null) reject_quietly(this.#securing, told);
    this.#drained = this.#securing = null;
    if (at_once || is_quiet || !this.#established) {
      this.#destroy();
    } else {
      if (this.gathers) this.send_gathered();
      this.#limits?.close();
      // bytes that the limit holds back still go; then `emptied` ends the socket
      if (this.#limits === null || this.#limits.waiting === 0) this.#socket.end();
      wheel.arm(this.#timer, now() + LINGER_MS);
    }
  }

  #destroy(): void {
    this.gathers = false;
    this.#limits?.stop();
    this.#socket.destroy();
  }
}

/** The text that an open call rejects with when nothing had failed. */
const ENDED: Partial<Record<CloseCause, string>> = {
  script: 'the script closed the connection',
  decr: 'the client was taken away',
  stop: 'the client was taken away',
  limit: 'the connection reached the end of its lifetime',
};

/** Not from the socket's `remoteAddress`: Node keeps it once asked, see `was_reset`. */
const ends_of = ({ localAddress, localPort }: Socket, { host, port }: Endpoint): string =>
  `${localAddress}:${localPort} -> ${host}:${port}`;

/** Whether the text is short and each character is one byte, the same in UTF-8 and Latin-1. */
function is_ascii(text: string): boolean {
  if (text.length > MAX_SHORT) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function on_timer(connection: Connection): void {
  connection.on_timer();
}
