import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { read_load } from '../../../src/grammar/load-text.ts';
import { CHART_POINTS, load_chart, load_table } from '../../../src/outputs/load-table.ts';
import { parse_script } from '../../../src/script/parse.ts';
import { first_intent, planned_of, type NamedSharing } from '../../../src/swarm/plan/intent.ts';
import { advance, begin } from '../../../src/swarm/plan/load-play.ts';
import { outline_of } from '../../../src/swarm/plan/load-outline.ts';
import { named_groups } from '../../../src/swarm/plan/rated-actions.ts';
import { group_targets } from '../../../src/swarm/plan/numbering.ts';
import { with_actions } from './drawn-loads.ts';

const ONE: readonly NamedSharing[] = [{ name: 'main', share: 1 }];
const THREE: readonly NamedSharing[] = [
  { name: 'few', share: 1 },
  { name: 'many', share: 3 },
  { name: 'none', share: 0 },
];

/** A step, and what it means. */
interface Drawn {
  readonly text: string;
  readonly ms: number;
  readonly change: (now: Asked) => Asked;
}

/** Clients asked for without a group, and by group beside them. */
interface Asked {
  readonly all: number;
  readonly own: readonly number[];
}

const by_group = ({ all, own }: Asked, groups: readonly NamedSharing[]): number[] =>
  group_targets(groups, all).map((part, g) => Math.max(0, part + own[g]!));

const ms = fc.integer({ min: 0, max: 40 });

const steering = (groups: readonly NamedSharing[]): fc.Arbitrary<Drawn> =>
  fc
    .record({
      op: fc.constantFrom('incr', 'decr', 'set'),
      count: fc.integer({ min: 1, max: 300 }),
      over: ms,
      group: fc.option(fc.nat(groups.length - 1)),
      held: fc.option(ms),
    })
    .map(({ op, count, over, group, held }) => ({
      text:
        `${op} ${count}${group === null ? '' : ` in ${groups[group]!.name}`}${over === 0 ? '' : ` over ${over}ms`}` +
        (held === null ? '' : ` & hold ${held}ms`),
      ms: Math.max(over, held ?? 0),
      change: (now) => {
        const goal = (had: number): number =>
          Math.max(0, op === 'incr' ? had + count : op === 'decr' ? had - count : count);
        if (group === null)
          return op === 'set' ? { all: count, own: groups.map(() => 0) } : { ...now, all: goal(now.all) };
        const [had, part] = [by_group(now, groups)[group]!, group_targets(groups, now.all)[group]!];
        return { ...now, own: now.own.map((one, g) => (g === group ? goal(had) - part : one)) };
      },
    }));

const other = (texts: readonly string[]): fc.Arbitrary<Drawn> =>
  fc.constantFrom(...texts).map((text) => ({ text, ms: 0, change: (now) => now }));
const hold: fc.Arbitrary<Drawn> = ms.map((time) => ({
  text: `hold ${time}ms`,
  ms: time,
  change: (now) => now,
}));
const steps = (groups: readonly NamedSharing[], ...more: readonly string[]): fc.Arbitrary<Drawn[]> =>
  fc.array(fc.oneof(steering(groups), hold, other(['mark', 'pause', 'resume', ...more])), {
    minLength: 1,
    maxLength: 12,
  });
const groups = fc.constantFrom(ONE, THREE);

const text_of = (drawn: readonly Drawn[]): string => drawn.map(({ text }) => text).join('; ');

