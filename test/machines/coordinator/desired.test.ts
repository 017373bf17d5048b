import { describe, expect, test } from 'vitest';
import { MAX_TRACES } from '../../../src/grammar/command.ts';
import {
  first_desired,
  has_applied,
  next_desired,
  set_trace,
  type NextDesired,
} from '../../../src/machines/coordinator/desired.ts';
import { MAX_SAID, type Desired } from '../../../src/machines/store/documents.ts';
import type { Facts } from '../../../src/swarm/plan/carry-out.ts';
import { WHOLE } from '../../../src/swarm/plan/segment.ts';
import { GROUPS } from '../../swarm/specs.ts';

const FACTS: Facts = {
  run_ms: 5000,
  wall_ms: 77,
  room: { capacity: 1000, why: '', per_member: 500, members: 2, bounds: [], more_by: null },
  segment: WHOLE,
  groups: GROUPS,
  max_connect_per_s: null,
  fatal: 3,
  stop_ms: 35_000,
  teardown_ms: null,
  agents: { are_gathering: false, here: ['a1', 'a2'], incarnation: () => null, room_on: () => 1000 },
};
const FIRST = first_desired('r', 100, false);

describe('a command', () => {
  const asking = { session: 's', seq: 1, run_ms: 5000, wall_ms: 77 };
  const pause = (before: Desired): NextDesired => next_desired(before, { op: 'pause' }, 'anna', asking, FACTS);

  test('is counted, with who gave it', () => {
    expect(pause(FIRST)).toEqual({
      desired: {
        ...FIRST,
        phase: 'pause',
        seq: 2,
        sessions: { s: { seq: 1, at_ms: 5000 } },
        said: [{ seq: 2, at_ms: 77, by: 'anna', text: 'pause' }],
      },
      reply: { ok: true, op: 'pause' },
    });
  });

  test('that is refused changes nothing', () => {
    const reply = { ok: false, code: 'stopping', has_ended: false };
    expect(pause({ ...FIRST, phase: 'stop' })).toEqual({ desired: null, reply });
  });

  test('is known by the number of its session, and so are those before it', () => {
    const desired = pause(FIRST).desired!;
    expect(has_applied(desired, asking)).toBe(true);
    expect(has_applied(desired, { ...asking, seq: 2 })).toBe(false);
    expect(has_applied(desired, { ...asking, session: 'other' })).toBe(false);
    expect(has_applied(FIRST, asking)).toBe(false);
  });

  test('pushes the oldest out, when many were given', () => {
    let desired = FIRST;
    for (let i = 0; i < MAX_SAID + 5; i++) desired = pause(desired).desired!;
    expect(desired.said).toHaveLength(MAX_SAID);
    expect(desired.said.at(-1)!.seq).toBe(desired.seq);
  });
});

describe('sessions', () => {
  const ask = (before: Desired, session: string, run_ms: number, wall_ms = 0): Desired =>
    next_desired(before, { op: 'pause' }, 'anna', { session, seq: 1, run_ms, wall_ms }, FACTS).desired!;

  test('are kept whatever wall clocks say, and dropped ten minutes of the run after their last command', () => {
    const both = ask(ask(FIRST, 'a', 1000, 0), 'b', 2000, 3_600_000);
    expect(Object.keys(both.sessions).sort()).toEqual(['a', 'b']);
    expect(Object.keys(ask(both, 'c', 601_500).sessions).sort()).toEqual(['b', 'c']);
    // one that does not know the time yet drops nobody, and is not dropped
    expect(Object.keys(ask(both, 'd', 0).sessions).sort()).toEqual(['a', 'b', 'd']);
  });

  test('are at most 32, the newest', () => {
    let desired = FIRST;
    for (let i = 0; i < 40; i++) desired = ask(desired, `s${i}`, i);
    expect(Object.keys(desired.sessions)).toHaveLength(32);
    expect(desired.sessions).toHaveProperty('s39');
    expect(desired.sessions).not.toHaveProperty('s7');
  });
});

describe('a trace', () => {
  const asking = (seq: number, run_ms: number) => ({ session: 's', seq, run_ms, wall_ms: 77 });
  const trace = (token: string, until_ms: number) => ({ token, client: 7, until_ms });
  const with_traces = (...traces: ReturnType<typeof trace>[]): Desired => ({ ...FIRST, traces });

  test('is kept until its time is over or it is taken back, as a command that counts', () => {
    const { desired, reply } = set_trace(
      with_traces(trace('old', 900), trace('ending', 5000)),
      { token: 'new', client: 7, trace: trace('new', 9000) },
      'a1',
      asking(3, 6000),
    );
    expect(reply).toEqual({ ok: true, op: 'trace', client: 7, member: 'a1' });
    // of the one that ended just now the last lines are yet to come
    expect(desired).toMatchObject({ seq: FIRST.seq + 1, traces: [trace('ending', 5000), trace('new', 9000)] });
    expect(has_applied(desired!, asking(3, 6000))).toBe(true);
    const taken_back = { token: 'new', client: 7, trace: null };
    expect(set_trace(desired!, taken_back, 'a1', asking(4, 10_001)).desired?.traces).toEqual([]);
  });

  test('is refused beside sixteen others, and while the swarm stops', () => {
    const all = with_traces(...Array.from({ length: MAX_TRACES }, (_, i) => trace(`t${i}`, 2000)));
    const one = { token: 'e', client: 7, trace: trace('e', 3000) };
    const asked = (before: Desired) => set_trace(before, one, 'a1', asking(1, 1000));
    expect(asked({ ...all, traces: all.traces.slice(1) }).desired?.traces).toHaveLength(MAX_TRACES);
    expect(asked(all)).toMatchObject({ desired: null, reply: { ok: false, code: 'too_many' } });
    expect(asked({ ...FIRST, phase: 'drain' })).toMatchObject({
      desired: null,
      reply: { ok: false, code: 'stopping' },
    });
  });
});
