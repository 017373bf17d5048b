/**
 * One client playing the script: connect, `connected`, then its loop, until its connection ends.
 *
 *            turn            established        due, next round           after the sleep
 *   initial ──────► connect ────────────► acting ───────────────► standby ──────────────► acting …
 *   backoff ──────►    │ refused, timed out    │ lost, closed, wrong        │ lost
 *      ▲───────────────┴───────────────────────┴────────────────────────────┘          module threw ──► fatal
 */
import { now } from '../../foundation/clock.ts';
import { make_random } from '../../foundation/random.ts';
import type { CloseCause } from '../../metrics/snapshot.ts';
import {
  ACTING,
  BACKOFF,
  CONNECT,
  ENDS,
  FATAL,
  INITIAL,
  is_legal,
  KILLED,
  STANDBY,
  STATES,
} from '../../metrics/state.ts';
import type { Random } from '../../protocols/client.ts';
import { Connection, TAKEN_AWAY, type ConnectionClient, type ConnectionRules } from './connection.ts';
import type { Trace } from './inbound.ts';
import { Player, type PlayedLoop, type PlayerRules } from './player.ts';
import type { TlsSession } from './secure.ts';
import type { SlotDesk } from './slot-desk.ts';

const NAMES = [...STATES, ...ENDS] as const;
/** Illegal moves throw in tests only: the check costs a look-up per round. */
const CHECK_MOVES = process.env['VITEST'] !== undefined;

/** What all clients of a group share in a member. */
export interface RunnerRules extends ConnectionRules, PlayerRules {
  /** the loops of the group, at least one; `loop` is the first of them */
  readonly loops: readonly PlayedLoop[];
  readonly loop: PlayedLoop;
  /** of its rated actions, in their order; without `messages` one for all of them */
  readonly desks: readonly SlotDesk[];
  readonly seed: string;
  readonly shared: unknown;
  /**
   * The client lost, closed or never got its connection (`missed`): its state is `backoff` or `fatal` now. It may have
   * ended its last iteration with it.
   */
  disconnected(client: Client, missed: boolean): void;
  /** its reconnect delay is over */
  wants_turn(client: Client): void;
  /** the client's state changed */
  moved(client: Client): void;
  /** The client plays no further round: its iterations are over, or it is draining, or its round in phase drain ended. */
  leaves(client: Client): void;
  /** a bug in the module, for the log */
  bug(error: unknown, client: number): void;
}

/** A client of a group with one loop, which it plays without end. */
export class Client extends Player<RunnerRules, Connection> implements ConnectionClient {
  readonly id: number;
  trace: Trace | null = null;
  tls_session: TlsSession | null = null;
  misses = 0;
  draining = false;
  /** its pool and index in the population, and its neighbours in the queue for a turn to connect */
  pool = -1;
  slot = -1;
  queued = false;
  queue_next: Client | null = null;
  queue_prev: Client | null = null;
  #random: Random | null = null;
  #memory: Record<string, unknown> | null = null;

  constructor(id: number, rules: RunnerRules) {
    super(rules);
    this.id = id;
    rules.recorder.states[INITIAL]!++;
    rules.recorder.entered[INITIAL]!++;
  }

  get random(): Random {
    return (this.#random ??= make_random(this.rules.seed, this.id));
  }
  get memory(): Record<string, unknown> {
    return (this.#memory ??= {});
  }
  get shared(): unknown {
    return this.rules.shared;
  }
  get left(): number {
    return Infinity;
  }
  /** It sleeps, and nothing of an iteration has been played. */
  get rests(): boolean {
    return this.at_top && this.state === STANDBY;
  }

  /** Its turn to connect came. */
  connect(): void {
    this.move(CONNECT);
    this.connection = new Connection(this, this.rules);
  }

  /** Enters a state. `killed` and `done` have no gauge. */
  override move(to: number): void {
    const { states, entered } = this.rules.recorder;
    if (CHECK_MOVES && !is_legal(STATES[this.state]!, NAMES[to]!))
      throw new Error(`illegal move ${NAMES[this.state]} -> ${NAMES[to]}`);
    states[this.state]!--;
    if (to < KILLED) states[to]!++;
    entered[to]!++;
    this.state = to;
    this.rules.moved(this);
  }

  established(): void {
    this.move(ACTING);
    this.at_top = true;
    if (this.rules.module.connected !== undefined) this.greet();
    else this.begin(now());
  }

  override on_timer(): void {
    if (this.state === STANDBY) this.next_round();
    else if (this.state === BACKOFF) this.rules.wants_turn(this);
  }

  ended(cause: CloseCause | null, code: string, error: unknown): void {
    this.cut(cause, code);
    if (code === TAKEN_AWAY) return; // the population removes the client
    if (cause === 'fatal') {
      this.move(FATAL);
      this.rules.bug(error, this.id);
    } else if (cause === null && error === undefined) return;
    else this.move(BACKOFF);
    this.rules.disconnected(this, cause === null);
  }

  override leave(): void {
    this.rules.leaves(this);
  }

  protected override get loop(): PlayedLoop {
    return this.rules.loop;
  }

  protected override ends_iteration(): boolean {
    return this.draining;
  }
}

/** A client of a group with one loop, which plays so many iterations and leaves. */
export class FiniteClient extends Client {
  #left: number;

  constructor(id: number, rules: RunnerRules, iterations: number) {
    super(id, rules);
    this.#left = iterations;
  }

  override get left(): number {
    return this.#left;
  }

  protected override ends_iteration(): boolean {
    return --this.#left === 0 || super.ends_iteration();
  }
}
