/** `swarm engine up`: a nats-server for swarms of many machines, with safe settings, in the foreground. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { claim_folder, prepare_engine, type EngineFolder } from '../engine/folder.ts';
import { is_loopback } from '../foundation/addresses.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { on_signals } from '../foundation/signals.ts';
import { probe_engine } from '../machines/store/nats.ts';
import type { EngineOptions } from '../options/engine-options.ts';

const START_MS = 60_000;
const PROBE_EVERY_MS = 100;
const END_MS = 5000;
/** Servers before this one have holes that are known. */
const SOUND_VERSION = [2, 10, 27] as const;

export async function run_engine({ dir, listen, agents, hosts }: EngineOptions, io: Io): Promise<number> {
  process.umask(0o077);
  const is_sound = check_version(server_version());
  const is_open = !is_loopback(listen.host);
  const lock = claim_folder(dir);
  const port = await free_port(listen.host, listen.port);
  // to itself: 0.0.0.0 and :: are no addresses to connect to
  const local = listen.host.replace(/^0\.0\.0\.0$/, '127.0.0.1').replace(/^[0:]+$/, '::1');
  const folder = prepare_engine({
    dir,
    agents,
    listen: endpoint_text({ ...listen, port }),
    url: `nats://${endpoint_text({ host: hosts[0] ?? listen.host, port })}`,
    certified: is_open ? [...new Set([local, ...hosts])] : null,
  });
  const child = spawn('nats-server', ['-c', folder.config], { stdio: ['ignore', 'ignore', 'pipe', lock] });
  const closed = once(child, 'close');
  let asked = false;
  const undo = on_signals(
    () => {
      asked = true;
      void end(child, closed);
    },
    () => child.kill('SIGKILL'),
  );
  const last_words = follow(child, io);
  try {
    const version = await answers(child, `nats://${endpoint_text({ host: local, port })}`, folder);
    if (version !== null) say_joins(folder, version, dir, io);
    if (version !== null && is_open && !is_sound) io.err.line(old_server(version));
    await closed;
  } finally {
    undo();
    await end(child, closed);
  }
  if (asked) return 0;
  throw new SwarmError('engine_failed', { reason: last_words() || `exit code ${child.exitCode}, ${child.signalCode}` });
}

/** What it calls itself: `nats-server: v2.9.10`. */
function server_version(): string {
  const { error, stdout } = spawnSync('nats-server', ['--version'], { encoding: 'utf8' });
  if (!error) return /v(\S+)/.exec(stdout)?.[1] ?? '';
  const is_missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  throw new SwarmError('engine_missing', { reason: is_missing ? 'there is no such command' : reason_of(error) }, error);
}

function check_version(version: string): boolean {
  const parts = version.split('.').map((part) => parseInt(part, 10));
  const differs = SOUND_VERSION.findIndex((wanted, i) => parts[i] !== wanted);
  return differs < 0 || parts[differs]! > SOUND_VERSION[differs]!;
}

const old_server = (version: string): string =>
  `swarm: nats-server ${version} is older than ${SOUND_VERSION.join('.')} and has known holes: let only machines that you trust reach it (docs/security.md)`;

async function free_port(host: string, port: number): Promise<number> {
  const server = createServer().listen({ host, port });
  try {
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'it is in use' : reason_of(error);
    throw new SwarmError('engine_listen', { listen: endpoint_text({ host, port }), reason }, error);
  } finally {
    server.close();
  }
}

/** Its warnings go on to stderr. Returns what it died of: the last error it told, otherwise the last line. */
function follow(child: ChildProcess, io: Io): () => string {
  let last = '';
  let last_error = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    last = line;
    if (is_error(line)) last_error = line;
    if (is_error(line) || /\[WRN\]/.test(line)) io.err.line(line);
  });
  return () => last_error || last;
}

/** What it says before it has read its configuration has no `[pid]` in front. */
export const is_error = (line: string): boolean => /\[(ERR|FTL)\]/.test(line) || !line.startsWith('[');

/** Its version, as soon as it lets the leader in; null when it ended. */
async function answers(child: ChildProcess, engine: string, { leader }: EngineFolder): Promise<string | null> {
  for (const until = performance.now() + START_MS; child.exitCode === null && child.signalCode === null;) {
    try {
      return await probe_engine(engine, leader);
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await sleep(PROBE_EVERY_MS);
  }
  return null;
}

async function end(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await closed;
  clearTimeout(kill);
}

function say_joins({ leader, files }: EngineFolder, version: string, dir: string, io: Io): void {
  const [first = ''] = files.agent;
  const join = (file: string): string => `--join ${leader.engine} --credentials ${file}`;
  io.out.line(`engine listening on ${leader.engine} (nats-server ${version}, ${dir})`);
  io.out.line(`each agent, with a file of its own (${files.agent.length} are there):`);
  io.out.line(`  swarm agent ${join(first)}`);
  io.out.line('whoever steers:');
  io.out.line(`  swarm run ${join(files.leader[0]!)} --server <host:port> --script <file>`);
}
