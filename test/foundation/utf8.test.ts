import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bad_byte } from '../../src/foundation/utf8.ts';

describe('bad_byte', () => {
  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void expect(bad_byte(Buffer.from(text))).toBeNull()),
    );
  });

  it('property: finds the first byte that is none, by line and character', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '\n', 'é', '€', '😀') });
    const bad = fc.constantFrom(
      [0xe9],
      [0xff],
      [0x80],
      [0xc0, 0x80],
      [0xe2, 0x82],
      [0xf0, 0x9f, 0x98],
      [0xed, 0xa0, 0x80],
    );
    fc.assert(
      fc.property(part, bad, fc.constantFrom('', '\n', 'b\nc', ' é'), (before, bytes, behind) => {
        const lines = before.split('\n');
        expect(bad_byte(Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)]))).toEqual({
          line: lines.length,
          column: [...before.slice(before.lastIndexOf('\n') + 1)].length + 1,
          byte: bytes[0].toString(16),
        });
      }),
    );
  });
});
