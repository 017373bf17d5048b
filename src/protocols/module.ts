/** The shape of a loaded protocol module. `to_module` checks it once, so that the path of messages checks nothing. */
import type { FakeClient } from './client.ts';
import type { Framer } from './parser.ts';

/** Where to connect, as node:net takes it. A resolved name is refreshed in the background, never per connection. */
export interface Server {
  readonly host: string;
  readonly port: number;
  /** a unix socket; `host` is empty then and `port` 0 */
  readonly path?: string;
  /** TLS from the first byte */
  readonly tls?: true;
}

/** A logger for hooks: each text becomes one line of swarm's log. */
export interface ModuleLog {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export type ProtocolFunction = (client: FakeClient, args: Readonly<Record<string, unknown>>) => unknown;

/** Exports with a meaning of their own: a `command:` with one of these names is a fault. */
export const RESERVED_EXPORTS = [
  'setup',
  'teardown',
  'connected',
  'messages',
  'on_message',
  'args',
  'max_reply',
] as const;

export interface ProtocolModule {
  /**
   * once per run, in one member, before the console answers; its result, which must fit JSON, is `client.shared`
   * everywhere
   */
  readonly setup?: (context: { server: Server; servers: readonly Server[]; seed: string; log: ModuleLog }) => unknown;
  /** after the last client is gone */
  readonly teardown?: (context: { shared: unknown; log: ModuleLog }) => unknown;
  /** after every TCP connect, before the script starts from the top */
  readonly connected?: (client: FakeClient) => unknown;
  /** cuts the whole inbound stream into messages */
  readonly messages?: Framer<unknown>;
  readonly on_message?: (client: FakeClient, message: unknown) => unknown;
  /** per command a JSON Schema of its args */
  readonly args?: Readonly<Record<string, object>>;
  /** bytes; overrides --max-reply */
  readonly max_reply?: number;
  /** the functions of the script's commands, by name */
  readonly commands: Readonly<Record<string, ProtocolFunction>>;
}
