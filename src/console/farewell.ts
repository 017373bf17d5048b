/** Ends a connection so that its client can still read the last words. */
import type { Socket } from 'node:net';

/** ms that a client has to read them */
const READ_WITHIN_MS = 1000;

/**
 * Sends `text` and FIN. Destroys the socket when the client has not ended its side within a second. The caller handles
 * `error`.
 */
export function end_with(socket: Socket, text: string): void {
  socket.end(text);
  // What still comes is read and dropped: closing with unread bytes would reset the connection before the last words
  // are read.
  socket.resume();
  const destroy = setTimeout(() => socket.destroy(), READ_WITHIN_MS).unref();
  socket.once('close', () => clearTimeout(destroy));
}
