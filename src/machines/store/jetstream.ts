/**
 * Connecting to the engine, who one is there, and its JetStream API by plain requests. Nobody else knows the client
 * library.
 */
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import {
  connect,
  errors,
  headers,
  nkeyAuthenticator,
  nkeys,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
} from '@nats-io/transport-node';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { integer, kinds, object, optional, reader, Refused, text } from '../../foundation/shape.ts';
import type { Credentials } from './credentials.ts';

/** A message of the engine, and the way to it. */
export type { Msg, NatsConnection };

/** ms in which the engine answers */
export const ANSWER = 2000;
/**
 * For opening: a fleet that starts at once, or others, may keep machine and engine busy for longer than one
 * {@link ANSWER}. The second try may take twice as long as the first, and so on: one that begins all over again must
 * not be cut at the same point for ever.
 */
export const OPEN = 30_000;
const LONGEST_TRY = 8000;
/** JetStream's number of an error: no such stream. */
export const NO_STREAM = 10_059;
const NAME_IN_USE = 10_058;
/** also said of a stream that another process makes at the same instant */
const OVERLAP = 10_065;
const OVERLAP_TRIES = 3;
const OVERLAP_MS = 50;

/** Whether the engine is there. */
export type EngineState = 'connected' | 'away';

/** Where the engine is, and as whom. */
export interface EngineLogin {
  /** one URL (`nats://host:port`), or several with commas */
  readonly engine: string;
  /** null: the engine asks for none */
  readonly credentials: Credentials | null;
}

/**
 * The version of the server, once it lets these credentials in. @throws SwarmError engine_unreachable, engine_refused
 */
export async function probe_engine(engine: string, credentials: Credentials): Promise<string> {
  const connection = await dial({ engine, credentials }, time_left(OPEN));
  const version = connection.info?.version ?? '';
  await connection.close();
  return version;
}

/** A new identity's seed. */
export const make_seed = (): string => new TextDecoder().decode(nkeys.createUser().getSeed());
/** What the engine knows an identity by. */
export const nkey_of = (seed: string): string => nkeys.fromSeed(new TextEncoder().encode(seed)).getPublicKey();

/** How many ms are left of `ms` from now on, never 0. */
export function time_left(ms: number): () => number {
  const until = performance.now() + ms;
  return () => Math.max(1, until - performance.now());
}

/** Asks again who did not answer in time, while there is time for another try. */
export async function patiently<T>(left: () => number, ask: (ms: number) => Promise<T>): Promise<T> {
  for (let ms = ANSWER; ; ms = Math.min(2 * ms, LONGEST_TRY)) {
    try {
      return await ask(ms);
    } catch (error) {
      if (!is_timeout(error) || left() < ANSWER) throw error;
    }
  }
}

/** A connection that comes back by itself whenever it is lost. @throws SwarmError engine_unreachable, engine_refused */
export async function dial({ engine, credentials }: EngineLogin, left: () => number): Promise<NatsConnection> {
  const { ca, cert, key } = credentials ?? {};
  // who needed longer has that also whenever the connection is made anew
  const once = (timeout: number): Promise<NatsConnection> =>
    connect({
      servers: engine.split(','),
      name: credentials?.user ?? 'swarm',
      inboxPrefix: `_INBOX_${credentials?.user ?? 'swarm'}`,
      timeout,
      pingInterval: 2000,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 500,
      reconnectJitterTLS: 500,
      // an engine that is set up anew may refuse for a while
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
      ...(credentials && { authenticator: nkeyAuthenticator(new TextEncoder().encode(credentials.seed)) }),
      ...(ca !== undefined && cert !== undefined && key !== undefined && { tls: { ca, cert, key, ...checks(engine) } }),
    });
  try {
    return await patiently(left, once);
  } catch (error) {
    const code = error instanceof errors.AuthorizationError ? 'engine_refused' : 'engine_unreachable';
    throw new SwarmError(code, { engine, reason: reason_of(error) }, error);
  }
}

/**
 * The client library asks for no name where the engine is given by address; Node then looks for `localhost` in the
 * certificate. It must be one of the addresses instead.
 */
