import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHART_POINTS, load_chart, load_table, type LoadOutline } from '../../src/outputs/load-table.ts';

type Step = LoadOutline['steps'][number];

const step = (number: number, text: string, clients: number[], change: Partial<Step> = {}): Step => {
  const time = { begins_ms: number * 1000, clients, connect_per_s: null, rates: [] };
  return { number, times: 1, text, ms: 0, within_ms: null, first: time, last: time, ...change };
};

const outline = (change: Partial<LoadOutline> = {}): LoadOutline => ({
  groups: ['main'],
  steps: [step(1, 'set 10', [10])],
  played: 1,
  ms: 60_000,
  waits_ms: [],
  most: 10,
  last: 10,
  stops: false,
  course: [10],
  rates: [],
  ...change,
});

describe('load_table', () => {
  it('has a line for each step of a load', () => {
    const steps = [
      step(1, 'set 1000 over 30s', [1000], { ms: 30_000 }),
      step(2, 'wait within 1m', [1000], { ms: null, within_ms: 60_000 }),
      step(3, 'hold 1500ms', [1000], { ms: 1500 }),
      step(4, 'stop', [], { ms: null, first: { begins_ms: 3_661_500, clients: [], connect_per_s: null, rates: [] } }),
    ].map((one) => ({ ...one, last: one.first }));
    const whole = outline({ steps, played: 4, ms: 3_661_500, waits_ms: [30_000], most: 1000, stops: true });
    expect(load_table(whole)).toEqual([
      'load: 4 steps, at least 1 h 1 min, at most 1000 clients; then it ends the run',
      '   step                  begins        lasts  clients',
      '1  set 1000 over 30s      00:01         30 s     1000',
      '2  wait within 1m         00:02  up to 1 min     1000',
      '3  hold 1500ms            00:03        1.5 s     1000',
      '4  stop               1:01:01.5',
    ]);
  });

  it('has a column for each group where there are several, for times where steps are repeated, for rates that are set', () => {
    const begin = { begins_ms: 0, clients: [1, 9], connect_per_s: null, rates: [] };
    const steps = [
      step(1, 'incr 10', [], { times: 3, first: begin, last: { ...begin, begins_ms: 20_000, clients: [3, 27] } }),
      step(4, 'connect-rate 5', [], { first: begin, last: { ...begin, connect_per_s: 5 } }),
    ].map((one) => (one.times > 1 ? one : { ...one, first: one.last }));
    const whole = outline({ groups: ['few', 'many'], steps, played: 4, ms: 0, most: 30, last: 30 });
    expect(load_table(whole)).toEqual([
      'load: 4 steps, at most 30 clients; then the run goes on with 30 clients',
      '   step            times         begins  lasts  clients    few    many  connects/s',
      '1  incr 10           x 3  00:00 … 00:20         10 … 30  1 … 3  9 … 27',
      '4  connect-rate 5                 00:00              10      1       9           5',
    ]);
  });

  it('has a column for each rate that the load changes, the first eight', () => {
    const begin = { begins_ms: 0, clients: [5], connect_per_s: null, rates: Array<number>(10).fill(0) };
    const steps = [
      step(1, 'rate a0 0.5/s', [5], { first: begin, last: { ...begin, rates: [0.5, ...begin.rates.slice(1)] } }),
      step(2, 'stop', [], { first: { ...begin, clients: [], rates: [] } }),
    ].map((one) => (one.number === 1 ? one : { ...one, last: one.first }));
    const rates = begin.rates.map((_, i) => ({ action: `a${i}`, course: [0] }));
    expect(load_table(outline({ steps, played: 2, rates }))).toEqual([
      'load: 2 steps, 1 min, at most 10 clients; then the run goes on with 10 clients',
      '   step           begins  lasts  clients     a0/s  a1/s  a2/s  a3/s  a4/s  a5/s  a6/s  a7/s',
      '1  rate a0 0.5/s   00:00               5  0 … 0.5     0     0     0     0     0     0     0',
      '2  stop            00:00',
      'and 2 more rates',
    ]);
  });

  it('has at most forty steps, counts the others, and lets no text of a step move the cursor', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.string({ unit: 'binary' }), (count, text) => {
        const steps = Array.from({ length: count }, (_, i) => step(i + 1, `annotate ${text}`, [i]));
        const lines = load_table(outline({ steps, played: count }));
        expect(lines).toHaveLength(count > 40 ? 43 : count + 2);
        if (count > 40) expect(lines.at(-1)).toBe(`and ${count - 40} more`);
        for (const line of lines) expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/);
      }),
    );
  });
});

