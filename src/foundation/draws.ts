/**
 * A client's draws: the random numbers that shape how it plays the script. Each is a function of (seed, client id, how
 * many it drew before). Only that count is kept, where a generator per client would take a kilobyte, and a client plays
 * the same in whichever process it lives.
 */
import { make_random } from './random.ts';

/** Draw number `draw` (0, 1, 2 …) of client `id`: 0 ≤ u < 1, 53 bits. */
export type Draws = (id: number, draw: number) => number;

/** `stream`: with another name each client has other draws, beside these. */
export function make_draws(seed: string, stream = ''): Draws {
  const key = make_random(seed, `draws${stream}`).int(0, 2 ** 32 - 1);
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

/**
 * The number below which a standard normal one is with probability `unit`, 0 ≤ unit < 1; -Infinity for 0. Relative
 * error below 1.2e-7: PPND7 of algorithm AS 241 (Wichura: The percentage points of the normal distribution; Applied
 * Statistics 37, 1988, 477-484).
 */
export function normal_quantile(unit: number): number {
  const q = unit - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    const top = ((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    return (q * top) / (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1);
  }
  const tail = q < 0 ? unit : 1 - unit;
  if (tail === 0) return -Infinity;
  return Math.sign(q) * tail_quantile(Math.sqrt(-Math.log(tail)));
}

/** How far from the middle a tail of e^-(root²) begins, for tails below 0.075. */
function tail_quantile(root: number): number {
  if (root <= 5) {
    const r = root - 1.6;
    const top = ((0.17023821103 * r + 1.3067284816) * r + 2.75681539) * r + 1.4234372777;
    return top / ((0.12021132975 * r + 0.7370016425) * r + 1);
  }
  const r = root - 5;
  const top = ((0.017337203997 * r + 0.42868294337) * r + 3.081226386) * r + 6.657905115;
  return top / ((0.012258202635 * r + 0.24197894225) * r + 1);
}
