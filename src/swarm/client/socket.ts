/**
 * Sockets as connections use them. All share their handlers, which find the connection on the socket. All read into one
 * buffer of the process, except after STARTTLS (Node reads such a socket in its own way).
 */
import { Socket, type NetConnectOpts, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { connect as connect_tls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { burst_of } from './throttle.ts';

/** The connection behind a socket. `socket` tells which one, as a connection may have had others before. */
export interface SocketOwner {
  /** `buffer[0, size)` was read, and is overwritten after this returns. False: read no more until resumed. */
  on_bytes(buffer: Buffer, size: number): boolean;
  on_connect(): void;
  /** The handshake is done and the certificate is good. */
  on_secure(socket: TLSSocket): void;
  on_session(bytes: Buffer): void;
  on_error(socket: Socket, error: NodeJS.ErrnoException): void;
  on_end(): void;
  on_close(socket: Socket): void;
  on_drain(): void;
}

type Owned = Socket & { swarm_connection: SocketOwner };

const READ_SIZE = 64 * 1024;
/** ms that reading goes on after a failed write, however much still comes. */
const READ_OUT_MS = 1000;

/**
 * The method `destroy` of our sockets. After a failed write the server takes no more, but it may have told why: `ERR
 * quota`, then a reset in the middle of an upload. Node would destroy the socket at once, with those bytes unread; here
 * they are read first.
 */
function destroy<S extends Socket>(this: S & WriteFailed, error?: Error): S {
  if (error === undefined || (error as NodeJS.ErrnoException).syscall !== 'write')
    return Socket.prototype.destroy.call(this, error) as S;
  if (this.failed_write === undefined) {
    this.failed_write = error;
    setImmediate(read_out, this, error, -1, performance.now() + READ_OUT_MS);
  }
  return this;
}

/** Destroys the socket once a turn brought no more bytes: the system shows what has arrived before it shows the end. */
function read_out(socket: Socket, error: Error, before: number, until: number): void {
  if (socket.destroyed) return;
  const { bytesRead } = socket;
  if (bytesRead > before && performance.now() < until) setImmediate(read_out, socket, error, bytesRead, until);
  else Socket.prototype.destroy.call(socket, error);
}

interface WriteFailed {
  /** set only when a write failed: a field on every socket would cost every connection */
  failed_write?: Error;
}

class PlainSocket extends Socket {}
PlainSocket.prototype.destroy = destroy;

/** Options of `new Socket`, some of them missing in its types. */
export interface Reads extends SocketConstructorOpts {
  readonly onread: OnReadOpts;
  readonly noDelay: boolean;
  readonly emitClose: boolean;
  readonly autoDestroy: boolean;
  readonly decodeStrings: boolean;
}

/**
 * The options that every socket of the process is made with: one object that has all fields that `new Socket` sets on
 * its copy. With optional fields each copy would have a shape of its own, and looking them up took a fifth of a
 * connect. With a limit (bytes per second; null: none) a socket reads at most what its bucket holds.
 */
export function shared_reads(down_bytes_per_s: number | null): Reads {
  const size = down_bytes_per_s === null ? READ_SIZE : Math.min(READ_SIZE, burst_of(down_bytes_per_s));
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(size),
    callback(this: unknown, size: number, buffer: Uint8Array): boolean {
      return (this as Owned).swarm_connection.on_bytes(buffer as Buffer, size);
    },
  };
  return { onread, noDelay: true, allowHalfOpen: false, emitClose: false, autoDestroy: true, decodeStrings: false };
}

/** `reads`: from {@link shared_reads}; `secure`: null for plain TCP and unix sockets. */
export function open_socket(
  owner: SocketOwner,
  where: NetConnectOpts,
  reads: Reads,
  secure: ConnectionOptions | null,
): Socket {
  if (secure === null) return own(new PlainSocket(reads), owner).on('connect', on_connect).connect(where);
  const socket = own(connect_tls({ ...where, ...reads, ...secure }), owner).on('connect', on_connect);
  listen_secure(socket);
  return socket.setNoDelay(true);
}

/** A socket that could not be opened: it fails and closes in a later turn, as others do. */
export function failing_socket(owner: SocketOwner, error: Error): Socket {
  return own(new Socket(), owner).destroy(error);
}

/** A socket that is never opened, only closed. */
export const unopened_socket = (owner: SocketOwner): Socket => own(new Socket(), owner);

/** STARTTLS: TLS over an open socket, which belongs to the new one from now on. */
export function secure_socket(owner: SocketOwner, plain: Socket, secure: ConnectionOptions): TLSSocket {
  plain.off('end', on_end).off('close', on_close);
  const socket = own(connect_tls({ ...secure, socket: plain }), owner);
  listen_secure(socket);
  return socket.on('data', on_data);
}

/** Calls `on_drain` when all that waited in the socket was sent. */
export const await_drain = (socket: Socket): Socket => socket.on('drain', on_drain);
export const forget_drain = (socket: Socket): Socket => socket.off('drain', on_drain);

function own<S extends Socket>(socket: S, owner: SocketOwner): S {
  (socket as unknown as Owned).swarm_connection = owner;
  return socket.on('error', on_error).on('end', on_end).on('close', on_close);
}

function listen_secure(socket: TLSSocket): TLSSocket {
  socket.destroy = destroy;
  return socket.on('secureConnect', on_secure).on('session', on_session);
}

function on_connect(this: Socket): void {
  (this as Owned).swarm_connection.on_connect();
}
function on_secure(this: TLSSocket): void {
  (this as Socket as Owned).swarm_connection.on_secure(this);
}
function on_session(this: Socket, bytes: Buffer): void {
  (this as Owned).swarm_connection.on_session(bytes);
}
function on_data(this: Socket, chunk: Buffer): void {
  if (!(this as Owned).swarm_connection.on_bytes(chunk, chunk.length)) this.pause();
}
function on_error(this: Socket, error: NodeJS.ErrnoException): void {
  (this as Owned).swarm_connection.on_error(this, error);
}
function on_end(this: Socket): void {
  const { failed_write } = this as WriteFailed;
  // the server is gone: after a failed write an end is not an orderly close
  if (failed_write !== undefined) Socket.prototype.destroy.call(this, failed_write);
  else (this as Owned).swarm_connection.on_end();
}
function on_close(this: Socket): void {
  (this as Owned).swarm_connection.on_close(this);
}
function on_drain(this: Socket): void {
  (this as Owned).swarm_connection.on_drain();
}
