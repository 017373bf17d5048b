import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { with_run_folder } from '../../src/launch/run-folder.ts';

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const OUTER = `swarm-${process.geteuid!()}`;
const IS_ROOT = process.geteuid!() === 0;
const NOBODY = 65534;

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'swarm-run-folder-'));
  vi.stubEnv('TMPDIR', temporary);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(temporary, { recursive: true, force: true });
});

const mode_of = (path: string): number => lstatSync(path).mode & 0o777;
const touch = (): Promise<void> => with_run_folder(() => Promise.resolve());

/** Another process holds the lock until it is told to end. */
async function hold(folder: string): Promise<() => Promise<void>> {
  const holder = spawn('flock', [folder, '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  const gone = once(holder, 'close');
  return async () => {
    holder.stdin.end('\n');
    await gone;
  };
}

describe('with_run_folder', () => {
  it('makes a folder that nobody else may enter, in one that nobody else may enter, and leaves nothing', async () => {
    const seen = await with_run_folder((folder) => {
      writeFileSync(join(folder, 'module.mjs'), '');
      expect(dirname(folder)).toBe(join(temporary, OUTER));
      expect([mode_of(folder), mode_of(dirname(folder))]).toEqual([0o700, 0o700]);
      return Promise.resolve(folder);
    });
    expect(existsSync(seen)).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('leaves nothing when what it was for fails, nor a result behind when it cannot be removed', async () => {
    await expect(with_run_folder(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(readdirSync(temporary)).toEqual([]);
    expect(await with_run_folder((folder) => (rmSync(dirname(folder), { recursive: true }), Promise.resolve(1)))).toBe(
      1,
    );
  });

  it('holds one per run, of which none removes another', async () => {
    await with_run_folder(async (outside) => {
      await with_run_folder(async (inside) => {
        await touch();
        expect([outside, inside].map(existsSync)).toEqual([true, true]);
        expect(inside).not.toBe(outside);
      });
      expect(existsSync(outside)).toBe(true);
    });
    expect(readdirSync(temporary)).toEqual([]);
  });

  it('says that there is no folder for temporary files', async () => {
    vi.stubEnv('TMPDIR', join(temporary, 'none'));
    await expect(touch()).rejects.toThrow(/none: ENOENT.*\(bad_tmpdir/);
  });
});

describe('what is swept', () => {
  const folders = fc.record({
    boot: fc.constantFrom('this', 'other'),
    kind: fc.constantFrom('folder', 'folder', 'link', 'file'),
    mode: fc.constantFrom(0o700, 0o700, 0o755, 0o777),
    is_others: fc.boolean(),
    is_held: fc.boolean(),
  });

  it('is a real folder of ours, of this start of the machine, whose lock is free', async () => {
    const victim = join(temporary, 'victim');
    await fc.assert(
      fc.asyncProperty(fc.array(folders, { minLength: 1, maxLength: 5 }), async (drawn) => {
        const outer = join(temporary, OUTER);
        mkdirSync(join(victim, 'deep'), { recursive: true, mode: 0o700 });
        mkdirSync(outer, { mode: 0o700 });
        const releases: (() => Promise<void>)[] = [];
        const stays: string[] = [];
        for (const [i, { boot, kind, mode, is_others, is_held }] of drawn.entries()) {
          const name = `run-${boot === 'this' ? BOOT : '00000000-0000-4000-8000-000000000000'}-${i}`;
          const path = join(outer, name);
          if (kind === 'link') symlinkSync(victim, path);
          else if (kind === 'file') writeFileSync(path, '');
          else {
            mkdirSync(path);
            writeFileSync(join(path, 'module.mjs'), '');
            symlinkSync(victim, join(path, 'link'));
            chmodSync(path, mode);
            if (is_others && IS_ROOT) chownSync(path, NOBODY, NOBODY);
            if (is_held) releases.push(await hold(path));
          }
          const is_ours = kind === 'folder' && mode === 0o700 && !(is_others && IS_ROOT);
          if (boot !== 'this' || !is_ours || is_held) stays.push(name);
        }
        await touch();
        const left = existsSync(outer) ? readdirSync(outer).sort() : [];
        for (const release of releases) await release();
        rmSync(outer, { recursive: true, force: true });
        expect(left).toEqual(stays.sort());
        expect(readdirSync(victim)).toEqual(['deep']);
      }),
      { numRuns: 25 },
    );
  });

  it.each(['link', 'file', 'open to all', ...(IS_ROOT ? ['of another user'] : [])])(
    'is nothing where the name of the outer folder is taken (%s): a private one does',
    async (what) => {
      const [outer, victim] = [join(temporary, OUTER), join(temporary, 'victim')];
      mkdirSync(join(victim, `run-${BOOT}-x`), { recursive: true, mode: 0o700 });
      if (what === 'link') symlinkSync(victim, outer);
      else if (what === 'file') writeFileSync(outer, '');
      else {
        mkdirSync(join(outer, `run-${BOOT}-x`), { recursive: true, mode: 0o700 });
        if (what === 'open to all') chmodSync(outer, 0o777);
        else chownSync(outer, NOBODY, NOBODY);
      }
      const shown = (): unknown[] =>
        readdirSync(temporary, { recursive: true, encoding: 'utf8' })
          .sort()
          .map((name) => {
            const { ino, mode, uid } = lstatSync(join(temporary, name));
            return [name, ino, mode, uid];
          });
      const found = shown();
      await with_run_folder((folder) => {
        expect(dirname(folder)).toBe(temporary);
        expect([statSync(folder).uid, mode_of(folder)]).toEqual([process.geteuid!(), 0o700]);
        return Promise.resolve();
      });
      expect(shown()).toEqual(found);
    },
  );
});
