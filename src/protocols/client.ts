/** What a protocol function receives. snake_case on purpose: modules share the vocabulary of the script. */
import type { Random } from '../foundation/random.ts';
import type { Framer, FunctionParser, Matcher } from './parser.ts';

export type { Random };

/**
 * A client during one connection. The client's next connection gets a new object with the same `id`, `random`, `memory`
 * and `shared`. When the connection ends, a pending call rejects once. Every later call on the old object does nothing
 * and never settles.
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
   * Sends `request` (a string as UTF-8) and resolves with the reply once the parser says it is whole. A function parser
   * resolves with all bytes it consumed, a framer with what it decodes, a matcher with the first message it matches.
   * Without a parser, which needs a module that exports `messages`, it resolves with the next message. Rejects with
   * `timeout` after --reply-timeout, with `wrong_reply`, or with the network's errno; each of these closes the
   * connection. Without `messages` only one call may be open at a time.
   */
  send_for_reply(request: string | Uint8Array, parser: FunctionParser): Promise<Buffer>;
  send_for_reply<T>(request: string | Uint8Array, parser: Framer<T>): Promise<T>;
  send_for_reply<M>(request: string | Uint8Array, parser: Matcher<M>): Promise<M>;
  send_for_reply<M = unknown>(request: string | Uint8Array): Promise<M>;
  /**
   * Sends `request` and expects no reply. Resolves at once while less than 64 KiB of this client wait in user space,
   * otherwise when they have drained. --reply-timeout bounds that wait.
   */
  send_noreply(request: string | Uint8Array): Promise<void>;
  /**
   * Goes on with TLS on a connection that began without it (STARTTLS). Call it when the server has agreed, with no
   * other call open. Resolves when the handshake is done and the certificate is good; --connect-timeout bounds that.
   * `servername` is the name to ask for and to check, default --servername or the server's own. Rejects as a failed
   * call does, also with `wrong_reply` when the server has sent bytes that nobody read.
   */
  start_tls(options?: { readonly servername?: string }): Promise<void>;
  /**
   * Ends the connection (cause `script`) once queued bytes are sent. The round counts as ok. The client waits its
   * reconnect delay, connects again and starts a new iteration.
   */
  close(): Promise<void>;
  /** the name of {@link close} in the original `swarm` */
  close_connection(): Promise<void>;
}
