import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Wheel } from '../../../src/foundation/clock.ts';
import { burst_of, Uplink } from '../../../src/swarm/client/throttle.ts';

it('a burst is a tenth of a second, 1 KiB at least', () => {
  expect([burst_of(1), burst_of(10_240), burst_of(1_000_000)]).toEqual([1024, 1024, 100_000]);
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
