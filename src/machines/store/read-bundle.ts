/** What a run is made of, as an agent reads it from the store: see readers.ts. */
import {
  any_json,
  exact,
  fault,
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  one_of,
  optional,
  reader,
  token,
  yes,
  type Shape,
} from '../../foundation/shape.ts';
import { MAX_ACTIONS, MAX_GROUPS } from '../../metrics/groups.ts';
import { COUNT } from '../../metrics/snapshot-shape.ts';
import type { Server } from '../../protocols/module.ts';
import type { Action, Range, Script } from '../../script/types.ts';
import { MAX_SHARE } from '../../swarm/plan/numbering.ts';
import type { ConnectionLimits, GroupSpec, How, Played, RunSpec, TlsSpec, Where } from '../../swarm/plan/run-spec.ts';
import type { Bundle } from './documents.ts';

/** characters */
const MAX_BUNDLE = 64 * 1024 * 1024;
const FILE = 64 * 1024;
const DURATION = number(0, 2 ** 31);
const PAIR = list(number(0, 2 ** 53), 2, 2);
const RANGE: Shape<Range> = (value) => {
  const [a, b] = PAIR(value) as unknown as Range;
  return a <= b ? (value as Range) : fault('is not a range');
};

const ACTION = object<Action>({
  index: integer(0, 1000),
  command: exact(1000),
  args: record_of_args,
  rounds: RANGE,
  sleep_between_rounds: RANGE,
  sleep_after_action: RANGE,
});

function record_of_args(value: unknown): Action['args'] {
  const is_one = typeof value === 'object' && value !== null && !Array.isArray(value);
  return is_one ? (any_json(value) as Action['args']) : fault('is not an object');
}

const TLS = object<TlsSpec>({
  ca: nullable(exact(1024 * FILE)),
  cert: nullable(exact(FILE * 16)),
  key: nullable(exact(FILE * 16)),
  servername: nullable(exact(300)),
  insecure: flag,
  min_version: nullable(one_of('TLSv1.2', 'TLSv1.3')),
  alpn: nullable(list(exact(255), 16)),
});

const LIMITS = object<ConnectionLimits>({
  up_bytes_per_s: nullable(COUNT),
  down_bytes_per_s: nullable(COUNT),
  lifetime_ms: nullable(RANGE),
  idle_ms: nullable(DURATION),
});

const SERVER = object<Server>({
  host: exact(300),
  port: integer(0, 65_535),
  path: optional(exact(200)),
  tls: optional(yes),
});

/** not a number: keys that are do not stay in their order */
const GROUP_NAME: Shape<string> = (value) =>
  typeof value === 'string' && /^[A-Za-z_][\w-]{0,63}$/.test(value) ? value : fault('is no name of a group');
const ANY_GROUPS = list(
  object<GroupSpec>({ name: GROUP_NAME, share: integer(1, MAX_SHARE), commands: list(exact(1000), MAX_ACTIONS) }),
  MAX_GROUPS,
  1,
);
const GROUPS: Shape<readonly GroupSpec[]> = (value) => {
  const groups = ANY_GROUPS(value);
  return new Set(groups.map(({ name }) => name)).size === groups.length ? groups : fault('has a group twice');
};

const RUN = object<RunSpec>({
  id: token,
  what: object<Played>({
    script: object<Script>({ protocol: exact(300), actions: list(ACTION, 1000) }),
    groups: GROUPS,
    module_sha256: token,
    seed: exact(1000),
    once: flag,
  }),
  where: object<Where>({
    servers: list(SERVER, 10_000, 1),
    tls: nullable(TLS),
    connection_limits: nullable(LIMITS),
    keep_alive_ms: nullable(DURATION),
  }),
  how: object<How>({
    connect_timeout_ms: DURATION,
    reconnect_delay_ms: RANGE,
    reply_timeout_ms: DURATION,
    drain_timeout_ms: DURATION,
    max_reply_bytes: COUNT,
  }),
});

export const read_bundle = reader(
  object<Bundle>({
    run: RUN,
    module_text: exact(MAX_BUNDLE),
    has_setup: flag,
    has_teardown: flag,
    script_sha256: token,
  }),
  MAX_BUNDLE,
);
