import { describe, expect, it } from 'vitest';
import { match } from '../../src/protocols/matcher.ts';

describe('match', () => {
  it('hands the message to the predicate', () => {
    const matcher = match<string>((message) => message.startsWith('OK'));
    expect(matcher.match('OK 1')).toBe(true);
    expect(matcher.match('ERR')).toBe(false);
  });

  it('refuses what is no function', () => {
    expect(() => match(/OK/ as never)).toThrow(TypeError);
    expect(() => match('OK' as never)).toThrow(/a function wanted, e\.g\. match/);
  });
});
