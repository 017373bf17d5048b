/**
 * A swarm of many machines on this one: a real engine, agents and coordinators as processes of their own, and a ledger that knows of each
 * request who sent it. What its users want to know of a run is measured from outside: at the ledger, and in what the engine has stored.
 */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFailed } from 'vitest';
import type { ConsoleClient } from '../../../src/console/console-client.ts';
import { prepare_engine } from '../../../src/engine/folder.ts';
import { adds_up, balance_of, course_of } from '../../../src/machines/store/course.ts';
import type { Credentials } from '../../../src/machines/store/credentials.ts';
import type { Desired, Lease, Presence, SwarmPlan } from '../../../src/machines/store/documents.ts';
import { open_nats_store } from '../../../src/machines/store/nats.ts';
import type { Store } from '../../../src/machines/store/store.ts';
import { check_books } from '../../../src/metrics/books.ts';
import type { Summary } from '../../../src/metrics/summary.ts';
import { start_ledger, type Ledger, type LedgerConnection, type LedgerOptions } from '../../ledger.ts';
import { free_port, HAS_NATS, NatsServer } from '../../machines/nats-server.ts';
import { PATIENCE_MS, until as wait_until } from '../../patience.ts';
import { Workplace, type SwarmProcess } from '../swarm-process.ts';

export { HAS_NATS };

/** `life` tells a client from an earlier one of its process that had the same id. */
export const MODULE = `import { line } from 'swarm';
let lives = 0;
export const ping = (client) => {
  const { memory } = client;
  memory.life ??= ++lives;
  memory.n = (memory.n ?? 0) + 1;
  return client.send_for_reply(\`ping \${process.pid} \${client.id} \${memory.life} \${memory.n}\\r\\n\`, line());
};
`;
const SCRIPT =
  'protocol: many\nactions:\n  - command: ping\n    sleep_between_rounds: [0.1, 0.3]\n    sleep_after_action: 0\n';
const SAMPLE_MS = 100;
const LOOK_MS = 25;
const MOST_CROWDED = 10;

/** Polls until `f` is true; resolves with the ms it took. */
export const until = (what: string, f: () => unknown): Promise<number> => wait_until(what, f, PATIENCE_MS, LOOK_MS);

/** What the machine was like, ten times a second: how many threads wanted to run. Of all worlds of this process. */
const looks: { readonly at: number; readonly running: number }[] = [];
const look_at_machine = (): void => {
  const [, running] = / (\d+)\/\d+ /.exec(readFileSync('/proc/loadavg', 'latin1'))!;
  looks.push({ at: performance.now(), running: Number(running) });
};

/** How busy the machine was in the last so many ms: threads that wanted to run for each core, 1 if nobody had to wait. */
export function crowding(ms = Infinity): number {
  const from = performance.now() - ms - SAMPLE_MS;
  const seen = looks.filter(({ at }) => at >= from).map(({ running }) => running);
  const mean = seen.reduce((all, one) => all + one, 0) / Math.max(1, seen.length);
  return Math.max(1, mean / availableParallelism());
}

/**
 * What a time that has just been measured may be: its bound, half of it more, and a second; as often as the machine was crowded while it passed, and
 * with the longest time for which this process stood still.
 */
export function with_slack(bound_ms: number, ms: number): number {
  const gaps = looks.map(({ at }, i) => (i > 0 && at >= performance.now() - ms ? at - looks[i - 1]!.at : 0));
  return (bound_ms * 1.5 + 1000) * crowding(ms) + Math.max(0, ...gaps);
}

/** Prints a measured number beside its bound, for people. */
export function measured(what: string, ms: number | readonly number[], bound_ms: number): void {
  const all = typeof ms === 'number' ? [ms] : [...ms];
  const shown = all.map((one) => Math.round(one)).sort((a, b) => a - b);
  const passed = typeof ms === 'number' ? ms : Infinity;
  console.log(
    `measured: ${what}: ${shown.join(', ')} ms (bound ${Math.round(bound_ms)} ms, crowding ${crowding(passed).toFixed(1)})`,
  );
  expect(Math.max(...all), what).toBeLessThanOrEqual(with_slack(bound_ms, passed));
}

