/**
 * The folder of an engine, which only its owner can read (0700, files 0600):
 *
 *     nats.conf                                 no secrets: public keys only
 *     leader.json, viewer.json, agent-NN.json   credentials, made once; later starts change only address and issuer
 *     ca.pem, ca.key, server.pem, server.key    beyond loopback
 *     store/                                    what the engine keeps
 *     lock                                      held by `swarm engine up` and its nats-server: no other may use store/
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { write_named } from '../foundation/files.ts';
import { lock } from '../foundation/lock.ts';
import { read_credentials, type Credentials, type Role } from '../machines/store/credentials.ts';
import { make_seed, nkey_of } from '../machines/store/jetstream.ts';
import { Certificates } from './certificates.ts';
import { engine_config, MAX_STORE_BYTES } from './configuration.ts';

/** bytes; 0 would mean unbounded */
const LEAST_STORE_BYTES = 16 * 2 ** 20;

export interface EngineFolder {
  readonly config: string;
  readonly leader: Credentials;
  /** paths of the credentials */
  readonly files: Readonly<Record<Role, readonly string[]>>;
}

export interface EngineWish {
  readonly dir: string;
  /** `ip:port` */
  readonly listen: string;
  /** the server's address as clients reach it */
  readonly url: string;
  /** names and addresses for the server's certificate; null: no TLS */
  readonly certified: readonly string[] | null;
  /** least number of agents; those made before stay */
  readonly agents: number;
}

/**
 * Makes the folder if it is missing, and this process its only user. Returns the lock, an open file: a process that
 * inherits it holds the folder too.
 * @throws SwarmError `engine_dir`
 */
export function claim_folder(dir: string): number {
  return or_fault(dir, () => {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    // also no link of another user to a folder of ours
    refuse_others(lstatSync(dir).uid);
    const folder = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      refuse_others(fstatSync(folder).uid);
      fchmodSync(folder, 0o700);
    } finally {
      closeSync(folder);
    }
    const file = openSync(join(dir, 'lock'), 'a', 0o600);
    const outcome = lock(file);
    if (outcome === 'ours') return file;
    closeSync(file);
    if (outcome === 'impossible')
      throw new Error('it cannot be locked: is there flock (util-linux), and are there locks on this disk?');
    throw new Error(`another engine uses it${process_of(dir)}`);
  });
}

function refuse_others(owner: number): void {
  if (owner !== process.geteuid?.()) throw new Error(`it belongs to another user (uid ${owner})`);
}

/** Names the folder's nats-server by the process id that it has where it runs, such as in a container. */
function process_of(dir: string): string {
  try {
    return `: nats-server, process ${Number(readFileSync(pid_file(dir), 'utf8'))} where it runs`;
  } catch {
    return '';
  }
}

/**
 * Makes what is missing in a claimed folder. The umask of the process must keep others out.
 * @throws SwarmError `engine_dir`, or of Certificates and read_credentials
 */
export function prepare_engine(wish: EngineWish): EngineFolder {
  return or_fault(wish.dir, () => write_engine(wish));
}

function or_fault<T>(dir: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError('engine_dir', { dir, reason: reason_of(error) }, error);
  }
}

const pid_file = (dir: string): string => join(dir, 'nats-server.pid');

function write_engine({ dir, listen, url, certified, agents }: EngineWish): EngineFolder {
  const certificates = certified && new Certificates(dir);
  const path = (user: string): string => join(dir, `${user}.json`);
  const keep = (role: Role, user: string, keys: Pick<Credentials, 'sign_key' | 'verify_key'>): Credentials => {
    const old = existsSync(path(user)) ? read_credentials(path(user)) : null;
    const { seed = make_seed(), ca, cert, key } = old ?? {};
    const is_issued = cert !== undefined && ca === certificates?.ca;
    const tls = certificates && (is_issued ? { ca, cert, key } : certificates.client(user));
    const now = { format: 'swarm-credentials/1', role, user, seed, engine: url, ...keys, ...tls } as Credentials;
    if (!isDeepStrictEqual(old, now)) write_named(path(user), `${JSON.stringify(now, null, 2)}\n`);
    return now;
  };
  const sign_key =
    (existsSync(path('leader')) ? read_credentials(path('leader')).sign_key : undefined) ?? make_sign_key();
  const leader = keep('leader', 'leader', { sign_key });
  const viewer = keep('viewer', 'viewer', {});
  const verify_key = createPublicKey(sign_key).export({ type: 'spki', format: 'pem' }).toString();
  const names = agent_names(dir, agents);
  const users = [leader, viewer, ...names.map((name) => keep('agent', name, { verify_key }))];

  const config = join(dir, 'nats.conf');
  const text = engine_config({
    listen,
    store_dir: join(dir, 'store'),
    store_bytes: Math.min(MAX_STORE_BYTES, room_in(dir)),
    pid_file: pid_file(dir),
    users: users.map(({ user, role, seed }) => ({ user, role, nkey: nkey_of(seed) })),
    tls: certificates && certificates.server(certified),
  });
  write_named(config, text);
  return { config, leader, files: { leader: [path('leader')], viewer: [path('viewer')], agent: names.map(path) } };
}

/** Bytes for the store: nine tenths of what its disk has free or it holds. A server with a full disk stores nothing. */
export function room_in(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  const store = join(dir, 'store');
  const names = existsSync(store) ? readdirSync(store, { recursive: true, encoding: 'utf8' }) : [];
  const held = names.reduce(
    (all, name) => all + (statSync(join(store, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  return Math.max(LEAST_STORE_BYTES, Math.floor((bavail * bsize + held) * 0.9));
}

const make_sign_key = (): string =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

function agent_names(dir: string, agents: number): string[] {
  const made = readdirSync(dir).flatMap((file) => /^(agent-\d{2,4})\.json$/.exec(file)?.[1] ?? []);
  const wanted = Array.from({ length: agents }, (_, i) => `agent-${String(i + 1).padStart(2, '0')}`);
  return [...new Set([...wanted, ...made])].sort();
}
