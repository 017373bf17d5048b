/** Whole numbers in as few bytes as they need: LEB128, as in protocol buffers. */

const LEAST = 4096;

/** Writes into one buffer that grows; {@link take} copies what was written. */
export class NumberWriter {
  #bytes = new Uint8Array(LEAST);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** A whole number from 0 on. */
  unsigned(value: number): void {
    this.#room();
    let left = value;
    for (; left > 127; left = Math.floor(left / 128)) this.#bytes[this.#at++] = (left % 128) + 128;
    this.#bytes[this.#at++] = left;
  }

  /** Any whole number: the lowest bit of the first byte is its sign. */
  signed(value: number): void {
    const size = Math.abs(value);
    const first = (size % 64) * 2 + (value < 0 ? 1 : 0);
    this.#room();
    this.#bytes[this.#at++] = size < 64 ? first : first + 128;
    if (size >= 64) this.unsigned(Math.floor(size / 64));
  }

  /** Eight bytes. */
  double(value: number): void {
    this.#room();
    this.#view.setFloat64(this.#at, value);
    this.#at += 8;
  }

  /** Any bytes, with their number in front. */
  bytes(bytes: Uint8Array): void {
    this.unsigned(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** What was written since the last call. */
  take(): Uint8Array {
    const bytes = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    return bytes;
  }

  /** No number that is written has more than 160 bytes, as 2^1023 has. */
  #room(wanted = 160): void {
    if (this.#at + wanted <= this.#bytes.length) return;
    const more = new Uint8Array(2 * (this.#bytes.length + wanted));
    more.set(this.#bytes);
    this.#bytes = more;
    this.#view = new DataView(more.buffer);
  }
}

/**
 * Reads what a {@link NumberWriter} wrote, in the same order. Of bytes that somebody else wrote numbers may be anything,
 * also no whole numbers; where the bytes end it throws a RangeError.
 */
export class NumberReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** where the next number begins */
  get at(): number {
    return this.#at;
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#next();
      if (byte < 128) return value + byte * scale;
      value += (byte - 128) * scale;
    }
  }

  signed(): number {
    const byte = this.#next();
    const low = (byte & 127) >> 1;
    const size = byte < 128 ? low : low + 64 * this.unsigned();
    return byte & 1 ? -size : size;
  }

  /** There are so many more bytes: those behind them may be somebody else's. */
  #check(length: number): void {
    if (!(this.#at + length <= this.#bytes.length)) throw new RangeError('it ends too early');
  }

  #next(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError('it ends too early');
    return byte;
  }

  double(): number {
    this.#check(8);
    const value = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8).getFloat64(0);
    this.#at += 8;
    return value;
  }

  /** Not a copy. */
  bytes(): Uint8Array {
    const length = this.unsigned();
    this.#check(length);
    return this.#bytes.subarray(this.#at, (this.#at += length));
  }
}
