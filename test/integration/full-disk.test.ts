/** What happens where a disk is full: a small one in memory, which only the process under test sees. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleClient } from '../../src/console/console-client.ts';
import { start_ledger, type Ledger } from '../ledger.ts';
import { HAS_NATS } from '../machines/nats-server.ts';
import { Workplace, type SwarmProcess } from './swarm-process.ts';

const SCRIPT = 'protocol: lines\nactions:\n  - command: ping\n    sleep_between_rounds: [0.01, 0.05]\n';
const MODULE = `import { line } from 'swarm';
export const ping = (client) => client.send_for_reply('ping\\r\\n', line());`;
const PAGE = 4096;
const MAY_MOUNT = spawnSync('unshare', ['--mount', 'true']).status === 0;

let place: Workplace;
let script: string;
let ledger: Ledger;
beforeEach(async () => {
  place = new Workplace();
  script = place.write('scripts/a.yml', SCRIPT);
  place.write('protocols/lines.mjs', MODULE);
  ledger = await start_ledger();
});
afterEach(async () => {
  await place.close();
  await ledger.close();
});

const shell = (line: string): string[] => ['sh', '-c', line, 'sh'];
/** A disk of so many pages at `folder`; then what `line` says, in the end `exec "$@"`. */
const disk = (folder: string, pages: number, line: string): string[] => [
  ...['unshare', '--mount', '--propagation', 'private'],
  ...shell(`mount -t tmpfs -o size=${pages * PAGE},mode=0777 tmpfs '${folder}' && cd '${place.folder}' && ${line}`),
];
const run_args = (): string[] => ['-r', `127.0.0.1:${ledger.port}`, '-s', script, '-l', '127.0.0.1:0'];
const until = async (is_so: () => boolean): Promise<void> => {
  for (let i = 0; i < 600 && !is_so(); i++) await sleep(50);
};

