import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoadSummary } from '../../src/metrics/summary.ts';
import { load_bar, load_line, load_lines, load_news, span } from '../../src/outputs/load-lines.ts';
import { summary } from '../console/fakes.ts';

const OBEYED = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]/;

const at = (change: Partial<LoadSummary> = {}): LoadSummary => ({
  state: 'playing',
  step: 3,
  steps: 7,
  text: 'hold 5m',
  seconds: 12,
  left_seconds: 288,
  all_left_seconds: 603,
  ...change,
});

const drawn: fc.Arbitrary<LoadSummary> = fc
  .record({
    state: fc.constantFrom('playing', 'waiting', 'paused', 'over', 'stopped', 'failed'),
    step: fc.integer({ min: 1, max: 10_000 }),
    more: fc.nat(100),
    text: fc.string({ unit: 'binary', maxLength: 300 }),
    seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    left_seconds: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    all_left_seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    why: fc.string({ unit: 'binary', maxLength: 300 }),
  })
  .map(({ more, ...load }) => ({ ...load, steps: load.step + more }));

describe('span', () => {
  it.each([
    [0, '0 s'],
    [0.25, '0.3 s'],
    [12.4, '12 s'],
    [90, '1 min 30 s'],
    [3600, '1 h'],
    [7500, '2 h 5 min'],
  ])('of %d s is %s', (seconds, text) => expect(span(seconds)).toBe(text));
});

describe('load_line', () => {
  it.each([
    [at(), 'load: step 3 of 7, hold 5m: 12 s of it, 4 min 48 s left, 10 min 3 s to its end'],
    [at({ state: 'waiting', text: 'wait', left_seconds: null }), 'load: step 3 of 7, wait: for 12 s now'],
    [at({ state: 'paused' }), 'load: step 3 of 7, hold 5m: paused by hand, goes on after `resume`'],
    [at({ state: 'over', step: 7 }), 'load: over, after 7 steps'],
    [at({ state: 'over', step: 1, steps: 1 }), 'load: over, after 1 step'],
    [at({ state: 'stopped' }), 'load: stopped in step 3 of 7, hold 5m'],
    [at({ state: 'failed', why: '`wait`: none came' }), 'load: failed in step 3 of 7: `wait`: none came'],
  ])('%j', (load, line) => {
    expect(load_line(load)).toBe(line);
    expect(load_lines(summary({ load }))).toEqual([line]);
  });

  it('says that there is none', () => expect(load_lines(summary())).toEqual(['no load was begun']));
});

describe('load_news', () => {
  it('are a step that began, whatever was between, and how the load ends', () => {
    const line = (load: LoadSummary, before: LoadSummary | null): string | null => load_news(load, before);
    expect(line(at({ step: 1 }), null)).toBe('load: step 1 of 7, hold 5m: 5 min, 10 min 15 s to its end');
    expect(line(at(), at({ step: 2 }))).toBe('load: step 3 of 7, hold 5m: 5 min, 10 min 15 s to its end');
    expect(line(at(), at({ step: 1 }))).toBe('load: steps 2 to 3 of 7, now hold 5m: 5 min, 10 min 15 s to its end');
    expect(line(at(), null)).toMatch(/^load: steps 1 to 3 of 7, now hold 5m/);
    expect(line(at({ seconds: 100, left_seconds: 200 }), at())).toBeNull();
    const wait = at({ state: 'waiting', step: 4, text: 'wait within 1m', left_seconds: null });
    expect(line(wait, at())).toBe('load: step 4 of 7, wait within 1m');
    expect(line(at({ state: 'over', step: 7 }), at())).toBe('load: over, after 7 steps');
    expect(line(at({ state: 'paused' }), at())).toMatch(/paused by hand/);
  });

  it('are those of another load, too', () => {
    expect(load_news(at({ step: 1 }), at({ state: 'over', step: 7 }))).toMatch(/^load: step 1 of 7, /);
    expect(load_news(at({ step: 2 }), at({ step: 5 }))).toMatch(/^load: steps 1 to 2 of 7, /);
  });

  it('are said once, on one line that no terminal obeys', () => {
    fc.assert(
      fc.property(fc.option(drawn), drawn, (before, load) => {
        expect(load_news(load, load)).toBeNull();
        const news = load_news(load, before);
        if (news !== null) expect(news).not.toMatch(OBEYED);
        if (before === null || before.state !== load.state) expect(news).not.toBeNull();
      }),
    );
  });
});

describe('load_bar', () => {
  it('shows how far the step is, and no bar where none is played', () => {
    expect(load_bar(at({ seconds: 75, left_seconds: 225 }), 200)).toBe(
      '[███·········] step 3 of 7, hold 5m: 3 min 45 s left, 10 min 3 s to its end',
    );
    expect(load_bar(at({ state: 'waiting', left_seconds: null }), 200)).toMatch(/^\[·{12}\] step 3 of 7, /);
    expect(load_bar(at({ seconds: 0, left_seconds: 0 }), 200)).toMatch(/^\[·{12}\] /);
    expect(load_bar(at({ seconds: 5, left_seconds: 0 }), 200)).toMatch(/^\[█{12}\] /);
    for (const state of ['over', 'stopped', 'failed'] as const) expect(load_bar(at({ state }), 200)).toBe('');
  });

  it('fits on a line, which no terminal obeys', () => {
    fc.assert(
      fc.property(drawn, fc.integer({ min: 1, max: 300 }), (load, columns) => {
        const line = load_bar(load, columns);
        expect(line.length).toBeLessThanOrEqual(columns);
        expect(line).not.toMatch(OBEYED);
      }),
    );
  });
});
