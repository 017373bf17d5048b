import { expect, test } from 'vitest';
import { parse_script } from '../../src/script/parse.ts';
import { without_rates } from '../../src/script/rated.ts';
import { actions_of } from '../../src/script/types.ts';

test('without its rate an action is played once in turn, and a script that has none is the same', () => {
  const text = 'protocol: p\nactions: [{ command: a, rate: 0/s poisson, at_once: 2 }, { command: b, rounds: 3 }]\n';
  const parsed = parse_script(text, 'a.yml');
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const [group] = parsed.script.groups;
  const once = without_rates(group!);
  const [a, b] = actions_of(group!);
  expect(actions_of(once)).toEqual([{ ...a, rounds: [1, 1], rate: null }, b]);
  expect(once).toEqual({ ...group, loops: [{ ...group!.loops[0], actions: actions_of(once) }] });
  expect(without_rates(once)).toBe(once);
});
