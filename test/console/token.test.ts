import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Guesses, Token } from '../../src/console/token.ts';

describe('Guesses', () => {
  it('of one address come slower and slower, over however many connections and whether or not they wait', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 200 }), (gaps) => {
        let at = 0;
        const guesses = new Guesses(() => at);
        let looked_at = 0;
        for (const gap of gaps) {
          at += gap;
          const ms = guesses.turn('192.0.2.1');
          if (ms === null) continue;
          expect(ms).toBeLessThanOrEqual(4000);
          looked_at++;
        }
        // 0, 250, 750, 1750, 3750, and then each 4 s; up to 4 s ahead
        expect(looked_at).toBeLessThanOrEqual(6 + (at + 4000) / 4000);
      }),
    );
  });

  it('doubles, up to 4 s, and is forgiven by the right one', () => {
    let at = 0;
    const guesses = new Guesses(() => at);
    const waits = Array.from({ length: 7 }, () => {
      const ms = guesses.turn('192.0.2.1')!;
      at += ms;
      return ms;
    });
    expect(waits).toEqual([0, 250, 500, 1000, 2000, 4000, 4000]);
    guesses.right('192.0.2.1');
    expect(guesses.turn('192.0.2.1')).toBe(0);
  });

  it('of others do not matter; an IPv6 host is its /64, an IPv4 one is the same in IPv6 clothes', () => {
    const guesses = new Guesses(() => 0);
    const pairs = [
      ['2001:db8::1', '2001:db8::ffff', '2001:db8:0:1::1'],
      ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.2'],
      ['fe80::1%eth0', 'fe80::2%eth0', 'fd00::1'],
    ] as const;
    for (const [one, same, other] of pairs) {
      expect([guesses.turn(one), guesses.turn(same), guesses.turn(other)]).toEqual([0, 250, 0]);
    }
  });

  it('remembers a thousand addresses, and each for ten minutes', () => {
    let at = 0;
    const guesses = new Guesses(() => at);
    for (let i = 0; i < 1001; i++) guesses.turn(`10.0.${i >> 8}.${i & 255}`);
    expect([guesses.turn('10.0.0.0'), guesses.turn('10.0.3.232')]).toEqual([0, 250]);
    at = 700_000;
    expect(guesses.turn('10.0.3.232')).toBe(0);
  });
});

describe('Token', () => {
  it('knows itself', async () => {
    const token = new Token('open-sesame-open');
    await expect(token.is('open-sesame-open', '192.0.2.1')).resolves.toBe(true);
    await expect(token.is('open-sesame-opem', '192.0.2.1')).resolves.toBe(false);
    await expect(token.is('', '192.0.2.2')).resolves.toBe(false);
  });
});
