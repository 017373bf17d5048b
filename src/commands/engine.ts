/** `swarm engine up`: a nats-server for swarms of many machines, with safe settings, in the foreground. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { claim_folder, prepare_engine, type EngineFolder } from '../engine/folder.ts';
import {
  answers,
  end,
  follow_stderr,
  free_port,
  is_sound_version,
  old_server,
  server_version,
} from '../engine/nats-server.ts';
import { is_loopback } from '../foundation/addresses.ts';
import { endpoint_text } from '../foundation/endpoint-text.ts';
import { SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { on_signals } from '../foundation/signals.ts';
import type { EngineOptions } from '../options/engine-options.ts';

export async function run_engine({ dir, listen, agents, hosts }: EngineOptions, io: Io): Promise<number> {
  process.umask(0o077);
  const is_sound = is_sound_version(server_version());
  const is_open = !is_loopback(listen.host);
  const lock = claim_folder(dir);
  const port = await free_port(listen.host, listen.port);
  // the address for this process: 0.0.0.0 and :: are no addresses to connect to
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
  const last_words = follow_stderr(child, io);
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

function say_joins({ leader, files }: EngineFolder, version: string, dir: string, io: Io): void {
  const [first = ''] = files.agent;
  const join = (file: string): string => `--join ${leader.engine} --credentials ${file}`;
  io.out.line(`engine listening on ${leader.engine} (nats-server ${version}, ${dir})`);
  io.out.line(`on each machine, with a credentials file of its own (${files.agent.length} exist):`);
  io.out.line(`  swarm agent ${join(first)}`);
  io.out.line('to start a run:');
  io.out.line(`  swarm run ${join(files.leader[0]!)} --server <host:port> --script <file>`);
}
