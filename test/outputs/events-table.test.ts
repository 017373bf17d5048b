import { expect, it } from 'vitest';
import { event_lines } from '../../src/outputs/events-table.ts';

it('has a line for each event', () => {
  const at = Date.UTC(2026, 10, 22, 9, 59, 58);
  const events = [
    { n: 7, at, kind: 'command', text: 'incr 100: OK target 100', by: 'console session 127.0.0.1:5000' },
    { n: 8, at: at + 2500, kind: 'worker', text: 'up → restarting', by: 'w2' },
  ] as const;
  const lines = [
    '09:59:58  command  incr 100: OK target 100  (console session 127.0.0.1:5000)',
    '10:00:00  worker   up → restarting  (w2)',
  ];
  expect(event_lines(events, 0)).toEqual(lines);
  expect(event_lines(events, 6)).toEqual(['6 older ones were dropped', ...lines]);
  expect(event_lines([], 0)).toEqual(['nothing has happened yet']);
});
