import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checked, Refused } from '../../src/foundation/shape.ts';
import { HIGHEST, Histogram, latency_ms, merge, quantile, subtract } from '../../src/metrics/histogram.ts';
import { merge_snapshots } from '../../src/metrics/merge-snapshots.ts';
import {
  counters_of,
  HISTOGRAM,
  histograms_of,
  MAX_HISTOGRAMS,
  pack,
  Packer,
  with_histograms,
} from '../../src/metrics/packed.ts';
import { COUNTERS } from '../../src/metrics/snapshot-shape.ts';
import type { HistogramSnapshot, Snapshot } from '../../src/metrics/snapshot.ts';
import { grouped, histograms, rated, recorded, times } from './arbitraries.ts';
import { of_main } from './one-group.ts';

const unpacked = (bytes: Uint8Array): HistogramSnapshot => {
  const found = checked(HISTOGRAM, bytes);
  if (found instanceof Refused) throw new Error(found.why);
  return found;
};
const coarse = fc.integer({ min: 0, max: 10 });
const sum = (counts: ArrayLike<number>): number => Array.from(counts).reduce((all, one) => all + one, 0);
const SHARES = [0.01, 0.5, 0.9, 0.99, 1];

/** many values in any range of ten octaves and more */
function wide(values: number): HistogramSnapshot {
  const histogram = new Histogram();
  let at = 1;
  for (let i = 0; i < values; i++) {
    at = (at * 48_271) % 2_147_483_647;
    histogram.record(1000 * 2 ** ((10 * at) / 2_147_483_647));
  }
  return histogram.snapshot();
}

describe('a packed histogram', () => {
  it('comes back as it was', () => {
    fc.assert(fc.property(histograms, (one) => void expect(unpacked(pack(one))).toEqual(one)));
  });

  it('takes counts beyond 32 bits', () => {
    const one = { ...recorded([5, 5_000]), counts: Float64Array.of(2 ** 42, 7), count: 2 ** 42 + 7, sum: 2 ** 60 };
    expect(unpacked(pack(one))).toEqual(one);
  });

  it('made coarse keeps count, sum, min and max, and no percentile is lower or too much higher', () => {
    const property = (values: number[], level: number): void => {
      const fine = recorded(values);
      const rough = unpacked(pack(fine, level));
      const { count, min, max } = fine;
      expect(rough).toMatchObject({ count, sum: fine.sum, min, max });
      expect(sum(rough.counts)).toBe(count);
      for (const share of SHARES) {
        const exact = quantile(fine, share);
        const found = quantile(rough, share);
        expect(found).toBeGreaterThanOrEqual(exact);
        if (exact < HIGHEST) expect(found).toBeLessThanOrEqual(exact + Math.max(2 ** level, exact * 2 ** (level - 9)));
      }
    };
    fc.assert(fc.property(times, coarse, property));
  });

  it('is never finer again, and the same when made coarse in steps', () => {
    const property = (values: number[], a: number, b: number): void => {
      const [less, more] = [Math.min(a, b), Math.max(a, b)];
      const one = recorded(values);
      const once = unpacked(pack(one, more));
      expect(unpacked(pack(unpacked(pack(one, less)), more))).toEqual(once);
      expect(unpacked(pack(once, less))).toEqual(once);
    };
    fc.assert(fc.property(times, coarse, coarse, property));
  });

  it('adds up and subtracts with others that are finer or coarser', () => {
    const property = (before: number[], since: number[], a: number, b: number): void => {
      const base = unpacked(pack(recorded(before), a));
      const now = unpacked(pack(recorded([...before, ...since]), Math.max(a, b)));
      const more = subtract(now, base);
      const exact = recorded(since);
      expect(more.count).toBe(exact.count);
      expect(sum(more.counts)).toBe(exact.count);
      for (const share of SHARES) {
        const least = quantile(exact, share);
        expect(quantile(more, share)).toBeGreaterThanOrEqual(Math.min(least, HIGHEST));
      }
      // as parts of an interval are: nothing gets lost
      const both = merge(more, recorded(before));
      expect(both.count).toBe(before.length + since.length);
      expect(sum(both.counts)).toBe(both.count);
      expect(latency_ms(both).count).toBe(both.count);
    };
    fc.assert(fc.property(times, times, coarse, coarse, property));
  });

  it('that somebody bent is taken as a histogram that adds up, or refused', () => {
    let taken = 0;
    const property = (one: HistogramSnapshot, level: number, at: number, byte: number, end: number): void => {
      const bytes = pack(one, level).slice(0, end);
      if (bytes.length > 0) bytes[at % bytes.length] = byte;
      const found = checked(HISTOGRAM, bytes);
      if (found instanceof Refused) return;
      taken++;
      expect(sum(found.counts)).toBe(found.count);
      expect(found.indices.every((index, i) => index > (found.indices[i - 1] ?? -1))).toBe(true);
      const twice = merge(found, found);
      expect(sum(twice.counts)).toBe(2 * found.count);
    };
    const any = fc.nat(1_000_000);
    const end = fc.oneof(fc.constant(1_000_000), fc.nat(300));
    fc.assert(fc.property(histograms, coarse, any, fc.nat(255), end, property), { numRuns: 20_000 });
    expect(taken).toBeGreaterThan(0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void checked(HISTOGRAM, bytes)),
      { numRuns: 20_000 },
    );
  }, 600_000);

  it.each<[string, readonly number[]]>([
    ['a least above its highest', [0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 3, 1, 4, 1]],
    ['a step of nothing', [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 0, 1]],
    ['a bucket that counts nothing', [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 4, 0]],
    ['a bucket above its highest', [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 5, 1]],
    ['more in its least than there are', [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 2, 4, 1]],
    ['a number without end', [0, 0, 0, 0, 0, 0, 0, 0, 0, ...Array.from({ length: 30 }, () => 255)]],
    ['another level than there is', [11, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 1, 4, 1]],
    ['no number as its sum', [0, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f, 3, 3, 1, 4, 1]],
  ])('is refused with %s', (_, bytes) => {
    expect(checked(HISTOGRAM, Uint8Array.from(bytes))).toBeInstanceOf(Refused);
  });
});

