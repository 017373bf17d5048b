import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reply_parser_crlf } from '../../src/protocols/crlf.ts';
import { fixed, length_prefixed, line, type LengthPrefix } from '../../src/protocols/framers.ts';
import { WrongReply, type Framer } from '../../src/protocols/parser.ts';
import { all_cuts, cut_at, feed, watched } from './harness.ts';

const DOCS = readFileSync(new URL('../../docs/protocols.md', import.meta.url), 'utf8');
const places = fc.array(fc.nat(), { maxLength: 12 });

describe('line', () => {
  it.each([
    ['CR LF', '\r\n', 'OK one\r\n\r\nzwei €\r\n', ['OK one', '', 'zwei €']],
    ['LF', '\n', 'a\r\nb\n', ['a\r', 'b']],
    ['a delimiter that begins like itself', 'aab', 'aaab-aab', ['a', '-']],
    ['a delimiter of one repeated byte', '\r\r\r', '1\r\r\r2\r\r\r', ['1', '2']],
    ['CRs before CR LF', '\r\n', 'x\r\r\r\n', ['x\r\r']],
  ])('%s, cut at every offset', (_, delimiter, text, wanted) => {
    for (const dirt of [delimiter, '\0', delimiter.slice(1) || 'x'])
      for (const chunks of all_cuts(Buffer.from(text))) expect(feed(line(delimiter), chunks, dirt)).toEqual(wanted);
  });

  it('takes bytes as a delimiter, and its own copy of them', () => {
    const bytes = Uint8Array.of(0xff, 0x00);
    const framer = line(bytes);
    bytes.fill(0x31);
    expect(feed(framer, [Buffer.from([0x31, 0x31, 0xff, 0x00])])).toEqual(['11']);
  });

  it('cuts any lines, cut anywhere, as split does', () => {
    const delimiter = fc.constantFrom('\n', '\r\n', 'ab', 'aab', 'aba', '\0\0\0');
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '\0', 'é'), maxLength: 300 });
    fc.assert(
      fc.property(delimiter, text, places, (end, body, cuts) => {
        const whole = body + end;
        // Split looks for the delimiter from the left too, but the one that closes the last line may begin before it.
        const lines = whole.split(end);
        fc.pre(lines.pop() === '');
        expect(feed(line(end), cut_at(Buffer.from(whole), cuts), end)).toEqual(lines);
      }),
    );
  });

  it('finds long lines in a wide window (the native search) as in a narrow one', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1500), { minLength: 1, maxLength: 4 }), places, (lengths, cuts) => {
        const lines = lengths.map((length, index) => String(index).repeat(length) + '\r');
        const bytes = Buffer.from(lines.map((text) => `${text}\r\n`).join(''));
        expect(feed(line(), cut_at(bytes, cuts))).toEqual(lines);
      }),
    );
  });

  it('looks at each byte of a dripped line at most twice', () => {
    const size = 5000;
    const { buffer, reads } = watched(Buffer.alloc(65_536, 'x'));
    const framer = line();
    for (let end = 1; end <= size; end++) expect(framer.frame(buffer, 0, end, end - 1)).toBe(0);
    expect(reads.length).toBeLessThanOrEqual(2 * size);
  });

  it('looks at no byte behind the end, and searches natively only where the window is wide', () => {
    const { buffer, reads, searches } = watched(Buffer.alloc(65_536, '\r\n'));
    buffer.fill('x', 0, 4000);
    expect(line().frame(buffer, 100, 700, 100)).toBe(0);
    expect(Math.max(...reads)).toBe(699);
    expect(searches).toEqual([]);
    expect(line().frame(buffer, 100, 3900, 100)).toBe(0);
    expect(searches).toEqual([101]);
  });

  it.each([[''], [new Uint8Array()], [null], [13], [/\r\n/]])('refuses %s as a delimiter', (delimiter) => {
    expect(() => line(delimiter as string)).toThrow(TypeError);
    expect(() => line(delimiter as string)).toThrow(/wanted, e\.g\. line\('\\n'\)/);
  });

  it('tells each line from the one before, however alike', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\uFFFD'), maxLength: 70 });
    const few = fc.array(text, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(few, fc.array(fc.nat(), { maxLength: 30 }), (texts, picks) => {
        const lines = picks.map((pick) => texts[pick % texts.length]!);
        expect(feed(line('\n'), [Buffer.from(lines.map((one) => `${one}\n`).join(''))])).toEqual(lines);
      }),
    );
  });

  it('is what reply_parser_crlf gives, the same framer each time', () => {
    expect(reply_parser_crlf()).toBe(reply_parser_crlf());
    expect(feed(reply_parser_crlf(), [Buffer.from('OK 1\r\nOK 2\r\n')])).toEqual(['OK 1', 'OK 2']);
  });
});