describe('standard output', () => {
  it.each([
    ['a device that is full', 'exec "$@" > /dev/full', 'ENOSPC', ['schema', '--help', 'limits', 'check']],
    // as small as this it keeps the module from being written, too
    ['a file that may not grow', 'ulimit -f 1; exec "$@" > out', 'EFBIG', ['schema', '--help']],
  ])('that is %s makes a failure of what was asked for, with the reason', async (_, line, code, commands) => {
    for (const command of commands) {
      const options = /limits|check/.test(command) ? ['-s', script] : [];
      const swarm = place.swarm_through(shell(`cd '${place.folder}'; ${line}`), command, ...options);
      const said = expect.stringMatching(new RegExp(`^swarm: .*${code}.*\\(output_lost: .*\\)\n$`)) as string;
      expect([await swarm.exited, swarm.err]).toEqual([1, said]);
    }
  });

  it.skipIf(!MAY_MOUNT)('is whole or a failure on a disk of any size (needs root)', async () => {
    const whole = place.swarm('schema');
    expect(await whole.exited).toBe(0);
    const wanted = Math.ceil(whole.out.length / PAGE);
    for (const pages of [1, wanted - 1, wanted, wanted + 1]) {
      const swarm = place.swarm_through(
        disk(place.temporary, pages, '{ "$@" > tmp/out; code=$?; cat tmp/out; exit $code; }'),
        'schema',
      );
      const code = await swarm.exited;
      expect([pages, code, swarm.out === whole.out]).toEqual([pages, pages < wanted ? 1 : 0, pages >= wanted]);
      if (code === 1) expect(swarm.err).toMatch(/^swarm: .*ENOSPC.*\(output_lost: /);
    }
  });
});

describe.skipIf(!MAY_MOUNT)('a run (needs root)', () => {
  it('goes on while its log has no room, and logs again when it has', async () => {
    const through = disk(
      place.temporary,
      8,
      'mkdir -m 0777 keep && dd if=/dev/zero of=tmp/fill bs=4096 count=7 2>/dev/null; TMPDIR="$PWD/keep" exec "$@" > tmp/log 2>&1',
    );
    const inside = (name: string): string => `/proc/${swarm.child.pid}/root${join(place.temporary, name)}`;
    const log = (): string => readFileSync(inside('log'), 'utf8');
    const swarm = place.swarm_through(through, ...run_args(), '--report-every', '1s', '--log-level', 'debug');
    await until(() => {
      try {
        return /console listening on/.test(log());
      } catch {
        return false;
      }
    });
    const [, port] = /console listening on \S+:(\d+)/.exec(log())!;
    const session = await ConsoleClient.open({ host: '127.0.0.1', port: Number(port) });
    expect(await session.ask('incr 5')).toEqual(['OK target 5']);
    expect(await session.ask('wait within 30s', 35_000)).toEqual(['OK 5 open']);
    for (let i = 0; i < 40; i++) await session.ask(`mark ${'x'.repeat(190)}`);
    rmSync(inside('fill'));
    await session.ask('mark again');
    await until(() => log().includes('(lines lost: '));
    expect(log()).toMatch(/\n\(lines lost: \d+, ENOSPC: no space left on device, write\)\n/);
    const end = swarm.exited;
    await session.ask('stop');
    expect(await end).toBe(0);
    expect((await ledger.settled()).open_peak).toBe(5);
  });

  it('says that its summary was lost, in which file, and leaves the one before', async () => {
    const through = disk(
      place.temporary,
      2,
      'mkdir -m 0777 keep && echo before > tmp/all.json; TMPDIR="$PWD/keep" "$@"; code=$?; cat tmp/all.json; ls -A tmp; exit $code',
    );
    const file = join(place.temporary, 'all.json');
    const swarm = place.swarm_through(through, ...run_args(), '--summary', file);
    const session = await swarm.console();
    await session.ask('incr 3');
    expect(await session.ask('wait within 30s', 35_000)).toEqual(['OK 3 open']);
    await session.ask('stop');
    expect(await swarm.exited).toBe(1);
    expect(swarm.err).toContain(`the final summary could not be written to ${file}: ENOSPC`);
    expect(swarm.out).toMatch(/\nbefore\nall.json\n$/);
  });

  it('says that its module could not be written, and where, and does not blame the module', async () => {
    for (const pages of [1, 2, 3]) {
      const through = disk(
        place.temporary,
        3,
        `dd if=/dev/zero of=tmp/fill bs=4096 count=${pages} 2>/dev/null; "$@"; code=$?; rm tmp/fill; ls -A tmp; exit $code`,
      );
      place.write('protocols/lines.mjs', `${MODULE}\nexport const text = '${'x'.repeat(3 * PAGE)}';`);
      for (const args of [['check', '-s', script], run_args()]) {
        const swarm = place.swarm_through(through, ...args);
        expect([await swarm.exited, swarm.out]).toEqual([2, '']);
        expect(swarm.err).toMatch(
          /^swarm: the bundled module cannot be written to \S+tmp\/\S+\.mjs: ENOSPC.*\(bad_tmpdir: /,
        );
      }
    }
  });
});

describe.skipIf(!MAY_MOUNT || !HAS_NATS)('an engine (needs root, nats-server and openssl)', () => {
  it('starts, or says which file could not be written; and starts once there is room', async () => {
    const dir = join(place.temporary, 'engine');
    const args = ['engine', 'up', '--dir', dir, '--listen', '0.0.0.0:0', '--host', 'localhost', '--agents', '2'];
    const failed: string[] = [];
    for (const pages of [0, 1, 2, 4, 6, 8, 9, 10]) {
      // the folder takes a page of itself from some kernels
      const line = `dd if=/dev/zero of=tmp/fill bs=4096 count=${30 - pages} 2>/dev/null; "$@"; code=$?; rm tmp/fill; [ $code = 0 ] || "$@"`;
      const engine: SwarmProcess = place.swarm_through(disk(place.temporary, 30, line), ...args);
      await engine.said(/^engine listening on/m);
      const [, file] =
        /^swarm: .*engine.*?(?:: |\/)([\w.-]+)(?: cannot be written)?: .*(?:ENOSPC|no space left)/m.exec(engine.err) ??
        [];
      failed.push(file ?? 'none');
      // the shell is the one that was started: its child ends by the number in its folder
      const pid = readFileSync(`/proc/${engine.child.pid}/task/${engine.child.pid}/children`, 'utf8').trim();
      process.kill(Number(pid), 'SIGTERM');
      expect(await engine.exited, engine.err).toBe(0);
    }
    expect(failed[0]).not.toBe('none');
    expect(new Set(failed).size).toBeGreaterThan(3);
  });
});
