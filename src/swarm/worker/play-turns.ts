/** Who goes on in the next turn of the event loop: clients whose next round is due at once. */
import type { Resumable } from '../client/player.ts';

/** Most clients that go on, or are taken away, in one turn of the event loop: after `resume` all are due at once. */
export const TURN_BATCH = 500;
/** Clients that go on before more is read, and how often in a turn: rounds that never wait must not block the loop. */
const PLAY_BATCH = 32;
const MAX_PLAYS = 32;

export class PlayTurns {
  #turn: Resumable[] = [];
  #timer: NodeJS.Immediate | null = null;
  /** batches that went on in this turn so far */
  #plays = 0;

  /**
   * Of many replies that came together, some clients go on while the rest are read: they are still in the CPU's cache
   * (ADR 9). As a microtask, so that the module's own work on the reply that fills the batch runs first.
   */
  add(player: Resumable): void {
    this.#timer ??= setImmediate(this.#on_turn);
    if (this.#turn.push(player) === PLAY_BATCH && this.#plays++ < MAX_PLAYS) queueMicrotask(this.#play);
  }

  close(): void {
    if (this.#timer !== null) clearImmediate(this.#timer);
    this.#timer = null;
  }

  readonly #on_turn = (): void => {
    this.#timer = null;
    this.#plays = 0;
    this.#play();
    if (this.#turn.length > 0) this.#timer ??= setImmediate(this.#on_turn);
  };

  readonly #play = (): void => {
    const turn = this.#turn;
    this.#turn = turn.length > TURN_BATCH ? turn.splice(TURN_BATCH) : [];
    for (const player of turn) player.go_on();
  };
}