const agent_name = (identity: number): string => `agent-${String(identity).padStart(2, '0')}`;
const note = (list: string[], text: string): unknown => list.length < 20 && list.push(text);

/** Who sent what: every request that the ledger read. */
export class Register {
  /** by process */
  readonly requests = new Map<number, number>();
  /** requests that came a second time; must stay empty */
  readonly twice: string[] = [];
  /** ids that two processes held at once; must stay empty: an agent that is silent may hold its own yet */
  readonly clashes: string[] = [];
  readonly #seen = new Set<string>();
  readonly #holders = new Map<number, { readonly pid: number; readonly connection: LedgerConnection }>();
  readonly #is_open: (connection: LedgerConnection) => boolean;

  constructor(is_open: (connection: LedgerConnection) => boolean) {
    this.#is_open = is_open;
  }

  note(line: string, connection: LedgerConnection): void {
    const [, pid, client, life, n] = line.split(' ').map(Number) as [number, number, number, number, number];
    if (this.#seen.has(line))
      note(this.twice, `request ${n} of client ${client} (life ${life}) of process ${pid} came twice`);
    this.#seen.add(line);
    this.requests.set(pid, (this.requests.get(pid) ?? 0) + 1);
    const holder = this.#holders.get(client);
    if (holder && holder.pid !== pid && this.#is_open(holder.connection))
      note(this.clashes, `client ${client} is at process ${holder.pid} and at process ${pid}`);
    if (holder?.connection !== connection) this.#holders.set(client, { pid, connection });
  }

  /** of these processes together */
  of(pids: readonly number[]): number {
    return pids.reduce((all, pid) => all + (this.requests.get(pid) ?? 0), 0);
  }
}

export interface AgentProcess {
  readonly id: string;
  readonly swarm: SwarmProcess;
}

export interface Coordinator {
  readonly swarm: SwarmProcess;
  readonly session: ConsoleClient;
  /** of its console */
  readonly address: string;
  /** its --summary */
  readonly file: string;
  readonly ask: (line: string, deadline_ms?: number) => Promise<string>;
  readonly status: () => Promise<Summary>;
}

export interface WorldOptions {
  /** default 20s. A number: of seconds on a machine that nobody else uses, more on one that is crowded, see {@link World.isolation_ms} */
  isolation?: string | number;
  /** default 5s */
  lease?: string;
  /** where engine and ledger listen, and how agents get there; default: loopback */
  host?: { readonly listen: string; readonly reach: string };
  /** started already, instead of one of its own */
  engine?: string;
  /** an engine that knows its agents: so many have names that stay, agent-01 the first */
  identities?: number;
  /** of the swarm; default main */
  name?: string;
  /** instead of those that say to the ledger who sends what */
  module?: string;
  script?: string;
  /** what the ledger does about a request; default: it answers OK */
  reply?: LedgerOptions['reply'];
}

export class World {
  readonly place = new Workplace();
  readonly engine: NatsServer;
  readonly agents: AgentProcess[] = [];
  readonly coordinators: Coordinator[] = [];
  ledger!: Ledger;
  register!: Register;
  /** of the run, once it is begun. An agent that gets no turn for so long closes its clients, as it must. */
  isolation_ms = 0;
  /** connections open at the ledger, ten times a second */
  readonly samples: { readonly at: number; readonly open: number }[] = [];
  /** told each request that the ledger read */
  on_request: (line: string) => void = () => {};
  readonly #options: WorldOptions;
  readonly #script: string;
  #store: Store | null = null;
  /** the leader's; null: the engine asks for none */
  #credentials: Credentials | null = null;
  #sampler: NodeJS.Timeout | undefined;

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.engine = new NatsServer(options.host?.listen);
    this.place.write('protocols/many.js', options.module ?? MODULE);
    this.#script = this.place.write('scripts/many.yml', options.script ?? SCRIPT);
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    onTestFailed(() => console.log(world.logs()));
    if (options.identities !== undefined) await world.#prepare_engine(options.identities);
    else if (options.engine === undefined) await world.engine.start();
    const open = new Set<LedgerConnection>();
    const register = new Register((connection) => open.has(connection));
    const ledger = await start_ledger({
      ...(options.host && { host: options.host.listen }),
      reply: (line, connection) => {
        register.note(line, connection);
        world.on_request(line);
        return options.reply?.(line, connection) ?? { text: 'OK' };
      },
    });
    const look = (): void => {
      const now = ledger.connections();
      open.clear();
      for (const connection of now) open.add(connection);
      world.samples.push({ at: performance.now(), open: now.length });
      look_at_machine();
    };
    world.#sampler = setInterval(look, SAMPLE_MS);
    Object.assign(world, { ledger, register });
    return world;
  }

  get name(): string {
    return this.#options.name ?? 'main';
  }

  get join(): string {
    const { engine, host } = this.#options;
    return engine ?? (host ? `nats://${host.reach}:${this.engine.port}` : this.engine.url);
  }

  /** Starts an agent; resolves when it offers itself. */
  async agent(workers = 1, through: readonly string[] = [], ...more: string[]): Promise<AgentProcess> {
    const own = ['--join', this.join, '--name', this.name, '--workers', String(workers)];
    const swarm = this.place.swarm_through(through, 'agent', ...own, ...more);
    const [, id] = await swarm.said(/^agent (\S+) offers/m);
    const agent: AgentProcess = { id: id!, swarm };
    this.agents.push(agent);
    return agent;
  }

  /** Starts the one of that identity, from 1. */
  async agent_of(identity: number): Promise<AgentProcess> {
    return await this.agent(1, [], ...this.#as(agent_name(identity)));
  }

  async all_agents(count: number, workers = 1): Promise<AgentProcess[]> {
    const has_names = this.#credentials !== null;
    return await Promise.all(
      Array.from({ length: count }, (_, i) => (has_names ? this.agent_of(i + 1) : this.agent(workers))),
    );
  }

  /** Begins a run and leads it. */
  async run(...more: string[]): Promise<Coordinator> {
    return await this.#coordinator('run', [], ...this.#made_of(more), ...more);
  }

  /** As {@link run}, but it may never have a console. */
  start_run(...more: string[]): SwarmProcess {
    const where = ['--join', this.join, '--name', this.name, '-l', '127.0.0.1:0'];
    return this.place.swarm('run', ...where, ...this.#made_of(more), ...more);
  }

  /** Another coordinator. */
  async attach(...more: string[]): Promise<Coordinator> {
    return await this.#coordinator('attach', [], ...more);
  }

  /** A console with the credentials of a viewer. */
  async view(): Promise<Coordinator> {
    return await this.#coordinator('attach', [], ...this.#as('viewer'));
  }

  /** As {@link run} or {@link attach}, behind a command that becomes it. */
  async through(prefix: readonly string[], command: 'run' | 'attach', ...more: string[]): Promise<Coordinator> {
    return await this.#coordinator(command, prefix, ...(command === 'run' ? this.#made_of(more) : []), ...more);
  }

  /** Of an agent's workers. */
  async workers_of({ id }: AgentProcess, { status }: Coordinator): Promise<number[]> {
    const { workers } = await status();
    return workers.filter((worker) => worker.id.startsWith(`${id}/`)).map(({ pid }) => pid);
  }

  /** What the engine has stored. Rejects when it does not answer. */
  async plan(): Promise<SwarmPlan> {
    return (await this.#stored<SwarmPlan>('plan'))!;
  }

  /** Null while the engine is away or has nothing. */
  async plan_if_any(): Promise<SwarmPlan | null> {
    return await this.#stored<SwarmPlan>('plan').catch(() => null);
  }

  async lease(): Promise<Lease | null> {
    return await this.#stored<Lease>('lease');
  }

  async desired(): Promise<Desired> {
    return (await this.#stored<Desired>('desired'))!;
  }

  async presence({ id }: AgentProcess): Promise<Presence> {
    return (await this.#stored<Presence>(`members.${id}`))!;
  }

  /** from the last word of an agent to its share's being given to others */
  get written_off_ms(): number {
    return this.isolation_ms + Math.max(1000, this.isolation_ms / 11);
  }

  get open(): number {
    return this.ledger.connections().length;
  }

  /** Resolves with the ms until so many are open at the ledger. */
  async until_open(count: number): Promise<number> {
    return await wait_until(
      () => `${count} connections open, not ${this.open}`,
      () => this.open === count,
      PATIENCE_MS,
      LOOK_MS,
    );
  }

  /** Connections that have ended at the ledger. */
  get ended(): number {
    return Object.values(this.ledger.books().closed).reduce((all, one) => all + one, 0);
  }

  /** The fewest and the most that were open since then (performance.now). */
  open_since(start: number, end = Infinity): { least: number; most: number } {
    const seen = this.samples.filter(({ at }) => at >= start && at <= end).map(({ open }) => open);
    return { least: Math.min(...seen), most: Math.max(...seen) };
  }

  /** Kills with -9 and waits for the end. */
  async kill({ swarm }: { readonly swarm: SwarmProcess }): Promise<void> {
    swarm.child.kill('SIGKILL');
    await swarm.exited;
  }

  /** Stops the run by this coordinator; its final summary, after a look at what must hold in every run. */
  async finish({ ask, status, swarm, file }: Coordinator): Promise<Summary> {
    // a connection that the ledger has may not be known yet to who made it: the stop would cancel it
    await until('what is open is known', async () => (await status()).connections.open === this.open);
    expect(await ask('stop')).toMatch(/^OK stopping/);
    const exit = await swarm.exited;
    await this.ledger.settled();
    const summary = JSON.parse(readFileSync(file, 'utf8')) as Summary;
    // an end of which something may be left is no good one
    expect(exit, swarm.err).toBe(summary.possibly_open! > 0 ? 1 : 0);
    expect(this.register.twice).toEqual([]);
    expect(this.register.clashes).toEqual([]);
    expect(check_books(summary, true)).toEqual([]);
    return summary;
  }

  /** The ledger read what the summary says was sent, no more and no less. */
  expect_exact(summary: Summary): void {
    const { requests, accepted } = this.ledger.books();
    const { established, cancelled } = summary.connections;
    expect(summary.requests.sent).toBe(requests);
    // of those that were cancelled the kernel may have made some
    expect(accepted).toBeGreaterThanOrEqual(established);
    expect(accepted).toBeLessThanOrEqual(established + cancelled);
    expect(summary).toMatchObject({ balanced: true, complete: true, lost_workers: [] });
  }

  /** What agents told of each second adds up to the summary, and of no second nobody told. */
  async expect_course(summary: Summary): Promise<void> {
    await this.lease();
    let course = course_of([], summary);
    // an agent tells of its last seconds when the run is over
    await until('the course of the run adds up', async () => {
      course = course_of(await this.#store!.appended(summary.run.id), summary);
      return adds_up(course, summary);
    }).catch(() => expect(balance_of(course, summary)).toEqual([]));
    // of a machine that others use too: it may have stood still for a second
    expect(course.missing.reduce((all, { from, to }) => all + to - from + 1, 0)).toBeLessThanOrEqual(2);
  }

  /** What the summary misses: of somebody's last moments, who is named in it. */
  missing_in(summary: Summary): { requests: number; connections: number } {
    const { requests, accepted } = this.ledger.books();
    return {
      requests: requests - summary.requests.sent,
      connections: accepted - summary.connections.established,
    };
  }

  /** Everything that processes said, for a test that failed. */
  logs(): string {
    const one = (name: string, { out, err }: SwarmProcess): string =>
      `--- ${name}\n${out
        .split('\n')
        .filter((text) => !/^(run|drain|stop|pause) \d|^ {2}/.test(text))
        .join('\n')}${err}`;
    return [
      ...this.coordinators.map(({ swarm }, i) => one(`coordinator ${i + 1} (pid ${swarm.child.pid})`, swarm)),
      ...this.agents.map(({ id, swarm }) => one(`agent ${id} (pid ${swarm.child.pid})`, swarm)),
    ].join('\n');
  }

  /** Ends everything. */
  async close(): Promise<void> {
    clearInterval(this.#sampler);
    for (const { session } of this.coordinators) session.close();
    await this.#store?.close();
    await this.place.close();
    await this.engine.remove();
    await this.ledger.close();
  }

  async #prepare_engine(agents: number): Promise<void> {
    const { engine } = this;
    engine.port = await free_port();
    const listen = `127.0.0.1:${engine.port}`;
    const wish = { dir: join(this.place.folder, 'engine'), listen, url: engine.url, certified: null, agents };
    mkdirSync(wish.dir);
    const { config, leader } = prepare_engine(wish);
    for (const user of ['leader', 'viewer', ...Array.from({ length: agents }, (_, i) => agent_name(i + 1))])
      chmodSync(join(wish.dir, `${user}.json`), 0o600);
    await engine.start_with(config);
    this.#credentials = leader;
  }

  #as(user: string): string[] {
    return this.#credentials ? ['--credentials', join(this.place.folder, 'engine', `${user}.json`)] : [];
  }

  /** What a run is made of, besides `more`. */
  #made_of(more: readonly string[]): string[] {
    const { isolation = '20s', host } = this.#options;
    const s =
      typeof isolation === 'number' ? Math.ceil(isolation * Math.min(MOST_CROWDED, crowding())) : parseInt(isolation);
    this.isolation_ms = 1000 * s;
    const server = `${host?.reach ?? '127.0.0.1'}:${this.ledger.port}`;
    const agents = more.includes('--min-agents') ? [] : ['--min-agents', String(this.agents.length)];
    return ['-r', server, '-s', this.#script, '--isolation', `${s}s`, ...agents];
  }

  async #coordinator(command: 'run' | 'attach', through: readonly string[], ...more: string[]): Promise<Coordinator> {
    const { lease = '5s' } = this.#options;
    const file = join(this.place.folder, `summary-${this.coordinators.length + 1}-${process.hrtime.bigint()}.json`);
    const common = ['--join', this.join, '--name', this.name, '--lease', lease, '-l', '127.0.0.1:0', '--summary', file];
    const own = more.includes('--credentials') ? [] : this.#as('leader');
    const swarm = this.place.swarm_through(through, command, ...common, ...own, ...more);
    const session = await swarm.console();
    const ask = async (line: string, deadline_ms?: number): Promise<string> =>
      (await session.ask(line, deadline_ms)).join('\n');
    const status = async (): Promise<Summary> => JSON.parse((await ask('status json')).replace(/^OK /, '')) as Summary;
    const [, address] = await swarm.said(/^console listening on (\S+)/m);
    const coordinator: Coordinator = { swarm, address: address!, session, file, ask, status };
    this.coordinators.push(coordinator);
    return coordinator;
  }

  /** All documents whose keys begin so. */
  async list<T>(prefix: string): Promise<T[]> {
    await this.lease();
    return (await this.#store!.list(prefix)).map(({ text }) => JSON.parse(text) as T);
  }

  async #stored<T>(key: string): Promise<T | null> {
    this.#store ??= await open_nats_store({ engine: this.join, name: this.name, credentials: this.#credentials });
    const entry = await this.#store.get(key);
    return entry && (JSON.parse(entry.text) as T);
  }
}
