/**
 * One client playing the script: connect, `connected`, then round after round with its sleeps, until its connection
 * ends.
 *
 *            turn            established        due, next round           after the sleep
 *   initial ──────► connect ────────────► acting ───────────────► standby ──────────────► acting …
 *   backoff ──────►    │ refused, timed out    │ lost, closed, wrong        │ lost
 *      ▲───────────────┴───────────────────────┴────────────────────────────┘          module threw ──► fatal
 */
import { now, Timer } from '../../foundation/clock.ts';
import type { Draws } from '../../foundation/draws.ts';
import { make_random } from '../../foundation/random.ts';
import type { ActionRecorder } from '../../metrics/recorder.ts';
import type { CloseCause } from '../../metrics/snapshot.ts';
import { ENDS, is_legal, STATES } from '../../metrics/state.ts';
import type { Random } from '../../protocols/client.ts';
import type { ProtocolFunction, ProtocolModule } from '../../protocols/module.ts';
import { is_wrong_reply } from '../../protocols/parser.ts';
import { draw_int, draw_real, is_range } from '../../script/range.ts';
import type { Loop, ThinkTime } from '../../script/types.ts';
import { Connection, type ConnectionClient, type ConnectionRules } from './connection.ts';
import { sample_of, type Trace } from './inbound.ts';
import type { TlsSession } from './secure.ts';

export const INITIAL = 0;
export const CONNECT = 1;
export const ACTING = 2;
export const STANDBY = 3;
export const BACKOFF = 4;
export const FATAL = 5;
export const KILLED = 6;
export const DONE = 7;

const NAMES = [...STATES, ...ENDS] as const;
/** Illegal moves throw in tests only: the check costs a look-up per round. */
const CHECK_MOVES = process.env['VITEST'] !== undefined;

/** What all clients of a member share. */
export interface RunnerRules extends ConnectionRules {
  readonly script: Pick<Loop, 'actions'>;
  readonly module: ProtocolModule;
  /** the function of each action, by its index: the message path looks nothing up by name */
  readonly functions: readonly ProtocolFunction[];
  readonly seed: string;
  /** random numbers from the seed that shape a client's rounds and sleeps */
  readonly draws: Draws;
  readonly shared: unknown;
  /** `swarm try`: one iteration, no sleeps */
  readonly once: boolean;
  /** run: play the script. pause: start no round but `connected`. drain: end after the round. */
  phase: 'run' | 'pause' | 'drain' | 'stop';
  /** calls `client.go_on()` soon, from the event loop */
  yield_turn(client: Client): void;
  /** The client lost, closed or never got its connection (`missed`): its state is `backoff` or `fatal` now. */
  disconnected(client: Client, missed: boolean): void;
  /** its reconnect delay is over */
  wants_turn(client: Client): void;
  /** the client's state changed */
  moved(client: Client): void;
  /** the client ended: its iteration while draining, its round in phase drain, or its only iteration (`once`) */
  leaves(client: Client): void;
  /** a bug in the module, for the log */
  bug(error: unknown, client: number): void;
}

export class Client implements ConnectionClient {
  readonly id: number;
  state = INITIAL;
  connection: Connection | null = null;
  trace: Trace | null = null;
  tls_session: TlsSession | null = null;
  misses = 0;
  draining = false;
  /** its next round is due when the pause is over */
  parked = false;
  /** its pool and index in the population, and its neighbours in the queue for a turn to connect */
  pool = -1;
  slot = -1;
  queued = false;
  queue_next: Client | null = null;
  queue_prev: Client | null = null;
  /** no round of this iteration started yet */
  at_top = true;
  /** the sleep between rounds, or the delay before a reconnect */
  readonly timer = new Timer<Client>(this, on_timer);

  readonly #rules: RunnerRules;
  #random: Random | null = null;
  #memory: Record<string, unknown> | null = null;
  /** index of the action that is played; script.actions.length: `connected`; -1: before the first */
  #action = -1;
  #rounds_left = 0;
  /** numbers this client has drawn so far */
  #drawn = 0;
  /** a round runs; its function has returned */
  #running = false;
  #returned = false;
  #due = 0;
  #called = 0;

  constructor(id: number, rules: RunnerRules) {
    this.id = id;
    this.#rules = rules;
    rules.recorder.states[INITIAL]!++;
    rules.recorder.entered[INITIAL]!++;
  }

