/** The run's private folder, for the bundled module. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SwarmError, reason_of } from './foundation/errors.ts';

/** `swarm-run-<pid of the daemon>-<random>` */
const NAME = /^swarm-run-(\d+)-/;

/**
 * Makes the folder (mode 0700), removes it after `use`, or when the process exits meanwhile.
 * @throws SwarmError `bad_tmpdir`
 */
export async function with_run_folder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  sweep();
  const folder = make();
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await use(folder);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function make(): string {
  try {
    return mkdtempSync(join(tmpdir(), `swarm-run-${process.pid}-`));
  } catch (error) {
    throw new SwarmError('bad_tmpdir', { dir: tmpdir(), reason: reason_of(error) }, error);
  }
}

/** Removes what daemons left that were killed: folders of ours whose process is gone. Those of other users stay: they refuse. */
function sweep(): void {
  for (const name of names()) {
    const pid = Number(NAME.exec(name)?.[1] ?? 0);
    if (pid === 0 || is_running(pid)) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // not ours
    }
  }
}

function names(): string[] {
  try {
    return readdirSync(tmpdir());
  } catch {
    // a folder may be written but not listed; `make` tells of one that is not there
    return [];
  }
}

function is_running(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
