/**
 * A client's draws: the random numbers that shape how it plays the script. Each is a function of (seed, client id, how
 * many it drew before). Only that count is kept, where a generator per client would take a kilobyte, and a client plays
 * the same in whichever process it lives.
 */
import { make_random } from './random.ts';

/** Draw number `draw` (0, 1, 2 …) of client `id`: 0 ≤ u < 1, 53 bits. */
export type Draws = (id: number, draw: number) => number;

export function make_draws(seed: string): Draws {
  const key = make_random(seed, 'draws').int(0, 2 ** 32 - 1);
  return (id, draw) => {
    const [high, low] = philox(draw, id, key ^ Math.floor(id / 2 ** 32));
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  };
}

/** The two numbers that {@link philox} made last. One array serves all calls, since a draw must not allocate. */
const OUT: [number, number] = [0, 0];

/**
 * Philox 2x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3;
 * SC 2011). Arguments are taken as 32-bit words. The result is overwritten by the next call.
 */
export function philox(counter_0: number, counter_1: number, key: number): readonly [number, number] {
  let left = counter_0;
  let right = counter_1;
  let round_key = key;
  for (let round = 0; round < 10; round++) {
    const low = Math.imul(left, 0xd256d193);
    left = multiply_high(left >>> 0, 0xd256, 0xd193) ^ round_key ^ right;
    right = low;
    round_key = (round_key + 0x9e3779b9) | 0;
  }
  OUT[0] = left >>> 0;
  OUT[1] = right >>> 0;
  return OUT;
}

/** The upper 32 bits of the product of two words, the second in two halves since doubles hold only 53 bits. */
function multiply_high(a: number, b_high: number, b_low: number): number {
  const a_high = a >>> 16;
  const a_low = a & 0xffff;
  const t = a_high * b_low + ((a_low * b_low) >>> 16);
  const u = a_low * b_high + (t & 0xffff);
  return (a_high * b_high + (t >>> 16) + (u >>> 16)) | 0;
}
