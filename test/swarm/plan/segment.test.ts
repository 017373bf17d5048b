import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cover_of,
  id_at,
  index_of,
  parse_segment,
  part_of,
  rate_of,
  WHOLE,
  whole_of,
  type Segment,
} from '../../../src/swarm/plan/segment.ts';

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const of = (text: string): Segment => parse_segment(text)!;
const ids_of = (segment: Segment, n: number): number[] =>
  Array.from({ length: part_of(segment, n) }, (_, i) => id_at(segment, i + 1));

/** Cuts of the whole anywhere, with unlike denominators. */
const partitions: fc.Arbitrary<string[]> = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 99 })), { maxLength: 6 })
  .map((pairs) => {
    const inner = pairs.map(([a, b]) => (a < b ? `${a}/${b}` : `${b}/${a + 1}`));
    const value = (text: string): number => Number(text.split('/')[0]) / Number(text.split('/')[1]);
    const cuts = ['0', ...inner.sort((a, b) => value(a) - value(b)), '1'];
    const distinct = cuts.filter((cut, i) => i === 0 || i === cuts.length - 1 || value(cut) !== value(cuts[i - 1]!));
    return distinct.slice(1).map((cut, i) => `${distinct[i]}:${cut}`);
  });
const equal_parts = fc.integer({ min: 1, max: 40 }).map((n) => Array.from({ length: n }, (_, i) => `${i + 1}/${n}`));
const any_partition = fc.oneof(partitions, equal_parts);

describe('parse_segment', () => {
  it.each([
    ['2/5', 200_000, 400_000],
    ['1/1', 0, 1_000_000],
    ['1/3', 0, 333_334],
    ['1/4:1/2', 250_000, 500_000],
    ['0:3/4', 0, 750_000],
    ['1/3:1', 333_334, 1_000_000],
    ['0/7:7/7', 0, 1_000_000],
    ['10000/10000', 999_900, 1_000_000],
    ['1/1000:2/1000', 1000, 2000],
  ])('reads %s', (text, from, to) => expect(parse_segment(text)).toEqual({ text, from, to }));

  it.each([
    ...['', '1', '0', '0/5', '6/5', '1/0', '1/10001', '-1/5', '1/5/5', '1.5/5', '01/5', '1/05', ' 1/5', '2/5 '],
    ...['1/2:1/2', '1/2:2/4', '1/2:1/3', '0:0', '1:1', '0:2', '3/2:2', '1/2:', ':', ':1', '0:1/2:1', '0.25:0.5'],
    ...['1/9999:1/9998', '1/5,2/5', 'toString'],
  ])('refuses %j', (text) => expect(parse_segment(text)).toBeUndefined());

  it('takes parts that hold at least one client of a million', () => {
    fc.assert(
      fc.property(any_partition, (texts) => {
        for (const segment of texts.map(parse_segment)) if (segment) expect(segment.to).toBeGreaterThan(segment.from);
      }),
    );
  });
});

describe('the parts of a whole', () => {
  it('share the ids 1…n: each is in one part', () => {
    fc.assert(
      fc.property(any_partition, fc.nat(3000), (texts, n) => {
        const ids = texts.flatMap((text) => ids_of(of(text), n));
        expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i + 1));
      }),
      { numRuns: 60 },
    );
  });

  it('add up to any target, whatever it is', () => {
    fc.assert(
      fc.property(any_partition, fc.nat(10_000_000), (texts, n) => {
        expect(sum(texts.map((text) => part_of(of(text), n)))).toBe(n);
      }),
    );
  });

  it('add up to any rate, to the millionth', () => {
    const rates = fc.oneof(
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.integer({ min: 1, max: 1e9 }).map((micro) => micro / 1e6),
    );
    fc.assert(
      fc.property(any_partition, rates, (texts, per_s) => {
        const micro = texts.map((text) => Math.round(rate_of(of(text), per_s) * 1e6));
        expect(sum(micro)).toBe(Math.round(per_s * 1e6));
        for (const [i, text] of texts.entries()) {
          const { from, to } = of(text);
          expect(Math.abs(micro[i]! - (Math.round(per_s * 1e6) * (to - from)) / 1e6)).toBeLessThan(1);
        }
      }),
    );
  });

  it('are as even as said: exact at powers of ten, within a few clients elsewhere', () => {
    fc.assert(
      fc.property(any_partition, fc.integer({ min: 0, max: 6 }), fc.nat(20_000), (texts, power, n) => {
        for (const text of texts) {
          const { from, to } = of(text);
          const share = (to - from) / 1e6;
          expect(Math.abs(part_of(of(text), 10 ** power) - share * 10 ** power)).toBeLessThanOrEqual(1);
          expect(Math.abs(part_of(of(text), n) - share * n)).toBeLessThan(8);
        }
      }),
    );
    expect(part_of(of('2/5'), 1000)).toBe(200);
  });
});

