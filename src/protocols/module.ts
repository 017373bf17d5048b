/** The shape of a loaded protocol module: what the runner calls. Checked once by `to_module`, so the message path checks nothing. */
import type { FakeClient } from './client.ts';
import type { Framer } from './parser.ts';

/** Where to connect, as node:net takes it; a resolved name is refreshed in the background, never per connection. */
export interface Server {
  readonly host: string;
  readonly port: number;
  /** a unix socket instead: host is empty then, port 0 */
  readonly path?: string;
  /** TLS from the first byte */
  readonly tls?: true;
}

/** A logger for hooks: one line each, to swarm's log. */
export interface ModuleLog {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export type ProtocolFunction = (client: FakeClient, args: Readonly<Record<string, unknown>>) => unknown;

/** Exports with a meaning of their own; a `command:` of these names is a fault. */
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
  /** once per run, in one member, before the console answers; its JSON-able result is `client.shared` everywhere */
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
