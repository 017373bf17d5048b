/**
 * Seeded generators: the same seed and id draw the same numbers on every machine. Each takes about 1 KB and 3 µs, so
 * make it on first use.
 */
import alea from 'seedrandom/lib/alea.js';

/** A client's own seeded generator: the same seed and id draw the same numbers. */
export interface Random {
  /** an integer, a ≤ n ≤ b */
  int(a: number, b: number): number;
  /** a real number, a ≤ x < b */
  real(a: number, b: number): number;
  /** one element; throws a RangeError on an empty list */
  pick<T>(list: readonly T[]): T;
}

/**
 * The generator of one owner within a run: `id` is a client's number or a member's name.
 *
 * `int` is uniform over any safe integers less than 2⁵³ apart, `real` over finite numbers (`real(a, a)` is a). Both
 * throw a RangeError on anything else, `pick` on an empty list.
 */
export function make_random(seed: string, id: number | string): Random {
  // JSON keeps ('a', 1), ('a', '1') and ('a1', '') apart.
  const draw = alea(JSON.stringify([seed, id]));
  const int = (a: number, b: number): number => {
    if (!Number.isSafeInteger(a) || !Number.isSafeInteger(b) || a > b || !Number.isSafeInteger(b - a))
      throw new RangeError(`int(a, b) wants integers a ≤ b less than 2^53 apart, got (${a}, ${b})`);
    // 53 bits: with 32, some values of a range of billions would be likelier than others. Never rounds up to b + 1.
    return a + Math.floor(draw.double() * (b - a + 1));
  };
  return {
    int,
    real(a, b) {
      if (!(a <= b) || !Number.isFinite(b - a))
        throw new RangeError(`real(a, b) wants finite numbers a ≤ b, got (${a}, ${b})`);
      const x = a + draw.double() * (b - a);
      return x < b ? x : a; // rounding may reach b
    },
    pick<T>(list: readonly T[]): T {
      if (list.length === 0) throw new RangeError('pick(list) wants a list with at least one element');
      return list[int(0, list.length - 1)] as T;
    },
  };
}
