/** Drives a framer as a connection does: out of one big buffer full of what older reads left there, in chunks cut anywhere. */
import type { Framer } from '../../src/protocols/parser.ts';

const SIZE = 8192;
const BASE = 5; // a frame seldom begins at 0

/**
 * All values the framer decodes out of `chunks`, which hold whole frames altogether.
 *
 * @param dirt fills the buffer behind `end`: the bytes most likely to be taken for a frame's end
 */
export function feed<T>(framer: Framer<T>, chunks: readonly Uint8Array[], dirt: string | Uint8Array = '\r\n'): T[] {
  const buffer = Buffer.alloc(SIZE, dirt);
  const values: T[] = [];
  let start = BASE;
  let end = BASE;
  let seen = BASE;
  let length = 0;
  for (const chunk of chunks) {
    buffer.set(chunk, end);
    end += chunk.length;
    while (start < end) {
      if (length === 0) length = framer.frame(buffer, start, end, seen);
      seen = length === 0 ? end : start;
      if (length === 0 || end - start < length) break;
      if (framer.frame(buffer, start, end, start) !== length) throw new Error('another length once the frame is whole');
      const stop = start + length;
      values.push(
        framer.decode ? framer.decode(buffer, start, stop) : (Buffer.from(buffer.subarray(start, stop)) as T),
      );
      buffer.fill(dirt, start, stop); // whoever kept a view sees it change
      start = seen = stop;
      length = 0;
    }
  }
  if (start !== end) throw new Error(`${end - start} bytes are left over`);
  return values;
}

/** Every way to cut the bytes in two, and one byte at a time. */
export function all_cuts(bytes: Uint8Array): Uint8Array[][] {
  const pairs = Array.from({ length: bytes.length + 1 }, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [...pairs, [...bytes].map((byte) => Uint8Array.of(byte))];
}

/** The bytes cut at the given places (taken modulo the length). */
export function cut_at(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((place, index) => bytes.subarray(sorted[index], place));
}

/** The same buffer, counting which of its bytes are looked at one by one. */
export function watched(buffer: Buffer): { buffer: Buffer; reads: number[]; searches: number[] } {
  const reads: number[] = [];
  const searches: number[] = [];
  const proxy = new Proxy(buffer, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) reads.push(Number(key));
      if (key === 'indexOf') {
        return (byte: number, from: number) => {
          searches.push(from);
          return target.indexOf(byte, from);
        };
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { buffer: proxy, reads, searches };
}
