/** What members need to know, for tests: each names only the fields that matter to it, whatever part they are of. */
import { MAIN } from '../../src/metrics/groups.ts';
import type { Action } from '../../src/script/types.ts';
import type { GroupSpec, How, LiveSpec, MachineSpec, Played, RunSpec, Where } from '../../src/swarm/plan/run-spec.ts';
import { WHOLE } from '../../src/swarm/plan/segment.ts';

export type RunFields = Pick<RunSpec, 'id'> & Played & Where & How;

/** One round without sleeps, unless `fields` says otherwise. */
export const action_of = (fields: Partial<Action> = {}): Action => ({
  index: 0,
  name: fields.command ?? 'go',
  command: 'go',
  args: {},
  rounds: [1, 1],
  sleep_between_rounds: [0, 0],
  sleep_after_action: [0, 0],
  rate: null,
  ...fields,
});

/** A group that plays `actions` in one loop, without end; without a name: the only one of its run. */
export function group_of(
  fields: Partial<GroupSpec> & { readonly actions?: readonly Partial<Action>[] } = {},
): GroupSpec {
  const { actions: given = [], ...own } = fields;
  const actions = given.map((action, index) => action_of({ index, ...action }));
  const loops = [{ name: MAIN, actions, iterations: null, sleep_between_iterations: [0, 0] as const }];
  return {
    name: MAIN,
    share: 1,
    commands: actions.map(({ command }) => command),
    script: { protocol: 'p', loops, iterations_in_all: null },
    among: null,
    ...own,
  };
}

export const GROUPS: Played['groups'] = [group_of()];
const WHAT: Played = {
  groups: GROUPS,
  module_sha256: 'm',
  seed: 'seed',
  once: false,
};
const WHERE: Where = {
  servers: [{ host: '127.0.0.1', port: 1 }],
  tls: null,
  connection_limits: null,
  keep_alive_ms: null,
};
const HOW: How = {
  connect_timeout_ms: 3000,
  reconnect_delay_ms: [1000, 20_000],
  reply_timeout_ms: 30_000,
  drain_timeout_ms: 10_000,
  max_reply_bytes: 1 << 20,
  max_backlog: null,
};
const HERE: MachineSpec = {
  module_path: '/m.mjs',
  sources: { addresses: [], excluded_ports: [], kernel_ports: [32_768, 60_999], offset: 0 },
  segment: WHOLE,
};

/** Before anything happened. */
export const LIVE: LiveSpec = { shared: null, setup_by: null, teardown_by: null, retry_fatal: 0, zero_ms: 0 };

export const run_of = (fields: Partial<RunFields> = {}): RunSpec => ({
  id: fields.id ?? 'run-1',
  what: with_own(WHAT, fields),
  where: with_own(WHERE, fields),
  how: with_own(HOW, fields),
});

export const machine_of = (fields: Partial<MachineSpec> = {}): MachineSpec => with_own(HERE, fields);

/** Takes of `fields` those that `defaults` has. */
function with_own<T extends object>(defaults: T, fields: Partial<T>): T {
  const own = Object.entries(fields).filter(([key]) => key in defaults);
  return { ...defaults, ...Object.fromEntries(own) };
}
