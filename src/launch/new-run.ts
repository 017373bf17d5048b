/** Makes what all members need to know from the options and what was loaded. */
import { randomBytes } from 'node:crypto';
import type { OptionsWith } from '../options/options.ts';
import { without_rates } from '../script/rated.ts';
import type { ConnectionLimits, RunSpec } from '../swarm/plan/run-spec.ts';
import { groups_of, type Loaded } from './load.ts';
import { read_tls } from './tls-files.ts';

/**
 * A new run with an id of its own, and a new seed unless the options have one. `once`: for `swarm try`.
 * @throws SwarmError of {@link read_tls}
 */
export function new_run(
  options: OptionsWith<'server'>,
  loaded: Pick<Loaded, 'script' | 'modules' | 'module_sha256' | 'load'>,
  once: boolean,
): RunSpec {
  const { module_sha256 } = loaded;
  // `swarm try` plays each group once, its rated actions in turn
  const groups = groups_of(loaded).map((group) =>
    once ? { ...group, share: 1, script: without_rates(group.script) } : group,
  );
  return {
    id: `${new Date().toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(3).toString('hex')}`,
    what: { groups, module_sha256, seed: options.seed ?? randomBytes(8).toString('hex'), once },
    where: {
      servers: options.server,
      tls: read_tls(options),
      connection_limits: limits_of(options, once),
      keep_alive_ms: options.keep_alive,
    },
    how: {
      connect_timeout_ms: options.connect_timeout,
      reconnect_delay_ms: options.reconnect_delay,
      reply_timeout_ms: options.reply_timeout,
      drain_timeout_ms: options.drain_timeout,
      max_reply_bytes: options.max_reply,
      max_backlog: options.max_backlog,
    },
  };
}

function limits_of(options: OptionsWith<'server'>, once: boolean): ConnectionLimits | null {
  const limits = {
    up_bytes_per_s: options.limit_up,
    down_bytes_per_s: options.limit_down,
    // the only iteration of `swarm try` shall end by itself
    lifetime_ms: once ? null : options.max_lifetime,
    idle_ms: options.idle_timeout,
  };
  return Object.values(limits).every((limit) => limit === null) ? null : limits;
}
