/** What a protocol function receives. snake_case on purpose: modules share the vocabulary of the script. */
import type { Random } from '../foundation/random.ts';
import type { Framer, FunctionParser, Matcher } from './parser.ts';

export type { Random };

/**
 * One connection's life of a client. The client's next connection gets a new object with the same `id`, `random`, `memory` and
 * `shared`. When the connection ends a pending call rejects once; every later call on the old object does nothing and never settles.
 */
export interface FakeClient {
  /** positive integer, unique among all clients alive in the whole swarm, constant for the client's life */
  readonly id: number;
  /** made on first use from (seed, id) */
  readonly random: Random;
  /** lives as long as the client, over all its connections */
  readonly memory: Record<string, unknown>;
  /** what the module's `setup` returned; the same object for all clients of a process: do not change it */
  readonly shared: unknown;
  /**
   * Sends (a string goes out as UTF-8) and resolves with the reply when the parser says it is whole. A function parser resolves
   * with all bytes it consumed, a framer with what it decodes, a matcher with the first message it matches; without a parser
   * (only in a module that exports `messages`) with the next message. Rejects with `timeout` after --reply-timeout, with `wrong_reply`, or with
   * the network's errno; each of these closes the connection. Without `messages` only one call may be open at a time.
   */
  send_for_reply(request: string | Uint8Array, parser: FunctionParser): Promise<Buffer>;
  send_for_reply<T>(request: string | Uint8Array, parser: Framer<T>): Promise<T>;
  send_for_reply<M>(request: string | Uint8Array, parser: Matcher<M>): Promise<M>;
  send_for_reply<M = unknown>(request: string | Uint8Array): Promise<M>;
  /**
   * Sends, no reply expected. Resolves at once while less than 64 KiB of this client wait in user space, otherwise when they
   * drained; --reply-timeout bounds that wait.
   */
  send_noreply(request: string | Uint8Array): Promise<void>;
  /**
   * Goes on with TLS on a connection that began without (STARTTLS): call it when the server has agreed, with no other call open. Resolves
   * when the handshake is done and the certificate is good, --connect-timeout bounds it. `servername`: the name to ask for and to
   * check, instead of --servername or the server's own. Rejects as a failed call does, also with `wrong_reply` when the server has sent
   * bytes that nobody read.
   */
  start_tls(options?: { readonly servername?: string }): Promise<void>;
  /**
   * Ends the connection (cause `script`) after letting queued bytes go; the round counts ok; the client waits its reconnect
   * delay, connects anew and starts a new iteration.
   */
  close(): Promise<void>;
  /** the original's name of {@link close} */
  close_connection(): Promise<void>;
}
