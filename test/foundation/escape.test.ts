import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escape_bytes, escape_json, escape_lines, escape_text } from '../../src/foundation/escape.ts';

/** any character, those that make trouble often */
const texts = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
    fc.constantFrom(...'a\n\t\r\x1b\x7f\x9b\u2028\u202e\u2066\u200f\u061c"\\'),
  ),
});
const HARMFUL = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

describe('escape_bytes', () => {
  it.each<[string, number[], number, string]>([
    ['shows printable ASCII as it is', [0x20, 0x41, 0x7e], 9, ' A~'],
    ['names what has a short name', [9, 10, 13, 34, 92], 9, '\\t\\n\\r\\"\\\\'],
    ['shows the rest as hex', [0, 0x1b, 0x7f, 0x80, 0xff], 9, '\\x00\\x1b\\x7f\\x80\\xff'],
    ['says how many bytes it left out', [0x61, 0x62, 0x63, 0x64], 3, 'abc…(+1 bytes)'],
    ['shows nothing of nothing', [], 0, ''],
  ])('%s', (_, bytes, max, text) => expect(escape_bytes(Buffer.from(bytes), max)).toBe(text));
});

describe('escape_text', () => {
  const MAX = 20;

  it.each([
    ['lets harmless text alone, quotes and umlauts too', 'naïve "ü" \\ 漢', 'naïve "ü" \\ 漢'],
    ['escapes control characters', 'a\r\n\t\x1b[2J\x7f\x9b', 'a\\r\\n\\t\\x1b[2J\\x7f\\x9b'],
    ['escapes separators and bidi marks', '\u2028\u202e\u2066\u200e\u061c', '\\u2028\\u202e\\u2066\\u200e\\u061c'],
    ['cuts', 'x'.repeat(MAX + 1), `${'x'.repeat(MAX)}…`],
  ])('%s', (_, text, wanted) => expect(escape_text(text, MAX)).toBe(wanted));
});

it('no escaped text holds anything a terminal obeys; lines and tabs stay where they are wanted', () => {
  fc.assert(
    fc.property(texts, (text) => {
      expect(escape_text(text, 50)).not.toMatch(HARMFUL);
      const lines = escape_lines(text);
      expect(lines.replace(/[\n\t]/g, '')).not.toMatch(HARMFUL);
      expect(lines.split('\n')).toHaveLength(text.split('\n').length);
    }),
  );
});

it('escaped JSON is the same JSON', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const json = escape_json(JSON.stringify({ [text]: [text] }));
      expect(json).not.toMatch(HARMFUL);
      expect(JSON.parse(json)).toEqual({ [text]: [text] });
    }),
  );
});
