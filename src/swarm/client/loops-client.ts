/**
 * A client of a group with several loops: it plays all of them at once, on one connection. Its own part of a player
 * runs `connected`; then each loop has a player of its own, with its own action, rounds, sleeps, iterations and draws.
 */
import type { CloseCause } from '../../metrics/snapshot.ts';
import { ACTING, STANDBY } from '../../metrics/state.ts';
import type { FakeClient } from '../../protocols/client.ts';
import type { Parser } from '../../protocols/parser.ts';
import type { Connection } from './connection.ts';
import { FakeClientHandle, type Calls, type Identity } from './fake-client.ts';
import { Player, type PlayedLoop, type PlayerRules, type PlayedConnection } from './player.ts';
import { Client, type RunnerRules } from './runner.ts';

/** What plays rounds beside others on the connection of a client. */
export interface PartPlayer {
  readonly client: LoopsClient;
  /** see {@link Player.calls_done} */
  calls_done(): boolean;
  /** Waits for what the other parts do. */
  rest(): void;
}

export class LoopsClient extends Client {
  protected readonly players: readonly LoopPlayer[];
  /** parts that play a round or are about to */
  #acting = 0;
  /** the part whose round closes the connection just now */
  closing: PartPlayer | null = null;

  /** `iterations`: of each loop, instead of its own; null: its own. */
  constructor(id: number, rules: RunnerRules, iterations: number | null = null) {
    super(id, rules);
    this.players = rules.loops.map((loop) => new LoopPlayer(this, loop, rules, iterations ?? loop.iterations));
  }

  override get in_round(): boolean {
    return super.in_round || this.players.some((player) => player.in_round);
  }

  /** The most that one of its loops has left. */
  override get left(): number {
    return Math.max(...this.players.map(({ left }) => left));
  }

  override get rests(): boolean {
    return this.state === STANDBY && this.players.every((player) => player.over || player.at_top);
  }

  /** Nothing that it should still play is under way. */
  get is_through(): boolean {
    const { phase } = this.rules;
    if (phase === 'drain' || phase === 'stop') return !this.in_round;
    return this.players.every((player) => player.over || (this.draining && player.at_top));
  }

  override go_on(): void {
    this.parked = false;
    for (const player of this.players) if (player.parked) player.go_on();
  }

  override ended(cause: CloseCause | null, code: string, error: unknown): void {
    // the script closed the connection: only the round that did so has come to its end
    for (const player of this.players) player.cut(cause === 'script' && player !== this.closing ? 'stop' : cause, code);
    super.ended(cause, code, error);
  }

  /** Does the loop, whose next round is due, wait for the round of a slot, to be told to go on after it? */
  holds(_player: LoopPlayer): boolean {
    return false;
  }

  /** A part acts (1) or does not any more (-1). */
  shift(by: 1 | -1): void {
    this.#acting += by;
    if (this.#acting === 0) this.move(STANDBY);
    else if (this.state !== ACTING) this.move(ACTING);
  }

  protected override begin(due: number): void {
    const players = this.players.filter((player) => !player.over && !player.only_slots);
    this.#acting = players.length;
    if (players.length === 0) this.move(STANDBY);
    for (const player of players) player.start(this.connection!, due);
  }
}

/** One loop of a {@link LoopsClient}. */
export class LoopPlayer extends Player<PlayerRules, LoopConnection> implements PartPlayer {
  readonly client: LoopsClient;
  protected readonly loop: PlayedLoop;
  #left: number;

  constructor(client: LoopsClient, loop: PlayedLoop, rules: RunnerRules, iterations: number | null) {
    super(rules);
    this.client = client;
    this.loop = loop;
    this.#left = iterations ?? Infinity;
  }

  get id(): number {
    return this.client.id;
  }

  get left(): number {
    return this.#left;
  }

  /** It is never begun: each round of a slot is an iteration. */
  get only_slots(): boolean {
    return this.loop.only_slots;
  }

  /** when its next round is due, ms */
  get next_due(): number {
    return this.due;
  }

  /** All its iterations were played, on this connection or earlier ones. */
  get over(): boolean {
    return this.#left === 0;
  }

  start(connection: Connection, due: number): void {
    this.connection = new LoopConnection(this, connection);
    this.state = ACTING;
    this.begin(due);
  }

  override move(to: number): void {
    this.state = to;
    this.client.shift(to === ACTING ? 1 : -1);
  }

  override leave(): void {
    if (this.client.is_through) this.client.leave();
    else this.rest();
  }

  rest(): void {
    if (this.state !== STANDBY) this.move(STANDBY);
  }

  override ends_iteration(): boolean {
    if (this.#left > 0) this.#left--;
    return this.over || (this.client.draining && this.client.is_through);
  }

  protected override next_round(): void {
    // the connection ends with the last round that runs
    if (this.connection!.worn_out !== null) return this.rest();
    if (!this.at_top || !this.client.draining) return this.client.holds(this) ? undefined : super.next_round();
    if (this.client.is_through) this.client.leave();
    else this.park();
  }

  protected override park(): void {
    super.park();
    this.client.parked = true;
  }
}

/** A connection as one loop sees it, or one player of slots: with its own calls only. */
export class LoopConnection implements PlayedConnection, Calls {
  readonly handle: FakeClient = new FakeClientHandle(this);
  open_calls = 0;
  last_reply: unknown = undefined;
  readonly #player: PartPlayer;
  readonly #connection: Connection;
  #newest: Promise<unknown> | undefined = undefined;

  constructor(player: PartPlayer, connection: Connection) {
    this.#player = player;
    this.#connection = connection;
  }

  get client(): Identity {
    return this.#connection.client;
  }
  get alive(): boolean {
    return this.#connection.alive;
  }
  get worn_out(): 'limit' | 'server' | null {
    return this.#connection.worn_out;
  }
  get at(): number {
    return this.#connection.at;
  }
  set at(at: number) {
    this.#connection.at = at;
  }

  request(data: string | Uint8Array, parser: Parser | null): Promise<unknown> {
    return this.#opened(this.#connection.request(data, parser));
  }
  send(data: string | Uint8Array): Promise<void> {
    const sent = this.#connection.send(data);
    return this.#connection.is_call(sent) ? sent : this.#opened(sent);
  }
  start_tls(options: { readonly servername?: string } | undefined): Promise<void> {
    return this.#opened(this.#connection.start_tls(options));
  }
  close_by_script(): Promise<void> {
    const { client } = this.#player;
    client.closing = this.#player;
    const closed = this.#connection.close_by_script();
    client.closing = null;
    return closed;
  }

  is_call(value: unknown): boolean {
    return value === this.#newest || this.#connection.is_call(value);
  }
  fail(cause: CloseCause, code: string, error: unknown, sample?: string): void {
    this.#connection.fail(cause, code, error, sample);
  }
  retire(): void {
    if (this.#player.client.in_round) this.#player.rest();
    else this.#connection.retire();
  }

  /** Counts a call as this loop's own. If it fails, the connection has ended, and the round with it. */
  #opened<T>(call: Promise<T>): Promise<T> {
    this.open_calls++;
    this.#newest = call;
    call.then(
      (reply) => this.#settled(reply),
      () => {},
    );
    return call;
  }

  #settled(reply: unknown): void {
    this.#connection.last_reply = undefined; // each loop keeps its own
    if (--this.open_calls === 0) this.#newest = undefined;
    if (this.open_calls > 0 || !this.#player.calls_done()) this.last_reply = reply;
  }
}
