/** Loads, groups and commands for properties. Times are whole ms, ramps take 2^n of them: halves of a client are exact. */
import fc from 'fast-check';
import type { NamedSharing } from '../../../src/swarm/plan/intent.ts';
import type { NaiveCommand, NaiveGroup, NaiveRates, NaiveStep } from './naive-load.ts';

const SHARES = [[1], [1, 1], [1, 9], [3, 0, 2], [0, 1], [7, 1000], [1, 0, 0, 5]] as const;

export const drawn_groups: fc.Arbitrary<NaiveGroup[]> = fc
  .constantFrom(...SHARES)
  .map((shares) => shares.map((share, g) => ({ name: `g${g}`, share })));

const per_s = fc.constantFrom(0, 0.5, 8, 125, 333.333333, 1000, 20_000);

/** By group an action that has a rate, `a0` …, or none of them has. */
export const drawn_rates = (groups: readonly NaiveGroup[]): fc.Arbitrary<NaiveRates> =>
  fc
    .option(fc.array(per_s, { minLength: groups.length, maxLength: groups.length }), { nil: [] })
    .map((rates) => Object.fromEntries(rates.map((rate, g) => [`a${g}`, rate])));

const in_turn = { index: 0, loop: 'main', name: 'idle', rate: null };

/** Each plays the action of its place at a rate, if there are any. */
export const with_actions = (groups: readonly NamedSharing[], rates: NaiveRates): NamedSharing[] =>
  groups.map((group, g) => {
    const per_s = rates[`a${g}`];
    if (per_s === undefined) return group;
    const rate = { to_rate: Math.round(per_s * 1e6), is_poisson: false, draws: 7 };
    return { ...group, actions: [in_turn, { index: 1, loop: 'main', name: `a${g}`, rate }] };
  });

const rate_of = (action: string): fc.Arbitrary<NaiveCommand> =>
  fc.record({
    ...{ op: fc.constant('rate' as const), action: fc.constant(action), per_s },
    ramp: fc.constantFrom(0, 1, 2, 4, 8),
  });

/** Nothing is drawn where there is no rate. */
const rated = (rates: NaiveRates): { arbitrary: fc.Arbitrary<NaiveCommand>; weight: number }[] => {
  const names = Object.keys(rates);
  return names.length === 0 ? [] : [{ arbitrary: fc.constantFrom(...names).chain(rate_of), weight: 3 }];
};

const over = fc.oneof({ arbitrary: fc.constant(0), weight: 1 }, { arbitrary: fc.nat(6).map((n) => 2 ** n), weight: 2 });

const steers = (groups: readonly NaiveGroup[]): fc.Arbitrary<NaiveCommand> =>
  fc
    .record({
      op: fc.constantFrom('incr' as const, 'decr' as const, 'set' as const),
      count: fc.integer({ min: 1, max: 120 }),
      group: fc.option(fc.constantFrom(...groups.map(({ name }) => name)), { nil: undefined }),
      over,
    })
    .map(({ group, ...rest }) => ({ ...rest, ...(group !== undefined && { in: group }) }));

const others: fc.Arbitrary<NaiveCommand> = fc.oneof(
  fc.record({ op: fc.constant('connect-rate' as const), per_s: fc.constantFrom(1, 50, 0.5) }),
  fc.record({ op: fc.constantFrom('pause' as const, 'resume' as const, 'retry fatal' as const) }),
  fc.record({ op: fc.constant('mark' as const), text: fc.constantFrom('a', 'b') }),
);

const hold: fc.Arbitrary<NaiveCommand> = fc.nat(40).map((ms) => ({ op: 'hold', ms }));

/** What one command of a step leaves to the others. */
const thing = (command: NaiveCommand): string =>
  command.op === 'rate'
    ? `rate of ${command.action}`
    : 'over' in command
      ? `clients ${command.in}`
      : command.op === 'resume'
        ? 'pause'
        : command.op;

const together = (groups: readonly NaiveGroup[], rates: NaiveRates): fc.Arbitrary<NaiveStep> =>
  fc
    .uniqueArray(
      fc.oneof(
        { arbitrary: steers(groups), weight: 4 },
        { arbitrary: others, weight: 1 },
        { arbitrary: hold, weight: 1 },
        ...rated(rates),
      ),
      { minLength: 1, maxLength: 3, selector: thing },
    )
    // `set N` forgets what was given by name: the two do not stand together
    .filter((all) => !all.some(is_set_of_all) || !all.some((one) => 'over' in one && one.in !== undefined));

const is_set_of_all = (one: NaiveCommand): boolean => one.op === 'set' && one.in === undefined;

/** `waits`: it has steps that wait */
export const drawn_steps = (
  groups: readonly NaiveGroup[],
  waits = true,
  rates: NaiveRates = {},
): fc.Arbitrary<NaiveStep[]> =>
  fc
    .tuple(
      fc.array(
        fc.oneof(
          { arbitrary: together(groups, rates), weight: 8 },
          { arbitrary: fc.constant<NaiveStep>(waits ? [{ op: 'wait' }] : [{ op: 'hold', ms: 7 }]), weight: 1 },
        ),
        { minLength: 1, maxLength: 8 },
      ),
      fc.integer({ min: 1, max: 4 }),
    )
    .map(([steps, n]) => (n === 1 ? [...steps, [{ op: 'stop' }]] : steps));

/** What somebody does beside a load. */
export type ByHand = NaiveCommand | 'load end' | 'pass';

export const drawn_hand = (groups: readonly NaiveGroup[], rates: NaiveRates = {}): fc.Arbitrary<ByHand> =>
  fc.oneof(
    { arbitrary: steers(groups), weight: 6 },
    { arbitrary: others, weight: 4 },
    { arbitrary: fc.constant('pass' as const), weight: 4 },
    { arbitrary: fc.constant('load end' as const), weight: 1 },
    ...rated(rates),
  );
