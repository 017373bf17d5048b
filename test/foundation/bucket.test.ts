import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bucket } from '../../src/foundation/bucket.ts';

describe('a bucket', () => {
  it('is full at first', () => {
    expect(new Bucket(1_000_000, 100_000, 5).tokens(5)).toBe(100_000);
  });

  it('fills evenly and never beyond its size, also when it is overdrawn', () => {
    const bucket = new Bucket(20_480, 2048, 0);
    bucket.take(4096);
    expect(bucket.tokens(0)).toBe(-2048);
    expect(bucket.tokens(100)).toBe(0);
    expect(bucket.when(1024, 100)).toBe(150);
    expect(bucket.when(1_000_000, 100)).toBe(200);
    expect(bucket.tokens(60_000)).toBe(2048);
  });

  it('is not moved by a clock that stands', () => {
    const bucket = new Bucket(1000, 1024, 10);
    bucket.take(1024);
    expect([bucket.tokens(10), bucket.tokens(10), bucket.tokens(9)]).toEqual([0, 0, 0]);
  });

  it('lets through no more than a burst and its rate, whoever takes only what it holds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.array(fc.record({ wait: fc.integer({ min: 0, max: 500 }), want: fc.integer({ min: 1, max: 100_000 }) })),
        (rate, burst, steps) => {
          const bucket = new Bucket(rate, burst, 0);
          let [at, passed] = [0, 0];
          for (const { wait, want } of steps) {
            at += wait;
            const may = Math.min(want, Math.max(0, Math.floor(bucket.tokens(at))));
            bucket.take(may);
            passed += may;
            expect(passed).toBeLessThanOrEqual(burst + (rate * at) / 1000 + 1e-3);
          }
        },
      ),
    );
  });
});
