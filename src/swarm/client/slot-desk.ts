/** How slots of rated actions come to the clients that play them. */

/** Who plays slots: a client, or its part that plays one rated action. */
export interface SlotTaker {
  /** its neighbours among those that are free */
  queued: boolean;
  queue_next: SlotTaker | null;
  queue_prev: SlotTaker | null;
  /** false: it is not free any more, though nobody has said so */
  readonly takes_slots: boolean;
  /** Starts a round of the action with this index for a slot that was due at `due`; `at`: now, ms. It is in no line. */
  take_slot(action: number, due: number, at: number): void;
}

/** Where slots of rated actions wait for takers, and takers for slots. */
export interface SlotDesk {
  /** It may be given a slot, in a later turn. */
  free(taker: SlotTaker): void;
  /** It is not free any more. */
  busy(taker: SlotTaker): void;
  /** Gives it a slot that waits and was due before `due`, ms, if no taker is free. False: there is none. */
  goes_first(taker: SlotTaker, due: number): boolean;
}
