import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { is_host, list_span, parse_span, size_of } from '../../src/foundation/addresses.ts';

const all = (text: string): string[] => list_span(parse_span(text)!);

describe('parse_span', () => {
  it.each([
    ['10.0.0.1', ['10.0.0.1']],
    ['10.0.0.254-10.0.1.1', ['10.0.0.254', '10.0.0.255', '10.0.1.0', '10.0.1.1']],
    ['10.0.0.1-3', ['10.0.0.1', '10.0.0.2', '10.0.0.3']],
    ['10.0.0.0/30', ['10.0.0.1', '10.0.0.2']],
    ['10.0.0.2/30', ['10.0.0.1', '10.0.0.2']], // the net it is in
    ['10.0.0.0/31', ['10.0.0.0', '10.0.0.1']],
    ['10.0.0.7/32', ['10.0.0.7']],
    ['127.0.0.0/30', ['127.0.0.0', '127.0.0.1', '127.0.0.2', '127.0.0.3']],
    ['fd00:0:0::9-fd00::b', ['fd00::9', 'fd00::a', 'fd00::b']],
    ['FD00::/126', ['fd00::', 'fd00::1', 'fd00::2', 'fd00::3']],
    ['::1', ['::1']],
    ['::', ['::']],
    ['1:2:3:4:5:6:7:8', ['1:2:3:4:5:6:7:8']],
    ['::ffff:10.0.0.1', ['10.0.0.1']],
  ])('%s', (text, addresses) => expect(all(text)).toEqual(addresses));

  it.each([
    ...['eth0', 'br-1a2b', '', '10.0.0', '10.0.0.1-', '-10.0.0.1', '10.0.0.1-999', '10.0.0.1-fd00::1', '10.0.0.0/33'],
    ...[
      '10.0.0.0/',
      '10.0.0.0/-1',
      '10.0.0.0/8/8',
      'fd00::/129',
      'fe80::1%eth0',
      '10.0.0.1-2-3',
      '010.0.0.1',
      'fd00::a-9',
    ],
  ])('is none: %j', (text) => expect(parse_span(text)).toBeNull());

  it('tells the size without making the list', () => {
    expect(size_of(parse_span('10.0.0.0/8')!)).toBe(16_777_214n);
    expect(size_of(parse_span('fd00::/8')!)).toBe(1n << 120n);
    expect(size_of(parse_span('10.0.0.9-10.0.0.1')!)).toBeLessThan(1n);
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const [address] = all(text);
        expect(isIP(address!)).toBeGreaterThan(0);
        expect(all(address!)).toEqual([address]);
        expect(parse_span(address!)).toEqual(parse_span(text));
      }),
    );
  });
});

describe('is_host', () => {
  it.each(['10.0.0.1', '127.0.0.1', '223.255.255.255', '::1', 'fd00::1'])('%s', (a) => expect(is_host(a)).toBe(true));
  it.each(['0.0.0.0', '::', '224.0.0.1', '255.255.255.255', 'ff02::1'])('not %s', (a) =>
    expect(is_host(a)).toBe(false),
  );
});
