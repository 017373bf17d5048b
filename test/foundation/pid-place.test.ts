import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { is_gone, pid_place } from '../../src/foundation/pid-place.ts';

/** beyond the largest pid there is */
const none = 4_194_304;

describe('is_gone', () => {
  it('is true of a process that was here and ended, and of one whose number is ours by now; false of one that lives', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    expect(is_gone(pid_place(), child.pid)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(is_gone(pid_place(), child.pid)).toBe(true);
    expect(is_gone(pid_place(), process.pid)).toBe(true);
    // of another user, as a rule
    expect(is_gone(pid_place(), 1)).toBe(false);
  });

  it('is true of nothing elsewhere, nor where the system does not tell where this is, nor of what is no pid', () => {
    expect(is_gone(pid_place(), none)).toBe(true);
    expect(is_gone(hostname(), none, '')).toBe(false);
    expect(is_gone('', none, '')).toBe(false);
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (place, pid) => {
        expect(is_gone(place, none)).toBe(false);
        if (!Number.isInteger(pid)) expect(is_gone(pid_place(), pid)).toBe(false);
      }),
    );
    for (const pid of [0, -1, -none, NaN, Infinity, 1.5]) expect(is_gone(pid_place(), pid)).toBe(false);
  });

  const unshare = ['--pid', '--fork', '--kill-child', '--mount-proc'];
  it.skipIf(spawnSync('unshare', [...unshare, 'true']).status !== 0)(
    'is true of nothing where processes have other ids (needs root)',
    () => {
      const { stdout } = spawnSync('unshare', [...unshare, 'readlink', '/proc/self/ns/pid'], { encoding: 'utf8' });
      const there = pid_place().replace(/ .*/, ` ${stdout.trim()}`);
      expect(there).toMatch(/^[\w-]+ pid:\[\d+\]$/);
      expect(there).not.toBe(pid_place());
      for (const pid of [1, 2, none]) expect(is_gone(there, pid)).toBe(false);
    },
  );
});
