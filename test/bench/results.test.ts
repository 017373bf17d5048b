import { describe, expect, it } from 'vitest';
import { compare, side_by_side, to_json, type Result, type Results } from '../../bench/lib/results.mjs';
import type { Figure } from '../../bench/lib/stats.mjs';

const spread = (median: number) => ({ median, least: median, most: median });

function figure(better: Figure['better'], ratio: number | undefined): Figure {
  const subject = { title: 'CPU, µs', subject: spread(20) };
  const guarded = better === undefined ? subject : { ...subject, better };
  return ratio === undefined ? guarded : { ...guarded, reference: spread(20 / ratio), ratio: spread(ratio) };
}

function results(figures: Record<string, Figure>, more: Partial<Results> = {}): Results {
  const benches = Object.fromEntries(Object.entries(figures).map(([name, cpu_us]) => [name, { figures: { cpu_us } }]));
  const machine = { cpu: 'x', cores: 2, memory_bytes: 1, kernel: '6', node: '20' };
  const date = '2026-01-02T03:04:05Z';
  return { format: 'swarm-bench/1', date, machine, runs: 5, benches, skipped: {}, failed: {}, ...more };
}

describe('compare', () => {
  const compared = (better: Figure['better'], was: number, is: number) =>
    compare(results({ redis: figure(better, was) }), results({ redis: figure(better, is) }));

  it.each([
    ['lower', 2, 2.29],
    ['lower', 2, 1],
    ['higher', 1, 0.88],
    ['higher', 1, 3],
  ] as const)('%s is better: %d, then %d, is well', (better, was, is) => {
    expect(compared(better, was, is)).toEqual({ compared: 1, worse: [], unknown: [] });
  });

  it.each([
    ['lower', 2, 2.4, '2.00, is 2.40: 20 % worse'],
    ['higher', 1, 0.5, '1.00, is 0.500: 100 % worse'],
  ] as const)('%s is better: %d, then %d, is named', (better, was, is, told) => {
    expect(compared(better, was, is).worse).toEqual([`redis: ratio of CPU, µs was ${told}, at most 15 %`]);
  });

  it('leaves alone what no ratio is guarded of', () => {
    expect(compared(undefined, 1, 9).compared).toBe(0);
    expect(compare(results({}), results({ sleepy: figure('lower', undefined) }))).toEqual({
      compared: 0,
      worse: [],
      unknown: [],
    });
  });

  it('says what it could not compare, and is silent about what was not run', () => {
    const before = results({ http: figure('lower', 1), redis: figure('lower', 1) });
    const now = results({ pipeline: figure('lower', 9) }, { skipped: { http: 'wrk' }, failed: { tsung: 'no VM' } });
    expect(compare(before, now)).toEqual({
      compared: 0,
      worse: [],
      unknown: ['http: wrk', 'tsung: no VM', 'pipeline: the table of 2026-01-02T03:04:05Z has no ratio of CPU, µs'],
    });
  });
});

describe('side by side', () => {
  const work = { server: 'nginx', work: 'GET' };
  const benches: Record<string, Result> = {
    http: { peer: 'wrk', ...work, figures: { cpu_us: figure('lower', 2) } },
    held: { peer: 'tsung', ...work, figures: { cpu_us: figure('lower', 0.5), rss_kb: figure('lower', 0.1) } },
    parsers: { peer: 'framer', figures: { cpu_us: figure('lower', 1) } },
  };

  it('has a row per peer and names what was skipped', () => {
    const lines = side_by_side(benches, { pipeline: 'redis-benchmark (apt-get install redis-tools)' }).split('\n');
    const cells = lines.slice(2, -1).map((line) => line.split('|').map((cell) => cell.trim()));
    expect(cells).toEqual([
      ['', 'wrk', 'nginx', 'GET', '10.0', '20.0', '2.00', '100 000', '50 000', '', '', ''],
      ['', 'tsung', 'nginx', 'GET', '40.0', '20.0', '0.500', '25 000', '50 000', '200', '20.0', ''],
    ]);
    expect(lines.at(-1)).toBe('pipeline skipped: redis-benchmark (apt-get install redis-tools)');
  });

  it('is nothing when nothing stands side by side', () => {
    expect(side_by_side({ parsers: benches.parsers! }, {})).toBe('');
  });
});

it('writes four significant digits', () => {
  const written = JSON.parse(to_json(results({ redis: figure('lower', 1.23456) }))) as Results;
  expect(written.benches.redis?.figures.cpu_us?.ratio?.median).toBe(1.235);
  expect(written.date).toBe('2026-01-02T03:04:05Z');
});
