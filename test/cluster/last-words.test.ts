import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LastWords } from '../../src/cluster/last-words.ts';

const FRAMES = `----- Native stack trace -----

 1: 0xcb5167 node::Assert(node::AssertionInfo const&) [/usr/bin/node]
 2: 0xde440a node::TCPWrap::New(v8::FunctionCallbackInfo<v8::Value> const&) [/usr/bin/node]

----- JavaScript stack trace -----

1: file:///protocols/x.mjs:32:3
2: listOnTimeout (node:internal/timers:581:17)
`;
const ASSERTION = `
  #  /usr/bin/node[42]: static void node::TCPWrap::New() at ../src/tcp_wrap.cc:157
  #  Assertion failed: args[0]->IsInt32()
`;

const told = (text: string): string | null => {
  const words = new LastWords();
  words.hear(text, 0);
  return words.told(0);
};

describe('last words', () => {
  it.each([
    [
      'an assertion of Node’s',
      ASSERTION + FRAMES,
      'Assertion failed: args[0]->IsInt32() (/usr/bin/node[42]: static void node::TCPWrap::New() at ../src/tcp_wrap.cc:157)',
    ],
    ['an abort without a word', FRAMES, 'at file:///protocols/x.mjs:32:3'],
    [
      'a full heap',
      `<--- Last few GCs --->\n\n[1:0x1] 5 ms: Mark-sweep\n\nFATAL ERROR: Reached heap limit\n${FRAMES}`,
      'FATAL ERROR: Reached heap limit',
    ],
    ['an error of swarm', 'worker w1: TypeError: no\n    at f (x.js:1:2)\n', 'worker w1: TypeError: no'],
    ['a word of somebody else', 'one\nbye\n', 'bye'],
    ['silence', '', null],
    ['what a terminal would obey', 'fatal \u001b[2J\u202e', 'fatal \\x1b[2J\\u202e'],
  ])('of %s', (_, text, expected) => expect(told(text)).toBe(expected));

  it('are not what was said long before', () => {
    const words = new LastWords();
    words.hear('fatal: an hour ago\n', 0);
    expect(words.told(2001)).toBeNull();
    words.hear('bye\n', 3_600_000);
    expect(words.told(3_600_000)).toBe('bye');
  });

  it('are found however they came in pieces, bounded and on one line', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(ASSERTION.length + FRAMES.length), { maxLength: 20 }), fc.string(), (cuts, noise) => {
        const text = ASSERTION + FRAMES;
        const ends = [...cuts.sort((a, b) => a - b), text.length];
        const words = new LastWords();
        ends.forEach((end, i) => words.hear(text.slice(ends[i - 1] ?? 0, end), i));
        expect(words.told(20)).toBe(told(text));
        words.hear(`${noise.repeat(5000)}`, 21);
        expect(words.told(21)?.length ?? 0).toBeLessThan(2000);
        expect(words.told(21) ?? '').not.toMatch(/\n/);
      }),
    );
  });
});