/** The frame of a payload, written without looking at the framer. */
function framed(payload: Buffer, prefix: LengthPrefix): Buffer {
  const { bytes, endian = 'big', offset = 0, includes_header = false, adjust = 0 } = prefix;
  if (bytes === 'varint') {
    // with the header in it the field's own size counts: the first that fits
    for (let size = 1; ; size++) {
      const field = varint(BigInt(payload.length - adjust + (includes_header ? offset + size : 0)));
      if (field.length === size) return Buffer.concat([Buffer.alloc(offset, 0xee), field, payload]);
    }
  }
  const field = Buffer.alloc(8);
  const length = BigInt(payload.length - adjust + (includes_header ? offset + bytes : 0));
  if (endian === 'big') field.writeBigUInt64BE(length);
  else field.writeBigUInt64LE(length);
  return Buffer.concat([
    Buffer.alloc(offset, 0xee),
    endian === 'big' ? field.subarray(8 - bytes) : field.subarray(0, bytes),
    payload,
  ]);
}

/** https://protobuf.dev/programming-guides/encoding/#varints, as text of bits. */
function varint(value: bigint): Buffer {
  const bits = value.toString(2);
  const groups = bits
    .padStart(Math.ceil(bits.length / 7) * 7, '0')
    .match(/.{7}/g)!
    .reverse();
  return Buffer.from(groups.map((group, i) => parseInt(`${i < groups.length - 1 ? 1 : 0}${group}`, 2)));
}

const sizes = fc.constantFrom<LengthPrefix['bytes'][]>(1, 2, 3, 4, 8, 'varint');
const orders = fc.constantFrom('big' as const, 'little' as const);

