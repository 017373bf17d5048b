/**
 * All clients of one group in one process: brings the live count to its share, takes clients away. Every client is in
 * one pool, so that picking a victim costs the same for ten and for a million.
 */
import { now, type Wheel } from '../../foundation/clock.ts';
import { make_random } from '../../foundation/random.ts';
import { MAIN } from '../../metrics/groups.ts';
import type { GroupRecorder } from '../../metrics/recorder.ts';
import { ACTING, BACKOFF, CONNECT, DONE, FATAL, INITIAL, KILLED, STANDBY } from '../../metrics/state.ts';
import type { Random } from '../../protocols/client.ts';
import type { ProtocolModule } from '../../protocols/module.ts';
import { draw_real } from '../../script/range.ts';
import type { Endpoints } from '../client/endpoints.ts';
import { make_client } from '../client/make-client.ts';
import { part_of_iterations, played_actions, played_loops } from '../client/played.ts';
import type { Client, RunnerRules } from '../client/runner.ts';
import type { Secure } from '../client/secure.ts';
import type { Reads } from '../client/socket.ts';
import { Numbering } from '../plan/numbering.ts';
import type { TenureAccount } from '../plan/account.ts';
import type { GroupShare, Orders } from '../plan/orders.ts';
import type { Permit } from '../plan/permit.ts';
import type { GroupSpec, MachineSpec, RunSpec } from '../plan/run-spec.ts';
import { id_at } from '../plan/segment.ts';
import { IdPool } from '../shares/id-pool.ts';
import { Ports } from '../shares/ports.ts';
import type { ConnectTurns } from './connect-turns.ts';
import { GroupSlots } from './group-slots.ts';
import { PlayTurns, TURN_BATCH } from './play-turns.ts';
import type { SlotTurns } from './slot-turns.ts';

/** The order in which `decr` takes clients: fatal ones, then those without a connection, then random connected ones. */
const FATAL_POOL = 0;
const WAITING_POOL = 1;
const CONNECTED_POOL = 2;
const DRAINING_POOL = 3;
const POOL_OF: readonly number[] = [];
(POOL_OF as number[])[INITIAL] = WAITING_POOL;
(POOL_OF as number[])[CONNECT] = WAITING_POOL;
(POOL_OF as number[])[BACKOFF] = WAITING_POOL;
(POOL_OF as number[])[ACTING] = CONNECTED_POOL;
(POOL_OF as number[])[STANDBY] = CONNECTED_POOL;
(POOL_OF as number[])[FATAL] = FATAL_POOL;

const next_turn = (): Promise<void> => new Promise((done) => setImmediate(done));

export interface PopulationOptions {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  /** what the module's `setup` returned */
  readonly shared: unknown;
  readonly member: string;
  /** one of the run's */
  readonly group: string;
  readonly module: ProtocolModule;
  readonly recorder: GroupRecorder;
  readonly wheel: Wheel;
  readonly endpoints: Endpoints;
  /** of the process, which may have several populations */
  readonly permit: Permit;
  readonly turns: ConnectTurns;
  readonly slot_turns: SlotTurns;
  readonly secure: Secure;
  readonly reads: Reads;
  bug(error: unknown, client: number): void;
  unasked(text: string): void;
  /** a client was made and does not connect yet */
  created(client: Client): void;
  /** the last client is gone */
  emptied(): void;
}

export class Population {
  readonly #rules: RunnerRules;
  readonly #options: PopulationOptions;
  readonly #recorder: GroupRecorder;
  readonly #spec: GroupSpec;
  readonly #numbering: Numbering;
  readonly #reconnect_delay_ms: readonly [number, number];
  readonly #pools: Client[][] = [[], [], [], []];
  readonly #clients = new Map<number, Client>();
  readonly #ids = new IdPool();
  /** Indices of clients that are done: they have played all they had to. Nobody takes their places. */
  readonly #finished: number[] = [];
  /** Of `iterations_in_all`: by index, what clients that are gone left of their parts. Each such index had a part. */
  readonly #left = new Map<number, number>();
  readonly #random: Random;
  readonly #turns: ConnectTurns;
  readonly #play_turns = new PlayTurns();
  readonly #slots: GroupSlots;