function checks(engine: string): Pick<ConnectionOptions, 'checkServerIdentity'> {
  const hosts = engine.split(',').map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  return {
    checkServerIdentity: (asked, certificate) => {
      const wanted = hosts.includes(asked) ? [asked] : hosts.filter((host) => isIP(host) !== 0);
      const faults = (wanted.length > 0 ? wanted : [asked]).map((host) => checkServerIdentity(host, certificate));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
}

interface ApiError {
  readonly err_code?: number | undefined;
  readonly description?: string | undefined;
}

interface ApiAnswer {
  readonly seq?: number | undefined;
  readonly error?: ApiError | undefined;
  readonly state?: { readonly subjects?: Record<string, number> | undefined } | undefined;
}

const REVISION = integer(0, Number.MAX_SAFE_INTEGER);
/** An answer of the engine, long if it names all keys. */
const read_answer = reader(
  object<ApiAnswer>({
    seq: optional(REVISION),
    error: optional(object<ApiError>({ err_code: optional(REVISION), description: optional(text(1000)) })),
    state: optional(object<NonNullable<ApiAnswer['state']>>({ subjects: optional(kinds(REVISION, 1e6)) })),
  }),
  256 * 1024 * 1024,
);

/** @throws Error when it is none */
export function answer_of(message: Msg): ApiAnswer {
  const answer = read_answer(message.string());
  if (answer instanceof Refused) throw new Error(`what the engine answers cannot be read: ${answer.why}`);
  return answer;
}

/** What the engine said, to be thrown. */
export const said = ({ description, err_code }: ApiError): Error =>
  new Error(`the engine said ${description ?? 'something unknown'} (${err_code ?? 'no number'})`);
/** The engine's own stands behind any that who published it wrote. */
export const sequence_of = (message: Msg): number => Number(message.headers?.values('Nats-Sequence').at(-1));
/** There was no answer in time. */
export const is_timeout = (error: unknown): boolean => error instanceof errors.TimeoutError;
/** The engine says that nobody takes it: no such bucket, no JetStream, or no quorum. */
export const nobody = (error: unknown): boolean =>
  error instanceof errors.NoRespondersError || (error as Error | null)?.cause instanceof errors.NoRespondersError;

type Marks = Readonly<Record<string, string>>;

function headers_of(marks: Marks): MsgHdrs {
  const all = headers();
  for (const [name, value] of Object.entries(marks)) all.set(name, value);
  return all;
}

/** Asks only while connected: the client library would send it later. */
export class JetStream {
  readonly #connection: NatsConnection;
  readonly #on_state: (state: EngineState, since_ms: number) => void;
  #state: EngineState = 'connected';

  /** `on_state` is called at once and then at each change. */
  constructor(connection: NatsConnection, on_state: (state: EngineState, since_ms: number) => void) {
    this.#connection = connection;
    this.#on_state = on_state;
    on_state(this.#state, Date.now());
    void this.#follow();
  }

  /** `marks`: what its headers say. Rejects when there is no answer. */
  async request(subject: string, data: Uint8Array | string, timeout: number, marks?: Marks): Promise<Msg> {
    if (this.#state === 'away') throw new Error('the engine is away');
    return this.#connection.request(subject, data, { timeout, ...(marks && { headers: headers_of(marks) }) });
  }

  /** Rejects when there is no answer; one may be an error. */
  async api(subject: string, request: object, ms: number): Promise<ApiAnswer> {
    return answer_of(await this.request(subject, JSON.stringify(request), ms));
  }

  /** A message of a stream, by direct get; null: there is none. Rejects when there is no answer. */
  async direct(subject: string, request: string, ms: number): Promise<Msg | null> {
    const message = await this.request(`$JS.API.DIRECT.GET.${subject}`, request, ms);
    const { code = 0, description = '' } = message.headers ?? {};
    if (code === 404) return null;
    if (code !== 0) throw new Error(description);
    return message;
  }

  /** Does nothing about a stream that is there. Rejects when it is not made. */
  async create_stream(name: string, ms: number, more: object): Promise<void> {
    const num_replicas = this.#connection.info?.cluster === undefined ? 1 : 3;
    const guards = { storage: 'file', num_replicas, allow_direct: true, deny_delete: true, deny_purge: true };
    for (let tries = 1; ; tries++) {
      const { error } = await this.api(`$JS.API.STREAM.CREATE.${name}`, { name, ...guards, ...more }, ms);
      if (!error || error.err_code === NAME_IN_USE) return;
      if (error.err_code !== OVERLAP || tries === OVERLAP_TRIES) throw said(error);
      await sleep(OVERLAP_MS);
    }
  }

  /** Says it to whoever hears. */
  publish(subject: string, data: string): void {
    if (this.#state === 'connected') this.#connection.publish(subject, data);
  }

  /** Returns the end of it. */
  hear(subject: string, f: (message: Msg) => void): () => void {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) f(message);
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Ends the connection. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      this.#state = type === 'disconnect' ? 'away' : 'connected';
      this.#on_state(this.#state, Date.now());
    }
  }
}
