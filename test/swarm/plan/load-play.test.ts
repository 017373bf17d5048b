import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Command } from '../../../src/grammar/command.ts';
import { carry_out, type Facts } from '../../../src/swarm/plan/carry-out.ts';
import {
  first_intent,
  planned_of,
  targets_of,
  type Intent,
  type NamedSharing,
} from '../../../src/swarm/plan/intent.ts';
import {
  advance,
  advancing,
  awaited,
  begin,
  end_load,
  give_up,
  judge_wait,
  load_summary,
  next_of,
  pass,
  peaks_of,
  piece_at,
  step_of,
  steps_begun,
  upcoming,
} from '../../../src/swarm/plan/load-play.ts';
import { rate_at, slots_by, type PlayedRate } from '../../../src/swarm/plan/rate-piece.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { command_of } from './by-hand.ts';
import { drawn_groups, drawn_hand, drawn_rates, drawn_steps, with_actions, type ByHand } from './drawn-loads.ts';
import { NaiveLoad, text_of, type NaiveRates, type NaiveStep } from './naive-load.ts';

const EPOCH_MS = 1_700_000_000_000;
const PER_S = 1000;
const MOST = { most: 10_000_000, most_per_s: 1e6, epoch_ms: EPOCH_MS };

const facts = (groups: readonly NamedSharing[], run_ms: number, capacity = 1_000_000): Facts => ({
  run_ms,
  wall_ms: EPOCH_MS + run_ms,
  room: { capacity, why: 'w', per_member: capacity, members: 1, more_by: '--workers', bounds: [] },
  segment: WHOLE,
  groups,
  max_connect_per_s: null,
  fatal: 0,
  stop_ms: 1000,
  teardown_ms: null,
  agents: null,
});

const as_stored = (intent: Intent): Intent => JSON.parse(JSON.stringify(intent)) as Intent;

interface Scene {
  readonly groups: readonly NamedSharing[];
  readonly rates: NaiveRates;
  readonly steps: readonly NaiveStep[];
  readonly hand: readonly { readonly at: number; readonly what: ByHand }[];
}

const scene: fc.Arbitrary<Scene> = drawn_groups
  .chain((bare) => fc.tuple(fc.constant(bare), drawn_rates(bare)))
  .chain(([bare, rates]) =>
    fc
      .record({
        steps: drawn_steps(bare, true, rates),
        hand: fc.array(fc.tuple(fc.nat(50), drawn_hand(bare, rates)), { maxLength: 6 }),
      })
      .map(({ steps, hand }) => {
        let at = 0;
        const groups = with_actions(bare, rates);
        return { groups, rates, steps, hand: hand.map(([after, what]) => ({ at: (at += after), what })) };
      }),
  );

/** What is stored after somebody did that at `run_ms`. */
function stored_after(stored: Intent, what: ByHand, groups: readonly NamedSharing[], run_ms: number): Intent {
  if (what === 'pass') {
    const now = advance(stored, groups, run_ms);
    return awaited(now) === null || now.load!.frozen_ms !== null ? stored : pass(now, groups, run_ms);
  }
  const command = command_of(what);
  return carry_out(stored, command, facts(groups, run_ms)).intent;
}

function naive_after(naive: NaiveLoad, what: ByHand): void {
  if (naive.phase === 'drain') return;
  if (what === 'pass') {
    if (naive.is_waiting && !naive.is_frozen) naive.pass();
  } else if (what === 'load end') {
    if (naive.is_playing) naive.end_load();
  } else naive.by_hand(what);
}

