import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parse_rate, parse_slot_rate, slot_rate_text } from '../../src/foundation/rate.ts';

test('a rate is a number per second, above 0', () => {
  expect(['1', '0.5', '1000000', '0.000001'].map(parse_rate)).toEqual([1, 0.5, 1e6, 1e-6]);
  for (const bad of ['', '0', '-1', '1e3', '1000001', '0.0000001', '5/s', ' 5', 'x'])
    expect(parse_rate(bad), bad).toBe(undefined);
});

describe('a rate of slots', () => {
  it('has a unit, and may be 0', () => {
    const good = ['0/s', '0/m', '0.000001/s', '1000000/s', '100/S', '6/m', '60000000/M', '100/m', '0.00003/m', '1.5/s'];
    expect(good.map(parse_slot_rate)).toEqual([0, 0, 1e-6, 1e6, 100, 0.1, 1e6, 1.666667, 1e-6, 1.5]);
  });

  it.each([
    ...['', '5', '/s', '5/', '5/h', '5/ms', '5 /s', '-5/s', '+5/s', '1e3/s', '1000001/s', '60000001/m', '0.0000001/s'],
    ...['0.00002/m', '5/s ', '5.0000000/s', '.5/s', '5./s', '123456789/m', '５/s'],
  ])('is not %j', (text) => expect(parse_slot_rate(text)).toBe(undefined));

  it('is written as it may be read, in whole millionths', () => {
    fc.assert(
      fc.property(fc.oneof(fc.nat(100), fc.nat(1e12)), (millionths) => {
        // digit by digit
        const digits = String(millionths).padStart(7, '0');
        const text = `${digits.slice(0, -6)}.${digits.slice(-6)}`.replace(/\.?0+$/, '') || '0';
        expect(slot_rate_text(millionths / 1e6)).toBe(`${text}/s`);
        expect(parse_slot_rate(`${text}/s`)).toBe(millionths / 1e6);
        // sixty times as many in a minute, as far as there are decimals for it
        expect(parse_slot_rate(`${digits.slice(0, -6)}.${digits.slice(-6)}/m`)).toBe(
          millionths > 0 && millionths < 30 ? undefined : Math.round(millionths / 60) / 1e6,
        );
      }),
    );
  });
});
