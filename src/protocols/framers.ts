/** The framers every text or binary protocol starts with: a delimiter, a length field, a fixed length. */
import { wrong_reply, type Framer } from './parser.ts';

/** What {@link length_prefixed} takes. */
export interface LengthPrefix {
  /** size of the length field in bytes */
  bytes: 1 | 2 | 4 | 8;
  /** byte order of the length field, default `'big'` */
  endian?: 'big' | 'little';
  /** bytes before the length field (a type, a magic number), default 0; they are part of the frame but not of the payload */
  offset?: number;
  /** whether the length counts the header too (the bytes before the length field and the field itself), default false */
  includes_header?: boolean;
}

/**
 * Replies that end with a delimiter. Resolves with a string (UTF-8) without the delimiter.
 *
 * @param delimiter one byte or more, default `'\r\n'`; a string means its UTF-8 bytes
 * @throws TypeError when the delimiter is empty or neither a string nor bytes
 */
export function line(delimiter: string | Uint8Array = '\r\n'): Framer<string> {
  if (typeof delimiter !== 'string' && !(delimiter instanceof Uint8Array))
    throw new TypeError(`line(delimiter): a string or bytes wanted, e.g. line('\\n'), not ${shown(delimiter)}`);
  const wanted = Buffer.from(delimiter);
  const size = wanted.length;
  if (size === 0) throw new TypeError("line(delimiter): at least one byte wanted, e.g. line('\\n')");
  const last = wanted.readUInt8(size - 1);
  const text_of = make_text_of();
  return {
    frame(buffer, start, end, seen) {
      // A delimiter not seen before ends at or after `seen`, and has room for all its bytes after `start`.
      let at = Math.max(start + size - 1, seen);
      while ((at = index_of(buffer, last, at, end)) >= 0) {
        let same = size - 1;
        while (same > 0 && buffer[at - size + same] === wanted[same - 1]) same--;
        if (same === 0) return at + 1 - start;
        at++;
      }
      return 0;
    },
    decode: (buffer, start, end) => text_of(buffer, start, end - size),
  };
}

/**
 * Replies that say their length up front. Resolves with the payload: a copy of the bytes after the length field. To keep the bytes before it
 * too, give a `decode` of your own: `{ ...length_prefixed({ bytes: 4, offset: 1 }), decode: (buffer, start, end) => … }`.
 *
 * A length with `includes_header` smaller than the header is a wrong reply.
 *
 * @throws TypeError when an option is unknown or out of range
 */
export function length_prefixed(options: LengthPrefix): Framer {
  const { bytes, endian = 'big', offset = 0, includes_header = false, ...rest } = options ?? {};
  const bad = (wanted: string): never => {
    throw new TypeError(`length_prefixed({ bytes, endian, offset, includes_header }): ${wanted}`);
  };
  if (![1, 2, 4, 8].includes(bytes)) bad(`bytes is 1, 2, 4 or 8, not ${shown(bytes)}`);
  if (!['big', 'little'].includes(endian)) bad(`endian is 'big' or 'little', not ${shown(endian)}`);
  if (!is_length(offset, 0)) bad(`offset is a number of bytes from 0, not ${shown(offset)}`);
  if (typeof includes_header !== 'boolean') bad(`includes_header is true or false, not ${shown(includes_header)}`);
  if (Object.keys(rest).length > 0) bad(`no option is called ${shown(Object.keys(rest)[0])}`);

  const header = offset + bytes;
  const read = READERS[endian][bytes];
  return {
    frame(buffer, start, end) {
      if (end - start < header) return 0;
      const length = read(buffer, start + offset);
      if (!includes_header) return Math.min(header + length, Number.MAX_SAFE_INTEGER);
      if (length < header) throw wrong_reply(`a length of ${length}, less than the ${header} bytes of its own header`);
      return length;
    },
    decode: (buffer, start, end) => Buffer.from(buffer.subarray(start + header, end)),
  };
}

/**
 * Replies that are always `length` bytes long. Resolves with a copy of them.
 *
 * @param length bytes, from 1
 * @throws TypeError when it is not a positive integer
 */
export function fixed(length: number): Framer {
  if (!is_length(length, 1))
    throw new TypeError(`fixed(length): a number of bytes from 1 wanted, not ${shown(length)}`);
  return { frame: () => length };
}

type Read = (buffer: Buffer, at: number) => number;

const READERS: Record<'big' | 'little', Record<LengthPrefix['bytes'], Read>> = {
  big: {
    1: (buffer, at) => buffer.readUInt8(at),
    2: (buffer, at) => buffer.readUInt16BE(at),
    4: (buffer, at) => buffer.readUInt32BE(at),
    8: (buffer, at) => joined(buffer.readUInt32BE(at), buffer.readUInt32BE(at + 4)),
  },
  little: {
    1: (buffer, at) => buffer.readUInt8(at),
    2: (buffer, at) => buffer.readUInt16LE(at),
    4: (buffer, at) => buffer.readUInt32LE(at),
    8: (buffer, at) => joined(buffer.readUInt32LE(at + 4), buffer.readUInt32LE(at)),
  },
};

/** bytes of the longest text that is remembered */
const MAX_REPEATED = 64;

/** Bytes as text (UTF-8). Servers say the same again and again: a short text that is the last one's repetition is not made anew. */
function make_text_of(): (buffer: Buffer, start: number, end: number) => string {
  const bytes = new Uint8Array(MAX_REPEATED);
  let length = 0;
  let text = '';
  return (buffer, start, end) => {
    if (end - start === length) {
      let same = 0;
      while (same < length && bytes[same] === buffer[start + same]) same++;
      if (same === length) return text;
    }
    const made = buffer.toString('utf8', start, end);
    if (end - start <= MAX_REPEATED) {
      length = end - start;
      for (let at = 0; at < length; at++) bytes[at] = buffer[start + at]!;
      text = made;
    }
    return made;
  };
}

/** 64 bits as a number; what no number holds exactly is longer than any reply may be, and says so instead of wrapping round. */
const joined = (high: number, low: number): number => Math.min(high * 2 ** 32 + low, Number.MAX_SAFE_INTEGER);

/**
 * Where `byte` first stands in `buffer[from, end)`, or -1. The native search knows no end and runs on through what older reads left in the shared
 * buffer: it is asked only when the window is wide enough to pay for that (it costs about 40 ns and a sixtieth of the loop's time per byte).
 */
function index_of(buffer: Buffer, byte: number, from: number, end: number): number {
  if (end - from > 64 + ((buffer.length - from) >> 6)) {
    const at = buffer.indexOf(byte, from);
    return at < end ? at : -1;
  }
  for (let at = from; at < end; at++) if (buffer[at] === byte) return at;
  return -1;
}

const is_length = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least;

const shown = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value));