describe('a load that plays', () => {
  test('asks for what a stop-watch says, with whatever is done by hand', () => {
    fc.assert(
      fc.property(scene, ({ groups, rates, steps, hand }) => {
        const naive = new NaiveLoad(groups, PER_S, rates);
        const rate_at_ms = ({ piece, held }: PlayedRate, ms: number): number =>
          held?.from_rate ?? Math.round(rate_at(piece, ms * 1000));
        naive.begin(steps);
        let stored = carry_out(first_intent(PER_S), command_of(`load ${text_of(steps)}`), facts(groups, 0)).intent;
        const end = (hand.at(-1)?.at ?? 0) + 200;
        for (let ms = 0; ms <= end; ms++) {
          if (ms > 0) naive.tick();
          for (const { at, what } of hand) {
            if (at !== ms) continue;
            naive_after(naive, what);
            stored = as_stored(stored_after(stored, what, groups, ms));
          }
          const now = advance(stored, groups, ms);
          const found = [
            planned_of(now, groups, ms),
            targets_of(now, groups),
            [now.phase, now.connect_per_s, now.retry_fatal, now.mark?.seq ?? 0, now.mark?.text ?? ''],
            [now.load!.step, step_of(now) !== null && now.phase !== 'drain'],
            groups.flatMap(({ name }, g) => {
              const rate = now.rates[`${name}.1`];
              return rate === undefined ? [] : [[`a${g}`, slots_by(rate.piece, ms * 1000), rate_at_ms(rate, ms) / 1e6]];
            }),
          ];
          const wanted = [
            naive.planned,
            naive.targets,
            [naive.phase, naive.per_s, naive.retries, naive.marks, naive.mark],
            [naive.step, naive.is_playing],
            [...naive.rates]
              .map(([name, { slots, per_s }]) => [name, slots, per_s])
              .sort(([a], [b]) => (a! < b! ? -1 : 1)),
          ];
          // an expectation for each ms would take ten times as long
          if (JSON.stringify(found) !== JSON.stringify(wanted))
            expect(found, `at ${ms} of ${text_of(steps)}`).toEqual(wanted);
        }
      }),
      { numRuns: 250 },
    );
  });

  test('is the same in one jump and in many, by whoever asks', () => {
    const jumps = fc.array(fc.double({ min: 0, max: 60, noNaN: true }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(scene, jumps, ({ groups, steps, hand }, times) => {
        let stored = begin(first_intent(PER_S), { text: text_of(steps), ...MOST }, groups, 0.123);
        const ask = advancing<Intent>(groups);
        let [now, ms] = [stored, 0.123];
        for (const [i, more] of times.entries()) {
          const what = hand[i]?.what;
          ms += more;
          if (what !== undefined) now = stored = stored_after(i % 2 === 0 ? stored : now, what, groups, ms);
          now = advance(as_stored(now), groups, ms);
          expect(now).toEqual(advance(stored, groups, ms));
          expect(ask(stored, ms)).toEqual(now);
          expect(ask(stored, ms)).toBe(ask(stored, ms));
        }
      }),
      { numRuns: 200 },
    );
  });

  test('begins each step once, in order, and marks at its time', () => {
    fc.assert(
      fc.property(
        drawn_groups,
        fc.array(fc.nat(80), { maxLength: 30 }),
        fc.infiniteStream(fc.nat(9)),
        (groups, times, draws) => {
          const steps: NaiveStep[] = Array.from({ length: 1 + (times.length % 7) }, (_, i) => [
            { op: 'mark', text: `m${i}` },
            { op: 'hold', ms: draws.next().value * 8 },
          ]);
          const text = text_of(steps);
          const first = begin(first_intent(PER_S), { text, ...MOST }, groups, 5);
          const begun = [...steps_begun(first_intent(PER_S), first)];
          let [before, ms] = [first, 5];
          for (const more of [...times, 1000]) {
            const now = advance(before, groups, (ms += more));
            begun.push(...steps_begun(before, now));
            before = now;
          }
          expect(begun).toEqual(steps.map((one) => text_of([one])));
          const at_ms = steps.slice(0, -1).reduce((sum, one) => sum + (one[1] as { readonly ms: number }).ms, 5);
          expect(before.mark).toEqual({ text: `m${steps.length - 1}`, at_ms: EPOCH_MS + at_ms, seq: steps.length });
        },
      ),
    );
  });
});

/** A load without anybody's hand. */
const alone = drawn_groups.chain((groups) => fc.record({ groups: fc.constant(groups), steps: drawn_steps(groups) }));

/** What a stop-watch says of it, each ms up to its end; waits take no time. */
function watched(groups: readonly NamedSharing[], steps: readonly NaiveStep[]): number[][] {
  const naive = new NaiveLoad(groups, PER_S);
  naive.begin(steps);
  const seen: number[][] = [];
  for (let left = 200; left > 0; left--) {
    if (naive.is_waiting) seen.push(naive.planned);
    while (naive.is_waiting) {
      naive.pass();
      // the next step may wait, too
      seen.push(naive.planned);
    }
    seen.push(naive.planned);
    if (naive.is_playing && !naive.is_waiting) left = 200;
    naive.move();
    seen.push(naive.planned);
    naive.play();
  }
  return seen;
}

const all_of = (clients: readonly number[]): number => clients.reduce((sum, one) => sum + one, 0);

test('its peaks are the highest that a stop-watch sees, of each group and of all', () => {
  fc.assert(
    fc.property(alone, ({ groups, steps }) => {
      const state = begin(first_intent(PER_S), { text: text_of(steps), ...MOST }, groups, 0);
      const seen = watched(groups, steps);
      const { groups: peaks, all } = peaks_of(state, groups);
      // in the middle of ramps that go against each other there may be one more of a group, as clients are whole
      for (const [g, peak] of peaks.entries()) {
        const most = Math.max(...seen.map((clients) => clients[g]!));
        expect(most - peak === 0 || most - peak === 1, text_of(steps)).toBe(true);
      }
      const most = Math.max(...seen.map(all_of));
      expect(most >= all && most <= all + groups.length, text_of(steps)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('a piece ends where it says, with the clients it says; what is upcoming are the ends of pieces', () => {
  fc.assert(
    fc.property(alone, fc.nat(300), ({ groups, steps }, from_ms) => {
      let now = advance(begin(first_intent(PER_S), { text: text_of(steps), ...MOST }, groups, 0), groups, from_ms);
      const coming = upcoming(now, groups, from_ms, 1000);
      const ends = new Set<string>();
      for (let ms = from_ms; ;) {
        const { until_ms, targets, ramps } = piece_at(now, groups, ms);
        ends.add(targets.join());
        const before = planned_of(now, groups, ms);
        for (const [g, is_ramp] of ramps.entries()) if (!is_ramp) expect(before[g]).toBe(targets[g]);
        expect(planned_of(now, groups, until_ms ?? 1e9)).toEqual(targets);
        // in between nothing begins, and there are never more than at one of its ends, but for halves of a client
        for (let at = ms; at < Math.min(until_ms ?? 0, ms + 50); at += 0.5) {
          expect(advance(now, groups, at)).toBe(now);
          const between = planned_of(now, groups, at);
          const most = Math.max(all_of(before), all_of(targets)) + groups.length + 1;
          expect(all_of(between)).toBeLessThanOrEqual(most);
          // straight ahead
          const part = (at - ms) / (until_ms! - ms);
          for (const [g, clients] of between.entries())
            expect(Math.abs(clients - (before[g]! + (targets[g]! - before[g]!) * part))).toBeLessThanOrEqual(3);
        }
        if (until_ms === null) break;
        expect(until_ms).toBeGreaterThan(ms);
        now = advance(now, groups, (ms = until_ms));
      }
      expect(coming.map(({ targets }) => targets.join())).toEqual([...ends]);
      for (const most of [1, 2, 3])
        expect(upcoming(state_at(from_ms), groups, from_ms, most)).toEqual(coming.slice(0, most));

      function state_at(ms: number): Intent {
        return advance(begin(first_intent(PER_S), { text: text_of(steps), ...MOST }, groups, 0), groups, ms);
      }
    }),
    { numRuns: 300 },
  );
});

describe('a wait', () => {
  const groups = [{ name: 'main', share: 1 }];
  const begun = (text: string, run_ms = 0): Intent => begin(first_intent(PER_S), { text, ...MOST }, groups, run_ms);
  const there = fc.record({ open: fc.nat(20), ready: fc.nat(20), done: fc.nat(20) });

  test('is over when enough are there, fails when its time is, and else goes on', () => {
    const what = fc.constantFrom('open' as const, 'ready' as const, 'done' as const);
    const count = fc.option(fc.integer({ min: 1, max: 20 }), { nil: null });
    fc.assert(
      fc.property(what, count, fc.nat(100), fc.nat(100), there, (which, n, within, ms, reached) => {
        const words = `wait${which === 'open' ? '' : ` ${which}`}${n === null ? '' : ` ${n}`}`;
        const state = advance(begun(`set 10; ${words} within ${within}ms; set 30 & hold 1`, 1000), groups, 1000 + ms);
        expect(awaited(state)).toEqual({ op: 'wait', what: which, count: n, within_ms: within });
        // those that are done had been connected, and ready
        const counted = which === 'done' ? reached.done : reached[which] + reached.done;
        const wanted = n ?? 10;
        const said = judge_wait(state, groups, 1000 + ms, reached);
        if (counted >= wanted) expect(said).toBe('');
        else if (ms < within) expect(said).toBe(null);
        else expect(said).toBe(`\`${words} within ${within}ms\`: ${counted} of ${wanted} clients were ${which}`);
        expect(step_of(pass(state, groups, 1000 + ms))!.text).toBe('set 30 & hold 1');
        const given_up = give_up(state, 'why', groups, 1000 + ms);
        expect([given_up.phase, given_up.load!.failed, step_of(given_up)]).toEqual(['drain', 'why', null]);
        expect(advance(given_up, groups, 1e9)).toBe(given_up);
      }),
    );
  });

  it('is none while a step with a time goes on, after the load, and in a pause by hand', () => {
    const enough = { open: 99, ready: 99, done: 99 };
    expect(judge_wait(begun('hold 5; wait within 1s'), groups, 4999, enough)).toBe(null);
    expect(judge_wait(begun('set 5'), groups, 9, enough)).toBe(null);
    expect(judge_wait(first_intent(1), groups, 9, enough)).toBe(null);
    const state = begun('set 5; wait within 1s; stop');
    expect(judge_wait(advance(state, groups, 1), groups, 1, enough)).toBe('');
    const paused = carry_out(state, { op: 'pause' }, facts(groups, 500)).intent;
    expect(judge_wait(paused, groups, 99_000, { ...enough, open: 0, done: 0 })).toBe(null);
    const resumed = carry_out(paused, { op: 'resume' }, facts(groups, 100_000)).intent;
    const none = { open: 0, ready: 0, done: 0 };
    expect(judge_wait(resumed, groups, 100_499, none)).toBe(null);
    expect(judge_wait(resumed, groups, 100_500, none)).toBe('`wait within 1s`: 0 of 5 clients were open');
    const stopped = carry_out(state, { op: 'stop', now: false }, facts(groups, 1)).intent;
    expect(judge_wait(stopped, groups, 99_000, none)).toBe(null);
  });

  it('lets the steps behind it that take no time begin at once', () => {
    const state = pass(advance(begun('wait within 1s; mark a; incr 3; hold 2; stop'), groups, 500), groups, 700);
    expect(state).toMatchObject({
      target: 3,
      mark: { text: 'a', at_ms: EPOCH_MS + 700 },
      load: { step: 3, step_ms: 700 },
    });
    expect(advance(state, groups, 2699).phase).toBe('run');
    expect(advance(state, groups, 2700).phase).toBe('drain');
  });
});

describe('where it is', () => {
  const groups = [{ name: 'main', share: 1 }];
  const text = 'set 10 over 4s; wait ready within 1m; hold 2; incr 5 over 1s & hold 3; stop';
  const state = begin(first_intent(PER_S), { text, ...MOST }, groups, 1000);
  const passed = pass(advance(state, groups, 9000), groups, 10_000);
  const by_hand = (before: Intent, command: Command, ms: number): Intent =>
    carry_out(before, command, facts(groups, ms)).intent;
  const paused = by_hand(state, { op: 'pause' }, 3000);
  it.each<[string, Intent, number, object]>([
    ['at its start', state, 1000, { state: 'playing', step: 1, seconds: 0, left_seconds: 4, all_left_seconds: 9 }],
    [
      'in a step',
      state,
      2500,
      { step: 1, text: 'set 10 over 4s', seconds: 1.5, left_seconds: 2.5, all_left_seconds: 7.5 },
    ],
    [
      'in a wait',
      advance(state, groups, 9000),
      9000,
      { state: 'waiting', step: 2, seconds: 4, left_seconds: null, all_left_seconds: 5 },
    ],
    ['after it', passed, 11_000, { state: 'playing', step: 3, seconds: 1, left_seconds: 1, all_left_seconds: 4 }],
    [
      'at its stop',
      advance(passed, groups, 15_000),
      16_000,
      { state: 'over', step: 5, text: 'stop', seconds: 1, left_seconds: null, all_left_seconds: 0 },
    ],
    ['in a pause', paused, 9000, { state: 'paused', step: 1, seconds: 2, left_seconds: 2, all_left_seconds: 7 }],
    [
      'after the pause',
      by_hand(paused, { op: 'resume' }, 9000),
      9500,
      { state: 'playing', step: 1, seconds: 2.5, left_seconds: 1.5, all_left_seconds: 6.5 },
    ],
    [
      'stopped by hand',
      by_hand(state, { op: 'stop', now: false }, 3000),
      4000,
      { state: 'stopped', step: 1, all_left_seconds: 0, left_seconds: null },
    ],
    [
      'ended by hand',
      by_hand(state, { op: 'load_end' }, 3000),
      4000,
      { state: 'stopped', step: 1, all_left_seconds: 0, left_seconds: null },
    ],
    [
      'given up',
      give_up(advance(state, groups, 9000), 'no', groups, 9000),
      9000,
      { state: 'failed', step: 2, why: 'no', all_left_seconds: 0 },
    ],
  ])('%s', (_, now, ms, wanted) => expect(load_summary(now, ms)).toMatchObject({ steps: 5, ...wanted }));

  it('where it was when somebody ended it: no step begins by that', () => {
    const ended = by_hand(state, { op: 'load_end' }, 3000);
    expect(steps_begun(state, ended)).toEqual([]);
    expect(advance(ended, groups, 1e6)).toBe(ended);
    expect(end_load(ended, groups, 5000).load).toBe(ended.load);
  });

  it('nowhere if there is none', () => {
    expect(load_summary(first_intent(1), 5)).toBe(null);
    expect(next_of(first_intent(1), 5)).toBe(null);
  });

  it('is said to who steers beside it', () => {
    expect(next_of(state, 2500)).toEqual({ step: 'wait ready within 1m', when: 2500 });
    expect(next_of(advance(state, groups, 9000), 9000)).toEqual({ step: 'hold 2', when: 'waited' });
    expect(next_of(paused, 9000)).toEqual({ step: 'wait ready within 1m', when: 'resumed' });
    expect(next_of(advance(passed, groups, 15_000), 16_000)).toBe(null);
    expect(next_of(by_hand(state, { op: 'load_end' }, 3000), 4000)).toBe(null);
  });
});
