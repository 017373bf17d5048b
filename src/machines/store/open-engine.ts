/**
 * The way from a command's options to the store of its swarm. NATS is loaded here, and only when a swarm of many
 * machines is asked for.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { SwarmError } from '../../foundation/errors.ts';
import { read_credentials, type Credentials, type Role } from './credentials.ts';
import type { Store } from './store.ts';

/** How a command was told of the engine. */
export interface JoinOptions {
  readonly join: string | null;
  readonly credentials: string | null;
  readonly name: string;
}

/** The store, and as whom it was opened. */
export interface Engine {
  readonly store: Store;
  /** null: the engine asks for none */
  readonly credentials: Credentials | null;
  /** an agent's: the name it has at the engine, or of this machine */
  readonly id: string;
}

/**
 * `roles`: those that credentials may be for, the first of them what it is without.
 * @throws SwarmError `bad_option`, `bad_credentials`, `engine_unreachable`, `engine_refused`
 */
export async function open_engine(
  options: JoinOptions,
  roles: readonly [Role, ...Role[]],
  say: (text: string) => void,
): Promise<Engine> {
  const credentials = options.credentials === null ? null : read_credentials(options.credentials);
  const engine = options.join ?? credentials?.engine;
  if (engine === undefined)
    throw new SwarmError('bad_option', { option: '--join', reason: 'not given; it takes the URL of the engine' });
  const role = credentials?.role ?? roles[0];
  if (!roles.includes(role))
    throw new SwarmError('bad_credentials', {
      file: options.credentials!,
      reason: `it is for ${named(role)}, not for ${roles.map(named).join(' or ')}`,
    });
  const { open_nats_store } = await import('./nats.ts');
  const { nkey_of } = await import('./jetstream.ts');
  try {
    if (credentials) nkey_of(credentials.seed);
  } catch (error) {
    throw new SwarmError('bad_credentials', { file: options.credentials!, reason: 'its seed is damaged' }, error);
  }
  const store = await open_nats_store({
    engine,
    name: options.name,
    credentials,
    creates: role === 'leader',
    on_state: (state, since_ms) => {
      if (state === 'away') say(`the engine ${engine} has not answered since ${new Date(since_ms).toISOString()}`);
    },
  });
  const own = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .slice(0, 40);
  return { store, credentials, id: credentials?.user ?? `${own}-${randomBytes(2).toString('hex')}` };
}

const named = (role: Role): string => (role === 'agent' ? 'an agent' : `a ${role}`);
