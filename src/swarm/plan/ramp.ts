/** A straight line from one number of clients to another. Pure. */

/** A straight line from `from` clients at `start_ms` to `to` at `end_ms`, ms of one clock. */
export interface Ramp {
  readonly from: number;
  readonly to: number;
  readonly start_ms: number;
  readonly end_ms: number;
}

/** Clients wanted at `now_ms`: an integer, monotone in time, never ahead of the line, exactly `to` from the end on. */
export function planned_at(ramp: Ramp, now_ms: number): number {
  if (now_ms >= ramp.end_ms) return ramp.to;
  const part = Math.max(0, (now_ms - ramp.start_ms) / (ramp.end_ms - ramp.start_ms));
  return ramp.from + Math.trunc((ramp.to - ramp.from) * part);
}
