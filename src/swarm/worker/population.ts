/**
 * All clients of one process: brings the live count to its share, hands out turns to connect at the ordered rate, takes
 * clients away. Every client is in one pool, so that picking a victim costs the same for ten and for a million.
 */
import { now, type Wheel } from '../../foundation/clock.ts';
import { make_draws } from '../../foundation/draws.ts';
import { make_random } from '../../foundation/random.ts';
import type { Recorder } from '../../metrics/recorder.ts';
import type { Random } from '../../protocols/client.ts';
import type { ProtocolModule } from '../../protocols/module.ts';
import { draw_real } from '../../script/range.ts';
import type { Endpoints } from '../client/endpoints.ts';
import {
  ACTING,
  BACKOFF,
  Client,
  CONNECT,
  DONE,
  FATAL,
  INITIAL,
  KILLED,
  STANDBY,
  type RunnerRules,
} from '../client/runner.ts';
import { Secure } from '../client/secure.ts';
import { shared_reads } from '../client/socket.ts';
import { MAX_ARREARS_MS, Pacer } from '../load/pacer.ts';
import type { GroupShare, Orders } from '../plan/orders.ts';
import { Permit } from '../plan/permit.ts';
import type { MachineSpec, RunSpec } from '../plan/run-spec.ts';
import { id_at, index_of, type Segment } from '../plan/segment.ts';
import { IdPool } from '../shares/id-pool.ts';
import { Ports } from '../shares/ports.ts';
import { ConnectQueue } from './connect-queue.ts';

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

/** Most clients that go on, or are taken away, in one turn of the event loop: after `resume` all are due at once. */
const TURN_BATCH = 500;
/** Clients that go on before more is read, and how often in a turn: rounds that never wait must not block the loop. */
const PLAY_BATCH = 32;
const MAX_PLAYS = 32;

const next_turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/**
 * Up to so many members, each opens one connection at a time; with more, half as many as there are members. So the
 * swarm's connects stay even, and its processes wake for a few dozen connections and not for each.
 */
const ONE_AT_A_TIME = 8;
const MAX_GATHER_MS = 500;

/** ms: a little longer than a closed connection lingers */
const CLOSED_WITHIN_MS = 1100;

/** ms until the next try when attempts in flight or descriptors leave no room */
const BLOCKED_MS = 10;

export interface PopulationOptions {
  readonly run: RunSpec;
  readonly machine: MachineSpec;
  /** what the module's `setup` returned */
  readonly shared: unknown;
  readonly member: string;
  readonly module: ProtocolModule;
  readonly recorder: Recorder;
  readonly wheel: Wheel;
  readonly endpoints: Endpoints;
  /** most sockets this process can hold */
  capacity(): number;
  bug(error: unknown, client: number): void;
  unasked(text: string): void;
  /** a client was made and does not connect yet */
  created(client: Client): void;
  /** the last client is gone */
  emptied(): void;
  /** the permit ran out: all clients were taken away, and no new ones come */
  expired(): void;
}

export class Population {
  readonly permit = new Permit(() => this.#expire());
  readonly #rules: RunnerRules;
  readonly #options: PopulationOptions;
  readonly #recorder: Recorder;
  readonly #segment: Segment;
  readonly #reconnect_delay_ms: readonly [number, number];
  readonly #pools: Client[][] = [[], [], [], []];
  readonly #clients = new Map<number, Client>();
  readonly #ids = new IdPool();
  readonly #random: Random;
  readonly #pacer: Pacer;
  #connect_per_s = 0;
  /** ms that turns to connect are gathered: with many members each opens a few at a time and wakes less often */
  #gather_ms = 0;
  readonly #queue = new ConnectQueue();
  #pump_timer: NodeJS.Timeout | null = null;
  /** clients that go on in the next turn of the event loop */
  #turn: Client[] = [];
  #turn_timer: NodeJS.Immediate | null = null;
  /** batches that went on in this turn so far */
  #plays = 0;

  constructor(options: PopulationOptions) {
    const { run, machine, module, recorder, wheel } = options;
    const { what, where, how } = run;
    this.#options = options;
    this.#recorder = recorder;
    this.#segment = machine.segment;
    this.#reconnect_delay_ms = how.reconnect_delay_ms;
    // members of other segments have the same names
    const { text } = machine.segment;
    this.#random = make_random(what.seed, text === null ? options.member : `${text} ${options.member}`);
    this.#pacer = new Pacer(0, now());
    this.#rules = {
      recorder,
      endpoints: options.endpoints,
      ports: new Ports(machine.sources),
      secure: new Secure(where.tls),
      connection_limits: where.connection_limits,
      permit: this.permit,
      reads: shared_reads(where.connection_limits?.down_bytes_per_s ?? null),
      keep_alive_ms: where.keep_alive_ms,
      wheel,
      script: what.script,
      module,
      functions: what.script.actions.map((action) => module.commands[action.command]!),
      seed: what.seed,
      draws: make_draws(what.seed),
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
      socket_freed: () => this.#keep_pumping(),
      unasked: (text) => options.unasked(text),
      bug: (error, client) => options.bug(error, client),
      yield_turn: (client) => this.#next_turn(client),
      disconnected: (client, missed) => this.#disconnected(client, missed),
      wants_turn: (client) => this.#enqueue(client),
      moved: (client) => this.#place(client),
      leaves: (client) => this.#leaves(client),
    };
  }

