/**
 * Locks that tell whether somebody still uses a file or a folder. A pid tells nothing: another namespace has its own,
 * and numbers are used again. A flock(2) belongs to the open file. It ends with the last process that holds that open,
 * however it ends, and everybody who sees the file sees it.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

/** From util-linux, since Node has no call for flock(2). The command locks the open file it is given, and ends. */
const FLOCK = '/usr/bin/flock';
const FLOCK_WITHIN_MS = 5000;
const TAKEN = 1;

/** `impossible`: there is no such command, or this file system has no locks. */
export type Lock = 'ours' | 'taken' | 'impossible';

/**
 * Takes the lock of an open file or folder. It is held until `file` is closed here and in every process that inherited
 * it.
 */
export function lock(file: number): Lock {
  const stdio = ['ignore', 'ignore', 'ignore', file] as const;
  const { status } = spawnSync(FLOCK, ['-n', '3'], { stdio: [...stdio], timeout: FLOCK_WITHIN_MS });
  return status === 0 ? 'ours' : status === TAKEN ? 'taken' : 'impossible';
}

/** Opens a folder (not a link) that this user owns and nobody else may enter (mode 0700); null when it is none. */
export function open_private_folder(path: string): number | null {
  let folder;
  try {
    folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch {
    return null;
  }
  const { uid, mode } = fstatSync(folder);
  if (uid === process.geteuid?.() && (mode & 0o777) === 0o700) return folder;
  closeSync(folder);
  return null;
}

/** Whether `path` still leads to the open `file`. */
export function leads_to(path: string, file: number): boolean {
  try {
    const there = statSync(path, { bigint: true });
    const open = fstatSync(file, { bigint: true });
    return there.ino === open.ino && there.dev === open.dev;
  } catch {
    return false;
  }
}
