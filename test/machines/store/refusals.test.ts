import { expect, it } from 'vitest';
import { Refusals } from '../../../src/machines/store/refusals.ts';

it('tells once of each author and kind, says what is refused now, and forgets it when a good one came', () => {
  const told: string[] = [];
  const refusals = new Refusals((author, text) => told.push(`${author} ${text}`));
  expect(refusals.note('a', 'presence', 'it is not JSON')).toBe(true);
  expect(refusals.note('a', 'presence', 'it is not JSON')).toBe(false);
  expect(refusals.note('a', 'presence', 'it is missing')).toBe(true);
  expect(refusals.note('a', 'results', 'it is not JSON')).toBe(true);
  expect(told.map((text) => text.split(' is refused')[0])).toEqual([
    'a what is stored as presence',
    'a what is stored as results',
  ]);
  expect(refusals.of('a')).toBe('presence: it is missing; results: it is not JSON');
  refusals.clear('a', 'presence');
  refusals.clear('a', 'results');
  expect([refusals.of('a'), refusals.agents]).toEqual([null, []]);
});

it('holds no more than 10 000 authors, whatever names somebody writes under', () => {
  let told = 0;
  const refusals = new Refusals(() => told++);
  for (let i = 0; i < 30_000; i++) refusals.note(`agent-${i}`, 'presence', 'it is not JSON');
  expect([told, refusals.agents.length]).toEqual([10_000, 10_000]);
  expect(refusals.note('agent-1', 'presence', 'it is missing')).toBe(true);
  expect(refusals.note('another', 'presence', 'it is missing')).toBe(false);
});