  get live(): number {
    return this.#clients.size;
  }

  #expire(): void {
    this.#rules.phase = 'stop';
    void this.#end_all(true).then(() => this.#options.expired());
  }

  client(id: number): Client | undefined {
    return this.#clients.get(id);
  }

  /**
   * Carries out this member's orders. Resolves when done; it must not be called again before. Many clients are taken
   * away in several turns, so that the process keeps answering.
   */
  async apply(share: GroupShare, phase: Orders['phase']): Promise<void> {
    if (this.permit.is_over) return;
    this.#ids.grant(share.ids);
    this.#rules.ports.grant(share.ports);
    this.#connect_per_s = share.connect_per_s;
    this.#pacer.set_rate(share.connect_per_s, now());
    const at_a_time = share.rate_parts > ONE_AT_A_TIME ? share.rate_parts / 2 : 1;
    this.#gather_ms = Math.min(MAX_GATHER_MS, ((at_a_time - 1) * 1000) / share.connect_per_s) || 0;
    const before = this.#rules.phase;
    this.#rules.phase = phase;
    if (phase === 'drain' || phase === 'stop') return await this.#end_all(phase === 'stop');
    if (before === 'pause' && phase === 'run') this.#resume();
    const change = share.clients - (this.live - this.#recorder.clients.draining);
    if (change > 0) this.#grow(change);
    else if (change < 0) await this.#shrink(-change, share.graceful);
    this.#keep_pumping();
  }

  /** Fatal clients start anew, each when its turn to connect comes. */
  retry_fatal(): void {
    for (const client of [...this.#pools[FATAL_POOL]!]) {
      client.move(BACKOFF);
      this.#enqueue(client);
    }
    this.#keep_pumping();
  }

  /** Resolves when all sockets have sent what they had and closed, or were destroyed; after 1.1 s in any case. */
  async sockets_closed(): Promise<void> {
    for (let waited = 0; this.#rules.sockets > 0 && waited < CLOSED_WITHIN_MS; waited += 10)
      await new Promise((done) => setTimeout(done, 10));
  }

  /** Ends its own timers. Clients must be gone by then. */
  close(): void {
    if (this.#pump_timer !== null) clearTimeout(this.#pump_timer);
    if (this.#turn_timer !== null) clearImmediate(this.#turn_timer);
    this.#pump_timer = this.#turn_timer = null;
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
    }
    for (; left > 0; left--) {
      const index = this.#ids.take();
      if (index === null) return; // more ids are on their way
      const client = new Client(id_at(this.#segment, index), this.#rules);
      this.#clients.set(client.id, client);
      this.#options.created(client);
      clients.created++;
      if (++clients.live > clients.peak) clients.peak = clients.live;
      this.#place(client);
      this.#enqueue(client);
    }
  }

  async #shrink(count: number, graceful: boolean): Promise<void> {
    for (let left = count; left > 0; left--) {
      if (left < count && (count - left) % TURN_BATCH === 0) await next_turn();
      const victim = this.#victim();
      if (victim === null) return;
      if (!graceful) this.#kill(victim, 'decr', false);
      else if (victim.pool !== CONNECTED_POOL || (victim.at_top && victim.state === STANDBY)) this.#done(victim);
      else {
        victim.draining = true;
        this.#recorder.clients.draining++;
        this.#place(victim);
      }
    }
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

  #done(client: Client): void {
    client.connection?.take_away('decr', false, this.#rules.once ? 'done: the iteration is over' : undefined);
    this.#recorder.clients.done++;
    this.#remove(client, DONE);
  }

  #remove(client: Client, end: typeof KILLED | typeof DONE): void {
    this.#options.wheel.disarm(client.timer);
    this.#queue.remove(client);
    if (client.draining) this.#recorder.clients.draining--;
    client.draining = false;
    client.move(end);
    this.#unplace(client);
    this.#clients.delete(client.id);
    this.#recorder.clients.live--;
    this.#ids.free(index_of(this.#segment, client.id)!);
    if (this.live === 0) this.#options.emptied();
  }

  /** The client ended: its iteration while draining, its round in phase drain, or its only iteration (`once`). */
  #leaves(client: Client): void {
    const { phase } = this.#rules;
    if (phase === 'drain' || phase === 'stop') this.#kill(client, 'stop', phase === 'stop');
    else this.#done(client);
  }

  #disconnected(client: Client, missed: boolean): void {
    const { phase, once, endpoints } = this.#rules;
    if (phase === 'drain' || phase === 'stop' || client.draining) return this.#leaves(client);
    // nobody was there at this address, but its server has others
    if (missed && endpoints.has_more(client.id, client.misses)) return this.#enqueue(client);
    if (once) return this.#leaves(client);
    if (client.state !== BACKOFF) return;
    const delay = draw_real(this.#reconnect_delay_ms, this.#random.real(0, 1));
    this.#options.wheel.arm(client.timer, now() + delay);
  }

  #resume(): void {
    for (const client of this.#clients.values()) if (client.parked) this.#next_turn(client);
  }

  /**
   * Of many replies that came together, some clients go on while the rest are read: they are still in the CPU's cache
   * (ADR 9). As a microtask, so that the module's own work on the reply that fills the batch runs first.
   */
  #next_turn(client: Client): void {
    this.#turn_timer ??= setImmediate(this.#on_turn);
    if (this.#turn.push(client) === PLAY_BATCH && this.#plays++ < MAX_PLAYS) queueMicrotask(this.#play);
  }

  readonly #on_turn = (): void => {
    this.#turn_timer = null;
    this.#plays = 0;
    this.#play();
    if (this.#turn.length > 0) this.#turn_timer ??= setImmediate(this.#on_turn);
  };

  readonly #play = (): void => {
    const turn = this.#turn;
    this.#turn = turn.length > TURN_BATCH ? turn.splice(TURN_BATCH) : [];
    for (const client of turn) client.go_on();
  };

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

  #enqueue(client: Client): void {
    this.#queue.add(client);
    this.#keep_pumping();
  }

  #keep_pumping(at_least_ms = 1): void {
    if (this.#pump_timer !== null || this.#queue.size === 0 || this.#connect_per_s === 0) return;
    // Node's timers are whole milliseconds: turns due in between go together
    const wait = Math.max(at_least_ms, Math.min(this.#pacer.next_in(now()) + this.#gather_ms, 1000));
    this.#pump_timer = setTimeout(() => this.#pump(), wait);
  }

  /** Hands out the turns to connect that are due, as far as attempts in flight and descriptors allow. */
  #pump(): void {
    this.#pump_timer = null;
    this.permit.check();
    if (this.permit.is_over) return;
    const in_flight = this.#recorder.connections.connecting;
    // no SYN storm for a server that restarts under many clients
    const most_in_flight = Math.max(1, Math.floor((this.#connect_per_s * this.#rules.connect_timeout_ms) / 1000));
    const room = Math.min(this.#queue.size, most_in_flight - in_flight, this.#options.capacity() - this.#rules.sockets);
    const turns = this.#pacer.take(now(), Math.max(0, room), MAX_ARREARS_MS + this.#gather_ms);
    for (let i = 0; i < turns; i++) this.#queue.take()!.connect();
    this.#keep_pumping(room > 0 ? 1 : BLOCKED_MS);
  }
}
