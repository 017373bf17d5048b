/** What several benches do: a window of time on a process, the C client, a swarm from start to balanced books. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reference } from '../build.mjs';
import { cpu_s_of, rss_bytes_of, scoped, start } from './processes.mjs';
import { start_swarm } from './swarm.mjs';

/** From the last connection to the window: a daemon runs for hours, its first seconds are spent compiling. */
export const WARM_UP_MS = 3000;

/**
 * What a process does in the `seconds` from now.
 * @param {{ pid: number, server: import('./servers.mjs').Server, seconds: number }} options
 * @returns {Promise<{ cpu_us: number, per_cpu_s: number, per_s: number }>} CPU per message, messages per CPU second and per second
 */
export async function window_of({ pid, server, seconds }) {
  const before = { messages: await server.answered(), cpu_s: cpu_s_of(pid), ms: performance.now() };
  await sleep(seconds * 1000);
  const messages = (await server.answered()) - before.messages;
  const cpu_s = cpu_s_of(pid) - before.cpu_s;
  if (messages === 0) throw new Error(`no message within ${seconds} s`);
  return {
    cpu_us: (cpu_s / messages) * 1e6,
    per_cpu_s: messages / cpu_s,
    per_s: (messages / (performance.now() - before.ms)) * 1000,
  };
}

/** The C client in a closed loop, measured by itself with getrusage once all are connected. */
export function c_client({ server, connections, seconds }) {
  return scoped(async (keep) => {
    const child = await keep(
      start(reference('epoll_client'), ['127.0.0.1', String(server.port), String(connections), String(seconds)]),
    );
    const { round_trips, user_s, system_s, wall_s } = JSON.parse(await child.line((seconds + 60) * 1000));
    return { cpu_us: ((user_s + system_s) / round_trips) * 1e6, per_s: round_trips / wall_s };
  });
}

/**
 * A peer that is told to go on for longer than anybody waits, measured in the same way as swarm, ended.
 * @param {{ server: import('./servers.mjs').Server, connections: number, seconds: number, command: string, args: string[] }} options
 */
export function peer({ server, connections, seconds, command, args }) {
  return scoped(async (keep) => {
    const child = await keep(start(command, args, { lines: false }));
    await connected({ server, connections, child });
    return window_of({ pid: child.pid, server, seconds });
  });
}

/** Waits until the server has as many connections, and half a second more. @throws {Error} after `within_ms` (10 s), or when `child` died */
export async function connected({ server, connections, child, within_ms = 10_000 }) {
  for (const deadline = Date.now() + within_ms; server.clients() < connections; await sleep(50)) {
    const why =
      child.died() ?? (Date.now() > deadline ? `${server.clients()} of ${connections} connections` : undefined);
    if (why !== undefined) throw new Error(`the peer did not connect within ${within_ms} ms: ${why}`);
  }
  await sleep(500);
}

/** swarm in a closed loop: all connections, then a window. `options` as {@link swarm} takes them. */
export function closed_loop({ seconds, ...options }) {
  return swarm({
    ...options,
    connect_per_s: 1000,
    measure: async (pid, hold) => {
      await hold();
      return window_of({ pid, server: options.server, seconds });
    },
  });
}

/** swarm with connections that mostly sleep: a window, and what one costs in memory, in KB over the idle process. */
export function held({ server, seconds, connections, script }) {
  return swarm({
    server,
    script,
    connections,
    connect_per_s: 2000,
    measure: async (pid, hold) => {
      await sleep(1000); // idle: what start-up needed has been freed
      const idle = rss_bytes_of(pid);
      await hold();
      const figures = await window_of({ pid, server, seconds });
      return { ...figures, rss_kb: (rss_bytes_of(pid) - idle) / connections / 1024 };
    },
  });
}

/**
 * Starts a swarm, holds `connections`, measures, stops it; fails when its final summary and the server disagree about what was sent: a
 * generator that lost count measures nothing.
 * @template T
 * @param {{ server: import('./servers.mjs').Server, script: string, options?: readonly string[], connections: number,
 *   connect_per_s: number, measure: (pid: number, hold: () => Promise<void>) => Promise<T> }} options
 * @returns {Promise<T>}
 */
export function swarm({ server, script, options, connections, connect_per_s, measure }) {
  return scoped(async (keep) => {
    const daemon = await keep(start_swarm({ server_port: server.port, script, connect_per_s, options }));
    // now, when the server has answered what the reference left behind
    const before = await server.answered();
    const figures = await measure(daemon.pid, async () => {
      await daemon.hold(connections, Math.ceil(connections / connect_per_s) + 30);
      await sleep(WARM_UP_MS);
    });
    const { requests, balanced } = await daemon.stop();
    const answered = (await server.answered()) - before;
    if (requests.sent !== answered || !balanced) {
      throw new Error(
        `the books differ: swarm says ${requests.sent} requests sent, the server answered ${answered} (balanced: ${balanced})`,
      );
    }
    return figures;
  });
}