describe('a segment', () => {
  it('numbers its ids upwards, and back', () => {
    fc.assert(
      fc.property(any_partition, fc.nat(1e6), fc.nat(), (texts, k, which) => {
        const segment = of(texts[which % texts.length]!);
        const [id, next] = [id_at(segment, k + 1), id_at(segment, k + 2)];
        expect(next).toBeGreaterThan(id);
        expect(index_of(segment, id)).toBe(k + 1);
        expect(part_of(segment, id)).toBe(k + 1);
        expect(part_of(segment, next - 1)).toBe(k + 1);
        if (next > id + 1) expect(index_of(segment, id + 1)).toBeNull();
      }),
    );
  });

  it('knows the largest target of which so many are its own', () => {
    fc.assert(
      fc.property(any_partition, fc.nat(100_000), fc.nat(), (texts, here, which) => {
        const segment = of(texts[which % texts.length]!);
        const whole = whole_of(segment, here);
        expect(part_of(segment, whole)).toBe(here);
        expect(part_of(segment, whole + 1)).toBe(here + 1);
      }),
    );
  });

  it('is, as a whole, nothing but itself', () => {
    for (const n of [0, 1, 999_999, 1_000_000, 1_000_001]) {
      expect([part_of(WHOLE, n), id_at(WHOLE, n), index_of(WHOLE, n), whole_of(WHOLE, n)]).toEqual([n, n, n, n]);
    }
    expect(rate_of(WHOLE, 0.000001)).toBe(0.000001);
  });

  it('has the ids that the drawing shows', () => {
    expect([1, 2, 3, 4, 11, 12, 13].map((id) => index_of(of('0:1/100'), id) !== null)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(ids_of(of('7/10:71/100'), 1000)[0]).toBe(2);
    expect(ids_of(of('77/100:78/100'), 1000)[0]).toBe(12);
    expect(ids_of(of('47/100:48/100'), 1000)[0]).toBe(13);
  });
});

describe('cover_of', () => {
  it('finds nothing wrong with any partition, in any order', () => {
    fc.assert(
      fc.property(
        any_partition.chain((texts) => fc.shuffledSubarray(texts, { minLength: texts.length })),
        (texts) => {
          expect(cover_of(texts)).toEqual({ overlap: null, together: null, missing: [] });
        },
      ),
    );
  });

  it.each<[(string | null)[], ReturnType<typeof cover_of>]>([
    [[null], { overlap: null, together: null, missing: [] }],
    [['1/3'], { overlap: null, together: '0/3:1/3', missing: ['1/3:1'] }],
    [['3/3', '1/3'], { overlap: null, together: '0/3:1/3,2/3:3/3', missing: ['1/3:2/3'] }],
    [['1/4:1/2'], { overlap: null, together: '1/4:1/2', missing: ['0:1/4', '1/2:1'] }],
    [['0/3:1/3,2/3:3/3', '2/3'], { overlap: null, together: null, missing: [] }],
    [['1/2', '2/4'], { overlap: [0, 1], together: null, missing: [] }],
    [['2/5', '2/5'], { overlap: [0, 1], together: null, missing: [] }],
    [[null, '1/5'], { overlap: [0, 1], together: null, missing: [] }],
    [['1/2', 'half'], undefined],
  ])('of %j is %j', (texts, cover) => expect(cover_of(texts)).toEqual(cover));
});
