/**
 * One socket and what it is doing: connecting, open, or closing after its life is over. Reads into one buffer shared by all sockets
 * of the process; no event emitter of its own, the handlers are shared functions that find their connection on the socket.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { now, Timer } from '../foundation/clock.ts';
import { reason_of } from '../foundation/errors.ts';
import { CallError } from './call-error.ts';
import { Inbound, reject_quietly, Waiter } from './inbound.ts';
import { FakeClientHandle } from './fake-client.ts';
import type { Wheel } from '../foundation/clock.ts';
import type { CloseCause } from '../metrics/snapshot.ts';
import type { FakeClient } from '../protocols/client.ts';
import type { Parser } from '../protocols/parser.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import type { Calls, Identity } from './fake-client.ts';
import type { InboundOwner, InboundRules, Trace } from './inbound.ts';
import type { Ports } from './ports.ts';

/** send_noreply resolves at once below this many bytes in user space. */
const NOREPLY_PRESSURE = 64 * 1024;
/** More than this unsent by one client is a bug of the module: it sends without waiting. */
const MAX_UNSENT = 16 * 1024 * 1024;
/** Every so many calls that are settled at once, one waits for a turn of the event loop. */
const INSTANT_CALLS = 64;
/** Local ports tried for one connect. Who holds them is another process; so many in a row are no accident. */
const MAX_SKIPS = 64;
/** A closed connection's queued bytes have this long to go. */
const LINGER_MS = 1000;

/** What all connections of a process share. */
export interface ConnectionRules extends InboundRules {
  readonly wheel: Wheel;
  readonly endpoints: Endpoints;
  readonly ports: Ports;
  readonly connect_timeout_ms: number;
  readonly reply_timeout_ms: number;
  /** sockets that exist, closing ones too: they hold descriptors */
  sockets: number;
  /** a descriptor became free */
  socket_freed(): void;
}

/** The client whose connection it is. */
export interface ConnectionClient extends Identity {
  readonly trace: Trace | null;
  established(): void;
  /**
   * The connection's life is over. `cause` null: it never was established. `error` undefined: nothing failed (script, decr, stop).
   * Called once, before pending calls reject.
   */
  ended(cause: CloseCause | null, code: string, error: unknown): void;
  /** the last open call was settled */
  calls_done(): void;
}

/** What send_noreply returns when nothing waits. */
const SENT = Promise.resolve();

type Owned = Socket & { swarm_connection: Connection };

const READ_SIZE = 64 * 1024;
const on_read = {
  buffer: Buffer.allocUnsafeSlow(READ_SIZE),
  callback(this: unknown, size: number, buffer: Uint8Array): boolean {
    (this as Owned).swarm_connection.on_bytes(buffer as Buffer, size);
    return true; // never pause: a paused socket does not see FIN or RST
  },
};

function on_connect(this: Socket): void {
  (this as Owned).swarm_connection.on_connect();
}
function on_error(this: Socket, error: NodeJS.ErrnoException): void {
  (this as Owned).swarm_connection.on_error(this, error);
}
function on_end(this: Socket): void {
  (this as Owned).swarm_connection.on_end();
}
function on_close(this: Socket): void {
  (this as Owned).swarm_connection.on_close(this);
}
function on_drain(this: Socket): void {
  (this as Owned).swarm_connection.on_drain();
}

export class Connection implements InboundOwner, Calls {
  /** from the start of the attempt until it failed, was lost, closed or taken away */
  alive = true;
  /** calls of the module that are not settled */
  open_calls = 0;
  /** now, while the runner is calling a function of the module; 0 otherwise */
  at = 0;
  /** of this round: what the module calls wrong is most likely this */
  last_reply: unknown = undefined;
  readonly handle: FakeClient = new FakeClientHandle(this);
  readonly client: ConnectionClient;
  readonly #rules: ConnectionRules;
  readonly #inbound: Inbound;
  readonly #endpoint: Endpoint;
  #socket: Socket;
  /** number of the local port, 0 = the kernel chose it */
  #port = 0;
  /** local ports that were taken by others */
  #skips = 0;
  readonly #started = now();
  #established = false;
  /** what send_noreply calls above NOREPLY_PRESSURE wait for */
  #drained: Waiter | null = null;
  /** calls that were settled at once */
  #instant = 0;
  /** what the newest call returned */
  #latest: Promise<unknown> | null = null;
  /** connect deadline, then the oldest call's deadline (checked when it fires, not re-armed per call), then the linger */
  readonly #timer = new Timer<Connection>(this, on_timer);

