/**
 * Locks that tell whether somebody still uses a file or a folder. A pid tells nothing: another namespace has its own, and numbers come again.
 * flock(2) belongs to the open file: it ends with the last process that holds it open, however that ends, and everybody sees it who sees the file.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';

/** Of util-linux: Node has no call for it. The command locks the open file that it is given, and ends. */
const FLOCK = '/usr/bin/flock';
const FLOCK_WITHIN_MS = 5000;
const TAKEN = 1;

/** `impossible`: there is no such command, or this file system has no locks. */
export type Lock = 'ours' | 'taken' | 'impossible';

/** Takes the lock of an open file or folder; it is held until `file` is closed here and in every process that inherited it. */
export function lock(file: number): Lock {
  const stdio = ['ignore', 'ignore', 'ignore', file] as const;
  const { status } = spawnSync(FLOCK, ['-n', '3'], { stdio: [...stdio], timeout: FLOCK_WITHIN_MS });
  return status === 0 ? 'ours' : status === TAKEN ? 'taken' : 'impossible';
}

/** Opens a real folder (no link) of this user's that nobody else may enter (mode 0700); null: it is no such thing. */
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
