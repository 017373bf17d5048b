/**
 * Plays one loop of the script on a connection: round after round with the sleeps between them, iteration after
 * iteration. On the next connection it starts at the top: of the iteration it was in if rounds of that were left, else
 * of the next one.
 */
import { now, Timer, type Wheel } from '../../foundation/clock.ts';
import type { Draws } from '../../foundation/draws.ts';
import type { ActionRecorder, GroupRecorder } from '../../metrics/recorder.ts';
import type { CloseCause } from '../../metrics/snapshot.ts';
import { ACTING, INITIAL, STANDBY } from '../../metrics/state.ts';
import type { FakeClient } from '../../protocols/client.ts';
import type { ProtocolFunction, ProtocolModule } from '../../protocols/module.ts';
import { is_wrong_reply } from '../../protocols/parser.ts';
import { draw_int, draw_think, fixed_think } from '../../script/range.ts';
import type { Action, ThinkTime } from '../../script/types.ts';
import { sample_of } from './inbound.ts';

/** A loop as its players need it. */
export interface PlayedLoop {
  /** the indices of its actions in the group: first, first + 1 … end - 1 */
  readonly first: number;
  readonly end: number;
  /** all its actions are rated: nothing of it is played in turn, and each round of them is an iteration */
  readonly only_slots: boolean;
  /** how many a client plays; null: without end */
  readonly iterations: number | null;
  readonly sleep_between_iterations: ThinkTime;
  /** random numbers that shape a client's rounds and sleeps */
  readonly draws: Draws;
}

/** What all players of a group share. */
export interface PlayerRules {
  readonly recorder: GroupRecorder;
  readonly wheel: Wheel;
  readonly module: ProtocolModule;
  /** of all loops of the group, by index */
  readonly actions: readonly Action[];
  /** the function of each action, by its index: the message path looks nothing up by name */
  readonly functions: readonly ProtocolFunction[];
  /** `swarm try`: no sleeps */
  readonly once: boolean;
  /** run: play the script. pause: start no round but `connected`. drain: end after the round. */
  phase: 'run' | 'pause' | 'drain' | 'stop';
  /** calls `player.go_on()` soon, from the event loop */
  yield_turn(player: Resumable): void;
}

export interface Resumable {
  go_on(): void;
}

/** The connection as a player sees it. */
export interface PlayedConnection {
  /** false: it has ended, and what the module does for it does not matter any more */
  readonly alive: boolean;
  /** what the module gets */
  readonly handle: FakeClient;
  /** calls of the player's round that have not settled */
  readonly open_calls: number;
  /** the time, while a function of the module is being called; else 0 */
  at: number;
  /** of this round */
  last_reply: unknown;
  /** set: the connection ends with the round */
  readonly worn_out: 'limit' | 'server' | null;
  /** Is `value` the promise of the newest call? */
  is_call(value: unknown): boolean;
  fail(cause: CloseCause, code: string, error: unknown, sample?: string): void;
  retire(): void;
}

export abstract class Player<Rules extends PlayerRules, On extends PlayedConnection> implements Resumable {
  state = INITIAL;
  connection: On | null = null;
  /** its next round is due when the pause is over */
  parked = false;
  /** no round of this iteration started yet */
  at_top = true;
  /** the sleep between rounds; of a client, the delay before a reconnect too */
  readonly timer = new Timer<{ on_timer(): void }>(this, on_timer);

  protected readonly rules: Rules;
  /** index of the action that is played; that of `connected` is behind the last one */
  protected action = 0;
  /** when the round that runs, or that waits for its turn, should start: ms */
  protected due = 0;
  #rounds_left = 0;
  /** numbers drawn so far */
  #drawn = 0;
  /** a round runs; its function has returned */
  #running = false;
  #returned = false;
  #called = 0;

  constructor(rules: Rules) {
    this.rules = rules;
  }

  /** of the client */
  abstract readonly id: number;
  protected abstract readonly loop: PlayedLoop;
  /** iterations to play, the one that it is in included; Infinity: without end */
  abstract readonly left: number;
  /** Enters a state: acting or standby. */
  abstract move(to: number): void;
  /** An iteration is over. Returns whether the player leaves here and plays no other one. */
  protected abstract ends_iteration(): boolean;
  /** It plays no further round. */
  abstract leave(): void;

  get in_round(): boolean {
    return this.#running;
  }

  on_timer(): void {
    this.next_round();
  }

