/** The instants of the slots of one rate, over the pieces that are known of it. Pure. */
import { make_times, rate_at, type RatePiece, type SlotTimes } from '../plan/rate-piece.ts';

const MAX_PIECES = 64;

/**
 * Slot n is of the last piece with fewer slots before it, and due when the next piece begins at the latest. To be asked
 * upwards: back is slow for Poisson slots, so that each who goes his own way has a cursor of his own.
 */
export class SlotCursor {
  #parts: KnownPiece[] = [];

  /** New orders. Pieces that they do not have any more are kept, since slots of them may still wait: at most 64. */
  follow(pieces: readonly RatePiece[]): void {
    const begin = pieces[0]?.from_us ?? Infinity;
    const old = this.#parts.filter(({ piece }) => piece.from_us < begin);
    const ordered = pieces.map((piece): KnownPiece => {
      // a known one may stand where drawing would take long to come
      return this.#parts.find((part) => is_same(part.piece, piece)) ?? { piece, times: make_times(piece) };
    });
    this.#parts = [...old, ...ordered].slice(-MAX_PIECES);
  }

  /** µs of run time; those before the first known piece when it begins; Infinity: not by what is known */
  due(n: number): number {
    const parts = this.#parts;
    let i = parts.length - 1;
    if (i < 0) return Infinity;
    while (i > 0 && parts[i]!.piece.slots >= n) i--;
    const due = parts[i]!.times.due(n);
    return i + 1 < parts.length ? Math.min(due, parts[i + 1]!.piece.from_us) : due;
  }

  /** How many slots are due at or before an instant. */
  by(at_us: number): number {
    const i = this.#index(at_us);
    if (i < 0) return 0;
    return Math.min(this.#parts[i]!.times.by(at_us), this.#parts[i + 1]?.piece.slots ?? Infinity);
  }

  /** of the whole swarm, in slots in 10⁶ s */
  rate_at(at_us: number): number {
    const part = this.#parts[this.#index(at_us)];
    return part === undefined ? 0 : rate_at(part.piece, at_us);
  }

  #index(at_us: number): number {
    let i = this.#parts.length - 1;
    while (i >= 0 && this.#parts[i]!.piece.from_us > at_us) i--;
    return i;
  }
}

interface KnownPiece {
  readonly piece: RatePiece;
  readonly times: SlotTimes;
}

/** Also if one begins at a later slot, see `at_slot`. */
const is_same = (a: RatePiece, b: RatePiece): boolean =>
  a.from_us === b.from_us &&
  a.to_us === b.to_us &&
  a.from_rate === b.from_rate &&
  a.to_rate === b.to_rate &&
  a.poisson === b.poisson;
