import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { slot_lines, slot_rates, slot_status } from '../../src/outputs/slot-lines.ts';
import { action, latency, rated_action, summary } from '../console/fakes.ts';

const DOCS = readFileSync(new URL('../../docs/console.md', import.meta.url), 'utf8');
const NONE = { no_free_client: 0, backlog: 0, stopped: 0, paused: 0 };

describe('slot_status', () => {
  it('is nothing where no action has a rate', () => {
    expect(slot_status(summary())).toEqual([]);
  });

  it('names the rates in force, and says what became of all slots', () => {
    const lines = slot_status(summary({ actions: [rated_action(0, 'say'), action(1, 'ping')] }));
    expect(lines).toEqual([
      'rates: say 1.75/s',
      'slots: planned 35, started 12, waiting 2, dropped 20 (no_free_client: 17, backlog: 3), lost 1, late p99 1.00 ms',
    ]);
    for (const line of lines) expect(DOCS).toContain(`\n${line}\n`);
  });

  it('names of several the latest one, and no more than five rates', () => {
    const late = { dropped: NONE, late_ms: latency(5) };
    const actions = Array.from({ length: 7 }, (_, i) => rated_action(i, `say_${i}`, i === 4 ? late : {}));
    expect(slot_status(summary({ actions }))).toEqual([
      'rates: say_0 1.75/s, say_1 1.75/s, say_2 1.75/s, say_3 1.75/s, say_4 1.75/s, and 2 more, see `actions`',
      expect.stringMatching(/^slots: planned 245, .*, dropped 120 \(.*\), lost 7, late p99 20.0 ms \(say_4\)$/),
    ]);
  });

  it('says before any slot came which rates there are', () => {
    expect(slot_status(summary({ actions: [{ ...action(0, 'say'), rate_per_s: 0 }] }))).toEqual(['rates: say 0/s']);
  });

  it('says how many seconds were saturated so far, and leaves that to the table at the end', () => {
    const actions = [rated_action(0, 'say', { dropped: NONE })];
    const of = (final: boolean): string[] => slot_status(summary({ final, saturated_seconds: 7, actions }));
    const slots = 'slots: planned 35, started 12, waiting 2, dropped 0, lost 1, late p99 1.00 ms';
    expect(of(false)).toEqual([
      'rates: say 1.75/s',
      slots,
      'saturated: swarm itself was the bottleneck for 7 s so far, see `events`',
    ]);
    expect(of(true)).toEqual([slots]);
  });
});

describe('clients that arrive', () => {
  const arrivals = {
    group: 'visitors',
    planned: 40,
    started: 36,
    live: 3,
    dropped: { no_room: 3, backlog: 0, stopped: 0, paused: 1 },
    lost: 0,
    late_ms: latency(0.25),
    rate_per_s: 2.5,
  };
  const said = 'planned 40, started 36, live 3, dropped 4 (no_room: 3, paused: 1), lost 0, late p99 1.00 ms';

  it('have a line for each group', () => {
    const lines = slot_status(summary({ arrivals: [arrivals, { ...arrivals, group: 'main' }] }));
    expect(lines).toEqual([`arrivals in visitors: 2.5/s now, ${said}`, `arrivals: 2.5/s now, ${said}`]);
    expect(DOCS).toContain(`\n${lines[0]!}\n`);
  });

  it('have at the end no rate any more', () => {
    expect(slot_status(summary({ final: true, arrivals: [arrivals] }))).toEqual([`arrivals in visitors: ${said}`]);
  });
});

describe('slot_lines', () => {
  it('are none where no action has a rate', () => {
    expect(slot_lines(summary())).toEqual([]);
  });

  it('are a table of those that have one', () => {
    const actions = [
      rated_action(0, 'say'),
      action(1, 'ping'),
      { ...rated_action(2, 'x\u001b', { dropped: NONE }), group: 'talkers' },
    ];
    const { rate_per_s: _, ...unknown } = actions[2] as ReturnType<typeof rated_action>;
    const lines = slot_lines(summary({ actions: [actions[0]!, actions[1]!, unknown] }));
    expect(lines).toEqual([
      'slots of actions with a rate, late in ms',
      'action           per second  planned  started  waiting  dropped  lost  late p50    p90   p99   max  dropped for',
      '0 say                  1.75       35       12        2       20     1     0.250  0.500  1.00  1.50  no_free_client: 17, backlog: 3',
      '2 talkers.x\\x1b                   35       12        2        0     1     0.250  0.500  1.00  1.50',
    ]);
    const [title, ...one] = slot_lines(summary({ actions: actions.slice(0, 2) }));
    expect(DOCS).toContain([title, ...one].join('\n'));
  });

  it('are since the mark when there is one', () => {
    const mark = { text: '', at: '', seconds: 1, actions: [rated_action(0, 'say', { planned: 5 })] };
    expect(slot_lines(summary({ mark, actions: [rated_action(0, 'say')] }))[2]).toMatch(/^0 say +1.75 +5 /);
  });
});

describe('slot_rates', () => {
  const before = summary({ actions: [rated_action(0, 'say')] });
  const slots = { planned: 60, started: 30, waiting: 4, lost: 1, dropped: { ...NONE, no_free_client: 17, backlog: 8 } };
  const now = summary({
    run: { ...before.run, seconds: 30 },
    actions: [rated_action(0, 'say', slots)],
    interval: { p50: 1, p99: 2, late_p99: 0.4 },
  });

  it('are none without rates', () => {
    expect(slot_rates(summary(), null)).toBeNull();
  });

  it('are of the time since the one before', () => {
    expect(slot_rates(now, before)).toEqual({
      text: 'slots: 2.5 planned/s, 1.8 started/s, waiting 4, 0.5 dropped/s, late p99 0.400 ms',
      are_dropped: true,
    });
    expect(slot_rates(now, now)).toMatchObject({ are_dropped: false });
  });

  it('are since the start when there is none before, and lost ones are named', () => {
    const { interval: _, ...first } = now;
    expect(slot_rates(first, null)!.text).toBe(
      'slots: 2.0 planned/s, 1.0 started/s, waiting 4, 0.8 dropped/s, 0.0 lost/s, late p99 1.00 ms, since the start',
    );
    expect(slot_rates({ ...first, run: { ...first.run, seconds: 0 } }, null)!.text).toContain('0.0 planned/s');
  });
});
