import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Series } from '../../src/metrics/series.ts';
import { series_lines } from '../../src/outputs/series-table.ts';
import { beat, FakeRecorder, totals_now } from '../metrics/beats.ts';

/** A swarm that grows, stalls in one second, and of which the coordinator misses some seconds. */
function a_series(seconds: number, missed: readonly number[] = []): Series {
  const series = new Series();
  const member = new FakeRecorder(2);
  for (let second = 1; second <= seconds; second++) {
    member.open = member.connected = 10 * second;
    for (let i = 0; i < 5 * second; i++) member.ok(i % 2, second === 7 ? 90_000 : 1000 + 40 * i);
    if (second % 4 === 0) member.fail(0, 'timeout');
    if (missed.includes(second)) continue;
    const totals = totals_now([member]);
    const generator = { ...totals.snapshot.generator, cpu: second / 10 };
    const not_told = second === 9 ? ['w2'] : [];
    series.beat(beat(second * 1000, { ...totals, snapshot: { ...totals.snapshot, generator } }, { not_told }));
  }
  return series;
}

describe('series_lines', () => {
  it('has a line for each second, and two of blocks', () => {
    const lines = series_lines(a_series(10, [4, 5]).last(10), 10);
    expect(lines).toEqual([
      'each line is one second; rounds of all actions, p50 and p99 of their response times',
      ' time  live  open  ok/s  fail/s  p50 ms  p99 ms   B/s   cpu  note',
      '00:00    10    10     5       0    2.17    2.33   150  0.10',
      '00:01    20    20    10       0    2.33    2.73   300  0.20',
      '00:02    30    30    15       0    2.58    3.13   450  0.30',
      '00:03    60    60    25     0.3    2.98    4.35   750  0.60  gap 2 s',
      '00:06    70    70    35       0     180     180  1050  0.70',
      '00:07    80    80    40       1    3.54    5.15  1200  0.80',
      '00:08    90    90    45       0    3.77    5.54  1350  0.90  not told: w2',
      '00:09   100   100    50       0    3.94    5.95  1500  1.00',
      'ok/s    ▁▂▃··▅▆▇██  0 to 50',
      'p99 ms  ▁▁▁··▁█▁▁▁  0 to 180',
    ]);
    const docs = readFileSync(new URL('../../docs/console.md', import.meta.url), 'utf8');
    expect(docs).toContain(['series', `OK ${lines.length}`, ...lines, ''].join('\n'));
  });

  it('folds a long time to twenty lines, and to sixty blocks', () => {
    const series = a_series(120);
    const lines = series_lines(series.last(120), 120);
    expect(lines).toHaveLength(1 + 1 + 20 + 2);
    expect(lines[0]).toMatch(/^each line is 6 seconds; /);
    expect(lines[2]).toMatch(/^00:00 +60 +60 +18 +0\.2 /);
    expect(lines[21]).toMatch(/^01:54 +1200 +1200 +588 +0\.3 /);
    expect(lines[22]).toHaveLength('ok/s    '.length + 60 + '  0 to 598'.length);
  });

  it('counts its steps back from the end', () => {
    const lines = series_lines(a_series(50).last(30), 30);
    const times = lines.slice(2, -2).map((line) => line.slice(0, 5));
    expect(times).toHaveLength(15);
    expect([times[0], times.at(-1)]).toEqual(['00:20', '00:48']);
  });

  it('says how late slots were, what was dropped and when swarm was saturated', () => {
    const series = new Series();
    const member = new FakeRecorder(2);
    for (let second = 1; second <= 4; second++) {
      member.ok(1, 3000);
      if (second !== 2) for (let i = 0; i < 9; i++) member.fire(0, second === 3 ? 800_000 : 200, 2000);
      if (second === 3) member.slots(0).tardy += 9;
      if (second === 3) for (let i = 0; i < 1200; i++) member.drop(0, i < 2 ? 'no_free_client' : 'backlog');
      const members = second === 4 ? [{ id: 'w1', open: 0, cpu: 0.97, lag_p99_ms: 70 }] : [];
      series.beat(beat(second * 1000, totals_now([member]), { members }));
    }
    const lines = series_lines(series.last(10), 10);
    expect(lines.slice(0, -2)).toEqual([
      'each line is one second; rounds of all actions, p50 and p99 of their response times, p99 of how late slots started',
      ' time  open  ok/s  fail/s  p50 ms  p99 ms  late ms   cpu  note',
      '00:00     0    10       0    4.01    6.01    0.200  0.00',
      '00:01     0     1       0    6.01    6.01        -  0.00',
      '00:02     0    10       0    4.01    6.01      803  0.00  dropped 1200, saturat…',
      '00:03     0    10       0    4.01    6.01    0.200  0.00  saturated: cpu lag',
    ]);
    expect(series_lines(series.last(2), 2)[2]).toContain('dropped 1200');
  });

  it('fits 80 columns whatever the numbers, and stays safe', () => {
    const series = new Series();
    const member = new FakeRecorder(1);
    member.open = 9_999_999;
    member.connected = 12_345_678;
    member.bytes = 7e15;
    member.ok(0, 4e9);
    const not_told = ['w1', 'w\u001b2', ...Array.from({ length: 100 }, (_, i) => `agent-${i}`)];
    series.beat(beat(999_999_000, totals_now([member]), { not_told }));
    member.bytes += 1e15;
    for (let i = 0; i < 200_000; i++) member.ok(0, 4e9);
    series.beat(beat(1_000_000_000, totals_now([member]), { not_told }));
    const lines = series_lines(series.last(1), 1);
    expect(lines[2]).toMatch(/^277:46:39 +10M +10M +200k +0 +4.29M +4.29M +3P +0.00  not told: w1/);
    for (const line of lines.slice(1)) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines.join('')).not.toContain('\u001b');
  });

  it('says so when there is nothing', () => {
    expect(series_lines([], 10)).toEqual(['nothing was measured yet: the first second is not over']);
    const idle = new Series();
    idle.beat(beat(1000, totals_now([])));
    expect(series_lines(idle.last(10), 10).slice(2)).toEqual([
      '00:00     0     0     0       0       -       -    0  0.00',
      'ok/s    ▁  0 to 0',
      'p99 ms  ·  0 to 0',
    ]);
  });
});
