/** The end of a connection whose client shall still read the last words. */
import type { Socket } from 'node:net';

/** ms a client has to read them */
const READ_WITHIN_MS = 1000;

/** Sends `text` and FIN; destroys the socket when the client has not ended its side within a second. The caller handles `error`. */
export function end_with(socket: Socket, text: string): void {
  socket.end(text);
  // What still comes is read and thrown away: closing with unread bytes would reset the connection under the last words.
  socket.resume();
  const destroy = setTimeout(() => socket.destroy(), READ_WITHIN_MS).unref();
  socket.once('close', () => clearTimeout(destroy));
}
