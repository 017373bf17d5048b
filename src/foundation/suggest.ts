/** "Did you mean …?": which known word a mistyped one was meant to be. */

/** Longer words are not compared: the work is quadratic in their length. */
const MAX_LENGTH = 64;

/**
 * The nearest of `words`, ignoring case; undefined when none is plausible, with at most one typing mistake in three
 * characters. Of equally near words the first one.
 */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let best: string | undefined;
  let best_distance = Infinity;
  for (const candidate of words) {
    if (candidate.length > MAX_LENGTH) continue;
    const distance = edit_distance(word.toLowerCase(), candidate.toLowerCase());
    const limit = Math.floor(Math.max(word.length, candidate.length) / 3);
    if (distance <= limit && distance < best_distance) [best, best_distance] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours, each counted 1. */
function edit_distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, substituted);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
