/** Orders for rated actions: all slots of the swarm are of one member. */
import type { GroupShare, RateOrders } from '../../src/swarm/plan/orders.ts';
import { now } from '../../src/foundation/clock.ts';
import { begin_rate, hold_rate, release_rate, SLOT, type RatePiece } from '../../src/swarm/plan/rate-piece.ts';
import { WHOLE } from '../../src/swarm/plan/segment.ts';

/** Even slots: `[per second, µs until the next rate]` from run time `from_us` on; Infinity: without end. */
export type Rates = readonly (readonly [number, number])[];

/** Whole slots in each stretch. */
export function rate_orders(rates: Rates, from_us = 0, id = 1): RateOrders {
  const pieces: RatePiece[] = [];
  let [at, slots] = [from_us, 0];
  for (const [per_s, us] of rates) {
    const rate = per_s * 1e6;
    const to_us = us === Infinity ? null : at + us;
    pieces.push({ from_us: at, to_us, from_rate: rate, to_rate: rate, slots, first: SLOT, poisson: null });
    if (to_us === null) break;
    slots += (per_s * us) / 1e6;
    at = to_us;
  }
  const { from, to } = WHOLE;
  return { pieces, tenures: [{ id, from, to, first: 1, closing: false }] };
}

/** By index of the action: slots at an even rate without end, from run time 0. */
export const at_rates = (rates: Readonly<Record<number, number>>): Pick<GroupShare, 'rates'> => ({
  rates: Object.fromEntries(
    Object.entries(rates).map(([index, per_s]) => [index, rate_orders([[per_s, Infinity]], 0, Number(index) + 1)]),
  ),
});

/** Of the action with index 0: so many slots that were due evenly within the first second, and no other. */
export const in_the_first_second = (slots: number): Pick<GroupShare, 'rates'> => ({
  rates: {
    0: rate_orders([
      [slots, 1e6],
      [0, Infinity],
    ]),
  },
});

/** The rate of the action with index 0, which is held and goes on as somebody says. */
export class SteeredRate {
  readonly #zero_ms: number;
  #rate;

  /** Even slots from run time 0 on. */
  constructor(per_s: number, zero_ms: number) {
    this.#zero_ms = zero_ms;
    this.#rate = begin_rate(0, { to_rate: per_s * 1e6, over_us: 0, poisson: false }, 0);
  }

  share(): Pick<GroupShare, 'rates'> {
    return { rates: { 0: { ...rate_orders([]), pieces: [this.#rate.piece] } } };
  }

  hold(): Pick<GroupShare, 'rates'> {
    this.#rate = hold_rate(this.#rate, this.#now_us);
    return this.share();
  }

  release(): Pick<GroupShare, 'rates'> {
    this.#rate = release_rate(this.#rate, this.#now_us);
    return this.share();
  }

  get #now_us(): number {
    return (now() - this.#zero_ms) * 1000;
  }
}