describe('a packer', () => {
  it('gives the very bytes again of what did not change', () => {
    const packer = new Packer(1e6);
    const [a, b] = [recorded([1, 2, 3]), recorded([4])];
    const first = packer.pack([
      [0, a],
      [7, b],
      [8, recorded([])],
    ]);
    const next = packer.pack([
      [0, structuredClone(a)],
      [7, recorded([4, 5])],
    ]);
    expect([...first.keys()]).toEqual([0, 7]);
    expect(next.get(0)).toBe(first.get(0));
    expect(unpacked(next.get(7)!)).toEqual(recorded([4, 5]));
  });

  it('stays within its bound with as many as there can be, of any latencies', () => {
    const most = 512 * 1024;
    const packer = new Packer(most);
    const size = (packed: ReadonlyMap<number, Uint8Array>): number =>
      [...packed.values()].reduce((all, { length }) => all + length, 0);
    let level = 0;
    for (const values of [1, 100, 3000, 50_000]) {
      const one = wide(values);
      const packed = packer.pack(Array.from({ length: MAX_HISTOGRAMS }, (_, i) => [i, { ...one, sum: one.sum + i }]));
      expect(size(packed)).toBeLessThanOrEqual(most);
      expect(packer.coarse).toBeGreaterThanOrEqual(level);
      level = packer.coarse;
    }
    expect(level).toBeGreaterThan(3);
    expect(unpacked(packer.pack([[0, recorded([5000, 6000])]]).get(0)!).coarse).toBe(level);
  });
});

it('counters and histograms of a snapshot are the whole of it', () => {
  const property = (list: Parameters<typeof merge_snapshots>[0]): void => {
    const one = merge_snapshots(list);
    expect(with_histograms(counters_of(one), histograms_of(one))).toEqual(one);
    expect(JSON.stringify(counters_of(one))).not.toContain('indices');
  };
  fc.assert(fc.property(fc.array(grouped, { maxLength: 2 }), property), { numRuns: 20 });
});

it('slots are read as they were told, and refused with a count that is none', () => {
  const { slots: good, ...action } = fc.sample(rated, { seed: 1, numRuns: 1 })[0]!;
  const { late: _, ...slots } = good!;
  const with_slots = (slots: unknown): unknown => {
    const told = counters_of(of_main({ actions: [] }));
    const { service: _, response: __, ...counts } = action;
    return { ...told, groups: { main: { ...told.groups.main!, actions: [{ ...counts, slots }] } } };
  };
  expect(checked(COUNTERS, with_slots(slots))).toMatchObject({ groups: { main: { actions: [{ slots }] } } });
  const { paused: ___, ...fewer } = slots.dropped;
  for (const bad of [null, { ...slots, planned: -1 }, { ...slots, waiting: 0.5 }, { ...slots, dropped: fewer }])
    expect(checked(COUNTERS, with_slots(bad))).toBeInstanceOf(Refused);
});

it('histograms of groups travel by number: those of one group after another', () => {
  const property = (one: Snapshot): void => {
    const packed = new Packer(1e9).pack(histograms_of(one).entries());
    const list: HistogramSnapshot[] = [];
    for (const [number, bytes] of packed) {
      expect(number).toBeLessThan(MAX_HISTOGRAMS);
      list[number] = unpacked(bytes);
    }
    expect(with_histograms(counters_of(one), list)).toEqual(one);
  };
  fc.assert(fc.property(grouped, property), { numRuns: 50 });
});