  /** A turn of the event loop has passed, or the pause is over. */
  go_on(): void {
    this.parked = false;
    if (this.connection === null || this.#running || this.timer.armed) return;
    if (this.state === STANDBY) this.due = now();
    this.next_round();
  }

  /** The last open call settled. Returns true if that ended the round. */
  calls_done(): boolean {
    const ends = this.#running && this.#returned;
    if (ends) this.#round_ok();
    return ends;
  }

  /** Calls `connected`. When that has returned, the loop begins. */
  protected greet(): void {
    this.action = this.rules.actions.length;
    const at = now();
    this.start_round(at, at);
  }

  /** Begins an iteration; its first round is due at `due`, ms. */
  protected begin(due: number): void {
    this.at_top = true;
    this.action = this.loop.first - 1;
    this.#rounds_left = 0;
    this.#advance(due, 0);
  }

  /** The connection has ended; see ConnectionClient.ended. A round that runs ends with it. */
  cut(cause: CloseCause | null, code: string): void {
    this.connection = null;
    this.parked = false;
    this.rules.wheel.disarm(this.timer);
    if (!this.#running) return;
    const action = this.#recorder;
    this.#running = false;
    action.running--;
    if (cause === 'script') {
      this.#count_ok(action);
      this.end_with_round();
    } else if (cause === 'decr' || cause === 'stop') action.aborted++;
    else action.failed.add(code);
  }

  protected next_round(): void {
    const at = now();
    if (this.#rounds_left === 0) return this.#advance(at, 0);
    if (this.rules.phase === 'run') {
      if (this.state !== ACTING) this.move(ACTING);
      this.at_top = false;
      return this.start_round(this.due, at);
    }
    if (this.rules.phase === 'pause') this.park();
    else this.leave();
  }

  /** Its next round waits until it is told to go on. */
  protected park(): void {
    if (this.state !== STANDBY) this.move(STANDBY);
    this.parked = true;
  }

  get #recorder(): ActionRecorder {
    return this.rules.recorder.actions[this.action]!;
  }

  #unit(): number {
    return this.loop.draws(this.id, this.#drawn++);
  }

  /** Seconds of sleep; most sleeps of a fast script are a single number, which costs no draw. */
  #draw(think: ThinkTime): number {
    return fixed_think(think) ?? draw_think(think, this.#unit());
  }

  #draw_rounds({ rounds }: Action): number {
    return rounds[0] === rounds[1] ? rounds[0] : draw_int(rounds, this.#unit());
  }

  /** Goes to the next action with a round to play, `sleep_s` after `from`. After the last action an iteration ends. */
  #advance(from: number, sleep_s: number): void {
    const { actions, once, wheel } = this.rules;
    const { first, end, sleep_between_iterations } = this.loop;
    let sleep = sleep_s;
    let passed = 0;
    while (this.#rounds_left === 0) {
      if (++this.action === end) {
        this.action = first;
        this.at_top = true;
        // who leaves does so here, without the sleep after the last action
        if (this.ends_iteration()) return this.leave();
        sleep += this.#draw(sleep_between_iterations);
      }
      const action = actions[this.action]!;
      this.#rounds_left = this.#draw_rounds(action);
      if (this.#rounds_left === 0 && !once) sleep += this.#draw(action.sleep_after_action);
      // a whole iteration had no round: let other clients have their turn
      if (this.#rounds_left === 0 && ++passed >= end - first) break;
    }
    if (sleep > 0) {
      this.due = wheel.align(from + sleep * 1000, sleep * 1000);
      if (this.state !== STANDBY) this.move(STANDBY);
      wheel.arm(this.timer, this.due);
    } else {
      // later, once the replies that came with this one were read: their times must not include the cost of this send
      this.due = from;
      this.rules.yield_turn(this);
    }
  }

  /** `due`: when the round should have started; `called`: when its function is called (ms). */
  protected start_round(due: number, called: number): void {
    const { actions, module, functions } = this.rules;
    const connection = this.connection!;
    const action = actions[this.action];
    const recorder = this.#recorder;
    recorder.started++;
    recorder.running++;
    this.#running = true;
    this.#returned = false;
    this.due = due;
    this.#called = called;
    connection.at = called;
    try {
      let result: unknown;
      if (action === undefined) result = module.connected!(connection.handle);
      else {
        const play = functions[action.index]!; // not called as a member, so that `this` is undefined
        result = play(connection.handle, action.args);
      }
      // after `return client.send_for_reply(…)` the round ends with that call: no promise to wait for
      if (!connection.is_call(result) && is_thenable(result)) {
        // Also if the connection ended meanwhile: the function's promise must not raise unhandledRejection.
        Promise.resolve(result).then(
          () => this.#return(connection),
          (error: unknown) => this.#threw(connection, error),
        );
        return;
      }
    } catch (error) {
      return this.#threw(connection, error);
    } finally {
      connection.at = 0;
    }
    this.#return(connection);
  }

  #return(connection: PlayedConnection): void {
    if (!connection.alive) return; // the round ended with its connection
    this.#returned = true;
    if (connection.open_calls === 0) this.#round_ok();
  }

  #threw(connection: PlayedConnection, error: unknown): void {
    if (!connection.alive) return;
    if (is_wrong_reply(error)) connection.fail('wrong_reply', 'wrong_reply', error, sample_of(connection.last_reply));
    else connection.fail('fatal', 'fatal', error);
  }

  #count_ok(action: ActionRecorder): number {
    const ended = now();
    action.ok++;
    action.service.record((ended - this.#called) * 1000);
    action.response.record((ended - this.due) * 1000);
    return ended;
  }

  /** The connection ends with this round, which went well. If it was the last one of its iteration, that is over. */
  protected end_with_round(): void {
    const { end } = this.loop;
    if (this.action >= end || this.left === Infinity) return; // after `connected`, or nobody counts
    let rounds = this.#rounds_left - 1;
    while (rounds === 0 && ++this.action < end) rounds = this.#draw_rounds(this.rules.actions[this.action]!);
    if (rounds > 0) return;
    this.at_top = true;
    this.ends_iteration();
  }

  /** The round of a slot has ended, ok, and the player goes on. */
  protected after_slot(): void {}

  #round_ok(): void {
    const { actions, once, phase } = this.rules;
    const index = this.action;
    const recorder = this.#recorder;
    this.#running = false;
    recorder.running--;
    const ended = this.#count_ok(recorder);
    const { connection } = this;
    if (connection !== null) connection.last_reply = undefined;
    if (phase === 'drain' || phase === 'stop') return this.leave();
    if (connection !== null && connection.worn_out !== null) {
      this.end_with_round();
      return connection.retire();
    }
    const action = actions[index];
    if (action === undefined) return this.begin(ended);
    if (action.rate !== null) return this.after_slot();
    let sleep = once ? 0 : this.#draw(action.sleep_between_rounds);
    if (--this.#rounds_left === 0 && !once) sleep += this.#draw(action.sleep_after_action);
    this.#advance(ended, sleep);
  }
}

function on_timer(player: { on_timer(): void }): void {
  player.on_timer();
}

function is_thenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
