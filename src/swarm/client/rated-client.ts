/**
 * A client of a group with rated actions and one loop, whose module has no `messages`: one round at a time, of its loop
 * or for a slot. It is free for a slot while its loop sleeps.
 */
import { now } from '../../foundation/clock.ts';
import { ACTING, STANDBY } from '../../metrics/state.ts';
import { FiniteClient, type RunnerRules } from './runner.ts';
import type { SlotDesk, SlotTaker } from './slot-desk.ts';

export class RatedClient extends FiniteClient implements SlotTaker {
  declare queue_next: RatedClient | null;
  declare queue_prev: RatedClient | null;
  readonly #desk: SlotDesk;
  /** where its loop is, while the round of a slot runs */
  #loop_action = 0;
  #loop_due = 0;

  /** `iterations`: Infinity: without end. */
  constructor(id: number, rules: RunnerRules, iterations: number) {
    super(id, rules, iterations);
    this.#desk = rules.desks[0]!;
  }

  get takes_slots(): boolean {
    return true;
  }

  take_slot(action: number, due: number, at: number): void {
    this.#loop_action = this.action;
    this.#loop_due = this.due;
    this.action = action;
    if (this.state !== ACTING) this.move(ACTING);
    this.start_round(due, at);
  }

  /** It is free for slots just while it stands by. */
  override move(to: number): void {
    if (this.state === STANDBY) this.#desk.busy(this);
    super.move(to);
    if (to === STANDBY) this.#desk.free(this);
  }

  override go_on(): void {
    // the loop was paused, and its round waits for that of the slot
    if (this.parked && this.#in_slot) this.#loop_due = now();
    super.go_on();
  }

  protected override begin(due: number): void {
    if (!this.loop.only_slots) super.begin(due);
    else this.#rest();
  }

  protected override next_round(): void {
    if (this.rules.phase !== 'run' || !this.#desk.goes_first(this, this.due)) super.next_round();
  }

  protected override after_slot(): void {
    if (this.loop.only_slots) return this.ends_iteration() ? this.leave() : this.#rest();
    this.action = this.#loop_action;
    this.due = this.#loop_due;
    if (this.draining && this.at_top) this.leave();
    else if (this.timer.armed || this.parked) this.move(STANDBY);
    else this.rules.yield_turn(this); // its loop's round became due meanwhile
  }

  protected override end_with_round(): void {
    if (!this.#in_slot) super.end_with_round();
    else if (this.loop.only_slots) this.ends_iteration();
  }

  /** The newest round is that of a slot. */
  get #in_slot(): boolean {
    const action = this.rules.actions[this.action];
    return action !== undefined && action.rate !== null;
  }

  /** Only slots are played. */
  #rest(): void {
    const { phase } = this.rules;
    if (this.draining || phase === 'drain' || phase === 'stop') this.leave();
    else this.move(STANDBY);
  }
}
