/** The token of a console, and how often a stranger may guess it. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse_span } from '../foundation/addresses.ts';
import { now } from '../foundation/clock.ts';

const FIRST_MS = 250;
const LONGEST_MS = 4000;
/** A token that would wait longer is refused: nobody can hold up others at its address for minutes. */
const MAX_WAIT_MS = 4000;
const FORGET_MS = 600_000;
const MAX_ADDRESSES = 1000;

interface Past {
  wrong: number;
  /** when the next token from this address may be checked, ms of {@link now} */
  next: number;
}

/**
 * Slows down wrong tokens from one address, over all its connections: each makes the next one wait twice as long, up to
 * 4 s. Other addresses are not held up.
 */
export class Guesses {
  readonly #now: () => number;
  /** least recently used first */
  readonly #past = new Map<string, Past>();

  constructor(clock: () => number = now) {
    this.#now = clock;
  }

  /**
   * Takes a turn: returns the ms until the token may be checked, null when it may not. It counts as wrong until
   * {@link right} is called.
   */
  turn(address: string): number | null {
    const key = key_of(address);
    const at = this.#now();
    const known = this.#past.get(key);
    const past = known && at - known.next < FORGET_MS ? known : { wrong: 0, next: at };
    const wait = Math.max(0, past.next - at);
    if (wait > MAX_WAIT_MS) return null;
    past.next = at + wait + Math.min(FIRST_MS * 2 ** past.wrong, LONGEST_MS);
    past.wrong++;
    this.#past.delete(key);
    for (const [oldest] of this.#past) {
      if (this.#past.size < MAX_ADDRESSES) break;
      this.#past.delete(oldest);
    }
    this.#past.set(key, past);
    return wait;
  }

  right(address: string): void {
    this.#past.delete(key_of(address));
  }
}

export class Token {
  readonly #hash: Buffer;
  readonly #guesses = new Guesses();

  constructor(token: string) {
    this.#hash = hash_of(token);
  }

  /** Whether `text` is the token; null after too many guesses from `address`. Waits as long as those demand. */
  async is(text: string, address: string): Promise<boolean | null> {
    const ms = this.#guesses.turn(address);
    if (ms === null) return null;
    if (ms > 0) await sleep(ms, undefined, { ref: false });
    // hashes are compared, so that the time taken tells neither the token's length nor how much of it was right
    const is_right = timingSafeEqual(hash_of(text), this.#hash);
    if (is_right) this.#guesses.right(address);
    return is_right;
  }
}

const hash_of = (text: string): Buffer => createHash('sha256').update(text).digest();

/** For IPv6 the /64, which a host has as a whole (RFC 4291, 2.5.4). */
function key_of(address: string): string {
  const [bare = ''] = address.split('%');
  const span = parse_span(bare);
  return span?.family === 6 ? `${span.first >> 64n}/64` : span ? String(span.first) : bare;
}
