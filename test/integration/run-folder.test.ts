import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { with_run_folder } from '../../src/launch/run-folder.ts';
import type { Summary } from '../../src/metrics/summary.ts';
import { start_ledger } from '../ledger.ts';
import { Workplace } from './swarm-process.ts';

const SCRIPT = 'protocol: lines\nactions:\n  - command: ping\n    sleep_between_rounds: [0.01, 0.05]\n';
/** Its worker dies in the next round once the file `path` is there. */
const module_of = (path: string): string => `import { existsSync, rmSync } from 'node:fs';
import { line } from 'swarm';
export function ping(client) {
  if (existsSync('${path}')) {
    rmSync('${path}');
    process.kill(process.pid, 'SIGKILL');
  }
  return client.send_for_reply('ping\\r\\n', line());
}`;
const PIDS_OF_ITS_OWN = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const may = ([command, ...args]: string[]): boolean => spawnSync(command!, [...args, 'true']).status === 0;

let place: Workplace;
let script: string;
beforeEach(() => {
  place = new Workplace();
  script = place.write('scripts/a.yml', SCRIPT);
  place.write('protocols/lines.mjs', module_of(join(place.folder, 'die')));
});
afterEach(() => place.close());

const check = (): ReturnType<Workplace['swarm']> => place.swarm('check', '-s', script);

describe.skipIf(!may(PIDS_OF_ITS_OWN))('where every process has other ids (needs root)', () => {
  it.each([
    ['there', PIDS_OF_ITS_OWN],
    ['outside', []],
  ])('a run %s keeps its module whoever starts beside it, and its workers start again', async (_, through) => {
    const ledger = await start_ledger();
    const args = ['-r', `127.0.0.1:${ledger.port}`, '-s', script, '-l', '127.0.0.1:0', '--workers', '1'];
    const swarm = place.swarm_through(through, ...args);
    const session = await swarm.console();
    const lost = async (): Promise<number> => {
      const [answer] = await session.ask('status json');
      return (JSON.parse(answer!.replace(/^OK /, '')) as Summary).lost_workers.length;
    };
    const beside = [check(), place.swarm_through(PIDS_OF_ITS_OWN, 'check', '-s', script)];
    for (const other of beside) expect(await other.exited, other.err).toBe(0);

    await session.ask('incr 3');
    expect(await session.ask('wait within 30s', 35_000)).toEqual(['OK 3 open']);
    place.write('die', '');
    for (let i = 0; i < 400 && (await lost()) === 0; i++) await sleep(50);
    expect(await session.ask('wait within 30s', 35_000), swarm.err).toEqual(['OK 3 open']);
    await session.ask('stop');
    expect(await swarm.exited, swarm.err).toBe(0);
    await ledger.close();
    expect(place.left_behind).toEqual([]);
  });
});

describe('many that start and end at once', () => {
  it('do not take the folders of each other, and leave none', async () => {
    const all = Array.from({ length: 8 }, check);
    for (const swarm of all) expect(await swarm.exited, swarm.err).toBe(0);
    expect(place.left_behind).toEqual([]);
  });
});

/** Puts a folder at each path, then a link to the folder that it was told, then the folder again, as fast as it can. */
const SWAPPER = `
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
const [own, victim, ...paths] = process.argv.slice(1);
const attempt = (act) => { try { act(); } catch {} };
for (const [i] of paths.entries()) symlinkSync(victim, own + '/link' + i);
process.stdout.write('swapping');
for (let n = 0, until = Date.now() + 110_000; Date.now() < until; n++)
  for (const [i, path] of paths.entries()) {
    const [folder, link] = [own + '/folder' + i, own + '/link' + i];
    if (n % 100 === 0) {
      attempt(() => mkdirSync(folder, { recursive: true, mode: 0o700 }));
      for (let file = 0; file < 300; file++) attempt(() => writeFileSync(folder + '/' + file, ''));
    }
    attempt(() => renameSync(folder, path));
    attempt(() => renameSync(path, folder));
    attempt(() => renameSync(link, path));
    attempt(() => renameSync(path, link));
  }
`;

describe.skipIf(!may(NOBODY))('beside another user who swaps folders for links (needs root)', () => {
  it.each([
    ['the name of the old folders', ['swarm-run-4194304-a', 'swarm-run-4194303-b']],
    ['the name of the outer folder', ['swarm-0']],
  ])('deletes nothing of others: %s', async (_, names) => {
    const [victim, own] = [join(place.folder, 'victim'), join(place.folder, 'own')];
    for (const path of [victim, join(victim, 'deep'), own]) mkdirSync(path);
    for (let i = 0; i < 300; i++) writeFileSync(join(victim, `${i}`), 'precious');
    writeFileSync(join(victim, 'deep/a'), 'precious');
    chmodSync(place.folder, 0o755);
    chmodSync(place.temporary, 0o777);
    chownSync(own, 65534, 65534);
    const [command, ...args] = NOBODY;
    const paths = names.map((name) => join(place.temporary, name));
    const swapper = spawn(
      command!,
      [...args, process.execPath, '--input-type=module', '-e', SWAPPER, own, victim, ...paths],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' },
    );
    const gone = once(swapper, 'close');
    try {
      await once(swapper.stdout, 'data');
      vi.stubEnv('TMPDIR', place.temporary);
      for (let i = 0; i < 200; i++)
        await with_run_folder((folder) => Promise.resolve(writeFileSync(join(folder, 'a'), '')));
    } finally {
      vi.unstubAllEnvs();
      swapper.kill('SIGKILL');
      await gone;
    }
    expect(swapper.signalCode).toBe('SIGKILL');
    expect(readdirSync(victim).length).toBe(301);
    expect(readdirSync(join(victim, 'deep'))).toEqual(['a']);
    const ours = place.left_behind.filter(
      (name) => lstatSync(join(place.temporary, name), { throwIfNoEntry: false })?.uid === 0,
    );
    expect(ours).toEqual([]);
  });
});
