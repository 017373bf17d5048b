#!/usr/bin/env node
/**
 * Set-up that every npm script calls first: installs what package-lock.json says when node_modules is missing or older, and
 * builds dist/ when a source is newer. `--test` also installs the Debian packages that integration tests use, when root on Debian.
 * Uses nothing but Node, since node_modules may not exist yet. Says what it does on stderr, nothing when there is nothing to do.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const say = (text) => process.stderr.write(`prepare: ${text}\n`);
const run = (command, args, options = {}) => execFileSync(command, args, { stdio: ['ignore', 2, 2], ...options });
/** A step without which nothing works: its own output says why. */
const need = (what, command, args) => {
  say(what);
  try {
    run(command, args);
  } catch {
    say(`${what} failed, see above`);
    process.exit(1);
  }
};
const changed = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const newest = (folder) =>
  Math.max(
    ...readdirSync(folder, { withFileTypes: true }).map((e) =>
      e.isDirectory() ? newest(join(folder, e.name)) : changed(join(folder, e.name)),
    ),
  );

if (changed('node_modules/.package-lock.json') < changed('package-lock.json')) {
  need('npm ci', 'npm', ['ci', '--engine-strict', '--no-fund', '--no-audit']);
}

if (changed('dist/.tsbuildinfo') < Math.max(newest('src'), changed('tsconfig.json'), changed('package-lock.json'))) {
  rmSync('dist', { recursive: true, force: true });
  need('building dist/', process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
}

if (process.argv.includes('--test')) {
  /** a command that shows the package is there → the Debian package */
  const wanted = {
    'redis-server': 'redis-server',
    telnet: 'telnet',
    nc: 'netcat-openbsd',
    tmux: 'tmux',
    cc: 'gcc libc6-dev',
    openssl: 'openssl',
    'nats-server': 'nats-server',
    ip: 'iproute2',
    nft: 'nftables',
  };
  const has = (command) => process.env.PATH.split(':').some((folder) => existsSync(join(folder, command)));
  /** a library has no command: it is in the folder of the machine's architecture */
  const has_library = (file) =>
    changed('/usr/lib') > 0 && readdirSync('/usr/lib').some((folder) => existsSync(join('/usr/lib', folder, file)));
  const missing = Object.keys(wanted).filter((command) => !has(command));
  if (!has_library('faketime/libfaketimeMT.so.1')) {
    wanted.libfaketime = 'libfaketime';
    missing.push('libfaketime');
  }
  if (missing.length > 0) {
    const debian = existsSync('/etc/debian_version') && process.getuid() === 0;
    if (debian) {
      const packages = missing.flatMap((command) => wanted[command].split(' '));
      say(`apt-get install ${packages.join(' ')}`);
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      try {
        run('apt-get', ['update', '-qq'], { env });
        run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
      } catch {
        say(`could not install ${packages.join(' ')}: tests that need them will say that they are skipped`);
      }
    } else
      say(`not root on Debian and without ${missing.join(', ')}: tests that need them will say that they are skipped`);
  }
}