describe('length_prefixed', () => {
  it('gives back any payloads, cut anywhere', () => {
    const options = fc.record({
      bytes: sizes,
      endian: orders,
      offset: fc.nat(5),
      includes_header: fc.boolean(),
      adjust: fc.integer({ min: -9, max: 9 }),
    });
    const payloads = fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(options, payloads, places, (prefix, contents, cuts) => {
        fc.pre(contents.every(({ length }) => length >= prefix.adjust)); // no length is negative
        fc.pre(prefix.bytes !== 1 || contents.every(({ length }) => length < 200)); // and fits its field
        const wanted = contents.map((content) => Buffer.from(content));
        const bytes = Buffer.concat(wanted.map((payload) => framed(payload, prefix)));
        expect(feed(length_prefixed(prefix), cut_at(bytes, cuts), '\xff')).toEqual(wanted);
      }),
    );
  });

  it.each([1, 2, 3, 4, 8, 'varint'] as const)('%s bytes, cut at every offset', (bytes) => {
    const wanted = ['', 'x', 'hello'].map((text) => Buffer.from(text));
    const stream = Buffer.concat(wanted.map((payload) => framed(payload, { bytes })));
    for (const chunks of all_cuts(stream)) expect(feed(length_prefixed({ bytes }), chunks, '\0')).toEqual(wanted);
  });

  it('tells the length as soon as the field is here, and not before', () => {
    const framer = length_prefixed({ bytes: 4, offset: 1 });
    const bytes = Buffer.from([7, 0x7f, 0xff, 0xff, 0xff, 0]);
    for (let end = 0; end < 5; end++) expect(framer.frame(bytes, 0, end, 0)).toBe(0);
    expect(framer.frame(bytes, 0, 5, 0)).toBe(0x7fff_ffff + 5);
  });

  it.each([
    ['2^53', [0, 0x20, 0, 0, 0, 0, 0, 0]],
    ['2^63', [0x80, 0, 0, 0, 0, 0, 0, 0]],
    ['2^64 - 1', [255, 255, 255, 255, 255, 255, 255, 255]],
  ])('a length of %s is longer than any reply may be, not wrapped round', (_, field) => {
    for (const includes_header of [false, true]) {
      const options = { bytes: 8, includes_header } as const;
      expect(length_prefixed(options).frame(Buffer.from(field), 0, 8, 0)).toBe(Number.MAX_SAFE_INTEGER);
      const swapped = Buffer.from(field).reverse();
      expect(length_prefixed({ ...options, endian: 'little' }).frame(swapped, 0, 8, 0)).toBe(Number.MAX_SAFE_INTEGER);
    }
  });

  it('a length that counts the header but is smaller is a wrong reply', () => {
    const framer = length_prefixed({ bytes: 2, offset: 1, includes_header: true });
    expect(() => framer.frame(Buffer.from([9, 0, 2]), 0, 3, 0)).toThrow(WrongReply);
    expect(framer.frame(Buffer.from([9, 0, 3]), 0, 3, 0)).toBe(3);
    expect(feed(framer, [Buffer.from([9, 0, 3])])).toEqual([Buffer.alloc(0)]);
  });

  it.each([
    ['a field', { bytes: 3, adjust: -4 }, [0, 0, 3], [0, 0, 4]],
    ['a varint', { bytes: 'varint', adjust: -4 }, [3], [4]],
    ['PostgreSQL', { bytes: 4, offset: 1, adjust: -4 }, [90, 0, 0, 0, 3], [90, 0, 0, 0, 4]],
  ] as [string, LengthPrefix, number[], number[]][])('with adjust too: %s', (_, options, short, least) => {
    const framer = length_prefixed(options);
    expect(() => framer.frame(Buffer.from(short), 0, short.length, 0)).toThrow(WrongReply);
    expect(feed(framer, [Buffer.from(least)])).toEqual([Buffer.alloc(0)]);
  });

  it('any varint of up to 64 bits is read as it was written, what no number holds as too long', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.nat(3), (value, offset) => {
        const bytes = Buffer.concat([Buffer.alloc(offset, 0xff), varint(value)]);
        const framer = length_prefixed({ bytes: 'varint', offset });
        for (let end = 0; end < bytes.length; end++) expect(framer.frame(bytes, 0, end, 0)).toBe(0);
        const limit = BigInt(Number.MAX_SAFE_INTEGER);
        const whole = value + BigInt(bytes.length);
        expect(framer.frame(bytes, 0, bytes.length, 0)).toBe(Number(whole < limit ? whole : limit));
      }),
    );
  });

  it('a varint without an end is a wrong reply, not waited for', () => {
    const framer = length_prefixed({ bytes: 'varint' });
    expect(framer.frame(Buffer.alloc(9, 0x80), 0, 9, 0)).toBe(0);
    expect(() => framer.frame(Buffer.alloc(10, 0x80), 0, 10, 0)).toThrow(WrongReply);
    expect(framer.frame(Buffer.from([...Buffer.alloc(9, 0x80), 0]), 0, 10, 0)).toBe(10);
  });

  // captured bytes, and what of them each call resolves with by the table of docs/protocols.md
  it.each([
    ['PostgreSQL', '5a0000000549' + '430000000d53454c454354203100', ['49', '53454c454354203100']],
    ['MySQL', '0700000200000002000000' + '01000003fe', ['0200000002000000', '03fe']],
    ['HTTP/2', '000000040100000000' + '000004080000000000000f0001', ['040100000000', '080000000000000f0001']],
    ['AMQP', '08000000000000ce' + '01000100000002cafece', ['ce', 'cafece']],
    ['gRPC', '0000000002' + '0801', ['0801']],
    ['MQTT', '20020000' + '300700016162686579', ['0000', '00016162686579']],
    ['protobuf', '0208' + '96' + '00', ['0896', '']],
    ['BSON', '0500000000', ['00']],
    ['Kafka', '00000002' + 'cafe', ['cafe']],
    ['DNS', '0002' + 'beef', ['beef']],
  ])('the row of the docs for %s is right, cut at every offset', (name, hex, wanted) => {
    const row = new RegExp(`^\\| [^|]*${name}[^|]*\\| \`(\\{[^\`]*\\})\``, 'm').exec(DOCS)!;
    const options = JSON.parse(row[1]!.replace(/(\w+):/g, '"$1":').replaceAll("'", '"')) as LengthPrefix;
    for (const chunks of all_cuts(Buffer.from(hex, 'hex')))
      expect(feed(length_prefixed(options), chunks).map((payload) => payload.toString('hex'))).toEqual(wanted);
  });

  it('lets a module decode the header too', () => {
    const framer: Framer<string> = {
      ...length_prefixed({ bytes: 1, offset: 1 }),
      decode: (buffer, start, end) => buffer.toString('latin1', start, end),
    };
    expect(feed(framer, [Buffer.from('A\x01xB\x00')])).toEqual(['A\x01x', 'B\x00']);
  });

  it.each([
    [{ bytes: 5 }, /bytes is 1, 2, 3, 4, 8 or 'varint', not 5/],
    [{}, /bytes is 1, 2, 3, 4, 8 or 'varint', not undefined/],
    [undefined, /bytes is 1, 2, 3, 4, 8 or 'varint', not undefined/],
    [{ bytes: 4, adjust: 0.5 }, /adjust is a whole number of bytes, not 0\.5/],
    [{ bytes: 2, endian: 'middle' }, /endian is 'big' or 'little', not 'middle'/],
    [{ bytes: 2, offset: -1 }, /offset is a number of bytes from 0, not -1/],
    [{ bytes: 2, offset: 0.5 }, /offset is a number of bytes from 0, not 0\.5/],
    [{ bytes: 2, includes_header: 1 }, /includes_header is true or false, not 1/],
    [{ bytes: 2, order: 'big' }, /no option is called 'order'/],
  ])('refuses %j', (options, text) => {
    expect(() => length_prefixed(options as LengthPrefix)).toThrow(TypeError);
    expect(() => length_prefixed(options as LengthPrefix)).toThrow(text);
  });
});

describe('fixed', () => {
  it('cuts equal parts, at every offset, each a copy', () => {
    for (const chunks of all_cuts(Buffer.from('abcdefghi')))
      expect(feed(fixed(3), chunks).map(String)).toEqual(['abc', 'def', 'ghi']);
  });

  it.each([0, -1, 1.5, NaN, Infinity, '3'])('refuses %s', (length) => {
    expect(() => fixed(length as number)).toThrow(TypeError);
  });
});
