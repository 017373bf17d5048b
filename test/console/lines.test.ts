import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINE_LIMIT, LineAssembler } from '../../src/console/lines.ts';

function lines(...chunks: (string | Buffer)[]): string[] {
  const assembler = new LineAssembler();
  return chunks
    .flatMap((chunk) => assembler.push(Buffer.from(chunk as string)))
    .map((event) => (event.type === 'line' ? event.text : `bad: ${event.reason}`));
}

describe('LineAssembler', () => {
  it.each([
    ['LF', '\n'],
    ['CR LF', '\r\n'],
    ['CR NUL', '\r\0'],
    ['CR', '\r'],
  ])('ends a line with %s, cut at each offset', (_, end) => {
    const bytes = Buffer.from(`incr 5${end}${end}mark größer\tx${end}`);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(lines(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(['incr 5', '', 'mark größer\tx']);
  });

  it('gives the same lines however the bytes are cut', () => {
    const byte = fc.constantFrom(...[0, 1, 8, 9, 10, 13, 32, 65, 127, 0xc3, 0xb6]);
    fc.assert(
      fc.property(fc.array(fc.array(byte, { maxLength: 12 })), (chunks) => {
        expect(lines(...chunks.map((chunk) => Buffer.from(chunk)))).toEqual(lines(Buffer.from(chunks.flat())));
      }),
    );
  });

  it.each([
    ['BS', 'incx\x08r\n', 'incr'],
    ['DEL', 'incx\x7fr\n', 'incr'],
    ['more than there is', 'a\x7f\x7f\x7fb\n', 'b'],
    ['a character of several bytes', 'a€\x7fb\n', 'ab'],
  ])('erases with %s', (_, text, wanted) => {
    expect(lines(text)).toEqual([wanted]);
  });

  it.each([0, 1, 3, 7, 11, 27, 31])('refuses the control byte %i and everything after it', (byte) => {
    expect(lines(`a\nb${String.fromCharCode(byte)}\nc\n`)).toEqual(['a', 'bad: a control character']);
  });

  it('takes a line of 4 KiB and no byte more', () => {
    expect(lines(`${'x'.repeat(LINE_LIMIT)}\nincr 1\n`)).toEqual(['x'.repeat(LINE_LIMIT), 'incr 1']);
    expect(lines(`${'x'.repeat(LINE_LIMIT + 1)}\nincr 1\n`)).toEqual(['bad: a line of more than 4096 bytes']);
  });

  it('hands out what has no end, once', () => {
    const assembler = new LineAssembler();
    assembler.push(Buffer.from('a\nincr 10'));
    expect([assembler.rest(), assembler.rest()]).toEqual(['incr 10', '']);
  });
});
