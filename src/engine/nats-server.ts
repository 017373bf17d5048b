/** A nats-server as a child process: its version, whether it answers, what it died of, its end. */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { probe_engine } from '../machines/store/jetstream.ts';
import type { EngineFolder } from './folder.ts';

const START_MS = 60_000;
const PROBE_EVERY_MS = 100;
const END_MS = 5000;
/** Older servers have known security holes. */
const SOUND_VERSION = [2, 10, 27] as const;

/**
 * The version from a line such as `nats-server: v2.9.10`; '' when there is none.
 * @throws SwarmError `engine_missing`
 */
export function server_version(): string {
  const { error, stdout } = spawnSync('nats-server', ['--version'], { encoding: 'utf8' });
  if (!error) return /v(\S+)/.exec(stdout)?.[1] ?? '';
  const is_missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  throw new SwarmError('engine_missing', { reason: is_missing ? 'there is no such command' : reason_of(error) }, error);
}

/** Whether the version has none of the known holes. */
export function is_sound_version(version: string): boolean {
  const parts = version.split('.').map((part) => parseInt(part, 10));
  const differs = SOUND_VERSION.findIndex((wanted, i) => parts[i] !== wanted);
  return differs < 0 || parts[differs]! > SOUND_VERSION[differs]!;
}

/** The warning about a version that has them. */
export const old_server = (version: string): string =>
  `swarm: nats-server ${version} is older than ${SOUND_VERSION.join('.')} and has known holes: let only machines that you trust reach it (docs/security.md)`;

/**
 * Returns `port`, or for 0 a port that is free now.
 * @throws SwarmError `engine_listen`
 */
export async function free_port(host: string, port: number): Promise<number> {
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

/** Passes warnings and errors on to stderr. The returned function tells its last error, else its last line. */
export function follow_stderr(child: ChildProcess, io: Io): () => string {
  let last = '';
  let last_error = '';
  createInterface({ input: child.stderr! }).on('line', (line) => {
    last = line;
    if (is_error(line)) last_error = line;
    if (is_error(line) || /\[WRN\]/.test(line)) io.err.line(line);
  });
  return () => last_error || last;
}

/** Lines from before it has read its configuration have no `[pid]` in front, and are errors. */
export const is_error = (line: string): boolean => /\[(ERR|FTL)\]/.test(line) || !line.startsWith('[');

/**
 * Its version, once it lets the leader in; null: it ended.
 * @throws the last error when it lets nobody in for 60 s
 */
export async function answers(child: ChildProcess, engine: string, { leader }: EngineFolder): Promise<string | null> {
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

export async function end(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await closed;
  clearTimeout(kill);
}
