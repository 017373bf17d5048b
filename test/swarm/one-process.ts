/** A population in the test's process: module functions and a script as values, no files, no coordinator. */
import { now, Wheel } from '../../src/foundation/clock.ts';
import { MAIN } from '../../src/metrics/groups.ts';
import { Recorder } from '../../src/metrics/recorder.ts';
import type { GroupSnapshot, Snapshot } from '../../src/metrics/snapshot.ts';
import type { FakeClient } from '../../src/protocols/client.ts';
import type { ProtocolModule } from '../../src/protocols/module.ts';
import type { Loop, Range, Rated, ThinkTime } from '../../src/script/types.ts';
import { Endpoints } from '../../src/swarm/client/endpoints.ts';
import type { GroupShare, Orders } from '../../src/swarm/plan/orders.ts';
import type { LiveSpec, MachineSpec, RunSpec, Sources } from '../../src/swarm/plan/run-spec.ts';
import { Populations } from '../../src/swarm/worker/populations.ts';
import { main_of } from '../metrics/one-group.ts';
import { PATIENCE_MS, until as wait_until } from '../patience.ts';
import { action_of, group_of, machine_of, run_of, type RunFields } from './specs.ts';

export type Command = (client: FakeClient, args: Readonly<Record<string, unknown>>) => unknown;

interface ActionOptions {
  rounds?: Range;
  between?: ThinkTime;
  after?: ThinkTime;
  args?: Record<string, unknown>;
  /** its rounds are slots then; share what they are in \`rates\` */
  rate?: Partial<Rated>;
}

export interface OneProcessOptions {
  port: number;
  /** in script order; each is played once per iteration with no sleep unless `actions` says otherwise */
  commands: Record<string, Command>;
  actions?: Record<string, ActionOptions>;
  module?: Partial<Omit<ProtocolModule, 'commands'>>;
  run?: Partial<RunFields & MachineSpec & Pick<LiveSpec, 'shared'> & { readonly connect_per_s: number }>;
  /** by name, of `commands` in their order; default: `main` with all of them, without end */
  loops?: Record<string, { commands: readonly string[]; iterations?: number | null; between?: ThinkTime }>;
  iterations_in_all?: number;
  /** over how many clients these are divided */
  among?: number;
  capacity?: number;
  /** ms of the clock at run time 0; default: when it starts */
  zero_ms?: number;
  /** besides `main`, which plays the same */
  groups?: readonly string[];
}

/** of the one group, and the errors of the process */
export type Books = GroupSnapshot & Pick<Snapshot, 'errors'>;

export interface OneProcess {
  readonly population: Populations;
  readonly run: RunSpec;
  readonly bugs: unknown[];
  /** what a worker would warn of, each time */
  readonly warned: string[];
  books(): Books;
  measured(): Snapshot;
  /** sets the share and the phase; ids are 1, 2, 3 … */
  apply(clients: number, phase?: Orders['phase'], share?: Partial<GroupShare>): void;
  /** until `condition` holds, looked at each turn; rejects with the books after 10 s */
  until(condition: (books: Books) => boolean): Promise<Books>;
  /** takes every client away and checks that nothing is left */
  close(): Promise<Books>;
}

