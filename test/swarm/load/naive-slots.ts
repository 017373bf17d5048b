/** Slots one by one, as slow and as simple as can be. */
import { make_times, type RatePiece } from '../../../src/swarm/plan/rate-piece.ts';

/** The places of the first slots: the digits of n − 1 backwards, each times 7. */
const PLACES = Array.from({ length: 20_000 }, (_, n) => {
  const digits = [...String(n).padStart(6, '0')].reverse();
  return Number(digits.map((digit) => (Number(digit) * 7) % 10).join(''));
});

/** n ≤ 20 000 */
export const is_in = ({ from, to }: { from: number; to: number }, n: number): boolean => {
  const place = PLACES[n - 1]!;
  return from <= place && place < to;
};

/** When the first `count` slots are due by these pieces; index 0 is nothing. */
export function dues_of(pieces: readonly RatePiece[], count: number): number[] {
  const dues = [-Infinity];
  for (const [i, piece] of pieces.entries()) {
    const times = make_times(piece);
    const next = pieces[i + 1];
    const last = Math.min(count, next?.slots ?? Infinity);
    while (dues.length <= last) dues.push(Math.min(times.due(dues.length), next?.from_us ?? Infinity));
  }
  return dues;
}