  constructor(client: ConnectionClient, rules: ConnectionRules) {
    this.client = client;
    this.#rules = rules;
    this.#inbound = new Inbound(this, rules);
    const endpoint = rules.endpoints.of(client.id);
    this.#endpoint = endpoint;
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

  /** Is it the promise of the newest call? Whoever waits for the open calls need not wait for it too. */
  is_call(value: unknown): boolean {
    return value === this.#latest || value === SENT;
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
    const deadline = (this.at || now()) + this.#rules.reply_timeout_ms;
    const waiter = new Waiter(parser, deadline);
    const unwritten = this.#write(data);
    if (unwritten !== null) return this.#bad_call(`send_for_reply: ${unwritten}`);
    this.#latest = waiter.promise;
    requests.sent++;
    requests.in_flight++;
    const open_before = this.open_calls++;
    if (!this.#timer.armed) this.#rules.wheel.arm(this.#timer, deadline);
    this.#inbound.add(waiter);
    // settled by what was there already: a loop of such calls must not starve the process
    if (this.alive && this.open_calls === open_before && ++this.#instant % INSTANT_CALLS === 0)
      return waiter.promise.then((reply) => new Promise((done) => setImmediate(done, reply)));
    return waiter.promise;
  }

  /** Sends, no reply expected; see FakeClient.send_noreply. */
  send(data: string | Uint8Array): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    const fault = bad_data(data);
    if (fault !== null) return this.#bad_call(`send_noreply: ${fault}`) as Promise<never>;
    const unwritten = this.#write(data);
    if (unwritten !== null) return this.#bad_call(`send_noreply: ${unwritten}`) as Promise<never>;
    this.#rules.recorder.requests.noreply++;
    if (this.#socket.writableLength < NOREPLY_PRESSURE) {
      if (++this.#instant % INSTANT_CALLS !== 0) return SENT;
      return new Promise((done) => setImmediate(done));
    }
    if (this.#drained === null) {
      const deadline = now() + this.#rules.reply_timeout_ms;
      this.#drained = new Waiter(null, deadline);
      this.open_calls++;
      this.#socket.on('drain', on_drain);
      if (!this.#timer.armed) this.#rules.wheel.arm(this.#timer, deadline);
    }
    return this.#drained.promise as Promise<void>;
  }

  /** The module ends the connection. */
  close_by_script(): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    this.#end('script', 'closed', undefined, false);
    return Promise.resolve();
  }

  /** The operator takes the client away; an attempt that is not established is cancelled. `now`: do not wait for queued bytes. */
  take_away(cause: 'decr' | 'stop', at_once: boolean): void {
    if (!this.alive) return;
    this.#end(cause, 'killed', undefined, at_once);
  }

  /** Ends the connection for a failure of the server's or a bug of the module's. */
  fail(cause: CloseCause, code: string, error: unknown, sample?: string): void {
    if (!this.alive) return;
    this.#rules.recorder.error(code, reason_of(error), sample);
    this.#end(cause, code, error, cause !== 'fatal');
  }

  settled(reply: unknown): void {
    this.last_reply = reply;
    if (--this.open_calls === 0) this.client.calls_done();
  }

  on_bytes(buffer: Buffer, size: number): void {
    this.#rules.recorder.bytes.received += size;
    if (this.alive) this.#inbound.feed(buffer, size);
  }

  on_connect(): void {
    if (!this.alive) return;
    const { connections, connect } = this.#rules.recorder;
    const endpoint = this.#endpoint;
    if (endpoint.path === undefined) {
      const port = this.#port > 0 ? this.#rules.ports.port(this.#port) : this.#socket.localPort;
      if (port === endpoint.port && this.#socket.localAddress === endpoint.host) return this.#fail_self_connect();
      endpoint.source ??= this.#socket.localAddress ?? null;
    }
    connections.connecting--;
    connections.established++;
    endpoint.counts.connecting--;
    endpoint.counts.established++;
    endpoint.counts.open++;
    if (++connections.open > connections.open_peak) connections.open_peak = connections.open;
    connect.record((now() - this.#started) * 1000);
    this.#established = true;
    this.#rules.wheel.disarm(this.#timer);
    if (this.trace !== null) {
      const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
      this.trace('connect', null, `${localAddress}:${localPort} -> ${remoteAddress}:${remotePort}`);
    }
    this.client.established();
  }

  on_error(socket: Socket, error: NodeJS.ErrnoException): void {
    if (!this.alive || socket !== this.#socket) return;
    const code = error.code ?? 'error';
    let text = error.message;
    if (this.#port > 0 && !this.#established && (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL')) {
      this.#rules.recorder.connections.ports_skipped++;
      if (++this.#skips < MAX_SKIPS) {
        this.#rules.ports.give_back(this.#endpoint.pool, this.#port);
        this.#socket = this.#dial();
        return;
      }
      text = `${text}: others hold the ${MAX_SKIPS} local ports that were tried`;
    }
    this.#rules.recorder.error(code, text);
    this.#end('reset', code, CallError.make(code, text), true);
  }

  on_end(): void {
    if (!this.alive) return;
    // Between rounds a FIN is the server's right, and counted by its cause alone.
    if (this.open_calls > 0)
      this.#rules.recorder.error('server_closed', 'the server closed the connection during a call');
    this.#end('server', 'server_closed', CallError.make('server_closed', 'the server closed the connection'), false);
  }

  on_close(socket: Socket): void {
    if (socket !== this.#socket) return; // its port was taken
    this.#rules.wheel.disarm(this.#timer);
    if (this.#port > 0) this.#rules.ports.give_back(this.#endpoint.pool, this.#port);
    this.#port = 0;
    if (this.alive) this.#end('reset', 'closed', CallError.make('closed', 'the socket closed'), true);
    this.#rules.sockets--;
    this.#rules.socket_freed();
  }

  on_drain(): void {
    const waiter = this.#drained;
    if (waiter === null) return;
    this.#drained = null;
    this.#socket.off('drain', on_drain);
    waiter.resolve(undefined);
    this.settled(undefined);
  }

  on_timer(): void {
    if (!this.alive) {
      this.#socket.destroy();
    } else if (!this.#established) {
      const text = `no connection within ${this.#rules.connect_timeout_ms} ms`;
      this.#rules.recorder.error('connect_timeout', text);
      this.#end('timeout', 'connect_timeout', CallError.make('connect_timeout', text), true);
    } else {
      const drain_deadline = this.#drained?.deadline ?? Infinity;
      const reply_deadline = this.#inbound.deadline;
      const deadline = Math.min(drain_deadline, reply_deadline);
      if (deadline === Infinity) return;
      if (deadline > now()) this.#rules.wheel.arm(this.#timer, deadline);
      else if (reply_deadline <= drain_deadline) this.#inbound.time_out(this.#rules.reply_timeout_ms);
      else {
        const text = `sent bytes did not drain within ${this.#rules.reply_timeout_ms} ms`;
        this.fail('timeout', 'timeout', CallError.make('timeout', text));
      }
    }
  }

  /** From a port of swarm's own where the plan grants them, else from the kernel's choice. */
  #dial(): Socket {
    const { ports } = this.#rules;
    const endpoint = this.#endpoint;
    const { host, port, family, path } = endpoint;
    // the address the kernel prefers towards this endpoint is known from the first connection on
    this.#port = ports.address(1) !== undefined || endpoint.source !== null ? ports.take(endpoint.pool, family) : 0;
    const localPort = this.#port > 0 ? ports.port(this.#port) : undefined;
    const localAddress =
      this.#port > 0
        ? (ports.address(this.#port) ?? endpoint.source!)
        : ports.address_of_family(family, this.client.id);
    const socket = connect(
      path === undefined
        ? { host, port, family, localAddress, localPort, noDelay: true, autoSelectFamily: false, onread: on_read }
        : { path, onread: on_read },
    );
    (socket as Owned).swarm_connection = this;
    return socket.on('connect', on_connect).on('error', on_error).on('end', on_end).on('close', on_close);
  }

  /** A port nobody listens on, drawn as the local one, connects to itself (simultaneous open, RFC 9293 3.5). */
  #fail_self_connect(): void {
    const { host, port } = this.#endpoint;
    const text = `the connection came back to itself: nobody listens on ${host} port ${port}`;
    this.#rules.recorder.error('self_connect', text);
    this.#end('reset', 'self_connect', CallError.make('self_connect', text), true);
  }

  /** Returns why it could not, null when it could: bytes may be none (a detached buffer). */
  #write(data: string | Uint8Array): string | null {
    // what waited before: a single large request may be as large as it likes
    if (this.#socket.writableLength > MAX_UNSENT)
      return `more than ${MAX_UNSENT} bytes wait to be sent: await each call`;
    try {
      this.#socket.write(data);
    } catch (error) {
      return reason_of(error);
    }
    this.#rules.recorder.bytes.sent += typeof data === 'string' ? Buffer.byteLength(data) : data.length;
    if (this.trace !== null) this.trace('send', typeof data === 'string' ? Buffer.from(data) : data, '');
    return null;
  }

  /** A call the module may not make: a bug, whoever catches the rejection. */
  #bad_call(text: string): Promise<unknown> {
    const error = new TypeError(text);
    const waiter = new Waiter(null, 0);
    this.fail('fatal', 'bad_call', error);
    reject_quietly(waiter, error);
    return waiter.promise;
  }

  #end(cause: CloseCause, code: string, error: unknown, at_once: boolean): void {
    this.alive = false;
    const { recorder, wheel } = this.#rules;
    const { counts } = this.#endpoint;
    if (this.#established) {
      recorder.connections.open--;
      recorder.closed[cause]++;
      counts.open--;
      counts.closed++;
    } else {
      recorder.connections.connecting--;
      counts.connecting--;
      if (error === undefined) {
        recorder.connections.cancelled++;
        counts.cancelled++;
      } else {
        recorder.connect_failed.add(code);
        counts.failed++;
      }
    }
    const told =
      error ??
      CallError.make(code, cause === 'script' ? 'the module closed the connection' : 'the client was taken away');
    if (this.trace !== null)
      this.trace('end', null, this.#established ? `${cause}: ${reason_of(told)}` : reason_of(told));
    this.client.ended(this.#established ? cause : null, code, error);
    this.#inbound.abort(told);
    if (this.#drained !== null) reject_quietly(this.#drained, told);
    this.#drained = null;
    if (at_once || !this.#established) {
      this.#socket.destroy();
    } else {
      this.#socket.end();
      wheel.arm(this.#timer, now() + LINGER_MS);
    }
  }
}

function on_timer(connection: Connection): void {
  connection.on_timer();
}

function bad_data(data: unknown): string | null {
  return typeof data === 'string' || data instanceof Uint8Array
    ? null
    : `the request is ${typeof data}, not a string or bytes`;
}

function bad_parser(parser: Parser | null, messages: boolean): string | null {
  if (messages) {
    if (parser === null || (typeof parser === 'object' && typeof (parser as { match?: unknown }).match === 'function'))
      return null;
    return 'a module that exports `messages` passes match(…) or nothing as the parser';
  }
  if (typeof parser === 'function') return null;
  if (typeof parser === 'object' && parser !== null) {
    if (typeof (parser as { frame?: unknown }).frame === 'function') return null;
    if (typeof (parser as { match?: unknown }).match === 'function')
      return 'match(…) needs the module to export `messages`';
  }
  return 'the parser is neither a function nor a framer { frame, decode }';
}
