/** Checks what a module passes to a FakeClient and what its parsers return: tells what is wrong, else null. */
import { isIP } from 'node:net';
import { reason_of } from '../../foundation/errors.ts';
import type { FunctionParser, Parser } from '../../protocols/parser.ts';

export function bad_data(data: unknown): string | null {
  return typeof data === 'string' || data instanceof Uint8Array
    ? null
    : `the request is ${typeof data}, not a string or bytes`;
}

export function bad_servername(name: unknown): string | null {
  return name === undefined || (typeof name === 'string' && name !== '' && isIP(name) === 0)
    ? null
    : 'servername is not a host name';
}

export function bad_parser(parser: Parser | null, messages: boolean): string | null {
  if (messages) {
    if (parser === null || (typeof parser === 'object' && typeof (parser as { match?: unknown }).match === 'function'))
      return null;
    return 'a module that exports `messages` passes match(…) or nothing as the parser';
  }
  if (typeof parser === 'function') return null;
  if (typeof parser === 'object' && parser !== null) {
    if (typeof (parser as { frame?: unknown }).frame === 'function') return null;
    if (typeof (parser as { match?: unknown }).match === 'function')
      return 'match(…) needs the module to export `messages`';
  }
  return 'the parser is neither a function nor a framer { frame, decode }';
}

/** The text for a function parser that did not return a number of bytes, with a hint where the slip is plain. */
export function bad_need(parser: FunctionParser, need: unknown): string {
  const kind = kind_of(need);
  const told = `the parser returned ${kind}: not a number of bytes`;
  const makes_one = kind === 'a function' || kind === 'a framer';
  return makes_one ? `${told}; it makes parsers, so call it: ${parser.name || 'parser'}()` : told;
}

/** Names a value that stands where a number should: `[object Object]` would say nothing. Never throws. */
export function kind_of(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return reason_of(value);
  try {
    if (value instanceof Promise) return 'a promise';
    return typeof (value as { frame?: unknown }).frame === 'function' ? 'a framer' : 'an object';
  } catch {
    return 'an object';
  }
}
