import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { read_credentials } from '../../src/cluster/credentials.ts';
import { make_seed, nkey_of } from '../../src/cluster/nats.ts';

const folder = mkdtempSync(join(tmpdir(), 'swarm-credentials-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const GOOD = {
  format: 'swarm-credentials/1',
  role: 'agent',
  user: 'agent-01',
  seed: make_seed(),
  engine: 'nats://127.0.0.1:4222',
  verify_key: 'PEM',
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
    const tls = { ...GOOD, ca: 'a', cert: 'b', key: 'c' };
    expect(read(tls)).toEqual(tls);
    expect(read({ ...GOOD, role: 'viewer', verify_key: undefined })).toMatchObject({ role: 'viewer' });
    expect(read({ ...GOOD, role: 'leader', sign_key: 'PEM' })).toMatchObject({ role: 'leader' });
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
    [{ ...GOOD, ca: 'a', key: 'c' }, 'some of ca, cert and key'],
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
