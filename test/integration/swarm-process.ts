/** The real executable in a process of its own, on dist/, with a temporary folder that everything it makes goes to. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConsoleClient } from '../../src/console/console-client.ts';
import { PATIENCE_MS, until } from '../patience.ts';

export const ROOT = resolve(import.meta.dirname, '../..');
const SWARM = join(ROOT, 'bin/swarm');

export class SwarmProcess {
  readonly child: ChildProcess;
  out = '';
  err = '';
  readonly exited: Promise<number | string>;

  /** `through`: a command that becomes the one after it, such as `ip netns exec <name>` */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv, through: readonly string[] = [], executable = SWARM) {
    const [command, ...rest] = [...through, process.execPath, executable, ...args];
    this.child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.child.stdout!.on('data', (data) => (this.out += String(data)));
    this.child.stderr!.on('data', (data) => (this.err += String(data)));
    // 'close': the exit, and everything it said was read
    this.exited = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  /** Resolves with the match once it said so on stdout. */
  async said(what: RegExp): Promise<RegExpExecArray> {
    const silent = (): string => `it did not say ${what} but:\n${this.out}\n${this.err}`;
    // who has ended has said all
    await until(silent, () => what.test(this.out) || this.child.exitCode !== null, PATIENCE_MS, 20);
    const found = what.exec(this.out);
    if (!found) throw new Error(silent());
    return found;
  }

  /** A session on its console, once it listens. */
  async console(): Promise<ConsoleClient> {
    const [, host, port] = await this.said(/^console listening on (\S+):(\d+)/m);
    return await ConsoleClient.open({ host: host!, port: Number(port) });
  }
}

/** A folder for scripts and modules, and the processes started in it; `close` leaves nothing of either. */
export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'swarm-test-'));
  readonly temporary = join(this.folder, 'tmp');
  readonly #processes: SwarmProcess[] = [];

  constructor() {
    mkdirSync(this.temporary);
    this.write('package.json', '{}');
  }

  /** Writes a file of the folder, returns its path. */
  write(name: string, text: string, mode = 0o644): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    return path;
  }

  swarm(...args: string[]): SwarmProcess {
    return this.swarm_through([], ...args);
  }

  /** As {@link swarm}, behind a command that becomes it. */
  swarm_through(through: readonly string[], ...args: string[]): SwarmProcess {
    return this.#start(SWARM, through, args);
  }

  /** Of a swarm that is like this one but for its version: a copy of what is built. */
  other_version(version: string): (...args: string[]) => SwarmProcess {
    const copy = join(this.folder, `swarm-${version}`);
    for (const part of ['bin', 'dist']) cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const about = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object;
    writeFileSync(join(copy, 'package.json'), JSON.stringify({ ...about, version }));
    return (...args) => this.#start(join(copy, 'bin/swarm'), [], args);
  }

  #start(executable: string, through: readonly string[], args: readonly string[]): SwarmProcess {
    const inherited = Object.entries(process.env).filter(([name]) => !/^(SWARM_|FORCE_COLOR|VITEST|NODE_)/.test(name));
    const started = new SwarmProcess(
      args,
      { ...Object.fromEntries(inherited), TMPDIR: this.temporary },
      through,
      executable,
    );
    this.#processes.push(started);
    return started;
  }

  /** what the processes left in the folder for temporary files */
  get left_behind(): string[] {
    return readdirSync(this.temporary);
  }

  async close(): Promise<void> {
    for (const { child, exited } of this.#processes) {
      child.kill('SIGKILL');
      await exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
