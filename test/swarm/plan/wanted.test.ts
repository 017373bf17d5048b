import fc from 'fast-check';
import { expect, test } from 'vitest';
import { first_intent, MAX_PIECES, type Intent, type WantedRates } from '../../../src/swarm/plan/intent.ts';
import { advance, begin } from '../../../src/swarm/plan/load-play.ts';
import { slots_by, type RatePiece } from '../../../src/swarm/plan/rate-piece.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { wanted_of } from '../../../src/swarm/plan/wanted.ts';
import { drawn_groups, drawn_rates, drawn_steps, with_actions } from './drawn-loads.ts';
import { text_of } from './naive-load.ts';

const LOAD = { most: 1e6, most_per_s: 1000, epoch_ms: 0 };
const ONE = with_actions([{ name: 'main', share: 1 }], { a0: 100 });
const told = (state: Intent, run_ms: number, groups = ONE): WantedRates =>
  wanted_of(state, groups, WHOLE, run_ms).rates;
const begun = (text: string): Intent => begin(first_intent(1), { text, ...LOAD }, ONE, 0);

/** The one that holds at an instant. */
const holding = (pieces: readonly RatePiece[], at_us: number): RatePiece | undefined =>
  pieces.findLast(({ from_us }) => from_us < at_us);

test('members know what a load does to rates before it does, until a wait', () => {
  const drawn = drawn_groups.chain((bare) =>
    drawn_rates(bare).chain((rates) =>
      fc.record({
        groups: fc.constant(with_actions(bare, rates)),
        steps: fc.boolean().chain((waits) => drawn_steps(bare, waits, rates)),
        from_ms: fc.nat(120),
      }),
    ),
  );
  let compared = 0;
  fc.assert(
    fc.property(drawn, ({ groups, steps, from_ms }) => {
      const load = { text: text_of(steps), ...LOAD };
      const state = advance(begin(first_intent(1), load, groups, 0), groups, from_ms);
      const rates = told(state, from_ms, groups);
      for (let ms = from_ms + 1; ms < from_ms + 200; ms++) {
        const later = advance(state, groups, ms);
        for (const [g, { name }] of groups.entries()) {
          const [pieces, rate] = [rates[g]?.[1] ?? [], later.rates[`${name}.1`]];
          expect(pieces.length).toBeLessThanOrEqual(MAX_PIECES);
          const piece = holding(pieces, ms * 1000);
          if (pieces.length === MAX_PIECES && piece === pieces.at(-1)) continue;
          // one that has not begun yet has no slots
          const [found, wanted] = [piece, rate?.piece].map((one) => (one ? slots_by(one, ms * 1000) : 0));
          if (found !== wanted) expect(found, `at ${ms} of ${load.text}`).toBe(wanted);
          compared++;
        }
      }
      for (const list of rates.flatMap((lists) => Object.values(lists))) {
        const begins = list.map(({ from_us }) => from_us);
        expect(begins).toEqual([...new Set(begins)].sort((a, b) => a - b));
      }
    }),
    { numRuns: 200 },
  );
  expect(compared).toBeGreaterThan(10_000);
});

test('they are told two seconds before, and nothing new while there is nothing', () => {
  const state = begun('set 1 & rate a0 100/s poisson; hold 10s; rate a0 5/s over 1s; rate a0 7/s; hold 1m; stop');
  const [first, ...more] = [0, 5000, 7999].map((ms) => told(state, ms));
  expect(more).toEqual([first, first]);
  for (const same of more) expect(same).toBe(first);
  expect(first![0]![1]).toEqual([state.rates['main.1']!.piece]);
  const [ramp, after] = told(state, 8000)[0]![1]!.slice(1);
  expect(ramp).toMatchObject({ from_us: 10e6, to_us: 11e6, from_rate: 100e6, to_rate: 5e6 });
  expect(after).toMatchObject({ from_us: 11e6, to_us: null, from_rate: 5e6 });
  expect(told(state, 9000)[0]![1]![2]).toMatchObject({ from_us: 11e6, from_rate: 7e6 });
  const at_once = begun('rate a0 1/s; repeat 100 (rate a0 2/s & hold 1ms; rate a0 3/s & hold 1ms)');
  expect(told(at_once, 0)[0]![1]).toHaveLength(MAX_PIECES);
});

test('nothing is told where there are no rates, or where they have not begun', () => {
  const state = begin(
    first_intent(1),
    { text: 'set 5; hold 1s; set 7; stop', ...LOAD },
    [{ name: 'main', share: 1 }],
    0,
  );
  expect(told(state, 0, [{ name: 'main', share: 1 }])).toEqual([]);
  expect(told(first_intent(1), 0)).toEqual([]);
  // but that they will begin
  expect(told(begun('hold 1s; set 3'), 0)).toMatchObject([{ 1: [{ from_us: 1e6, from_rate: 100e6 }] }]);
});
