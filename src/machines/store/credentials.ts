/** Who a process is towards the engine: a file that `swarm engine up` writes, one for each identity. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { reason_of, SwarmError } from '../../foundation/errors.ts';
import { read_private } from '../../foundation/files.ts';

export type Role = 'leader' | 'agent' | 'viewer';

export interface Credentials {
  readonly format: 'swarm-credentials/1';
  readonly role: Role;
  /** its name at the engine; an agent's is its id in the swarm */
  readonly user: string;
  /** nkey: what it signs the engine's challenge with */
  readonly seed: string;
  /** one URL, or several with commas */
  readonly engine: string;
  /** leader: ed25519, PEM: signs bundles */
  readonly sign_key?: string;
  /** agent: the public half of it */
  readonly verify_key?: string;
  /** PEM; all three or none: the engine speaks TLS and asks for a certificate */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const ROLES: readonly string[] = ['leader', 'agent', 'viewer'] satisfies Role[];
const MAX_FILE = 64 * 1024;
/** A name that is one token of a NATS subject. */
export const is_token = (text: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(text);

/** @throws SwarmError bad_credentials, also when others than its owner may read the file */
export function read_credentials(file: string): Credentials {
  try {
    return checked(read_private(file, MAX_FILE));
  } catch (error) {
    throw new SwarmError('bad_credentials', { file, reason: reason_of(error) }, error);
  }
}

function checked(text: string): Credentials {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  const { format, role, user, seed, engine, ...keys } = (found ?? {}) as Record<string, unknown>;
  if (format !== 'swarm-credentials/1') throw new Error('its format is not swarm-credentials/1');
  if (typeof role !== 'string' || !ROLES.includes(role)) throw new Error(`its role is none of ${ROLES.join(', ')}`);
  if (typeof user !== 'string' || !is_token(user)) throw new Error('it has no user');
  if (typeof seed !== 'string' || !/^SU[A-Z2-7]{56}$/.test(seed)) throw new Error('it has no seed');
  if (typeof engine !== 'string' || engine === '') throw new Error('it does not say where the engine is');
  for (const name of ['sign_key', 'verify_key', 'ca', 'cert', 'key'])
    if (keys[name] !== undefined && typeof keys[name] !== 'string') throw new Error(`its ${name} is not a text`);
  const reads: Readonly<Record<string, (pem: string) => unknown>> = {
    sign_key: createPrivateKey,
    verify_key: createPublicKey,
    ca: (pem) => new X509Certificate(pem),
    cert: (pem) => new X509Certificate(pem),
    key: createPrivateKey,
  };
  for (const [name, read] of Object.entries(reads)) if (keys[name] !== undefined) check_pem(name, keys[name], read);
  const tls = [keys.ca, keys.cert, keys.key].filter((key) => key !== undefined);
  if (tls.length % 3 !== 0) throw new Error('it has some of ca, cert and key, but not all');
  if (role === 'leader' && keys.sign_key === undefined) throw new Error('it is for a leader, but has no sign_key');
  if (role === 'agent' && keys.verify_key === undefined) throw new Error('it is for an agent, but has no verify_key');
  return found as Credentials;
}

/** Half a file would only show when somebody signs, or connects, and then as something else. */
function check_pem(name: string, pem: unknown, read: (pem: string) => unknown): void {
  try {
    read(pem as string);
  } catch {
    throw new Error(`its ${name} is damaged`);
  }
}
