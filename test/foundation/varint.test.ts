import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumberReader, NumberWriter } from '../../src/foundation/varint.ts';

const whole = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(200),
  fc.nat(53).map((bits) => 2 ** bits),
  fc.nat(53).map((bits) => 2 ** bits - 1),
);

describe('numbers as bytes', () => {
  it('come back as they were, in any order', () => {
    const one = fc.oneof(
      fc.record({ kind: fc.constant('unsigned' as const), value: whole }),
      fc.record({
        kind: fc.constant('signed' as const),
        value: fc.tuple(whole, fc.boolean()).map(([n, is_below]) => (is_below ? 0 - n : n)),
      }),
      fc.record({ kind: fc.constant('double' as const), value: fc.double({ noNaN: true }) }),
    );
    const writer = new NumberWriter();
    fc.assert(
      fc.property(fc.array(one, { maxLength: 2000 }), (numbers) => {
        for (const { kind, value } of numbers) writer[kind](value);
        const bytes = writer.take();
        const reader = new NumberReader(bytes);
        expect(numbers.map(({ kind }) => reader[kind]())).toEqual(numbers.map(({ value }) => value));
        expect(reader.at).toBe(bytes.length);
      }),
      { numRuns: 50 },
    );
  });

  it('that somebody else wrote end where they end', () => {
    const read = ['unsigned', 'signed', 'double'] as const;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.array(fc.constantFrom(...read), { minLength: 41 }),
        (bytes, kinds) => {
          const reader = new NumberReader(bytes);
          expect(() => kinds.forEach((kind) => reader[kind]())).toThrow(RangeError);
        },
      ),
    );
  });

  it('are never read beyond their end, whoever stands there in memory', () => {
    const memory = new Uint8Array(32).fill(7);
    for (let length = 0; length < 8; length++)
      expect(() => new NumberReader(memory.subarray(0, length)).double()).toThrow(RangeError);
    const writer = new NumberWriter();
    writer.unsigned(9);
    expect(() => new NumberReader(writer.take()).bytes()).toThrow(RangeError);
  });

  it.each([0, 1, 127, 128, 4000, 4096, 100_000])('%i bytes stand between numbers as they are', (length) => {
    const some = Uint8Array.from({ length }, (_, i) => i % 251);
    const writer = new NumberWriter();
    writer.unsigned(300);
    writer.bytes(some);
    writer.signed(-70);
    const reader = new NumberReader(writer.take());
    expect([reader.unsigned(), reader.bytes(), reader.signed()]).toEqual([300, some, -70]);
  });

  it.each([
    [0, 1],
    [-1, 1],
    [63, 1],
    [-63, 1],
    [64, 2],
    [-8191, 2],
    [8192, 3],
  ])('%d takes %d bytes', (value, length) => {
    const writer = new NumberWriter();
    writer.signed(value);
    expect(writer.take()).toHaveLength(length);
  });

  it('are read from anywhere', () => {
    const writer = new NumberWriter();
    for (const value of [300, 7]) writer.unsigned(value);
    expect(new NumberReader(writer.take(), 2).unsigned()).toBe(7);
  });
});
