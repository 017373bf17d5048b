/**
 * What a run is made of, on its way to the agents: in parts, by content hash, signed. Bundles are code: nothing runs
 * whose signature is wrong.
 */
import { createHash, sign, verify } from 'node:crypto';
import { SwarmError } from '../../foundation/errors.ts';
import { Refused } from '../../foundation/shape.ts';
import { LATENCIES, RESULTS, signed_text, to_text, type Bundle, type RunHeader } from './documents.ts';
import { read_bundle } from './read-bundle.ts';
import type { Store } from './store.ts';

const PART_BYTES = 256 * 1024;
const MAX_PARTS = 256;
const TRIES = 5;
/** runs whose final summary stays */
const MAX_SUMMARIES = 50;

export const sha256_of = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The hash and the signature of a bundle; `key`: ed25519, PEM; null: there is none, and agents that have one refuse it.
 */
export function sign_bundle(
  run: string,
  bundle: Bundle,
  key: string | null,
): Pick<RunHeader, 'bundle_sha256' | 'signature'> {
  const bundle_sha256 = sha256_of(to_text(bundle));
  const signature =
    key === null ? '' : sign(null, Buffer.from(signed_text(run, bundle_sha256)), key).toString('base64');
  return { bundle_sha256, signature };
}

export async function store_bundle(store: Store, { bundle_sha256 }: RunHeader, bundle: Bundle): Promise<void> {
  await write_parts(store, `bundle.${bundle_sha256}`, to_text(bundle));
}

/**
 * Refused when it is not there, is not what its hash says, or is not signed with the key whose public half (PEM) is
 * `key`. Rejects when nobody answers.
 */
export async function fetch_bundle(store: Store, run: RunHeader, key: string | null): Promise<Bundle | Refused> {
  if (key !== null && !is_signed(run, key))
    return new Refused('its signature is not that of the key this agent was given');
  const text = await read_parts(store, `bundle.${run.bundle_sha256}`);
  if (text === null) return new Refused('what it is made of is not in the store');
  if (sha256_of(text) !== run.bundle_sha256) return new Refused('what is stored is not what its hash says');
  const bundle = read_bundle(text);
  if (bundle instanceof Refused || sha256_of(bundle.module_text) === bundle.run.what.module_sha256) return bundle;
  return new Refused('its module is not what its hash says');
}

/** Removes what the runs before `run` left, but for the newest summaries. Rejects when nobody answers. */
export async function remove_old_runs(store: Store, run: RunHeader): Promise<void> {
  const keys = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map(({ key }) => key);
  const summaries = await keys('summary.');
  const runs = [...new Set(summaries.map((key) => key.split('.')[1]!))].sort().slice(0, -MAX_SUMMARIES);
  const old = summaries.filter((key) => runs.includes(key.split('.')[1]!));
  const bundles = (await keys('bundle.')).filter((key) => !key.startsWith(`bundle.${run.bundle_sha256}.`));
  for (const key of [...old, ...bundles, ...(await keys(RESULTS)), ...(await keys(LATENCIES))]) await store.remove(key);
}

function is_signed({ id, bundle_sha256, signature }: RunHeader, key: string): boolean {
  try {
    return verify(null, Buffer.from(signed_text(id, bundle_sha256)), key, Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

/**
 * Writes a long text under `<key>.0`, `<key>.1`, …, each at most 256 KiB of it. A part that is there with the same text
 * stays.
 */
export async function write_parts(store: Store, key: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const parts = Math.max(1, Math.ceil(bytes.length / PART_BYTES));
  if (parts > MAX_PARTS)
    throw new SwarmError('engine_lost', {
      reason: `${key} has ${bytes.length} bytes, at most ${MAX_PARTS * PART_BYTES} fit`,
    });
  for (let i = 0; i < parts; i++) {
    const part = bytes.subarray(i * PART_BYTES, (i + 1) * PART_BYTES).toString('base64');
    await write_part(store, `${key}.${i}`, i + 1 === parts ? part : `${part}~`);
  }
}

async function write_part(store: Store, key: string, value: string): Promise<void> {
  let revision = 0;
  let outcome = '';
  for (let tries = 0; tries < TRIES; tries++) {
    const written = await store.put(key, value, revision);
    if (written.outcome === 'done') return;
    outcome = written.outcome === 'unknown' ? written.reason : 'somebody else wrote it';
    const entry = await store.get(key).catch(() => null);
    if (entry?.text === value) return;
    revision = entry?.revision ?? 0;
  }
  throw new SwarmError('engine_lost', { reason: `${key} could not be stored: ${outcome}` });
}

/** Null: it is not there, or not whole. */
export async function read_parts(store: Store, key: string): Promise<string | null> {
  const parts: Buffer[] = [];
  while (parts.length < MAX_PARTS) {
    const entry = await store.get(`${key}.${parts.length}`);
    if (entry === null) return null;
    const goes_on = entry.text.endsWith('~');
    parts.push(Buffer.from(goes_on ? entry.text.slice(0, -1) : entry.text, 'base64'));
    if (!goes_on) return Buffer.concat(parts).toString();
  }
  return null;
}
