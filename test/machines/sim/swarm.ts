/**
 * A whole swarm of many machines in a world: coordinators and agents as they are, crews that pretend, an operator and misfortunes drawn from
 * the seed. {@link play} rejects with the first thing that is not as it must be; `Truth` says what that is.
 */
import type { Command } from '../../../src/grammar/command.ts';
import { sentence } from '../../../src/grammar/sentences.ts';
import { Agent } from '../../../src/machines/agent/swarm-agent.ts';
import type { RunEnd } from '../../../src/machines/coordinator/leading.ts';
import { ManyCoordinator } from '../../../src/machines/coordinator/many-coordinator.ts';
import { DESIRED } from '../../../src/machines/coordinator/view.ts';
import type { Bundle, Desired, RunHeader } from '../../../src/machines/store/documents.ts';
import type { Store } from '../../../src/machines/store/store.ts';
import { targets_of, type Sum } from '../../../src/swarm/plan/intent.ts';
import { advance, step_of } from '../../../src/swarm/plan/load-play.ts';
import type { GroupSpec } from '../../../src/swarm/plan/run-spec.ts';
import { group_of, run_of } from '../../swarm/specs.ts';
import { CrewSlots } from './crew-slots.ts';
import { FakeCrew } from './crew.ts';
import { ROUGH } from './faults.ts';
import { parse_once } from './parse-once.ts';
import type { Process } from './process.ts';
import type { SimRandom } from './random.ts';
import { Truth, type Asked } from './truth.ts';
import { World } from './world.ts';

const HOUR_MS = 3_600_000;
const STEP_MS = 250;

export interface SwarmOptions {
  /** from the agents' start to the run's */
  readonly first_ms: number;
  readonly coordinators: number;
  readonly agents: number;
  readonly isolation_ms: number;
  readonly lease_ms: number;
  readonly has_hooks: boolean;
  /** shares of the groups of the run */
  readonly groups: readonly number[];
  /** per second, of the only action; null: there is none */
  readonly rate?: { readonly per_s: number; readonly poisson: boolean } | null;
  /** of wall clocks, up to so much either way */
  readonly skew_ms: number;
}

interface Machine {
  readonly name: string;
  readonly capacity: number;
  readonly weight: number;
  /** it comes back on the same host, where it is known that the one before it is dead */
  can_tell: boolean;
  process: Process;
  agent: Agent;
  incarnation: string;
}

interface Desk {
  readonly name: string;
  process: Process;
  joined: ManyCoordinator;
  is_playing: boolean;
  asked: Asked | null;
  /** of its last command that was answered */
  last_seq: number;
  end: RunEnd | null;
}

export class SimSwarm {
  readonly world: World;
  readonly truth: Truth;
  readonly groups: readonly GroupSpec[];
  readonly machines: Machine[] = [];
  readonly desks: Desk[] = [];
  readonly #options: SwarmOptions;
  readonly #random: SimRandom;
  readonly #run: RunHeader;
  readonly #bundle: Bundle;
  #processes = 0;
  #incarnations = 0;

