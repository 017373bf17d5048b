/**
 * The run's private folder, for the bundled module:
 *
 *     <folder for temporary files>/swarm-<uid>/run-<start of the machine>-<random>/
 *
 * Only this user may enter either folder (0700), and the process that made the inner one holds its lock. So the next
 * start can remove what a killed one left: this user's folders, made since this machine started, whose lock is free.
 * (Over a network locks of other machines may not be seen.) All of that is done inside the outer folder as it was
 * opened, wherever its path leads meanwhile.
 */
import { closeSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { leads_to, lock, open_private_folder } from '../foundation/lock.ts';

/** Another swarm that starts or ends may remove a folder before it is locked. */
const TRIES = 10;
/** ms for removing what was left, which takes a few milliseconds a folder */
const SWEEP_MS = 1000;

interface RunFolder {
  readonly path: string;
  readonly remove: () => void;
}

/**
 * Makes the folder, and removes it after `use` or when the process exits before.
 * @throws SwarmError `bad_tmpdir`
 */
export async function with_run_folder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const { path, remove } = make();
  process.once('exit', remove);
  try {
    return await use(path);
  } finally {
    process.off('exit', remove);
    remove();
  }
}

function make(): RunFolder {
  const temporary = resolve(tmpdir());
  for (let tries = 0; tries < TRIES; tries++) {
    const made = make_locked(temporary);
    if (made === null) break;
    if (made !== 'again') return made;
  }
  return make_alone(temporary);
}

/** For where locks do not work, or another user has the outer folder's name. What a killed swarm leaves here stays. */
function make_alone(temporary: string): RunFolder {
  try {
    const path = mkdtempSync(join(temporary, 'swarm-run-'));
    return { path, remove: () => attempt(() => rmSync(path, { recursive: true, force: true })) };
  } catch (error) {
    throw new SwarmError('bad_tmpdir', { file: temporary, reason: reason_of(error) }, error);
  }
}

function make_locked(temporary: string): RunFolder | 'again' | null {
  const prefix = prefix_of_boot();
  if (prefix === null) return null;
  const outer = join(temporary, `swarm-${process.geteuid?.()}`);
  attempt(() => mkdirSync(outer, { mode: 0o700 }));
  const open_outer = open_private_folder(outer);
  if (open_outer === null) return null;
  const leave = <T>(outcome: T): T => {
    attempt(() => rmdirSync(outer)); // the last one
    closeSync(open_outer);
    return outcome;
  };
  const inside = (name: string): string => `/proc/self/fd/${open_outer}/${name}`;
  sweep(inside, prefix);

  let name;
  try {
    name = basename(mkdtempSync(inside(prefix)));
  } catch {
    return leave('again');
  }
  const path = join(outer, name);
  const open = open_private_folder(inside(name));
  if (open === null) return leave('again');
  const remove = (): void => {
    attempt(() => rmSync(inside(name), { recursive: true, force: true }));
    closeSync(open);
    leave(undefined);
  };
  const locked = lock(open);
  if (locked === 'ours' && leads_to(path, open)) return { path, remove };
  remove();
  return locked === 'impossible' ? null : 'again';
}

/** Removes what killed swarms left. */
function sweep(inside: (name: string) => string, prefix: string): void {
  const until = performance.now() + SWEEP_MS;
  for (const name of attempt(() => readdirSync(inside(''))) ?? []) {
    if (!name.startsWith(prefix)) continue;
    if (performance.now() > until) return;
    const open = open_private_folder(inside(name));
    if (open === null) continue;
    if (lock(open) === 'ours' && leads_to(inside(name), open))
      attempt(() => rmSync(inside(name), { recursive: true, force: true }));
    closeSync(open);
  }
}

/** What names of folders made since the machine started begin with; null: the system does not tell. */
function prefix_of_boot(): string | null {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  return boot === undefined || !/^[\w-]+$/.test(boot) ? null : `run-${boot}-`;
}

/** Ignores a failure: the next start tries again, or the code that needs the result tells of it. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