  constructor(options: PopulationOptions) {
    const { run, machine, member, group, module, recorder, wheel } = options;
    const { what, where, how } = run;
    this.#options = options;
    this.#recorder = recorder;
    this.#turns = options.turns;
    // members of other segments have the same names
    const { text } = machine.segment;
    const position = what.groups.findIndex(({ name }) => name === group);
    this.#spec = what.groups[position]!;
    const { script } = this.#spec;
    const loops = played_loops(script, what.seed, what.once);
    const actions = played_actions(script, what.once);
    this.#numbering = new Numbering(what.groups, position, machine.segment);
    this.#reconnect_delay_ms = how.reconnect_delay_ms;
    const own = group === MAIN ? member : `${member} ${group}`;
    this.#random = make_random(what.seed, text === null ? own : `${text} ${own}`);
    this.#slots = new GroupSlots({ actions, how, recorder, module, turns: options.slot_turns });
    this.#rules = {
      recorder,
      endpoints: options.endpoints,
      ports: new Ports(machine.sources),
      secure: options.secure,
      connection_limits: where.connection_limits,
      permit: options.permit,
      reads: options.reads,
      keep_alive_ms: where.keep_alive_ms,
      wheel,
      loops,
      loop: loops[0]!,
      actions,
      desks: this.#slots.desks,
      module,
      functions: actions.map((action) => module.commands[action.command]!),
      seed: what.seed,
      shared: options.shared,
      once: what.once,
      max_reply: module.max_reply ?? how.max_reply_bytes,
      messages: module.messages ?? null,
      on_message: module.on_message ?? null,
      connect_timeout_ms: how.connect_timeout_ms,
      reply_timeout_ms: how.reply_timeout_ms,
      sockets: 0,
      phase: 'run',
      unit: () => this.#random.real(0, 1),
      socket_freed: () => this.#turns.go_on(),
      unasked: (text) => options.unasked(text),
      bug: (error, client) => options.bug(error, client),
      yield_turn: (player) => this.#play_turns.add(player),
      disconnected: (client, missed) => this.#disconnected(client, missed),
      wants_turn: (client) => this.#turns.add(client),
      moved: (client) => this.#place(client),
      leaves: (client) => this.#leaves(client),
    };
  }

  get live(): number {
    return this.#clients.size;
  }

  get sockets(): number {
    return this.#rules.sockets;
  }

  /** attempts in flight */
  get connecting(): number {
    return this.#recorder.connections.connecting;
  }

  /** Takes all clients away for good. */
  async expire(): Promise<void> {
    this.#rules.phase = 'stop';
    this.#slots.follow(undefined, 'stop');
    await this.#end_all(true);
  }

  /** How far it is with the slots of its rated actions. */
  get tenures(): readonly TenureAccount[] {
    return this.#slots.tenures;
  }

  client(id: number): Client | undefined {
    return this.#clients.get(id);
  }

  /**
   * Carries out this member's orders for the group; null: there are none, and it holds nothing. Resolves when done; it
   * must not be called again before. Many clients are taken away in several turns, so that the process keeps answering.
   */
  async apply(share: GroupShare | null, phase: Orders['phase']): Promise<void> {
    // ids and ports that it was granted stay its own
    if (share !== null) {
      this.#ids.grant(share.ids);
      this.#rules.ports.grant(share.ports);
    }
    const before = this.#rules.phase;
    this.#rules.phase = phase;
    this.#slots.follow(share?.rates, phase);
    if (phase === 'drain' || phase === 'stop') {
      while (this.#free_finished());
      return await this.#end_all(phase === 'stop');
    }
    if (before === 'pause' && phase === 'run') this.#resume();
    const { draining, finished } = this.#recorder.clients;
    const change = (share?.clients ?? 0) - (this.live - draining) - finished;
    if (change > 0) this.#grow(change);
    else if (change < 0) await this.#shrink(-change, share?.graceful ?? false);
  }

  /** Fatal clients start anew, each when its turn to connect comes. */
  retry_fatal(): void {
    for (const client of [...this.#pools[FATAL_POOL]!]) {
      client.move(BACKOFF);
      this.#turns.add(client);
    }
  }

  /** Ends its own timers. Clients must be gone by then. */
  close(): void {
    this.#play_turns.close();
  }

  #grow(count: number): void {
    const { clients } = this.#recorder;
    const draining = this.#pools[DRAINING_POOL]!;
    let left = count;
    for (; left > 0 && draining.length > 0; left--) {
      const client = draining.at(-1)!;
      client.draining = false;
      clients.draining--;
      this.#place(client);
      if (client.parked) this.#play_turns.add(client); // it waited for its other loops
    }
    for (; left > 0; left--) {
      const index = this.#ids.take();
      if (index === null) return; // more ids are on their way
      clients.created++;
      const client = this.#make(index);
      if (client === null) continue;
      this.#clients.set(client.id, client);
      this.#options.created(client);
      if (++clients.live > clients.peak) clients.peak = clients.live;
      this.#place(client);
      this.#turns.add(client);
    }
  }

  /** Null: none of the group's iterations is for this client, so it is done and never connects. */
  #make(index: number): Client | null {
    const iterations = this.#iterations(index);
    const client = make_client(this.#numbering.id(index), this.#rules, iterations);
    if (iterations !== 0) return client;
    client.move(DONE);
    this.#recorder.clients.done++;
    this.#keep_place(index);
    return null;
  }

  /** How many iterations a client made now plays; null: without end, or as many as each of its loops says. */
  #iterations(index: number): number | null {
    const { script, among } = this.#spec;
    const { loops, loop, once } = this.#rules;
    if (loops.length > 1) return null;
    if (once || script.iterations_in_all === null) return loop.iterations;
    const left = this.#left.get(index);
    if (left !== undefined) return left;
    return part_of_iterations(script.iterations_in_all, among, id_at(this.#options.machine.segment, index));
  }

  async #shrink(count: number, graceful: boolean): Promise<void> {
    for (let left = count; left > 0; left--) {
      if (left < count && (count - left) % TURN_BATCH === 0) await next_turn();
      if (this.#free_finished()) continue;
      const victim = this.#victim();
      if (victim === null) return;
      if (!graceful) this.#kill(victim, 'decr', false);
      else if (victim.pool !== CONNECTED_POOL || victim.rests) this.#drained(victim);
      else {
        victim.draining = true;
        this.#recorder.clients.draining++;
        this.#place(victim);
      }
    }
  }

  /** Gives up the place of a client that is done. False: there is none. */
  #free_finished(): boolean {
    const index = this.#finished.pop();
    if (index === undefined) return false;
    this.#recorder.clients.finished--;
    this.#ids.free(index);
    return true;
  }

  #victim(): Client | null {
    for (const pool of [this.#pools[FATAL_POOL]!, this.#pools[WAITING_POOL]!]) if (pool.length > 0) return pool.at(-1)!;
    const connected = this.#pools[CONNECTED_POOL]!;
    return connected.length === 0 ? null : connected[this.#random.int(0, connected.length - 1)]!;
  }

  async #end_all(at_once: boolean): Promise<void> {
    let ended = 0;
    for (const client of [...this.#clients.values()]) {
      // some left by themselves meanwhile
      if (client.state >= KILLED || (!at_once && client.state === ACTING)) continue;
      this.#kill(client, 'stop', at_once);
      if (++ended % TURN_BATCH === 0) await next_turn();
    }
  }

  #kill(client: Client, cause: 'decr' | 'stop', at_once: boolean): void {
    client.connection?.take_away(cause, at_once);
    if (cause === 'decr') this.#recorder.clients.killed_decr++;
    else this.#recorder.clients.killed_stop++;
    this.#remove(client, KILLED);
  }

  /** It has ended its iteration, and the operator wants fewer. */
  #drained(client: Client): void {
    client.connection?.take_away('decr', false);
    this.#recorder.clients.done++;
    this.#remove(client, DONE);
  }

  /** It has played all that it had to, and keeps its place. */
  #finish(client: Client): void {
    client.connection?.take_away('script', false, 'done: the iteration is over');
    this.#recorder.clients.done++;
    this.#remove(client, DONE, true);
  }

  #remove(client: Client, end: typeof KILLED | typeof DONE, keeps_place = false): void {
    this.#options.wheel.disarm(client.timer);
    if (client.draining) this.#recorder.clients.draining--;
    client.draining = false;
    client.move(end);
    this.#turns.remove(client);
    this.#unplace(client);
    this.#clients.delete(client.id);
    this.#recorder.clients.live--;
    const index = this.#numbering.index(client.id)!;
    if (this.#spec.script.iterations_in_all !== null) this.#left.set(index, client.left);
    if (keeps_place) this.#keep_place(index);
    else this.#ids.free(index);
    if (this.live === 0) this.#options.emptied();
  }

  #keep_place(index: number): void {
    this.#finished.push(index);
    this.#recorder.clients.finished++;
  }

  /** The client plays no further round, see RunnerRules. */
  #leaves(client: Client): void {
    const { phase } = this.#rules;
    if (phase === 'drain' || phase === 'stop') this.#kill(client, 'stop', phase === 'stop');
    else if (client.draining) this.#drained(client);
    else this.#finish(client);
  }

  #disconnected(client: Client, missed: boolean): void {
    const { phase, once, endpoints } = this.#rules;
    if (phase === 'drain' || phase === 'stop' || client.draining) return this.#leaves(client);
    // nobody was there at this address, but its server has others
    if (missed && endpoints.has_more(client.id, client.misses)) return this.#turns.add(client);
    if (once || client.left === 0) return this.#leaves(client);
    if (client.state !== BACKOFF) return;
    const delay = draw_real(this.#reconnect_delay_ms, this.#random.real(0, 1));
    this.#options.wheel.arm(client.timer, now() + delay);
  }

  #resume(): void {
    for (const client of this.#clients.values()) if (client.parked) this.#play_turns.add(client);
  }

  #place(client: Client): void {
    const pool = client.draining ? DRAINING_POOL : POOL_OF[client.state];
    if (pool === client.pool || pool === undefined) return; // undefined: the client has ended
    this.#unplace(client);
    client.pool = pool;
    client.slot = this.#pools[pool]!.push(client) - 1;
  }

  #unplace(client: Client): void {
    if (client.pool < 0) return;
    const pool = this.#pools[client.pool]!;
    const last = pool.pop()!;
    if (last !== client) {
      pool[client.slot] = last;
      last.slot = client.slot;
    }
    client.pool = -1;
  }
}
