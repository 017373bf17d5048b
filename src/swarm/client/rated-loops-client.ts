/**
 * A client of a group with rated actions whose module has `messages`, or that has several loops: it plays slots beside
 * its loops. With `messages`, each rated action has up to `at_once` rounds of its own. Without, a slot's round waits
 * until no other one runs, and those of the loops wait for it.
 */
import type { CloseCause } from '../../metrics/snapshot.ts';
import { ACTING, STANDBY } from '../../metrics/state.ts';
import { LoopConnection, LoopsClient, type LoopPlayer, type PartPlayer } from './loops-client.ts';
import { Player, type PlayedLoop } from './player.ts';
import type { RunnerRules } from './runner.ts';
import type { SlotDesk, SlotTaker } from './slot-desk.ts';

export class RatedLoopsClient extends LoopsClient {
  /** with `messages` one for each rated action, else one for all */
  readonly #parts: readonly SlotPart[];
  readonly #alone: boolean;
  /** `connected` has returned */
  #open = false;
  /** rounds of slots that run */
  #slots = 0;
  /** loops that wait for the round of a slot */
  readonly #held: LoopPlayer[] = [];

  /** `iterations`: see {@link LoopsClient}. */
  constructor(id: number, rules: RunnerRules, iterations: number | null) {
    super(id, rules, iterations);
    this.#alone = rules.messages === null;
    const rated = rules.actions.flatMap(({ index, rate }) => (rate === null ? [] : [{ index, at_once: rate.at_once }]));
    this.#parts = rules.desks.map((desk, i) => {
      const { index, at_once } = rated[i]!;
      return new SlotPart(this, rules, desk, this.#alone ? 1 : at_once, this.#alone ? null : this.player_of(index));
    });
  }

  override get in_round(): boolean {
    return super.in_round || this.#parts.some((part) => part.in_round);
  }

  override get is_through(): boolean {
    return this.#slots === 0 && super.is_through;
  }

  /** May a round of another slot begin, of this loop? Null: of any. */
  has_room(loop: LoopPlayer | null): boolean {
    if (!this.#open || this.connection!.worn_out !== null || (this.draining && super.is_through)) return false;
    if (loop === null) return this.state === STANDBY;
    if (!loop.only_slots || loop.left === Infinity) return true;
    const running = this.#parts.reduce((all, part) => all + (part.loop === loop ? part.running : 0), 0);
    return running < loop.left;
  }

  /** The loop that has this action. */
  player_of(action: number): LoopPlayer {
    return this.players[this.rules.loops.findIndex(({ end }) => action < end)]!;
  }

  override move(to: number): void {
    if (this.#alone && this.state === STANDBY) this.#withdraw();
    super.move(to);
    if (this.#alone && to === STANDBY) this.#offer();
  }

  override go_on(): void {
    super.go_on();
    this.#offer();
  }

  override ended(cause: CloseCause | null, code: string, error: unknown): void {
    this.#open = false;
    this.#withdraw();
    this.#held.length = 0;
    this.#slots = 0;
    for (const part of this.#parts) part.cut(cause, code);
    super.ended(cause, code, error);
  }

  override holds(player: LoopPlayer): boolean {
    if (!this.#alone) return false;
    const slot_runs = this.#slots > 0;
    if (!slot_runs && (this.in_round || this.rules.phase !== 'run')) return false;
    if (player.state !== ACTING) player.move(ACTING);
    this.#held.push(player);
    if (slot_runs || this.rules.desks[0]!.goes_first(this.#parts[0]!, player.next_due)) return true;
    this.#held.pop();
    return false;
  }

  /** The round of a slot begins. */
  slot_begins(): void {
    this.#slots++;
    this.shift(1);
  }

  /** It has ended, and the connection goes on. */
  slot_ended(): void {
    this.#slots--;
    if (this.is_through) return this.leave();
    for (const player of this.#held) this.rules.yield_turn(player);
    this.#held.length = 0;
    this.shift(-1);
    if (!this.#alone) this.#offer();
  }

  protected override begin(due: number): void {
    this.#open = true;
    super.begin(due);
    if (this.is_through) this.leave();
    else if (!this.#alone) this.#offer();
  }

  #offer(): void {
    for (const part of this.#parts) part.offer();
  }

  #withdraw(): void {
    for (const part of this.#parts) part.withdraw();
  }
}

/** Takes the slots of one action for a client, or those of all. */
class SlotPart implements SlotTaker {
  queued = false;
  queue_next: SlotPart | null = null;
  queue_prev: SlotPart | null = null;
  readonly #client: RatedLoopsClient;
  readonly #rules: RunnerRules;
  readonly #desk: SlotDesk;
  readonly #at_once: number;
  /** of its action; null: it takes those of all */
  readonly loop: LoopPlayer | null;
  readonly #players: SlotPlayer[] = [];
  running = 0;

  constructor(client: RatedLoopsClient, rules: RunnerRules, desk: SlotDesk, at_once: number, loop: LoopPlayer | null) {
    this.#client = client;
    this.#rules = rules;
    this.#desk = desk;
    this.#at_once = at_once;
    this.loop = loop;
  }

  get takes_slots(): boolean {
    return this.running < this.#at_once && this.#client.has_room(this.loop);
  }

  get in_round(): boolean {
    return this.#players.some((player) => player.in_round);
  }

  offer(): void {
    if (this.takes_slots) this.#desk.free(this);
  }

  withdraw(): void {
    this.#desk.busy(this);
  }

  take_slot(action: number, due: number, at: number): void {
    let player = this.#players.find(({ in_round }) => !in_round);
    if (player === undefined) this.#players.push((player = new SlotPlayer(this.#client, this, this.#rules)));
    this.running++;
    this.offer(); // the last in the line for the next one
    this.#client.slot_begins();
    player.play(this.#client.player_of(action), action, due, at);
  }

  /** The round of a slot has ended, and the connection goes on. */
  ended(): void {
    this.running--;
    this.#client.slot_ended();
  }

  cut(cause: CloseCause | null, code: string): void {
    this.running = 0;
    for (const player of this.#players)
      player.cut(cause === 'script' && player !== this.#client.closing ? 'stop' : cause, code);
  }
}

/** Plays one slot at a time, beside others of its client. */
class SlotPlayer extends Player<RunnerRules, LoopConnection> implements PartPlayer {
  readonly client: RatedLoopsClient;
  readonly left = Infinity;
  readonly #part: SlotPart;
  /** whose action it plays */
  #of: LoopPlayer | null = null;

  constructor(client: RatedLoopsClient, part: SlotPart, rules: RunnerRules) {
    super(rules);
    this.client = client;
    this.#part = part;
  }

  get id(): number {
    return this.client.id;
  }

  protected get loop(): PlayedLoop {
    return this.rules.loop;
  }

  play(of: LoopPlayer, action: number, due: number, at: number): void {
    this.#of = of;
    this.action = action;
    this.connection ??= new LoopConnection(this, this.client.connection!);
    this.start_round(due, at);
  }

  override move(): void {}

  override leave(): void {
    this.rest();
  }

  rest(): void {
    this.#part.ended();
  }

  protected override after_slot(): void {
    this.end_with_round();
    this.rest();
  }

  protected override end_with_round(): void {
    this.ends_iteration();
  }

  protected override ends_iteration(): boolean {
    const of = this.#of!;
    return of.only_slots && of.ends_iteration();
  }
}
