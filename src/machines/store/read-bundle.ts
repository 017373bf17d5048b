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
import { MAX_SLEEP } from '../../script/range.ts';
import {
  MAX_ACTIONS as ACTIONS_OF_SCRIPT,
  MAX_AT_ONCE,
  MAX_ITERATIONS,
  MAX_LOOPS,
  MAX_SIGMA,
} from '../../script/schema.ts';
import {
  actions_of,
  MAX_SHARE,
  NAME,
  type Action,
  type Distribution,
  type GroupScript,
  type Loop,
  type Range,
  type Rated,
  type ThinkTime,
} from '../../script/types.ts';
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

const GIVEN_NAME: Shape<string> = (value) =>
  typeof value === 'string' && NAME.test(value) ? value : fault('is no name of a group or loop');

const DISTRIBUTION = object<Distribution>({
  mean: number(0, MAX_SLEEP),
  distribution: one_of('exponential', 'lognormal'),
  sigma: number(0, MAX_SIGMA),
});
const THINK: Shape<ThinkTime> = (value) => (Array.isArray(value) ? RANGE(value) : DISTRIBUTION(value));

const RATED = object<Rated>({
  per_s: number(0, 1e6),
  poisson: flag,
  at_once: integer(1, MAX_AT_ONCE),
  give_up_ms: nullable(DURATION),
});

const ACTION = object<Action>({
  index: integer(0, ACTIONS_OF_SCRIPT - 1),
  name: exact(1000),
  command: exact(1000),
  args: record_of_args,
  rounds: RANGE,
  sleep_between_rounds: THINK,
  sleep_after_action: THINK,
  rate: nullable(RATED),
});
const LOOP = object<Loop>({
  name: GIVEN_NAME,
  actions: list(ACTION, ACTIONS_OF_SCRIPT),
  iterations: nullable(integer(1, MAX_ITERATIONS)),
  sleep_between_iterations: THINK,
});
const SCRIPT = object<GroupScript>({
  protocol: exact(300),
  loops: list(LOOP, MAX_LOOPS, 1),
  iterations_in_all: nullable(integer(1, MAX_ITERATIONS)),
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

const ANY_GROUPS = list(
  object<GroupSpec>({
    name: GIVEN_NAME,
    share: integer(0, MAX_SHARE),
    commands: list(exact(1000), MAX_ACTIONS),
    script: SCRIPT,
    among: nullable(COUNT),
  }),
  MAX_GROUPS,
  1,
);
const GROUPS: Shape<readonly GroupSpec[]> = (value) => {
  const groups = ANY_GROUPS(value);
  const actions = groups.reduce((all, { script }) => all + actions_of(script).length, 0);
  if (actions > ACTIONS_OF_SCRIPT) fault(`have ${actions} actions, at most ${ACTIONS_OF_SCRIPT} can be`);
  return new Set(groups.map(({ name }) => name)).size === groups.length ? groups : fault('has a group twice');
};

const RUN = object<RunSpec>({
  id: token,
  what: object<Played>({
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
    max_backlog: nullable(COUNT),
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
