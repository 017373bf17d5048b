import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { read_credentials } from '../../../src/machines/store/credentials.ts';
import { make_seed, nkey_of } from '../../../src/machines/store/jetstream.ts';
import { Certificates } from '../../certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'swarm-credentials-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const PUBLIC = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const issued = new Certificates();
afterAll(() => issued.remove());
const CERTIFICATE = issued.make('engine', ['IP:127.0.0.1']).cert;
const damaged = (pem: string): string => pem.slice(0, pem.length / 2);
const GOOD = {
  format: 'swarm-credentials/1',
  role: 'agent',
  user: 'agent-01',
  seed: make_seed(),
  engine: 'nats://127.0.0.1:4222',
  verify_key: PUBLIC,
};
let files = 0;
function read(content: string | object, mode = 0o600): unknown {
  const file = join(folder, `${++files}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content), { mode });
  return read_credentials(file);
}

describe('read_credentials', () => {
  it('reads what the engine wrote', () => {
    expect(read(GOOD)).toEqual(GOOD);
    const tls = { ...GOOD, ca: CERTIFICATE, cert: CERTIFICATE, key: PRIVATE };
    expect(read(tls)).toEqual(tls);
    expect(read({ ...GOOD, role: 'viewer', verify_key: undefined })).toMatchObject({ role: 'viewer' });
    expect(read({ ...GOOD, role: 'leader', sign_key: PRIVATE })).toMatchObject({ role: 'leader' });
  });

  it.each<[string | object, string]>([
    ['{', 'it is not JSON'],
    ['null', 'its format is not swarm-credentials/1'],
    [{ ...GOOD, format: 'swarm-credentials/2' }, 'its format is not'],
    [{ ...GOOD, role: 'king' }, 'its role is none of leader, agent, viewer'],
    [{ ...GOOD, user: 'agent.*' }, 'it has no user'],
    [{ ...GOOD, seed: nkey_of(GOOD.seed) }, 'it has no seed'],
    [{ ...GOOD, engine: '' }, 'it does not say where the engine is'],
    [{ ...GOOD, verify_key: undefined }, 'it is for an agent, but has no verify_key'],
    [{ ...GOOD, role: 'leader' }, 'it is for a leader, but has no sign_key'],
    [{ ...GOOD, verify_key: 1 }, 'its verify_key is not a text'],
    [{ ...GOOD, ca: CERTIFICATE, key: PRIVATE }, 'some of ca, cert and key'],
    [{ ...GOOD, verify_key: damaged(PUBLIC) }, 'its verify_key is damaged'],
    [{ ...GOOD, role: 'leader', sign_key: damaged(PRIVATE) }, 'its sign_key is damaged'],
    [{ ...GOOD, ca: damaged(CERTIFICATE), cert: CERTIFICATE, key: PRIVATE }, 'its ca is damaged'],
    [{ ...GOOD, ca: CERTIFICATE, cert: damaged(CERTIFICATE), key: PRIVATE }, 'its cert is damaged'],
    [{ ...GOOD, ca: CERTIFICATE, cert: CERTIFICATE, key: damaged(PRIVATE) }, 'its key is damaged'],
  ])('refuses %j', (content, reason) => {
    expect(() => read(content)).toThrow(
      expect.objectContaining({ code: 'bad_credentials', exit: 2, message: expect.stringContaining(reason) as string }),
    );
  });

  it('refuses a file that others may read, or that is not there', () => {
    expect(() => read(GOOD, 0o644)).toThrow('its mode is 0644, wanted 0600');
    expect(() => read_credentials(join(folder, 'none'))).toThrow('ENOENT');
  });
});