  get random(): Random {
    return (this.#random ??= make_random(this.#rules.seed, this.id));
  }
  get memory(): Record<string, unknown> {
    return (this.#memory ??= {});
  }
  get shared(): unknown {
    return this.#rules.shared;
  }
  get in_round(): boolean {
    return this.#running;
  }

  /** Its turn to connect came. */
  connect(): void {
    this.move(CONNECT);
    this.connection = new Connection(this, this.#rules);
  }

  /** Enters a state. `killed` and `done` have no gauge. */
  move(to: number): void {
    const { states, entered } = this.#rules.recorder;
    if (CHECK_MOVES && !is_legal(STATES[this.state]!, NAMES[to]!))
      throw new Error(`illegal move ${NAMES[this.state]} -> ${NAMES[to]}`);
    states[this.state]!--;
    if (to < KILLED) states[to]!++;
    entered[to]!++;
    this.state = to;
    this.#rules.moved(this);
  }

  established(): void {
    this.move(ACTING);
    this.at_top = true;
    const { module, script } = this.#rules;
    if (module.connected !== undefined) {
      this.#action = script.actions.length;
      const at = now();
      this.#start_round(at, at);
    } else this.#begin_script(now());
  }

  on_timer(): void {
    if (this.state === STANDBY) this.#next_round();
    else if (this.state === BACKOFF) this.#rules.wants_turn(this);
  }

  /** A turn of the event loop has passed, or the pause is over. */
  go_on(): void {
    this.parked = false;
    if (this.connection === null || this.#running || this.timer.armed) return;
    if (this.state === STANDBY) this.#due = now();
    this.#next_round();
  }

  calls_done(): boolean {
    const ends = this.#running && this.#returned;
    if (ends) this.#round_ok();
    return ends;
  }

  ended(cause: CloseCause | null, code: string, error: unknown): void {
    this.connection = null;
    this.parked = false;
    this.#rules.wheel.disarm(this.timer);
    if (this.#running) {
      const action = this.#recorder;
      this.#running = false;
      action.running--;
      if (cause === 'script') this.#count_ok(action);
      else if (cause === 'decr' || cause === 'stop') action.aborted++;
      else action.failed.add(code);
    }
    if (cause === 'decr' || cause === 'stop') return; // the population removes the client
    if (cause === 'fatal') {
      this.move(FATAL);
      this.#rules.bug(error, this.id);
    } else if (cause === null && error === undefined) return;
    else this.move(BACKOFF);
    this.#rules.disconnected(this, cause === null);
  }

  get #recorder(): ActionRecorder {
    return this.#rules.recorder.actions[this.#action]!;
  }

  #unit(): number {
    return this.#rules.draws(this.id, this.#drawn++);
  }

  /** Seconds of sleep; most ranges of a fast script are a single number, which costs no draw. */
  #draw(think: ThinkTime): number {
    if (!is_range(think)) return think.mean;
    const range = think;
    return range[0] === range[1] ? range[0] : draw_real(range, this.#unit());
  }

  #begin_script(due: number): void {
    this.at_top = true;
    this.#action = -1;
    this.#rounds_left = 0;
    this.#advance(due, 0);
  }

  /** Goes to the next action with a round to play, `sleep_s` after `from`. After the last action an iteration ends. */
  #advance(from: number, sleep_s: number): void {
    const { script, once } = this.#rules;
    const { actions } = script;
    let sleep = sleep_s;
    let passed = 0;
    while (this.#rounds_left === 0) {
      if (++this.#action >= actions.length) {
        // a client that leaves does so here, without the sleep after its last action
        if (this.draining || once) return this.#rules.leaves(this);
        this.#action = 0;
        this.at_top = true;
      }
      const action = actions[this.#action]!;
      const { rounds } = action;
      this.#rounds_left = rounds[0] === rounds[1] ? rounds[0] : draw_int(rounds, this.#unit());
      if (this.#rounds_left === 0 && !once) sleep += this.#draw(action.sleep_after_action);
      // a whole iteration had no round: let other clients have their turn
      if (this.#rounds_left === 0 && ++passed >= actions.length) break;
    }
    if (sleep > 0) {
      this.#due = this.#rules.wheel.align(from + sleep * 1000, sleep * 1000);
      if (this.state !== STANDBY) this.move(STANDBY);
      this.#rules.wheel.arm(this.timer, this.#due);
    } else {
      // later, once the replies that came with this one were read: their times must not include the cost of this send
      this.#due = from;
      this.#rules.yield_turn(this);
    }
  }

  #next_round(): void {
    const at = now();
    if (this.#rounds_left === 0) return this.#advance(at, 0);
    if (this.#rules.phase === 'run') {
      if (this.state !== ACTING) this.move(ACTING);
      this.at_top = false;
      return this.#start_round(this.#due, at);
    }
    if (this.#rules.phase === 'pause') {
      if (this.state !== STANDBY) this.move(STANDBY);
      this.parked = true;
    } else this.#rules.leaves(this);
  }

  /** `due`: when the round should have started; `called`: when its function is called (ms). */
  #start_round(due: number, called: number): void {
    const { script, module, functions } = this.#rules;
    const connection = this.connection!;
    const action = script.actions[this.#action];
    const recorder = this.#recorder;
    recorder.started++;
    recorder.running++;
    this.#running = true;
    this.#returned = false;
    this.#due = due;
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

  #return(connection: Connection): void {
    if (!connection.alive) return; // the round ended with its connection
    this.#returned = true;
    if (connection.open_calls === 0) this.#round_ok();
  }

  #threw(connection: Connection, error: unknown): void {
    if (!connection.alive) return;
    if (is_wrong_reply(error)) connection.fail('wrong_reply', 'wrong_reply', error, sample_of(connection.last_reply));
    else connection.fail('fatal', 'fatal', error);
  }

  #count_ok(action: ActionRecorder): number {
    const ended = now();
    action.ok++;
    action.service.record((ended - this.#called) * 1000);
    action.response.record((ended - this.#due) * 1000);
    return ended;
  }

  #round_ok(): void {
    const { script, once, phase } = this.#rules;
    const index = this.#action;
    const recorder = this.#recorder;
    this.#running = false;
    recorder.running--;
    const ended = this.#count_ok(recorder);
    const { connection } = this;
    if (connection !== null) connection.last_reply = undefined;
    if (phase === 'drain' || phase === 'stop') return this.#rules.leaves(this);
    if (connection !== null && connection.worn_out !== null) return connection.retire();
    const action = script.actions[index];
    if (action === undefined) return this.#begin_script(ended);
    let sleep = once ? 0 : this.#draw(action.sleep_between_rounds);
    if (--this.#rounds_left === 0 && !once) sleep += this.#draw(action.sleep_after_action);
    this.#advance(ended, sleep);
  }
}

function on_timer(client: Client): void {
  client.on_timer();
}

function is_thenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
