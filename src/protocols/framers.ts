/** The framers every text or binary protocol starts with: a delimiter, a length field, a fixed length. */
import { wrong_reply, type Framer } from './parser.ts';

/** What {@link length_prefixed} takes. */
export interface LengthPrefix {
  /**
   * size of the length field in bytes. `'varint'` (MQTT, protobuf): seven bits a byte, least significant first; the
   * eighth bit says that another byte follows; ten bytes at most
   */
  bytes: 1 | 2 | 3 | 4 | 8 | 'varint';
  /** byte order of the length field, default `'big'`; a varint has none */
  endian?: 'big' | 'little';
  /**
   * bytes before the length field (a type, a magic number), default 0; they are part of the frame but not of the
   * payload
   */
  offset?: number;
  /**
   * whether the length counts the header too (the bytes before the length field and the field itself), default false
   */
  includes_header?: boolean;
  /** added to the length, default 0: negative when it counts too much, positive when it leaves something out */
  adjust?: number;
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
 * Replies that begin with their length. Resolves with the payload: a copy of the bytes after the length field. To keep
 * the bytes before that field too, give a `decode` of your own:
 * `{ ...length_prefixed({ bytes: 4, offset: 1 }), decode: (buffer, start, end) => … }`.
 *
 * A frame has `offset + bytes + length + adjust` bytes; with `includes_header` it has `length + adjust`. A frame
 * shorter than its header is a wrong reply.
 *
 * @throws TypeError when an option is unknown or out of range
 */
export function length_prefixed(options: LengthPrefix): Framer {
  const { bytes, endian = 'big', offset = 0, includes_header = false, adjust = 0, ...rest } = options ?? {};
  const bad = (wanted: string): never => {
    throw new TypeError(`length_prefixed({ bytes, endian, offset, includes_header, adjust }): ${wanted}`);
  };
  if (![1, 2, 3, 4, 8, 'varint'].includes(bytes)) bad(`bytes is 1, 2, 3, 4, 8 or 'varint', not ${shown(bytes)}`);
  if (!['big', 'little'].includes(endian)) bad(`endian is 'big' or 'little', not ${shown(endian)}`);
  if (!is_length(offset, 0)) bad(`offset is a number of bytes from 0, not ${shown(offset)}`);
  if (typeof includes_header !== 'boolean') bad(`includes_header is true or false, not ${shown(includes_header)}`);
  if (!is_length(adjust, -Number.MAX_SAFE_INTEGER)) bad(`adjust is a whole number of bytes, not ${shown(adjust)}`);
  if (Object.keys(rest).length > 0) bad(`no option is called ${shown(Object.keys(rest)[0])}`);

  const whole = (header: number, length: number): number => {
    const size = (includes_header ? 0 : header) + length + adjust;
    if (size < header)
      throw wrong_reply(`a length of ${length}: a frame shorter than the ${header} bytes of its header`);
    return Math.min(size, Number.MAX_SAFE_INTEGER);
  };
  if (bytes === 'varint') {
    return {
      frame(buffer, start, end) {
        const size = varint_size(buffer, start + offset, end);
        return size === 0 ? 0 : whole(offset + size, read_varint(buffer, start + offset, size));
      },
      decode: (buffer, start, end) => {
        const at = start + offset;
        return Buffer.from(buffer.subarray(at + varint_size(buffer, at, end), end));
      },
    };
  }
  const header = offset + bytes;
  const read = READERS[endian][bytes];
  return {
    frame: (buffer, start, end) => (end - start < header ? 0 : whole(header, read(buffer, start + offset))),
    decode: (buffer, start, end) => Buffer.from(buffer.subarray(start + header, end)),
  };
}

/** 64 bits need ten bytes of seven bits. */
const MAX_VARINT = 10;

/** Bytes of the varint at `at`, 0 when its last one is not here yet. */
function varint_size(buffer: Buffer, at: number, end: number): number {
  for (let size = 1; size <= MAX_VARINT; size++) {
    if (at + size > end) return 0;
    if (buffer[at + size - 1]! < 0x80) return size;
  }
  throw wrong_reply(`a length whose varint has more than ${MAX_VARINT} bytes`);
}

/** Capped as in {@link joined}. */
function read_varint(buffer: Buffer, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 128 + (buffer[at + i]! & 0x7f);
  return Math.min(value, Number.MAX_SAFE_INTEGER);
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

/**
 * Replies that end with the connection (HTTP/1.0, finger, whois): everything up to the server's FIN, as a Buffer. The
 * connection ends then (cause `server`), and the round with it: ok if the function returns without waiting for anything
 * else. A reset is no end: the call fails.
 */
export function until_close(): Framer {
  return UNTIL_CLOSE;
}

const UNTIL_CLOSE: Framer = { frame: () => 0, until_close: true };

type ReadNumber = (buffer: Buffer, at: number) => number;

const READERS: Record<'big' | 'little', Record<Exclude<LengthPrefix['bytes'], 'varint'>, ReadNumber>> = {
  big: {
    1: (buffer, at) => buffer.readUInt8(at),
    2: (buffer, at) => buffer.readUInt16BE(at),
    3: (buffer, at) => buffer.readUIntBE(at, 3),
    4: (buffer, at) => buffer.readUInt32BE(at),
    8: (buffer, at) => joined(buffer.readUInt32BE(at), buffer.readUInt32BE(at + 4)),
  },
  little: {
    1: (buffer, at) => buffer.readUInt8(at),
    2: (buffer, at) => buffer.readUInt16LE(at),
    3: (buffer, at) => buffer.readUIntLE(at, 3),
    4: (buffer, at) => buffer.readUInt32LE(at),
    8: (buffer, at) => joined(buffer.readUInt32LE(at + 4), buffer.readUInt32LE(at)),
  },
};

/** bytes of the longest text that is remembered */
const MAX_REPEATED = 64;

/**
 * Makes text (UTF-8) of bytes. Servers say the same again and again, so a short text equal to the last one is not made
 * anew.
 */
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

/**
 * 64 bits as a number. It is capped instead of wrapping round: no reply may be as long as a number that is not exact.
 */
const joined = (high: number, low: number): number => Math.min(high * 2 ** 32 + low, Number.MAX_SAFE_INTEGER);

/**
 * Where `byte` first stands in `buffer[from, end)`, or -1. The native search takes no end: it runs on through what
 * older reads left in the shared buffer. It costs about 40 ns and a sixtieth of the loop's time per byte, so it is used
 * only when the window is wide enough to pay for that.
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
