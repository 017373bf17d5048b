import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { aim, type AimBounds, type TargetCommand } from '../../../src/swarm/plan/aims.ts';
import {
  first_intent,
  labels_of,
  planned_of,
  target_of,
  targets_of,
  type Steered,
} from '../../../src/swarm/plan/intent.ts';
import { drawn_groups } from './drawn-loads.ts';

const FREE: AimBounds = { most: 10_000_000, room_on: () => Infinity };
const sum = (clients: readonly number[]): number => clients.reduce((all, one) => all + one, 0);

const commands = fc.array(
  fc.record({
    op: fc.constantFrom('incr' as const, 'decr' as const, 'set' as const),
    count: fc.nat(150),
    over_ms: fc.oneof(fc.constant(0), fc.nat(5000)),
    group: fc.option(fc.nat(9), { nil: null }),
    on: fc.option(fc.constantFrom('eu', 'us'), { nil: undefined, freq: 3 }),
    graceful: fc.boolean(),
    /** ms since the one before */
    after: fc.nat(3000),
    most: fc.oneof({ arbitrary: fc.constant(FREE.most), weight: 3 }, { arbitrary: fc.nat(300), weight: 1 }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('who asks gets it, or as near as fits; nobody else moves, and nobody jumps', () => {
  fc.assert(
    fc.property(drawn_groups, commands, (groups, all) => {
      let [before, ms]: [Steered, number] = [first_intent(100), 0];
      for (const { group: g, over_ms, graceful, after, most, ...given } of all) {
        ms += after;
        const rest = given.op === 'set' ? given : { ...given, count: given.count + 1 };
        const position = g === null ? null : g % groups.length;
        const name = position === null ? undefined : groups[position]!.name;
        const goal = { ...rest, over_ms, ...(name !== undefined && { in: name }) };
        const { on, ...anywhere } = goal;
        const plain = on === undefined ? anywhere : { ...anywhere, on };
        const command = (rest.op === 'decr' ? { ...plain, graceful } : plain) as TargetCommand;
        const { steered, had, wanted, aimed, target, is_over_labels } = aim(before, command, groups, ms, {
          ...FREE,
          most,
        });
        const after_it: Steered = { ...before, ...steered };
        const [now, then] = [targets_of(before, groups), targets_of(after_it, groups)];
        const is_set = command.op === 'set' && name === undefined && on === undefined;

        expect(is_over_labels).toBe(false);
        expect(target).toBe(sum(then));
        expect(target_of(after_it, groups)).toBe(target);
        expect(wanted).toBe(
          command.op === 'set' ? command.count : had + (command.op === 'incr' ? command.count : -command.count),
        );
        // as near as fits
        if (wanted <= had) expect(aimed).toBe(Math.max(0, wanted));
        else expect(aimed >= had && aimed <= wanted).toBe(true);
        expect(target).toBeLessThanOrEqual(Math.max(most, sum(now)));
        if (aimed < wanted) expect(target).toBeGreaterThanOrEqual(Math.min(most, sum(now)));
        if (command.op === 'incr')
          for (const [i, clients] of then.entries()) expect(clients).toBeGreaterThanOrEqual(now[i]!);
        if (command.op === 'decr')
          for (const [i, clients] of then.entries()) expect(clients).toBeLessThanOrEqual(now[i]!);
        // of that group only, and exactly
        if (position !== null) {
          expect(then.filter((_, i) => i !== position)).toEqual(now.filter((_, i) => i !== position));
          if (on === undefined) expect(then[position]).toBe(aimed);
          else expect(then[position]! - now[position]!).toBe(aimed - had);
        }
        if (is_set) expect([sum(then), steered.own]).toEqual([aimed, {}]);
        // a ramp begins where all are
        const [here, there] = [planned_of(before, groups, ms), planned_of(after_it, groups, ms)];
        if (over_ms > 0 && is_set) expect(sum(there)).toBe(sum(here));
        if (over_ms > 0 && !is_set) expect(there).toEqual(here);
        expect(planned_of(after_it, groups, ms + 10_000)).toEqual(then);
        for (const [label, clients] of labels_of(after_it)) {
          expect(clients).toBeGreaterThan(0);
          if (name === undefined && label === on) expect(steered.labelled[label] ?? 0).toBe(aimed);
        }
        expect(steered.graceful).toBe(command.op === 'incr' ? before.graceful : command.op === 'decr' && graceful);
        before = after_it;
      }
    }),
    { numRuns: 200 },
  );
});

it('one group has as many as one asks for of it, whatever the others do', () => {
  const groups = [
    { name: 'a', share: 1 },
    { name: 'b', share: 3 },
    { name: 'c', share: 0 },
  ];
  let state: Steered = first_intent(100);
  const is = (command: object): number[] => {
    const { steered } = aim(state, { over_ms: 0, graceful: false, ...command } as never, groups, 0, FREE);
    state = { ...state, ...steered };
    return targets_of(state, groups);
  };
  expect(is({ op: 'set', count: 100 })).toEqual([25, 75, 0]);
  expect(is({ op: 'incr', count: 7, in: 'c' })).toEqual([25, 75, 7]);
  expect(is({ op: 'decr', count: 30, in: 'a' })).toEqual([0, 75, 7]);
  // 40 by share are ten of a, of which 25 fewer are wanted
  expect(is({ op: 'incr', count: 40 })).toEqual([10, 105, 7]);
  expect(is({ op: 'decr', count: 100 })).toEqual([0, 30, 7]);
  expect(is({ op: 'set', count: 3, in: 'a' })).toEqual([3, 30, 7]);
  expect(is({ op: 'decr', count: 999 })).toEqual([0, 0, 7]);
  expect(is({ op: 'set', count: 8 })).toEqual([2, 6, 0]);
});

it('nobody gives up clients with a label that a group does not have any more', () => {
  const groups = [{ name: 'a', share: 1 }];
  let state: Steered = first_intent(100);
  const is = (command: object): readonly [had: number, clients: number] => {
    const { steered, had } = aim(state, { over_ms: 0, graceful: false, ...command } as never, groups, 0, FREE);
    state = { ...state, ...steered };
    return [had, target_of(state, groups)];
  };
  expect(is({ op: 'incr', count: 1, on: 'eu' })).toEqual([0, 1]);
  expect(is({ op: 'decr', count: 1, in: 'a' })).toEqual([1, 0]);
  expect(is({ op: 'incr', count: 1, in: 'a', on: 'eu' })).toEqual([0, 1]);
  expect(is({ op: 'set', count: 0, on: 'eu' })).toEqual([1, 0]);
  expect(is({ op: 'decr', count: 1, in: 'a', on: 'eu' })).toEqual([0, 0]);
  expect(is({ op: 'incr', count: 1 })).toEqual([0, 1]);
});
