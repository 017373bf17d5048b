import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { make_seed } from '../../../src/machines/store/jetstream.ts';
import { open_engine } from '../../../src/machines/store/open-engine.ts';

it('says of a seed that is not whole that the credentials are bad, whether the engine answers or not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarm-open-engine-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'viewer.json');
  const whole = make_seed();
  const seed = `${whole.slice(0, 20)}${whole[20] === 'A' ? 'B' : 'A'}${whole.slice(21)}`;
  const document = {
    format: 'swarm-credentials/1',
    role: 'viewer',
    user: 'viewer',
    seed,
    engine: 'nats://127.0.0.1:1',
  };
  writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
  await expect(
    open_engine({ join: null, credentials: file, name: 'main' }, ['viewer'], () => {}),
  ).rejects.toMatchObject({
    code: 'bad_credentials',
    message: expect.stringContaining('its seed is damaged') as string,
  });
});
