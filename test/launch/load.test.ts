import { expect, test } from 'vitest';
import { check_one_machine } from '../../src/launch/load.ts';
import { parse_script } from '../../src/script/parse.ts';

test('a script with rates is for one machine for now', () => {
  const text = `protocol: p
groups:
  a: { actions: [{ command: x }, { command: y, rate: 5/s }] }
  b:
    loops:
      beat: [{ command: x, rate: 0/s }]
`;
  const parsed = parse_script(text, 'a.yml');
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const message = 'an action with a `rate` needs a swarm of one machine for now';
  const faults = [
    { file: 'a.yml', line: 3, column: 48, message },
    { file: 'a.yml', line: 6, column: 28, message },
  ];
  expect(check_one_machine({ join: 'nats://a:1', credentials: null }, parsed, 'a.yml')).toEqual(faults);
  expect(check_one_machine({ join: null, credentials: 'c.json' }, parsed, 'a.yml')).toEqual(faults);
  expect(check_one_machine({ join: null, credentials: null }, parsed, 'a.yml')).toEqual([]);
});
