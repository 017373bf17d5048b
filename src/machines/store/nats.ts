/**
 * The store in NATS JetStream: one bucket (stream `KV_swarm_<name>`) for each name of a swarm. Speaks the JetStream API
 * by plain requests, without consumers, so that an agent needs no more than direct gets of what it reads and publishes
 * to its own keys.
 *
 *     $KV.swarm_<name>.<key>    what is written: the stream keeps the newest of each
 *     swarm.<name>.kv.<key>     the engine's echo of it, once it is stored and with its sequence: what `watch` hears
 *     swarm.<name>.ctl.<agent>  nudges; `all` for everybody
 *     swarm.<name>.series.<run>.<agent>  what is appended, in a stream of its own (`SERIES_swarm_<name>`)
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
import { is_token, type Credentials } from './credentials.ts';
import { MAX_VALUE_BYTES, type Entry, type Store, type Written } from './store.ts';

/** Where others than leaders ask for STREAM.INFO: in an account of one's own `$JS.API` means that account's. */
export const INFO_SUBJECT = 'swarm_info';

export type EngineState = 'connected' | 'away';

export interface NatsOptions {
  /** one URL (`nats://host:port`), or several with commas */
  readonly engine: string;
  /** of the swarm: letters, digits, _ and -, at most 64 */
  readonly name: string;
  /** null: the engine asks for none */
  readonly credentials: Credentials | null;
  /** Makes the bucket, now and whenever it is found missing. Leaders do. */
  readonly creates?: boolean;
  /** Called at once and then at each change: since when it is so, in ms since the epoch. */
  readonly on_state?: (state: EngineState, since_ms: number) => void;
}

/** ms */
const ANSWER = 2000;
const LIST = 5000;
/**
 * for making what a write found missing: servers that elect a leader say the same of what is there, and do not answer
 * at all
 */
const CREATE = 500;
/**
 * For opening: a fleet that starts at once, or others, may keep machine and engine busy for longer than one
 * {@link ANSWER}. The second try may take twice as long as the first, and so on: one that begins all over again must
 * not be cut at the same point for ever.
 */
const OPEN = 30_000;
const LONGEST_TRY = 8000;
/** gets of one `list` that wait for their answers at the same time */
const LIST_GETS = 64;
/** of all series of a swarm together; the oldest go. The engine sets as much aside for each swarm. */
const SERIES_BYTES = 128 * 1024 * 1024;
/** JetStream's numbers of errors: the second one is of servers from 2.11 on */
const WRONG_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164];
const NO_STREAM = 10_059;
const NAME_IN_USE = 10_058;
/** also said of a stream that another process makes at the same instant */
const OVERLAP = 10_065;
const OVERLAP_TRIES = 3;
const OVERLAP_MS = 50;

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
function answer_of(message: Msg): ApiAnswer {
  const answer = read_answer(message.string());
  if (answer instanceof Refused) throw new Error(`what the engine answers cannot be read: ${answer.why}`);
  return answer;
}

