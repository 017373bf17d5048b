import { describe, expect, it } from 'vitest';
import { figure, figures_of, median, rows_of, table, type Measure } from '../../bench/lib/stats.mjs';

describe('median', () => {
  it.each([
    [[3], 3],
    [[9, 1, 2], 2],
    [[10, 1, 2, 9], 5.5],
  ])('of %j is %d', (values, wanted) => {
    expect(median(values)).toBe(wanted);
  });
});

describe('figure', () => {
  it.each([
    [0, '0'],
    [0.08396, '0.0840'],
    [15.62, '15.6'],
    [999.4, '999'],
    [1234.5, '1 235'],
    [1_637_650, '1 637 650'],
  ])('%d is %s', (value, wanted) => {
    expect(figure(value)).toBe(wanted);
  });
});

describe('figures and rows', () => {
  const measures: Measure[] = [
    { key: 'cpu_us', title: 'CPU, µs', better: 'lower', goal: { of: 'ratio', at_most: 2 } },
    { key: 'rss_kb', title: 'RSS, KB', goal: { of: 'value', at_most: 5 } },
    { key: 'per_s', title: 'per second' },
  ];
  const runs = [
    { reference: { cpu_us: 10, per_s: 100 }, subject: { cpu_us: 15, rss_kb: 6, per_s: 50 } },
    { reference: { cpu_us: 5, per_s: 100 }, subject: { cpu_us: 10, rss_kb: 7, per_s: 60 } },
    { reference: { cpu_us: 20, per_s: 100 }, subject: { cpu_us: 20, rss_kb: 8, per_s: 70 } },
  ];
  const figures = figures_of(measures, runs);

  it("takes the ratio of each run, not of the sides' medians", () => {
    expect(figures.cpu_us?.ratio).toEqual({ median: 1.5, least: 1, most: 2 });
    expect(figures.cpu_us?.better).toBe('lower');
  });

  it('has no ratio of what the reference does not measure', () => {
    expect(figures.rss_kb).toEqual({ title: 'RSS, KB', subject: { median: 7, least: 6, most: 8 } });
  });

  it('judges the median', () => {
    expect(rows_of(measures, figures)).toEqual([
      ['CPU, µs', '10.0 (5.00–20.0)', '15.0 (10.0–20.0)', '1.50 (1.00–2.00)', 'ratio ≤ 2', 'met'],
      ['RSS, KB', '', '7.00 (6.00–8.00)', '', 'value ≤ 5', 'missed'],
      ['per second', '100 (100–100)', '60.0 (50.0–70.0)', '0.600 (0.500–0.700)', '', ''],
    ]);
  });
});

it('aligns the columns of a table', () => {
  expect(table(['', 'b'], [['long', '1']])).toBe('|      | b |\n|------|---|\n| long | 1 |');
});
