import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parse_line } from '../../../src/grammar/table.ts';
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
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { drawn_groups, drawn_hand, drawn_steps, type ByHand } from './drawn-loads.ts';
import { command_text, NaiveLoad, text_of, type NaiveStep } from './naive-load.ts';

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

const command_of = (text: string): Command => {
  const parsed = parse_line(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
  return parsed.request as Command;
};

const as_stored = (intent: Intent): Intent => JSON.parse(JSON.stringify(intent)) as Intent;

/** What is done by hand, and when: so many ms after what was done before. */
const by_hand = fc.tuple(fc.nat(60), fc.nat(1000));

interface Scene {
  readonly groups: readonly NamedSharing[];
  readonly steps: readonly NaiveStep[];
  readonly hand: readonly { readonly at: number; readonly what: ByHand }[];
}

const scene: fc.Arbitrary<Scene> = drawn_groups.chain((groups) =>
  fc
    .record({ steps: drawn_steps(groups), hand: fc.array(fc.tuple(fc.nat(50), drawn_hand(groups)), { maxLength: 6 }) })
    .map(({ steps, hand }) => {
      let at = 0;
      return { groups, steps, hand: hand.map(([after, what]) => ({ at: (at += after), what })) };
    }),
);

/** What is stored after somebody did that at `run_ms`. */
function stored_after(stored: Intent, what: ByHand, groups: readonly NamedSharing[], run_ms: number): Intent {
  if (what === 'pass') {
    const now = advance(stored, groups, run_ms);
    return awaited(now) === null || now.load!.frozen_ms !== null ? stored : pass(now, groups, run_ms);
  }
  const command = command_of(what === 'load end' ? what : command_text(what));
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
      fc.property(scene, ({ groups, steps, hand }) => {
        const naive = new NaiveLoad(groups, PER_S);
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
          ];
          const wanted = [
            naive.planned,
            naive.targets,
            [naive.phase, naive.per_s, naive.retries, naive.marks, naive.mark],
            [naive.step, naive.is_playing],
          ];
          // an expectation for each ms would take ten times as long
          if (JSON.stringify(found) !== JSON.stringify(wanted))
            expect(found, `at ${ms} of ${text_of(steps)}`).toEqual(wanted);
        }
      }),
      { numRuns: 400 },
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
