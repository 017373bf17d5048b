import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../../src/foundation/suggest.ts';

const WORDS = ['incr', 'decr', 'status', 'sleep_between_rounds', 'sleep_after_action', 'rounds', 'create_chatroom'];

describe('nearest', () => {
  it.each([
    ['sleep_betwen_rounds', 'sleep_between_rounds'], // a letter lost
    ['icnr', 'incr'], // neighbours swapped
    ['STATUS', 'status'],
    ['sleepBetweenRounds', 'sleep_between_rounds'],
    ['rounds', 'rounds'],
    ['create_chatrom', 'create_chatroom'],
  ])('%s -> %s', (word, expected) => {
    expect(nearest(word, WORDS)).toBe(expected);
  });

  it.each(['', 'x', 'in', 'heartbeat', 'status_of_everything', 'a'.repeat(100_000)])(
    '%.20s has no near word',
    (word) => {
      expect(nearest(word, WORDS)).toBeUndefined();
    },
  );

  it('takes the nearer word, then the first', () => {
    expect(nearest('get_room', ['set_rooms', 'get_rooms'])).toBe('get_rooms');
    expect(nearest('xncr', ['incr', 'ancr'])).toBe('incr');
    expect(nearest('xyz', [])).toBeUndefined();
  });

  it('finds a word again after a swap of two neighbours', () => {
    const swapped = fc
      .tuple(fc.constantFrom(...WORDS), fc.nat())
      .map(([word, n]) => ({ word, at: n % (word.length - 1) }))
      .map(({ word, at }) => [word, word.slice(0, at) + word[at + 1]! + word[at]! + word.slice(at + 2)] as const);
    fc.assert(fc.property(swapped, ([word, typed]) => nearest(typed, [word]) === word));
  });
});