export async function start_one_process(options: OneProcessOptions): Promise<OneProcess> {
  const names = Object.keys(options.commands);
  let index = 0;
  const loops = Object.entries(options.loops ?? { [MAIN]: { commands: names } }).map(([name, loop]): Loop => {
    const actions = loop.commands.map((command) => {
      const { between = [0, 0], after = [0, 0], args = {}, rate, ...more } = options.actions?.[command] ?? {};
      const sleeps = { sleep_between_rounds: between, sleep_after_action: after };
      const rated = rate === undefined ? null : { per_s: 0, poisson: false, at_once: 1, give_up_ms: null, ...rate };
      const { rounds = rated ? [0, 0] : [1, 1] } = more;
      return action_of({ index: index++, command, args: Object.freeze(args), rounds, ...sleeps, rate: rated });
    });
    return { name, actions, iterations: loop.iterations ?? null, sleep_between_iterations: loop.between ?? [0, 0] };
  });
  const { iterations_in_all = null, among = null } = options;
  const script = { protocol: 'p', loops, iterations_in_all };
  const { connect_per_s = 10_000, shared, ...fields } = options.run ?? {};
  const run = run_of({
    servers: [{ host: '127.0.0.1', port: options.port }],
    groups: [MAIN, ...(options.groups ?? [])].map((name) => group_of({ name, commands: names, script, among })),
    connect_timeout_ms: 2000,
    reconnect_delay_ms: [1, 5],
    reply_timeout_ms: 5000,
    drain_timeout_ms: 5000,
    ...fields,
  });
  const machine = machine_of(fields);
  const all = new Recorder();
  const wheel = new Wheel();
  const bugs: unknown[] = [];
  const warned: string[] = [];
  const population = new Populations({
    run,
    machine,
    member: 'm1',
    wheel,
    zero_ms: options.zero_ms ?? now(),
    capacity: () => options.capacity ?? 10_000,
    bug: (error) => bugs.push(error),
    unasked: (text) => void warned.push(text),
    created: () => {},
    emptied: () => {},
    expired: () => {},
  });
  const endpoints: Endpoints[] = [];
  for (const group of [MAIN, ...(options.groups ?? [])]) {
    const recorder = all.group(group, names.length + 1);
    const { servers } = run.where;
    const { sources } = machine;
    const counts = recorder.endpoint.bind(recorder);
    const of_group = await Endpoints.start({ servers, sources: sources.addresses, counts });
    endpoints.push(of_group);
    const module = { ...options.module, commands: options.commands };
    population.add(group, { recorder, endpoints: of_group, module, shared: shared?.value });
  }
  const measured = (): Snapshot => {
    population.count_slots();
    return all.snapshot({ cpu_s: 0, cpu: 0, rss_bytes: 0, lag_p99_ms: 0 });
  };
  const books = (): Books => {
    const { groups, errors } = measured();
    return { ...main_of({ groups }), errors };
  };
  let granted = 0;
  const apply: OneProcess['apply'] = (clients, phase = 'run', share = {}) => {
    granted = Math.max(granted, clients);
    const main = {
      clients,
      ids: granted > 0 ? ([[1, granted, 1]] as const) : [],
      ports: [],
      connect_per_s,
      rate_parts: 1,
      graceful: false,
      ...share,
    };
    void population.apply({ main }, phase);
  };
  const until: OneProcess['until'] = async (condition) => {
    let now = books();
    const shown = (): string => `books: ${JSON.stringify(now, null, 1)}`;
    await wait_until(shown, () => condition((now = books())), PATIENCE_MS, 2);
    return now;
  };
  return {
    population,
    run,
    bugs,
    warned,
    books,
    measured,
    apply,
    until,
    async close() {
      apply(0, 'stop');
      population.close();
      for (const one of endpoints) one.close();
      const after = await until(() => population.live === 0);
      wheel.stop();
      return after;
    },
  };
}

/** Numbering that begins at `port` of the first address. */
export const starting_at = (port: number, addresses: string[]): Sources => ({
  addresses,
  excluded_ports: [],
  // out of the way: numbering begins at 1026 otherwise
  kernel_ports: [1024, 1025],
  offset: port - 1026,
});

/** The equations of docs/summary.md that a member's own books must satisfy at every instant; returns those that do not hold. */
export function imbalances(s: GroupSnapshot): string[] {
  const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0);
  const wrong: string[] = [];
  const equal = (name: string, left: number, right: number): void => {
    if (left !== right) wrong.push(`${name}: ${left} ≠ ${right}`);
  };
  const { clients, connections, requests } = s;
  equal('clients', clients.created, sum(clients.states) + clients.killed.decr + clients.killed.stop + clients.done);
  equal(
    'attempted',
    connections.attempted,
    connections.connecting + connections.established + sum(connections.failed) + connections.cancelled,
  );
  const endpoints = Object.values(s.endpoints);
  for (const what of ['attempted', 'connecting', 'established', 'open', 'cancelled'] as const) {
    const of_each = endpoints.reduce((all, one) => all + one[what], 0);
    equal(`${what} of all endpoints`, connections[what], of_each);
  }
  for (const one of endpoints) {
    equal('to an endpoint', one.attempted, one.connecting + one.established + one.failed + one.cancelled);
    equal('established to it', one.established, one.open + one.closed);
  }
  equal('established', connections.established, connections.open + sum(connections.closed));
  equal('sent', requests.sent, requests.in_flight + requests.ok + requests.wrong + requests.timeout + requests.aborted);
  s.actions.forEach((a, i) => equal(`rounds ${i}`, a.started, a.running + a.ok + sum(a.failed) + a.aborted));
  s.actions.forEach((a, i) => equal(`latencies ${i}`, a.ok, a.service.count));
  for (const [i, { started, slots }] of s.actions.entries()) {
    if (slots === undefined) continue;
    equal(`slots ${i}`, slots.planned, started + slots.waiting + sum(slots.dropped));
    equal(`late ${i}`, started, slots.late.count);
  }
  return wrong;
}