describe('an outline', () => {
  it('has for each step when it begins and the clients at its end, by group', () => {
    const drawn = groups.chain((few) => fc.tuple(fc.constant(few), steps(few, 'wait within 1m')));
    fc.assert(
      fc.property(drawn, ([of, load]) => {
        const outline = outline_of(text_of(load), of, 8);
        let asked: Asked = { all: 0, own: of.map(() => 0) };
        let begins_ms = 0;
        const expected = load.map((step) => {
          asked = step.change(asked);
          const time = { begins_ms, clients: by_group(asked, of), connect_per_s: null, rates: [] };
          begins_ms += step.ms;
          return time;
        });
        expect(outline.steps.map(({ first }) => first)).toEqual(expected);
        expect(outline.steps.map(({ text }) => text)).toEqual(load.map(({ text }) => text));
        expect(outline).toMatchObject({ ms: begins_ms, played: load.length, stops: false });
        expect(outline.last).toBe(by_group(asked, of).reduce((sum, one) => sum + one, 0));
        const waits = load.flatMap(({ text }, i) => (text.startsWith('wait') ? [expected[i]!.begins_ms] : []));
        expect(outline.waits_ms).toEqual([...new Set(waits)]);
      }),
      { numRuns: 500 },
    );
  });

  it('has the most clients of each part of its time, as those who play it would', () => {
    const drawn = groups.chain((few) => fc.tuple(fc.constant(few), steps(few), fc.integer({ min: 1, max: 20 })));
    fc.assert(
      fc.property(drawn, ([of, load, points]) => {
        const text = text_of(load);
        const { course, ms: end_ms, most } = outline_of(text, of, points);
        expect(course).toHaveLength(points);
        expect(Math.max(...course)).toBeLessThanOrEqual(most);
        const start = begin(first_intent(1), { text, epoch_ms: 0, most: 1e6, most_per_s: 1 }, of, 0);
        const all_at = (at: number): number =>
          planned_of(advance(start, of, at), of, at).reduce((sum, one) => sum + one, 0);
        // a ramp is at most one client away from where it is a moment later
        const almost = 1 + of.length;
        for (const [part, clients] of course.entries()) {
          const [from, until] = [(part * end_ms) / points, ((part + 1) * end_ms) / points];
          const whole = Array.from({ length: Math.ceil(until - from) }, (_, i) => Math.ceil(from + i));
          const times = [from, until, ...whole].flatMap((at) => [at, at - 1e-6]);
          const seen = times.filter((at) => at >= from && (at < until || (at === until && at === end_ms))).map(all_at);
          if (seen.length === 0) continue;
          expect(Math.abs(clients - Math.max(...seen))).toBeLessThanOrEqual(almost);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('has a step that is repeated once: when it is played first and last, and how often', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 9 }),
        (outer, inner, count) => {
          const text = `set 5; repeat ${outer} (mark; repeat ${inner} (incr ${count}; hold 10s)); stop`;
          const outline = outline_of(text, ONE, 8);
          const all = outer * inner;
          expect(outline.steps.map(({ number, times }) => [number, times])).toEqual([
            [1, 1],
            [2, outer],
            [3, all],
            [4, all],
            [2 + outer * (1 + 2 * inner), 1],
          ]);
          expect(outline.steps[2]).toMatchObject({
            first: { begins_ms: 0, clients: [5 + count] },
            last: { begins_ms: (all - 1) * 10_000, clients: [5 + all * count] },
          });
          expect(outline).toMatchObject({
            played: read_load(text).steps.length,
            ms: all * 10_000,
            stops: true,
            most: 5 + all * count,
          });
        },
      ),
    );
  });

  it('says a connect rate from the step on that sets it, and nothing of clients once the run ends', () => {
    const { steps: told } = outline_of('set 10; connect-rate 20 & hold 1s; mark; rate 0.5; stop', ONE, 8);
    expect(told.map(({ last }) => last.connect_per_s)).toEqual([null, 20, 20, 0.5, 0.5]);
    expect(told.map(({ last }) => last.clients)).toEqual([[10], [10], [10], [10], []]);
  });

  it('says of a wait when it fails, and that nobody knows how long it takes', () => {
    const { steps: told } = outline_of('wait ready 5 within 90s; hold 1500ms; stop now', ONE, 8);
    expect(told.map((step) => [step.ms, step.within_ms])).toEqual([
      [null, 90_000],
      [1500, null],
      [null, null],
    ]);
  });

  it('has the rates that the load changes: at the end of each step, and the highest of each part of its time', () => {
    const groups = with_actions(THREE, { a0: 100, a1: 3, a2: 0 });
    const text =
      'set 5 & hold 1s; rate a2 8/s over 4s; rate a0 40/s over 2s poisson; pause & hold 1s; resume; rate a2 0/s; stop';
    const { steps: told, rates } = outline_of(text, groups, 4);
    expect(told.map(({ last }) => last.rates)).toEqual([[0, 100], [8, 100], [8, 40], [0, 0], [8, 40], [0, 40], []]);
    // 0 to 2 s, to 4 s, to 6 s, to 8 s
    expect(rates).toEqual([
      { action: 'none.a2', course: [2, 6, 8, 8] },
      { action: 'few.a0', course: [100, 100, 100, 70] },
    ]);
  });

  it.each(['chat-load.yml', 'rush-hour.yml'])('is what docs/load.md shows of %s', (file) => {
    const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
    const parsed = parse_script(read(`examples/scripts/${file}`), file);
    if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
    const outline = outline_of(parsed.load!.text, named_groups(parsed.script.groups, null), CHART_POINTS);
    const shown = read('docs/load.md')
      .split('```')
      .find((block) => block.includes(`OK script examples/scripts/${file}`))!;
    expect(shown.slice(shown.indexOf('load: '))).toBe(
      [...load_table(outline), '', ...load_chart(outline), ''].join('\n'),
    );
  });
});
