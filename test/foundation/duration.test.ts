import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse_duration, parse_span } from '../../src/foundation/duration.ts';

const DAY = 24 * 3_600_000;
const WRONG = [
  '',
  ' ',
  '-1',
  '+1',
  'NaN',
  'Infinity',
  '1e9',
  '0x10',
  '1 s',
  '1sec',
  ' 1',
  '1s ',
  '.5',
  '1.',
  '1d',
  's',
  '1.5.2',
  '1,5',
  '١',
];

describe('parse_duration', () => {
  it.each<[string, number]>([
    ['0', 0],
    ['1.5', 1500],
    ['1.1', 1100],
    ['500ms', 500],
    ['0.5ms', 0.5],
    ['2s', 2000],
    ['2S', 2000],
    ['500MS', 500],
    ['1m', 60_000],
    ['1.5h', 5_400_000],
    ['720h', 30 * DAY],
    ['2592000', 30 * DAY],
  ])('%s is %d ms', (text, ms) => {
    expect(parse_duration(text)).toBe(ms);
  });

  it.each([...WRONG, '1-2', '721h', '2592000.1', '9'.repeat(400)])('refuses %j', (text) => {
    expect(parse_duration(text)).toBeUndefined();
  });
});

describe('parse_span', () => {
  it.each<[string, [number, number]]>([
    ['1-20', [1000, 20_000]],
    ['0.5-2s', [500, 2000]],
    ['100-500ms', [100, 500]],
    ['500ms-2s', [500, 2000]],
    ['1m-1h', [60_000, 3_600_000]],
    ['1M-1H', [60_000, 3_600_000]],
    ['0-0', [0, 0]],
    ['3', [3000, 3000]],
    ['20ms', [20, 20]],
  ])('%s', (text, expected) => {
    expect(parse_span(text)).toEqual(expected);
  });

  it.each([...WRONG, '-', '1-', '-2', '20-1', '2s-500ms', '500ms-2', '1-2-3', '1 - 2', '1--2', '0-721h', '1-1e9'])(
    'refuses %j',
    (text) => {
      expect(parse_span(text)).toBeUndefined();
    },
  );

  it('never throws, and what it takes is in order and within 30 days', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^\d{1,5}(\.\d)?(ms|s|m|h)?-\d{1,5}(\.\d)?(ms|s|m|h)?$/));
    fc.assert(
      fc.property(text, (each) => {
        const [from, to] = parse_span(each) ?? [0, 0];
        return 0 <= from && from <= to && to <= 30 * DAY;
      }),
    );
  });
});
