/** What a module may pass to the calls of a FakeClient: each check returns what is wrong, null when nothing is. */
import { isIP } from 'node:net';
import type { Parser } from '../protocols/parser.ts';

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