  constructor(world: World, options: SwarmOptions) {
    this.world = world;
    this.#options = options;
    this.#random = world.random.fork();
    const { rate } = options;
    this.groups = rate
      ? [group_of({ actions: [{ rate: { ...rate, give_up_ms: null, at_once: 1 } }] })]
      : options.groups.map((share, i) => group_of({ name: `g${i + 1}`, share }));
    this.truth = new Truth(world, this.groups);
    this.#run = {
      id: 'r1',
      swarm: 'sim',
      bundle_sha256: '00',
      isolation_ms: options.isolation_ms,
      agents: Math.min(2, options.agents),
      signature: '',
      started: '2026-01-01T00:00:00Z',
    };
    this.#bundle = {
      run: run_of({ id: 'r1', drain_timeout_ms: 3000, groups: this.groups }),
      module_text: '',
      has_setup: options.has_hooks,
      has_teardown: options.has_hooks,
      script_sha256: '',
    };
    for (let i = 1; i <= options.coordinators; i++) this.desks.push(this.#open_desk(`c${i}`));
    for (let i = 1; i <= options.agents; i++) this.machines.push(this.#start_machine(`a${i}`));
  }

  /** Starts the run at the first coordinator, and lets the others join it. */
  async begin(): Promise<void> {
    await this.until(this.#options.first_ms);
    const [first, ...others] = this.desks;
    let failed: unknown = null;
    first!.joined.start(this.#run, this.#bundle, 1000, false, 20_000).then(
      () => (first!.is_playing = true),
      (error: unknown) => (failed = error),
    );
    for (const desk of others) this.#join(desk);
    await this.wait(() => first!.is_playing || failed !== null, 20_000);
    if (failed) throw failed as Error;
    if (!(await this.wait(() => this.truth.plan?.stage === 'open', 10_000))) throw new Error('it does not open');
  }

  /** Lets the world run up to an instant; rejects with what is wrong by then. */
  async until(ms: number): Promise<void> {
    while (this.world.now < ms) {
      await this.world.run_until(Math.min(ms, this.world.now + STEP_MS));
      this.truth.check();
    }
  }

  /** True as soon as something holds, false after `within_ms`. */
  async wait(is_so: () => boolean, within_ms: number): Promise<boolean> {
    const end = this.world.now + within_ms;
    while (!is_so()) {
      if (this.world.now >= end) return false;
      await this.until(Math.min(end, this.world.now + STEP_MS));
    }
    return true;
  }

  /** Has a coordinator carry out a command; false: none can be asked now. */
  command(command: Command, desk = this.#idle_desk()): boolean {
    if (!desk) return false;
    const asked: Asked = { desk: desk.process.name, command, seqs: new Set(), reply: null, is_lost: false };
    this.world.note(`${desk.process.name} is asked: ${JSON.stringify(command)}`);
    desk.asked = asked;
    this.truth.asked.push(asked);
    void desk.joined.apply(command, 'somebody').then((reply) => {
      this.world.note(`${desk.process.name} answers: ${reply.ok ? 'OK' : `ERR ${reply.code}`} ${sentence(reply)}`);
      asked.reply = reply;
      if (desk.asked !== asked) return;
      desk.last_seq = Math.max(desk.last_seq, ...asked.seqs);
      desk.asked = null;
    });
    return true;
  }

  crash_machine(machine: Machine): void {
    for (const crew of this.truth.crews_of(machine.process)) this.truth.crash(crew);
    machine.process.crash();
  }

  add_machine(): void {
    this.machines.push(this.#start_machine(`a${this.machines.length + 1}`));
  }

  restart_machine(machine: Machine): void {
    if (!machine.process.alive) Object.assign(machine, this.#boot(machine.name, machine.capacity, machine.weight));
  }

  restart_desk(desk: Desk): void {
    if (desk.process.alive) return;
    this.#open_desk(desk.name, desk);
    this.#join(desk);
  }

  /** SIGSTOP. */
  freeze(process: Process, ms: number): void {
    this.truth.troubled(process, ms);
    const crews = this.truth.crews_of(process);
    if (!process.asleep) for (const crew of crews) crew.settle(false);
    // before it wakes
    this.world.schedule(ms, null, () => this.#settle(process));
    process.pause(ms);
  }

  heal(): void {
    for (const { process } of this.machines) this.#settle(process);
    this.world.heal();
  }

  /** Clients that the living agents can hold. */
  get capacity(): number {
    const drained = this.truth.desired?.drained ?? [];
    const up = this.machines.filter(({ process, name }) => process.alive && !drained.includes(name));
    return up.reduce((all, { capacity }) => all + capacity, 0);
  }

  #settle(process: Process): void {
    if (!process.asleep || !process.alive) return;
    this.truth.woke(process);
    for (const crew of this.truth.crews_of(process)) crew.settle(true);
  }

  #idle_desk(): Desk | undefined {
    const able = this.desks.filter(
      ({ process, is_playing, asked }) => process.alive && !process.asleep && is_playing && !asked,
    );
    return able.length > 0 ? this.#random.pick(able) : undefined;
  }

  #process(name: string): Process {
    const { skew_ms } = this.#options;
    const skew = Math.round(this.#random.real(-skew_ms, skew_ms));
    return this.world.process(`${name}-${++this.#processes}`, { skew_ms: skew, origin_ms: this.#random.int(0, 1e6) });
  }

  /** `desk`: of a process that crashed. */
  #open_desk(name: string, desk = {} as Desk): Desk {
    const process = this.#process(name);
    Object.assign(desk, { name, process, is_playing: false, asked: null, last_seq: 0, end: null });
    desk.joined = new ManyCoordinator({
      store: this.#listening(process.store, desk),
      timers: process.clock,
      id: process.name,
      host: name,
      console: () => name,
      lease_ms: this.#options.lease_ms,
      gather_ms: 10_000,
      only_looks: false,
      max_connections: null,
      max_connect_per_s: null,
      versions: { swarm: 'sim', node: 'sim' },
      on_note: (worker, { level, text }) => this.world.note(`${process.name} ${level}: ${worker}: ${text}`),
    });
    return desk;
  }

  #join(desk: Desk): void {
    const { process, joined } = desk;
    const join = async (): Promise<void> => {
      for (;;) {
        try {
          const plan = await joined.attach(20_000);
          await process.clock.sleep(this.#random.int(1, 200));
          joined.play(plan.run, this.#bundle);
          desk.is_playing = true;
          return;
        } catch {
          await process.clock.sleep(500);
        }
      }
    };
    void join();
  }

  /** Learns which number of the session stands for which command. */
  #listening(store: Store, desk: Desk): Store {
    const { process } = desk;
    return {
      get: (key) => store.get(key),
      put: (key, text, revision) => {
        if (key === DESIRED && desk.asked) {
          const { sessions } = JSON.parse(text) as Desired;
          const seq = sessions[process.name]?.seq;
          // not what is written anew after the engine lost its memory
          if (seq !== undefined && seq > desk.last_seq) desk.asked.seqs.add(seq);
        }
        return store.put(key, text, revision);
      },
      list: (prefix) => store.list(prefix),
      remove: (key) => store.remove(key),
      watch: (prefix, f) => store.watch(prefix, f),
      nudge: (agent, text) => store.nudge(agent, text),
      on_nudge: (agent, f) => store.on_nudge(agent, f),
      append: (...told) => store.append(...told),
      appended: (run) => store.appended(run),
      close: () => store.close(),
    };
  }

  #start_machine(name: string): Machine {
    const capacity = this.#random.pick([20, 50, 100, 200]);
    return this.#boot(name, capacity, this.#random.pick([1, 1, 1, 2, 0.5]));
  }

  #boot(name: string, capacity: number, weight: number): Machine {
    const process = this.#process(name);
    const { clock, random } = process;
    const can_tell = random.chance(0.8);
    const machine: Machine = { name, capacity, weight, can_tell, process, agent: null!, incarnation: '' };
    const is_alive = (pid: number): boolean => this.world.processes[pid]?.alive === true;
    machine.agent = new Agent({
      store: process.store,
      timers: clock,
      id: name,
      facts: {
        host: `host-${name}`,
        pid: this.world.processes.indexOf(process),
        swarm: 'sim',
        node: 'v0',
        labels: [],
        machine: name,
        weight,
      },
      max_connections: null,
      make: async () => {
        await clock.sleep(random.int(20, 400));
        const made = (slot: number): void => this.truth.made_slot(slot, machine.incarnation);
        const slots = (): CrewSlots => new CrewSlots({ process, workers: random.int(1, 3), key: 'main.0', made });
        const crew = new FakeCrew({
          slots: this.#options.rate ? slots() : null,
          process,
          agent: name,
          capacity,
          incarnation: () => machine.incarnation,
          changed: (which, before) => this.truth.changed(which, before),
        });
        this.truth.crews.push(crew);
        return crew;
      },
      log: (level, text) => this.world.note(`${process.name} ${level}: ${text}`),
      is_dead: ({ pid }) => can_tell && !is_alive(pid),
      new_incarnation: () => (machine.incarnation = `${name}-${++this.#incarnations}`),
    });
    machine.agent.failed.catch((error: Error) => {
      this.world.note(`${process.name} gives up: ${error.message}`);
      void machine.agent.close();
    });
    return machine;
  }
}

/** what runs are made of: mostly one group */
const GROUPS = [[1], [1], [1], [1, 9], [3, 1, 2], [7, 10_000]] as const;

export type Misfortune = 'none' | 'gentle' | 'rough';

/** What is drawn of a play: one of so many processes, and ranges of ms. */
interface Length {
  /** from the agents' start to the run's */
  readonly first_ms: Range;
  readonly coordinators: readonly number[];
  readonly agents: readonly number[];
  readonly isolation_ms: Range;
  readonly lease_ms: Range;
  /** in which anything may happen */
  readonly lasts_ms: Range;
  /** between two commands, between two blows */
  readonly command_ms: Range;
  readonly blow_ms: Range;
  /** of an `over` */
  readonly over_ms: Range;
  /** until what crashed is started anew */
  readonly dead_ms: Range;
  /** for what was sent before all is well again and arrives after it */
  readonly late_ms: number;
  /** from when all is well again to the end */
  readonly calm_ms: Range;
}

type Range = readonly [least: number, most: number];

/** Short ones are many: the same as happens in a long one, but less of it one after the other, at a fifth of the cost. */
const LENGTHS = {
  short: {
    first_ms: [0, 300],
    coordinators: [1, 2],
    agents: [1, 1, 2, 2, 3],
    isolation_ms: [2000, 2500],
    lease_ms: [1000, 1500],
    lasts_ms: [800, 2500],
    command_ms: [100, 900],
    blow_ms: [200, 1200],
    late_ms: 300,
    over_ms: [300, 1500],
    dead_ms: [100, 1500],
    calm_ms: [0, 500],
  },
  long: {
    first_ms: [0, 1000],
    coordinators: [1, 2, 3],
    agents: [1, 2, 3, 4, 5, 6],
    isolation_ms: [3000, 6000],
    lease_ms: [1000, 3000],
    lasts_ms: [8000, 25_000],
    command_ms: [300, 4000],
    blow_ms: [1000, 6000],
    late_ms: 2000,
    over_ms: [500, 8000],
    dead_ms: [100, 8000],
    calm_ms: [0, 1500],
  },
} as const satisfies Record<string, Length>;

export interface Play {
  readonly misfortune: Misfortune;
  readonly length: keyof typeof LENGTHS;
}

/** What a seed stands for. */
export const play_of = (seed: number): Play => ({
  misfortune: seed % 20 === 0 ? 'none' : seed % 2 === 0 ? 'rough' : 'gentle',
  length: seed % 101 === 50 ? 'long' : 'short',
});

/** Plays one seed to its end. */
export async function play(
  seed: number,
  { misfortune, length }: Play,
  say: (notes: readonly string[]) => void = () => {},
): Promise<World> {
  const world = new World(seed);
  const random = world.random.fork();
  const parse_as_ever = parse_once();
  try {
    return await play_in(world, random, misfortune, LENGTHS[length]);
  } finally {
    parse_as_ever();
    say(world.notes);
  }
}

async function play_in(world: World, random: SimRandom, misfortune: Misfortune, length: Length): Promise<World> {
  const is_calm = misfortune === 'none';
  const options: SwarmOptions = {
    first_ms: random.int(...length.first_ms),
    coordinators: is_calm ? 1 : random.pick(length.coordinators),
    agents: is_calm ? 2 : random.pick(length.agents),
    isolation_ms: random.int(...length.isolation_ms),
    lease_ms: random.int(...length.lease_ms),
    has_hooks: random.chance(0.2),
    groups: random.pick(GROUPS),
    skew_ms: is_calm ? 0 : HOUR_MS,
  };
  const swarm = new SimSwarm(world, options);
  const { truth } = swarm;
  world.note(JSON.stringify(options));
  await swarm.begin();
  const end = world.now + random.int(...length.lasts_ms);
  if (misfortune === 'rough') world.faults = ROUGH;
  const commands = schedule(random, world.now, end, length.command_ms);
  const blows = is_calm ? [] : schedule(random, world.now, end, length.blow_ms);
  for (const at of commands) world.at(at, () => void swarm.command(some_command(random, swarm, length)));
  let wipes = 0;
  for (const at of blows) {
    world.at(at, () => {
      const kind = random.pick(BLOWS);
      if (kind === 'wipe' && ++wipes > 1) return;
      strike(kind, random, swarm, options, length);
    });
  }
  await swarm.until(end);

  swarm.heal();
  const healed_at = world.now;
  for (const machine of swarm.machines) if (random.chance(0.7)) swarm.restart_machine(machine);
  if (swarm.machines.every(({ process }) => !process.alive)) swarm.restart_machine(swarm.machines[0]!);
  for (const desk of swarm.desks) if (random.chance(0.5)) swarm.restart_desk(desk);
  if (swarm.desks.every(({ process }) => !process.alive)) swarm.restart_desk(swarm.desks[0]!);
  // what was sent before and arrives late, and what is asked already
  await swarm.until(world.now + length.late_ms);
  const bound = options.isolation_ms + options.lease_ms + 10_000;
  await end_load(swarm, bound);
  const desks = () => swarm.desks.filter(({ process }) => process.alive);
  const is_settled = (): boolean => {
    const { plan, desired: stored } = truth;
    if (!plan || !stored || desks().some(({ is_playing, asked }) => !is_playing || asked)) return false;
    const run_ms = world.now - truth.run_started;
    const desired = advance(stored, swarm.groups, run_ms);
    const is_ramping = ({ ramp }: Sum): boolean => ramp !== null && run_ms < ramp.end_ms + 2000;
    if (is_ramping(desired) || Object.values(desired.own).some(is_ramping)) return false;
    const parts = targets_of(desired, swarm.groups);
    const target = parts.reduce((all, one) => all + one, 0);
    const is_whole = target > swarm.capacity || swarm.groups.every(({ name }, g) => truth.held_of(name) === parts[g]);
    if (truth.held !== Math.min(target, swarm.capacity) || !is_whole) return false;
    const alive = swarm.machines.filter(({ process }) => process.alive).map(({ name }) => name);
    return desks().every(({ joined }) => are_healthy(joined, alive, world.now - healed_at));
  };
  if (!(await swarm.wait(is_settled, bound + 10_000))) {
    const health = desks().map(
      ({ name, is_playing, joined }) =>
        `${name}: ${
          is_playing
            ? joined
                .summary()
                .agents!.map(({ id, health, live }) => `${id} ${health} ${live}`)
                .join(', ')
            : 'not playing'
        }`,
    );
    throw new Error(
      `it does not settle: ${truth.held} held, target ${truth.desired?.target}, capacity ${swarm.capacity}; ${health.join('; ')}`,
    );
  }
  truth.is_settled = true;
  await swarm.until(world.now + random.int(...length.calm_ms));

  // one that comes later finds no run
  const present = desks().filter(({ is_playing }) => is_playing);
  for (const desk of present) void desk.joined.ended.then((ended) => (desk.end = ended));
  swarm.command({ op: 'stop', now: random.chance(0.5) }, random.pick(present));
  if (!(await swarm.wait(() => present.every(({ end: ended }) => ended !== null), 30_000)))
    throw new Error(
      `it does not end: ${present.map(({ name, end: ended }) => `${name} ${ended !== null}`).join(', ')}`,
    );
  for (const { end: ended } of present) truth.check_end(ended!);
  truth.check_commands();
  return world;
}

/** Has a load that plays yet end where it is. */
async function end_load(swarm: SimSwarm, bound: number): Promise<void> {
  const plays = (): boolean => {
    const { desired, run_started } = swarm.truth;
    if (desired === null) return true;
    const now = advance(desired, swarm.groups, swarm.world.now - run_started);
    return step_of(now) !== null && now.phase !== 'drain';
  };
  const idle = (): boolean => !plays() || swarm.command({ op: 'load_end' });
  for (let tries = 0; tries < 5 && plays(); tries++) {
    if (!(await swarm.wait(idle, 2 * bound))) throw new Error('nobody can be asked to end the load');
    await swarm.wait(() => !plays(), 5000);
  }
}

/** Each was heard after `since_ms` ago, and is well. */
function are_healthy(joined: ManyCoordinator, names: readonly string[], since_ms: number): boolean {
  const agents = joined.summary().agents!;
  return names.every((name) => {
    const agent = agents.find(({ id }) => id === name);
    return agent && agent.silent_ms < since_ms && (agent.health === 'ok' || agent.health === 'draining');
  });
}

function schedule(random: SimRandom, from: number, to: number, [least, most]: Range): number[] {
  const times: number[] = [];
  for (let at = from + random.int(0, most); at < to; at += random.int(least, most)) times.push(at);
  return times;
}

function some_command(random: SimRandom, swarm: SimSwarm, length: Length): Command {
  const over_ms = random.chance(0.4) ? random.int(...length.over_ms) : 0;
  const agent = random.pick(swarm.machines).name;
  const group = random.chance(0.2) ? { in: random.pick(swarm.groups).name } : {};
  const kind = random.int(1, 100);
  if (kind <= 15) return { op: 'load', text: some_load(random, swarm, length) };
  if (kind <= 17) return { op: 'load_end' };
  if (kind <= 45) return { op: 'incr', count: random.int(1, 100), over_ms, ...group };
  if (kind <= 60) return { op: 'decr', count: random.int(1, 100), graceful: random.chance(0.5), over_ms, ...group };
  if (kind <= 75) return { op: 'set', count: random.int(0, 200), over_ms, ...group };
  if (kind <= 80) return random.chance(0.5) ? { op: 'pause' } : { op: 'resume' };
  if (kind <= 85) return { op: 'rebalance' };
  if (kind <= 93) return { op: 'drain', agent, off: random.chance(0.6) };
  if (kind <= 96) return { op: 'evict', agent };
  if (kind <= 98) return { op: 'connect_rate', per_s: random.int(1, 1000) };
  return { op: 'mark', text: 'now' };
}

/** Some steps, without an end of the run. */
function some_load(random: SimRandom, swarm: SimSwarm, { over_ms }: Length): string {
  const time = (): string => `${random.int(...over_ms)}ms`;
  const goal = (): string => {
    const where = random.chance(0.3) ? ` in ${random.pick(swarm.groups).name}` : '';
    const over = random.chance(0.6) ? ` over ${time()}` : '';
    return `${random.pick(['set', 'incr', 'incr', 'decr'])} ${random.int(1, 100)}${where}${over}`;
  };
  const step = (): string => {
    const kind = random.int(1, 10);
    if (kind <= 6) return random.chance(0.3) ? `${goal()} & hold ${time()}` : goal();
    if (kind <= 8) return `hold ${time()}`;
    return kind === 9 ? 'mark step' : `wait ${random.chance(0.5) ? `${random.int(1, 20)} ` : ''}within 1h`;
  };
  const steps = Array.from({ length: random.int(1, 8) }, step);
  return random.chance(0.2) ? `repeat ${random.int(2, 3)} (${steps.join('; ')})` : steps.join('; ');
}

const BLOWS = [
  ...['crash agent', 'crash agent', 'freeze agent', 'freeze agent', 'cut agent', 'cut agent'],
  ...['crash desk', 'crash desk', 'freeze desk', 'cut desk', 'engine', 'wipe', 'skew'],
] as const;

function strike(
  kind: (typeof BLOWS)[number],
  random: SimRandom,
  swarm: SimSwarm,
  options: SwarmOptions,
  { dead_ms }: Length,
): void {
  const { world } = swarm;
  const beyond = options.isolation_ms * 2;
  const machine = random.pick(swarm.machines);
  const desk = random.pick(swarm.desks);
  const cut = random.pick(['requests', 'replies', 'both'] as const);
  switch (kind) {
    case 'crash agent':
      if (!machine.process.alive) return;
      swarm.crash_machine(machine);
      return void world.schedule(random.int(...dead_ms), null, () => swarm.restart_machine(machine));
    case 'freeze agent':
      if (machine.process.alive) swarm.freeze(machine.process, random.int(100, beyond));
      return;
    case 'cut agent':
      swarm.truth.troubled(machine.process, beyond);
      return machine.process.cut(cut, random.int(100, beyond));
    case 'crash desk':
      // of an engine without memory and nobody who knows, nothing can come back
      if (!desk.process.alive || !swarm.truth.is_seeded) return;
      desk.asked = null;
      desk.process.crash();
      return void world.schedule(random.int(...dead_ms), null, () => swarm.restart_desk(desk));
    case 'freeze desk':
      if (desk.process.alive) desk.process.pause(random.int(100, beyond));
      return;
    case 'cut desk':
      return desk.process.cut(cut, random.int(100, beyond));
    case 'engine':
      swarm.truth.troubled(null, 10_000);
      return world.stop_engine(random.int(1000, 10_000));
    case 'wipe':
      swarm.truth.troubled(null, 0);
      if (!swarm.desks.some(({ process, is_playing }) => process.alive && is_playing)) return;
      return world.wipe_engine();
    case 'skew':
      machine.process.skew_ms = desk.process.skew_ms = Math.round(random.real(-HOUR_MS, HOUR_MS));
  }
}
