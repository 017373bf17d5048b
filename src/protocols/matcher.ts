/** Picks the message a call waits for, when the server also sends what nobody asked for. */
import type { Matcher } from './parser.ts';

/**
 * Waits for the first message that the predicate accepts; the call resolves with that message. For modules that export
 * `messages`. A message is offered to the waiting calls, oldest first, then to `on_message`.
 *
 * @throws TypeError when the predicate is not a function
 */
export function match<M = unknown>(predicate: (message: M) => boolean): Matcher<M> {
  if (typeof predicate !== 'function')
    throw new TypeError("match(predicate): a function wanted, e.g. match((m) => m.startsWith('OK'))");
  return { match: predicate };
}
