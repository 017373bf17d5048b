/** How many clients each member holds (docs/architecture.md). Pure; the cost grows with members, not with clients. */

/** What a member has, and what it can take. */
interface Allotment {
  /** its share so far */
  readonly held: number;
  readonly capacity: number;
  /** > 0; a member of weight 2 grows twice as fast as one of weight 1 */
  readonly weight: number;
}

/**
 * The share of each member, in member order; their sum is min(target, Σ capacity). Growth goes, client by client, to
 * the lowest share/weight (ties: the first member). Shrinking undoes growth in reverse order, so it takes from the
 * highest (ties: the last). Nothing moves from member to member: shares all grow or all shrink, unless a member holds
 * more than its capacity. With fixed members the shares depend on the target alone, whatever path led to it.
 */
export function allocate(target: number, members: readonly Allotment[]): number[] {
  const held = members.map((member) => Math.min(member.held, member.capacity));
  const weights = members.map((member) => member.weight);
  if (target < sum(held)) {
    // undoing the latest growth leaves what growth from nothing would have given
    return fill(
      members.map(() => 0),
      held,
      weights,
      target,
    );
  }
  return fill(
    held,
    members.map((member) => member.capacity),
    weights,
    target,
  );
}

/** What a member may be doing, whatever its share is. */
interface Granted {
  /** the most clients it could still be running, see Outstanding; 0 once it is known to be dead */
  readonly may: number;
  /** > 0, as above */
  readonly weight: number;
}

/**
 * What may be ordered of `shares` now: decreases at once, increases only out of `target − Σ may`. To be called again
 * whenever a `may` fell. It reaches `shares` when each member with a decrease has acknowledged it or is known to be
 * dead.
 */
export function grant(target: number, shares: readonly number[], members: readonly Granted[]): number[] {
  const room = Math.max(0, target - sum(members.map((member) => member.may)));
  const safe = members.map((member, i) => Math.min(shares[i]!, member.may));
  const weights = members.map((member) => member.weight);
  return fill(safe, shares, weights, sum(safe) + room);
}

/** Splits `per_s` into `ways` parts, exact to a millionth: they add up to it and differ by a millionth at most. */
export function split_rate(per_s: number, ways: number): number[] {
  const micro = Math.round(per_s * 1e6);
  return Array.from(
    { length: ways },
    (_, i) => (Math.floor((micro * (i + 1)) / ways) - Math.floor((micro * i) / ways)) / 1e6,
  );
}

/**
 * Water filling: raises `from` towards `caps` until the sum is `total`, each client going to the lowest share/weight.
 * All clients below a level come first, so bisection finds the level; the few on the level itself are dealt one by one.
 */
function fill(from: readonly number[], caps: readonly number[], weights: readonly number[], total: number): number[] {
  /** the shares at `level`: each member has the clients k = 0, 1, … with k/weight < level */
  const at = (level: number): number[] =>
    from.map((low, i) => {
      let share = Math.min(caps[i]!, Math.max(low, Math.ceil(level * weights[i]!)));
      // k/weight decides, as below; rounding can put the product off by one
      while (share > low && (share - 1) / weights[i]! >= level) share--;
      while (share < caps[i]! && share >= low && share / weights[i]! < level) share++;
      return share;
    });
  if (total <= sum(from)) return [...from];
  let low = 0;
  let high = Math.max(0, ...caps.map((cap, i) => cap / weights[i]!)) + 1;
  if (sum(at(high)) <= total) return at(high);
  // below it each member has its first client at most: halving on would go through a thousand numbers next to 0
  const second = 1 / Math.max(...weights);
  for (let middle = (low + high) / 2; low < middle && middle < high; middle = (low + high) / 2) {
    if (low === 0 && high <= second) break;
    if (sum(at(middle)) <= total) low = middle;
    else high = middle;
  }
  const shares = at(low);
  for (let left = total - sum(shares); left > 0; left--) {
    let lowest = -1;
    for (let i = 0; i < shares.length; i++) {
      if (shares[i]! >= caps[i]!) continue;
      if (lowest < 0 || shares[i]! / weights[i]! < shares[lowest]! / weights[lowest]!) lowest = i;
    }
    shares[lowest]!++;
  }
  return shares;
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}
