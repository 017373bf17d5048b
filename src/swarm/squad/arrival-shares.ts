/** How many clients that arrive each member may hold at a time, beside those that it shall hold. Pure. */
import type { BoundedPiece } from '../plan/orders.ts';
import { part_of, type Segment } from '../plan/segment.ts';

export interface ArrivalHolder {
  /** clients that it can hold, at least 0 */
  readonly capacity: number;
  /** of these, what is left beside the clients that it shall hold */
  readonly free: number;
  /** clients that arrived in this group which it could be running */
  readonly may: number;
}

/** Of one group, while a piece is in force. By member. */
export interface ArrivalShares {
  readonly piece: BoundedPiece;
  readonly shares: readonly number[];
}

/** For each piece. Of the parts of `at_most` none grows before others are known to have shrunk. */
export const share_arrivals = (
  pieces: readonly BoundedPiece[],
  segment: Segment,
  holders: readonly ArrivalHolder[],
): ArrivalShares[] =>
  pieces.map((piece) => {
    const { from_rate, to_rate, at_most } = piece;
    const comes = from_rate > 0 || to_rate > 0;
    const most = at_most === undefined ? Infinity : part_of(segment, at_most);
    return { piece, shares: comes ? shares_of(most, holders) : holders.map(() => 0) };
  });

function shares_of(most: number, holders: readonly ArrivalHolder[]): number[] {
  if (most === Infinity) return holders.map(({ free }) => free);
  const all = holders.reduce((sum, { capacity }) => sum + capacity, 0);
  let room = holders.reduce((left, { may }) => left - may, most);
  let [before, dealt] = [0, 0];
  return holders.map(({ capacity, free, may }) => {
    before += capacity;
    const end = all === 0 ? 0 : Math.floor((most * before) / all);
    const share = Math.min(free, end - dealt);
    dealt = end;
    const more = Math.max(0, Math.min(share - may, room));
    room -= more;
    return Math.min(share, may + more);
  });
}

/** By member, the most of what is in force at an instant, or comes later. */
export const most_of = (shares: readonly ArrivalShares[], at_us: number, members: number): number[] =>
  Array.from({ length: members }, (_, i) =>
    shares.reduce((most, { shares: own }, k) => {
      const is_over = (shares[k + 1]?.piece.from_us ?? Infinity) <= at_us;
      return is_over ? most : Math.max(most, own[i]!);
    }, 0),
  );
