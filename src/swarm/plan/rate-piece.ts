/**
 * When the slots of a rate are due: a stretch of run time in which the rate goes straight from one value to another.
 * Rates are in millionths of a slot per second, times in whole µs, and what adds up in between in 1/(2·10¹²) of a slot,
 * so that the number of slots of a piece is exact. Pure.
 */

/** Of {@link RatePiece.first}: one slot. At a rate of r, r·2·t of it add up in t µs. */
export const SLOT = 2e12;

/** It owns the instants after `from_us`, and `to_us` itself. */
export interface RatePiece {
  /** µs of run time, whole */
  readonly from_us: number;
  /** null: without end, and then both rates are the same */
  readonly to_us: number | null;
  /** slots in 10⁶ s, whole: at its beginning, and at its end */
  readonly from_rate: number;
  readonly to_rate: number;
  /** how many slots were due before it, from the beginning of the run */
  readonly slots: number;
  /**
   * How much has to add up from `from_us` on until the next slot is due, see {@link SLOT}: above 0. Of even slots a
   * whole number up to SLOT, and each later slot is due one SLOT after the one before it.
   */
  readonly first: number;
  /**
   * Slots of a Poisson process: what adds up between two of them is drawn from an exponential distribution of mean 1,
   * by the number of the slot with this key. Null: slots come evenly.
   */
  readonly poisson: number | null;
}
