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
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { is_token } from './credentials.ts';
import {
  ANSWER,
  answer_of,
  dial,
  is_timeout,
  JetStream,
  NO_STREAM,
  nobody,
  OPEN,
  patiently,
  said,
  sequence_of,
  time_left,
  type EngineLogin,
  type EngineState,
  type Msg,
  type NatsConnection,
} from './jetstream.ts';
import { MAX_VALUE_BYTES, type Entry, type Store, type Written } from './store.ts';

/** Where others than leaders ask for STREAM.INFO: in an account of one's own `$JS.API` means that account's. */
export const INFO_SUBJECT = 'swarm_info';

/** Which store, and how it is opened. */
export interface NatsOptions extends EngineLogin {
  /** of the swarm: letters, digits, _ and -, at most 64 */
  readonly name: string;
  /** Makes the bucket, now and whenever it is found missing. Leaders do. */
  readonly creates?: boolean;
  /** Called at once and then at each change: since when it is so, in ms since the epoch. */
  readonly on_state?: (state: EngineState, since_ms: number) => void;
}

/** ms */
const LIST = 5000;
/**
 * for making what a write found missing: servers that elect a leader say the same of what is there, and do not answer
 * at all
 */
const CREATE = 500;
/** gets of one `list` that wait for their answers at the same time */
const LIST_GETS = 64;
/** of all series of a swarm together; the oldest go. The engine sets as much aside for each swarm. */
const SERIES_BYTES = 128 * 1024 * 1024;
/** JetStream's numbers of errors: the second one is of servers from 2.11 on */
const WRONG_SEQUENCE: readonly (number | undefined)[] = [10_071, 10_164];

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
    const code = is_timeout(error) ? 'engine_unreachable' : 'engine_refused';
    throw new SwarmError(code, { engine: options.engine, reason: reason_of(error) }, error);
  }
}

/**
 * Where the bucket is missing: `get` says null (after a timeout, if it went while the engine was connected), `list`
 * nothing, and `get` and `put` make it if this store `creates`; otherwise the outcome is unknown, since an engine of
 * several servers says the same while they have no quorum. In such an engine any server answers `get`, and may be
 * behind for a moment: a compare-and-set upon what it said is refused.
 */
class NatsStore implements Store {
  readonly #jetstream: JetStream;
  readonly #name: string;
  readonly #creates: boolean;
  readonly #stream: string;
  readonly #series: string;
  readonly #keys: string;
  readonly #info: string;
  /** The bucket may be missing. A direct get from one that is missing has no answer at all. */
  #is_doubtful = true;

  constructor(connection: NatsConnection, { name, credentials, creates = false, on_state }: NatsOptions) {
    this.#name = name;
    this.#creates = creates;
    this.#stream = `KV_swarm_${name}`;
    this.#series = `SERIES_swarm_${name}`;
    this.#keys = `$KV.swarm_${name}.`;
    const is_leader = credentials === null || credentials.role === 'leader';
    this.#info = is_leader ? '$JS.API.STREAM.INFO' : INFO_SUBJECT;
    this.#jetstream = new JetStream(connection, (state, since_ms) => {
      this.#is_doubtful = true;
      on_state?.(state, since_ms);
    });
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
    const info = await this.#jetstream.api(`${this.#info}.${this.#stream}`, { subjects_filter: filter }, left());
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
    const marks = { 'KV-Operation': 'DEL' };
    await this.#jetstream.request(this.#keys + checked(key), new Uint8Array(), ANSWER, marks).catch(() => undefined);
  }

  /** What was removed is not told. Needs the engine's echo, which only leaders and viewers may hear. */
  watch(prefix: string, f: (entry: Entry) => void): () => void {
    const root = `swarm.${this.#name}.kv.`;
    return this.#jetstream.hear(`${root}${prefix.slice(0, prefix.lastIndexOf('.') + 1)}>`, (message) => {
      const key = message.subject.slice(root.length);
      if (!key.startsWith(prefix) || is_removed(message)) return;
      f({ key, text: message.string(), revision: sequence_of(message) });
    });
  }

  nudge(agent: string | null, text = ''): void {
    this.#jetstream.publish(this.#ctl(agent ?? 'all'), text);
  }

  on_nudge(agent: string, f: (text: string) => void): () => void {
    const ends = [agent, 'all'].map((to) => this.#jetstream.hear(this.#ctl(to), (message) => f(message.string())));
    return () => ends.forEach((end) => end());
  }

  async append(run: string, agent: string, id: string, text: string): Promise<boolean> {
    try {
      const marks = { 'Nats-Msg-Id': id };
      const answer = await this.#jetstream.request(`${this.#series_of(run)}.${checked(agent)}`, text, ANSWER, marks);
      const { seq, error } = answer_of(answer);
      return !error && !!seq;
    } catch {
      return false;
    }
  }

  async appended(run: string): Promise<{ readonly agent: string; readonly text: string }[]> {
    const root = `${this.#series_of(run)}.`;
    const info = await this.#jetstream.api(`${this.#info}.${this.#series}`, { subjects_filter: `${root}>` }, LIST);
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
    const message = await this.#jetstream.direct(this.#series, request, LIST);
    if (message && !(sequence_of(message) > seq)) throw new Error('the engine reads a series backwards');
    return message;
  }

  #series_of(run: string): string {
    return `swarm.${this.#name}.series.${checked(run)}`;
  }

  close(): Promise<void> {
    return this.#jetstream.close();
  }

  /**
   * The stream of series, without which a swarm does if there is no room for it, and the bucket. Does nothing about one
   * that is there.
   */
  async create_bucket(ms: number): Promise<void> {
    const series = { subjects: [`swarm.${this.#name}.series.>`], max_bytes: SERIES_BYTES, discard: 'old' };
    // asked for first, and never again once the bucket is there
    const made = this.#jetstream.create_stream(this.#series, ms, series).catch(() => undefined);
    const keys = { subjects: [`${this.#keys}>`], max_msgs_per_subject: 1, discard: 'new' };
    const republish = { src: `${this.#keys}>`, dest: `swarm.${this.#name}.kv.>` };
    await this.#jetstream.create_stream(this.#stream, ms, { ...keys, republish });
    this.#is_doubtful = false;
    await made;
  }

  /** Writes once, or twice where the bucket has to be made. Rejects when there is no answer. */
  async #write(key: string, bytes: Uint8Array, revision: number, left: () => number): Promise<Written> {
    const expected = { 'Nats-Expected-Last-Subject-Sequence': String(revision) };
    const write = (): Promise<Msg> => this.#jetstream.request(this.#keys + key, bytes, left(), expected);
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
      const message = await this.#jetstream.direct(`${this.#stream}.${this.#keys}${key}`, '', left());
      if (!message) return null;
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
    const info = await this.#jetstream.api(`${this.#info}.${this.#stream}`, {}, left() / 2).catch(() => null);
    this.#is_doubtful = info === null || info.error !== undefined;
    const is_missing = info?.error?.err_code === NO_STREAM;
    // until it is there nobody's writes are answered: agents would soon be silent for too long
    if (is_missing && this.#creates) await this.create_bucket(Math.min(CREATE, left())).catch(() => undefined);
    return is_missing;
  }

  #ctl(to: string): string {
    return `swarm.${this.#name}.ctl.${to}`;
  }
}

function checked(key: string): string {
  if (!/^[\w=/-]+(\.[\w=/-]+)*$/.test(key)) throw new RangeError(`${JSON.stringify(key)} cannot be a key`);
  return key;
}

const is_removed = (message: Msg): boolean => /^(DEL|PURGE)$/.test(message.headers?.get('KV-Operation') ?? '');
