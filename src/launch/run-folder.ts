/**
 * The run's private folder, for the bundled module:
 *
 *     <folder for temporary files>/swarm-<uid>/run-<start of the machine>-<random>/
 *
 * Nobody else may enter either (0700), and whoever made the inner one holds its lock. So the next start can remove what a killed one left: a folder of
 * this user's, made since the machine started (elsewhere, over a network, locks may not be seen), whose lock is free. All of that is
 * done inside the outer folder as it was opened, wherever its path leads meanwhile.
 */
import { closeSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { leads_to, lock, open_private_folder } from '../foundation/lock.ts';

/** Others that start or end just now may remove a folder before it is locked. */
const TRIES = 10;
/** Looking for what was left takes a few milliseconds a folder. */
const SWEEP_MS = 1000;

interface RunFolder {
  readonly path: string;
  readonly remove: () => void;
}

/**
 * Makes the folder, removes it after `use`, or when the process exits meanwhile.
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

/** Where no lock is to be had, or the name of the outer folder is somebody else's. What a killed swarm leaves of these stays. */
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

/** Removes what swarms left that were killed. */
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

/** Null: the system does not tell when it was started. */
function prefix_of_boot(): string | null {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  return boot === undefined || !/^[\w-]+$/.test(boot) ? null : `run-${boot}-`;
}

/** What does not work here is done by the next start, or said by whoever needs it. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
