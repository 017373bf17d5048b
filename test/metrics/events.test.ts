import { describe, expect, it } from 'vitest';
import { ErrorWatch, Events, MemberWatch } from '../../src/metrics/events.ts';

describe('events', () => {
  it('are numbered, timed and read from any of them on', () => {
    let at = 5000;
    const events = new Events(() => at++);
    events.add('command', 'incr 5: OK target 5', 'console');
    events.add('worker', 'up → stalled', 'w1');
    events.add('mark', 'mark: OK marked', 'console');
    expect(events.since(1)).toEqual([
      { n: 2, at: 5001, kind: 'worker', text: 'up → stalled', by: 'w1' },
      { n: 3, at: 5002, kind: 'mark', text: 'mark: OK marked', by: 'console' },
    ]);
    expect(events.last(2)).toEqual(events.since(1));
    expect(events.last(100)).toHaveLength(3);
    expect([events.last(0), events.since(3), events.since(9)]).toEqual([[], [], []]);
    expect([events.newest, events.dropped]).toEqual([3, 0]);
  });

  it('are the newest, and counted when they are dropped', () => {
    const events = new Events(() => 0, 10);
    for (let i = 1; i <= 55; i++) {
      events.add('command', String(i), '');
      expect(events.last(100).map(({ n }) => n)).toEqual(
        Array.from({ length: Math.min(i, 10) }, (_, k) => Math.max(0, i - 10) + k + 1),
      );
      expect(events.dropped).toBe(Math.max(0, i - 10));
    }
    expect(events.since(40)).toHaveLength(10);
  });

  it('have texts that are short and safe', () => {
    const events = new Events(() => 0);
    events.add('error', `\u001b[31m${'x'.repeat(1000)}`, 'y\n'.repeat(100));
    const [{ text, by } = { text: '', by: '' }] = events.last(1);
    expect(text).toBe(`\\x1b[31m${'x'.repeat(295)}…`);
    expect(by).toBe(`${'y\\n'.repeat(50)}…`);
  });
});

describe('errors of a new kind', () => {
  it('are told once', () => {
    const watch = new ErrorWatch();
    expect(watch.look({ timeout: { last: 'no reply' } })).toEqual([{ code: 'timeout', text: 'no reply' }]);
    expect(watch.look({ timeout: { last: 'again' }, constructor: { last: 'a bug' } })).toEqual([
      { code: 'constructor', text: 'a bug' },
    ]);
    expect(watch.look({ constructor: { last: 'a bug' } })).toEqual([]);
  });

  it('are not told without end', () => {
    const watch = new ErrorWatch();
    const kinds = (from: number) =>
      Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`e${from + i}`, { last: '' }]));
    expect(watch.look(kinds(0))).toHaveLength(9000);
    expect(watch.look(kinds(9000))).toHaveLength(1000);
    expect(watch.look(kinds(20_000))).toHaveLength(0);
  });
});

describe('members', () => {
  it('are told of when they come, change and go', () => {
    const watch = new MemberWatch();
    expect(
      watch.look(
        new Map([
          ['w1', 'starting'],
          ['w2', 'up'],
        ]),
      ),
    ).toEqual([
      { member: 'w1', text: 'starting' },
      { member: 'w2', text: 'up' },
    ]);
    expect(
      watch.look(
        new Map([
          ['w1', 'up'],
          ['w2', 'up'],
        ]),
      ),
    ).toEqual([{ member: 'w1', text: 'starting → up' }]);
    expect(watch.look(new Map([['w1', 'up']]))).toEqual([{ member: 'w2', text: 'gone' }]);
  });
});
