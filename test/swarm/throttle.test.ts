import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Wheel } from '../../src/foundation/clock.ts';
import { Bucket, burst_of, Uplink } from '../../src/swarm/throttle.ts';

describe('a bucket', () => {
  it('holds a tenth of a second, 1 KiB at least', () => {
    expect([burst_of(1), burst_of(10_240), burst_of(1_000_000)]).toEqual([1024, 1024, 100_000]);
    expect(new Bucket(1_000_000, 5).tokens(5)).toBe(100_000);
  });

  it('fills evenly and never beyond its size, also when it is overdrawn', () => {
    const bucket = new Bucket(20_480, 0);
    bucket.take(4096);
    expect(bucket.tokens(0)).toBe(-2048);
    expect(bucket.tokens(100)).toBe(0);
    expect(bucket.when(1024, 100)).toBe(150);
    expect(bucket.when(1_000_000, 100)).toBe(200);
    expect(bucket.tokens(60_000)).toBe(2048);
  });

  it('is not moved by a clock that stands', () => {
    const bucket = new Bucket(1000, 10);
    bucket.take(1024);
    expect([bucket.tokens(10), bucket.tokens(10), bucket.tokens(9)]).toEqual([0, 0, 0]);
  });

  it('lets through no more than a burst and its rate, whoever takes only what it holds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000_000 }),
        fc.array(fc.record({ wait: fc.integer({ min: 0, max: 500 }), want: fc.integer({ min: 1, max: 100_000 }) })),
        (rate, steps) => {
          const bucket = new Bucket(rate, 0);
          let [at, passed] = [0, 0];
          for (const { wait, want } of steps) {
            at += wait;
            const may = Math.min(want, Math.max(0, Math.floor(bucket.tokens(at))));
            bucket.take(may);
            passed += may;
            expect(passed).toBeLessThanOrEqual(burst_of(rate) + (rate * at) / 1000 + 1e-3);
          }
        },
      ),
    );
  });
});

describe('an uplink', () => {
  it('passes every byte once and in order, whatever the sizes', async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (lengths, as_text) => {
        const wheel = new Wheel(1);
        const passed: Buffer[] = [];
        const sent: Buffer[] = [];
        await new Promise<void>((done) => {
          const sink = {
            write: (data: string | Uint8Array) => passed.push(Buffer.from(data as string)),
            emptied: done,
          };
          const uplink = new Uplink(2_000_000, sink, wheel);
          for (const [i, length] of lengths.entries()) {
            const data = Buffer.alloc(length, 97 + (i % 26));
            sent.push(data);
            uplink.send(as_text ? data.toString() : data);
          }
          if (uplink.waiting === 0) done();
        });
        wheel.stop();
        expect(Buffer.concat(passed).equals(Buffer.concat(sent))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('keeps bytes of its own: the sender may write over them', async () => {
    const wheel = new Wheel(1);
    const passed: Buffer[] = [];
    await new Promise<void>((done) => {
      const uplink = new Uplink(100_000, { write: (data) => passed.push(Buffer.from(data)), emptied: done }, wheel);
      uplink.send(Buffer.alloc(10_000, 'a'));
      const data = Buffer.alloc(500, 'b');
      uplink.send(data);
      data.fill('c');
      expect(uplink.waiting).toBeGreaterThan(0);
    });
    wheel.stop();
    expect(Buffer.concat(passed).toString()).toBe('a'.repeat(10_000) + 'b'.repeat(500));
  });
});