describe('load_chart', () => {
  it('draws the clients over time, and where the load waits', () => {
    const course = [...Array.from({ length: 8 }, (_, i) => 100 * (i + 1)), ...Array<number>(8).fill(800), 100, 0];
    expect(load_chart(outline({ course, ms: 90_500, waits_ms: [0, 40_300, 90_500] }))).toEqual([
      '800 │       █████████',
      '    │      ██████████',
      '    │     ███████████',
      '    │    ████████████',
      '400 │   █████████████',
      '    │  ██████████████',
      '    │ ███████████████',
      '    │█████████████████',
      '  0 └w───────w────────w',
      '     00:00at least 01:30.5',
      '     w: a wait for clients, shown as if it took no time',
    ]);
  });

  it('draws below them the rates that it changes, each as high as a row', () => {
    const rates = [
      { action: 'say', course: [0, 1, 10_000, 20_000] },
      { action: 'beat.ping', course: [0.5, 0, 0, 0] },
      { action: 'never', course: [0, 0, 0, 0] },
    ];
    expect(load_chart(outline({ course: [5, 5, 5, 5], ms: 4000, rates })).slice(7)).toEqual([
      '      │████',
      '    0 └────',
      '       00:0000:04',
      '       say, per second:',
      '20000 │ ▁▄█',
      '       beat.ping, per second:',
      '  0.5 │█',
      '       never, per second:',
      '    0 │',
    ]);
  });

  it('draws nothing of a load without time or clients', () => {
    expect(load_chart(outline({ ms: 0 }))).toEqual([]);
    expect(load_chart(outline({ course: [0, 0] }))).toEqual([]);
  });

  it('fits into eighty columns, and is as high as the clients are many', () => {
    const clients = fc.oneof(fc.nat(10), fc.nat(10_000_000));
    const points = fc.array(clients, { minLength: CHART_POINTS, maxLength: CHART_POINTS });
    fc.assert(
      fc.property(points, fc.integer({ min: 1, max: 1e9 }), fc.array(fc.nat(1e9)), (course, ms, waits) => {
        const waits_ms = waits.map((at) => at % (ms + 1));
        const lines = load_chart(outline({ course, ms, waits_ms }));
        const most = Math.max(...course);
        if (most === 0) return expect(lines).toEqual([]);
        expect(lines).toHaveLength(waits_ms.length > 0 ? 11 : 10);
        for (const line of lines) expect([...line].length).toBeLessThanOrEqual(80);
        const left = lines[0]!.indexOf('│') + 1;
        for (const [i, count] of course.entries()) {
          const blocks = lines.slice(0, 8).map((line) => ' ▁▂▃▄▅▆▇█'.indexOf(line[left + i] ?? ' '));
          const height = blocks.reduce((all, one) => all + one, 0);
          expect(Math.abs(height - (64 * count) / most)).toBeLessThanOrEqual(count > 0 && height === 1 ? 1 : 0.5);
          expect(height > 0).toBe(count > 0);
          // full below what is not, empty above
          expect([...blocks].sort((a, b) => a - b)).toEqual(blocks);
          expect(blocks.filter((one) => one > 0 && one < 8).length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});
