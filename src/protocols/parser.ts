/** The parser contract (docs/protocols.md): three kinds of parsers, told apart by shape. */

/**
 * The original's parser. Called with `null` first, then with at most as many bytes as it last asked for. Returns how
 * many more it needs, 0 when the reply is whole. It may keep the bytes. The call resolves with all bytes it consumed.
 */
export type FunctionParser = (data: Buffer | null) => number;

/**
 * Cuts replies out of a buffer. Holds no state: one framer serves every connection.
 *
 * `frame(buffer, start, end, seen)`: the length in bytes of the first frame of `buffer[start, end)`, as soon as it can
 * tell, even before all of the frame is here; 0 until then. `seen` is an index of `buffer`, start ≤ seen ≤ end. An
 * earlier call that returned 0 was shown the bytes before it: a delimiter search starts at
 * `max(start, seen - delimiter.length + 1)`.
 *
 * `decode(buffer, start, end)` gets one whole frame inside a buffer that is overwritten when it returns: copy what you
 * keep. Left out: the value is a copy of the frame. `null`: the frame is counted and discarded, the value is undefined.
 *
 * `until_close`: the frame is all that comes until the server closes the connection (FIN), and `frame` is not called;
 * see `until_close()`.
 */
export interface Framer<T = Buffer> {
  frame(buffer: Buffer, start: number, end: number, seen: number): number;
  decode?: ((buffer: Buffer, start: number, end: number) => T) | null;
  until_close?: true;
}

/**
 * Picks the message a call waits for, for protocols that push. Made by {@link match}; needs the module's `messages`.
 */
export interface Matcher<M = unknown> {
  match(message: M): boolean;
}

export type Parser<T = unknown> = FunctionParser | Framer<T> | Matcher<T>;

/** What `wrong_reply(text)` makes: the server answered wrongly. It fails the round and closes the connection. */
export class WrongReply extends Error {
  override readonly name = 'WrongReply';
}

/** Never throws, even if `error` is a proxy that does. */
export function is_wrong_reply(error: unknown): error is WrongReply {
  try {
    return error instanceof WrongReply;
  } catch {
    return false;
  }
}

/**
 * The error that says "the server answered wrongly". Throw it from a parser, `decode`, a predicate, `on_message` or a
 * protocol function: the round fails with `wrong_reply` and the connection is closed. Anything else thrown there is a
 * bug of the module.
 */
export function wrong_reply(text: string): Error {
  // No stack: this is an outcome, not a place in the code, and a stack costs twenty times the rest.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new WrongReply(text);
  Error.stackTraceLimit = limit;
  return error;
}