/** @throws SwarmError engine_unreachable, engine_refused */
export async function open_nats_store(options: NatsOptions): Promise<Store> {
  if (!is_token(options.name)) throw new RangeError(`${options.name} cannot be the name of a swarm`);
  const left = time_left(OPEN);
  const connection = await dial(options, left);
  const store = new NatsStore(connection, options);
  try {
    if (options.creates) await patiently(left, (ms) => store.create_bucket(ms));
    return store;
  } catch (error) {
    await store.close();
    const code = error instanceof errors.TimeoutError ? 'engine_unreachable' : 'engine_refused';
    throw new SwarmError(code, { engine: options.engine, reason: reason_of(error) }, error);
  }
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

/** Asks again who did not answer in time, while there is time for another try. */
async function patiently<T>(left: () => number, ask: (ms: number) => Promise<T>): Promise<T> {
  for (let ms = ANSWER; ; ms = Math.min(2 * ms, LONGEST_TRY)) {
    try {
      return await ask(ms);
    } catch (error) {
      if (!(error instanceof errors.TimeoutError) || left() < ANSWER) throw error;
    }
  }
}

async function dial(
  { engine, credentials }: Pick<NatsOptions, 'engine' | 'credentials'>,
  left: () => number,
): Promise<NatsConnection> {
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

/**
 * Where the bucket is missing: `get` says null (after a timeout, if it went while the engine was connected), `list`
 * nothing, and `get` and `put` make it if this store `creates`; otherwise the outcome is unknown, since an engine of
 * several servers says the same while they have no quorum. In such an engine any server answers `get`, and may be
 * behind for a moment: a compare-and-set upon what it said is refused.
 */
class NatsStore implements Store {
  readonly #connection: NatsConnection;
  readonly #name: string;
  readonly #creates: boolean;
  readonly #on_state: NatsOptions['on_state'];
  readonly #stream: string;
  readonly #series: string;
  readonly #keys: string;
  readonly #info: string;
  #state: EngineState = 'connected';
  /** The bucket may be missing. A direct get from one that is missing has no answer at all. */
  #is_doubtful = true;

  constructor(connection: NatsConnection, { name, credentials, creates = false, on_state }: NatsOptions) {
    this.#connection = connection;
    this.#name = name;
    this.#creates = creates;
    this.#on_state = on_state;
    this.#stream = `KV_swarm_${name}`;
    this.#series = `SERIES_swarm_${name}`;
    this.#keys = `$KV.swarm_${name}.`;
    const is_leader = credentials === null || credentials.role === 'leader';
    this.#info = is_leader ? '$JS.API.STREAM.INFO' : INFO_SUBJECT;
    on_state?.(this.#state, Date.now());
    void this.#follow();
  }

  async get(key: string): Promise<Entry | null> {
    const found = await this.#newest(checked(key), time_left(ANSWER));
    return found && !found.removed ? found.entry : null;
  }

  put(key: string, text: string, revision: number): Promise<Written> {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > MAX_VALUE_BYTES) throw new RangeError(`${key} has ${bytes.length} bytes`);
    return this.#put(checked(key), bytes, revision);
  }

  async #put(key: string, bytes: Uint8Array, revision: number): Promise<Written> {
    const left = time_left(ANSWER);
    try {
      const written = await this.#write(key, bytes, revision, left);
      if (written.outcome !== 'refused' || revision !== 0) return written;
      // to the engine a key that was removed is at the revision of the mark which says so
      const found = await this.#newest(key, left).catch(() => null);
      return found?.removed ? await this.#write(key, bytes, found.entry.revision, left) : written;
    } catch (error) {
      return { outcome: 'unknown', reason: reason_of(error) };
    }
  }

  async list(prefix: string): Promise<Entry[]> {
    const left = time_left(LIST);
    const filter = `${this.#keys}${prefix.slice(0, prefix.lastIndexOf('.') + 1)}>`;
    const info = await this.#api(`${this.#info}.${this.#stream}`, { subjects_filter: filter }, left());
    if (info.error?.err_code === NO_STREAM) return [];
    if (info.error) throw said(info.error);
    this.#is_doubtful = false;
    const keys = Object.keys(info.state?.subjects ?? {})
      .map((subject) => subject.slice(this.#keys.length))
      .filter((key) => key.startsWith(prefix));
    const entries: Entry[] = [];
    const get_next = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
        const found = await this.#newest(key, left);
        if (found && !found.removed) entries.push(found.entry);
      }
    };
    await Promise.all(Array.from({ length: Math.min(LIST_GETS, keys.length) }, get_next));
    return entries;
  }

  async remove(key: string): Promise<void> {
    const marks = headers();
    marks.set('KV-Operation', 'DEL');
    await this.#request(this.#keys + checked(key), new Uint8Array(), ANSWER, marks).catch(() => undefined);
  }

  /** What was removed is not told. Needs the engine's echo, which only leaders and viewers may hear. */
  watch(prefix: string, f: (entry: Entry) => void): () => void {
    const root = `swarm.${this.#name}.kv.`;
    return this.#hear(`${root}${prefix.slice(0, prefix.lastIndexOf('.') + 1)}>`, (message) => {
      const key = message.subject.slice(root.length);
      if (!key.startsWith(prefix) || is_removed(message)) return;
      f({ key, text: message.string(), revision: sequence_of(message) });
    });
  }

  nudge(agent: string | null, text = ''): void {
    if (this.#state === 'connected') this.#connection.publish(this.#ctl(agent ?? 'all'), text);
  }

  on_nudge(agent: string, f: (text: string) => void): () => void {
    const ends = [agent, 'all'].map((to) => this.#hear(this.#ctl(to), (message) => f(message.string())));
    return () => ends.forEach((end) => end());
  }

  async append(run: string, agent: string, id: string, text: string): Promise<boolean> {
    try {
      const marks = headers();
      marks.set('Nats-Msg-Id', id);
      const answer = await this.#request(`${this.#series_of(run)}.${checked(agent)}`, text, ANSWER, marks);
      const { seq, error } = answer_of(answer);
      return !error && !!seq;
    } catch {
      return false;
    }
  }

  async appended(run: string): Promise<{ readonly agent: string; readonly text: string }[]> {
    const root = `${this.#series_of(run)}.`;
    const info = await this.#api(`${this.#info}.${this.#series}`, { subjects_filter: `${root}>` }, LIST);
    if (info.error?.err_code === NO_STREAM) return [];
    if (info.error) throw said(info.error);
    const subjects = Object.keys(info.state?.subjects ?? {});
    const told: { readonly agent: string; readonly text: string }[] = [];
    const read_next = async (): Promise<void> => {
      for (let subject = subjects.pop(); subject !== undefined; subject = subjects.pop()) {
        for (
          let message = await this.#after(0, subject);
          message;
          message = await this.#after(sequence_of(message), subject)
        )
          told.push({ agent: subject.slice(root.length), text: message.string() });
      }
    };
    await Promise.all(Array.from({ length: Math.min(LIST_GETS, subjects.length) }, read_next));
    return told;
  }

  /** The next of a series behind a number; null: there is none. */
  async #after(seq: number, next_by_subj: string): Promise<Msg | null> {
    const request = JSON.stringify({ seq: seq + 1, next_by_subj });
    const message = await this.#request(`$JS.API.DIRECT.GET.${this.#series}`, request, LIST);
    const { code = 0, description = '' } = message.headers ?? {};
    if (code === 404) return null;
    if (code !== 0) throw new Error(description);
    if (!(sequence_of(message) > seq)) throw new Error('the engine reads a series backwards');
    return message;
  }

  #series_of(run: string): string {
    return `swarm.${this.#name}.series.${checked(run)}`;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /**
   * The stream of series, without which a swarm does if there is no room for it, and the bucket. Does nothing about one
   * that is there.
   */
  async create_bucket(ms: number): Promise<void> {
    const series = { subjects: [`swarm.${this.#name}.series.>`], max_bytes: SERIES_BYTES, discard: 'old' };
    // asked for first, and never again once the bucket is there
    const made = this.#create(this.#series, ms, series).catch(() => undefined);
    const keys = { subjects: [`${this.#keys}>`], max_msgs_per_subject: 1, discard: 'new' };
    const republish = { src: `${this.#keys}>`, dest: `swarm.${this.#name}.kv.>` };
    await this.#create(this.#stream, ms, { ...keys, republish });
    this.#is_doubtful = false;
    await made;
  }

  async #create(name: string, ms: number, more: object): Promise<void> {
    const num_replicas = this.#connection.info?.cluster === undefined ? 1 : 3;
    const guards = { storage: 'file', num_replicas, allow_direct: true, deny_delete: true, deny_purge: true };
    for (let tries = 1; ; tries++) {
      const { error } = await this.#api(`$JS.API.STREAM.CREATE.${name}`, { name, ...guards, ...more }, ms);
      if (!error || error.err_code === NAME_IN_USE) return;
      if (error.err_code !== OVERLAP || tries === OVERLAP_TRIES) throw said(error);
      await sleep(OVERLAP_MS);
    }
  }

  /** Writes once, or twice where the bucket has to be made. Rejects when there is no answer. */
  async #write(key: string, bytes: Uint8Array, revision: number, left: () => number): Promise<Written> {
    const expected = headers();
    expected.set('Nats-Expected-Last-Subject-Sequence', String(revision));
    const write = (): Promise<Msg> => this.#request(this.#keys + key, bytes, left(), expected);
    const answer = await write().catch(async (error: unknown) => {
      if (!this.#creates || !nobody(error)) throw error;
      await this.create_bucket(Math.min(CREATE, left()));
      return write();
    });
    const { seq, error } = answer_of(answer);
    if (WRONG_SEQUENCE.includes(error?.err_code ?? 0)) return { outcome: 'refused' };
    // an error has a sequence too, 0
    if (error || !seq) throw said(error ?? {});
    return { outcome: 'done', revision: seq };
  }

  /** What the stream has for a key, the mark of its removal included. */
  async #newest(key: string, left: () => number): Promise<{ entry: Entry; removed: boolean } | null> {
    if (await this.#is_missing(left)) return null;
    try {
      const message = await this.#request(`$JS.API.DIRECT.GET.${this.#stream}.${this.#keys}${key}`, '', left());
      const { code = 0, description = '' } = message.headers ?? {};
      if (code === 404) return null;
      if (code !== 0) throw new Error(description);
      const entry = { key, text: message.string(), revision: sequence_of(message) };
      return { entry, removed: is_removed(message) };
    } catch (error) {
      this.#is_doubtful = true;
      throw error;
    }
  }

  /**
   * Asks when there is reason to; where that is not permitted, or there is no answer, the bucket is taken to be there.
   */
  async #is_missing(left: () => number): Promise<boolean> {
    if (!this.#is_doubtful) return false;
    const info = await this.#api(`${this.#info}.${this.#stream}`, {}, left() / 2).catch(() => null);
    this.#is_doubtful = info === null || info.error !== undefined;
    const is_missing = info?.error?.err_code === NO_STREAM;
    // until it is there nobody's writes are answered: agents would soon be silent for too long
    if (is_missing && this.#creates) await this.create_bucket(Math.min(CREATE, left())).catch(() => undefined);
    return is_missing;
  }

  async #api(subject: string, request: object, ms: number): Promise<ApiAnswer> {
    return answer_of(await this.#request(subject, JSON.stringify(request), ms));
  }

  /** Asks only while connected: the client library would send it later. */
  async #request(subject: string, data: Uint8Array | string, timeout: number, marks?: MsgHdrs): Promise<Msg> {
    if (this.#state === 'away') throw new Error('the engine is away');
    return this.#connection.request(subject, data, { timeout, ...(marks && { headers: marks }) });
  }

  #hear(subject: string, f: (message: Msg) => void): () => void {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) f(message);
      },
    });
    return () => subscription.unsubscribe();
  }

  #ctl(to: string): string {
    return `swarm.${this.#name}.ctl.${to}`;
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      this.#state = type === 'disconnect' ? 'away' : 'connected';
      this.#is_doubtful = true;
      this.#on_state?.(this.#state, Date.now());
    }
  }
}

/** How many ms are left of `ms` from now on, never 0. */
function time_left(ms: number): () => number {
  const until = performance.now() + ms;
  return () => Math.max(1, until - performance.now());
}

function checked(key: string): string {
  if (!/^[\w=/-]+(\.[\w=/-]+)*$/.test(key)) throw new RangeError(`${JSON.stringify(key)} cannot be a key`);
  return key;
}

const said = ({ description, err_code }: ApiError): Error =>
  new Error(`the engine said ${description ?? 'something unknown'} (${err_code ?? 'no number'})`);
/** The engine's own stands behind any that who published it wrote. */
const sequence_of = (message: Msg): number => Number(message.headers?.values('Nats-Sequence').at(-1));
const is_removed = (message: Msg): boolean => /^(DEL|PURGE)$/.test(message.headers?.get('KV-Operation') ?? '');
/** The engine says that nobody takes it: no such bucket, no JetStream, or no quorum. */
const nobody = (error: unknown): boolean =>
  error instanceof errors.NoRespondersError || (error as Error | null)?.cause instanceof errors.NoRespondersError;
