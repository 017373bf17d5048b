import { describe, expect, test } from 'vitest';
import type { Command } from '../../../src/grammar/command.ts';
import {
  carry_out,
  first_desired,
  has_applied,
  planned_of,
  set_trace,
  type Facts,
} from '../../../src/machines/coordinator/desired.ts';
import type { Desired } from '../../../src/machines/store/documents.ts';

const FACTS: Facts = {
  capacity: 1000,
  agents: ['a1', 'a2'],
  incarnation: (agent) => (agent.startsWith('a') ? `${agent}-x` : null),
  has_label: () => true,
  fatal: 3,
  stop_ms: 35_000,
  teardown_ms: null,
  max_connections: null,
  max_connect_per_s: null,
};
const FIRST = first_desired('r', 100, false);

interface Case {
  readonly command: Command;
  readonly before?: Partial<Desired>;
  readonly facts?: Partial<Facts>;
  /** null: nothing changes */
  readonly change: Partial<Desired> | null;
  readonly text: string;
}

function run({ command, before, facts }: Case) {
  const asking = { session: 's', seq: 1, run_ms: 5000, wall_ms: 77 };
  return carry_out({ ...FIRST, ...before }, command, asking, { ...FACTS, ...facts });
}

const CASES: Record<string, Case> = {
  'incr adds': {
    command: { op: 'incr', count: 5, over_ms: 0 },
    before: { target: 10 },
    change: { target: 15, ramp: null },
    text: 'target 15',
  },
  'incr along a ramp': {
    command: { op: 'incr', count: 5, over_ms: 100 },
    before: { target: 10 },
    change: { target: 15, ramp: { from: 10, to: 15, start_ms: 5000, end_ms: 5100 } },
    text: 'target 15',
  },
  'incr in a ramp goes on from where it is': {
    command: { op: 'incr', count: 5, over_ms: 100 },
    before: { target: 10, ramp: { from: 0, to: 10, start_ms: 0, end_ms: 10_000 } },
    change: { target: 15, ramp: { from: 5, to: 15, start_ms: 5000, end_ms: 5100 } },
    text: 'target 15',
  },
  'incr beyond what fits waits': {
    command: { op: 'incr', count: 2000, over_ms: 0 },
    change: { target: 2000 },
    text: 'target 2000 (1000 fit now, on 2 agents; the rest waits for more)',
  },
  'incr as far as is allowed': {
    command: { op: 'incr', count: 50, over_ms: 0 },
    facts: { max_connections: 20 },
    change: { target: 20 },
    text: 'target 20 (asked 50: at most 20)',
  },
  'incr beyond what is allowed': {
    command: { op: 'incr', count: 1, over_ms: 0 },
    before: { target: 20 },
    facts: { max_connections: 20 },
    change: null,
    text: 'nothing fits: target 20 (asked 1: --max-connections 20)',
  },
  'decr takes': {
    command: { op: 'decr', count: 5, graceful: true, over_ms: 0 },
    before: { target: 7 },
    change: { target: 2, graceful: true },
    text: 'target 2',
  },
  'decr below nothing': {
    command: { op: 'decr', count: 5, graceful: false, over_ms: 0 },
    before: { target: 3 },
    change: { target: 0, graceful: false },
    text: 'target 0 (asked 5, had 3)',
  },
  set: {
    command: { op: 'set', count: 5, over_ms: 0 },
    before: { target: 300 },
    change: { target: 5 },
    text: 'target 5',
  },
  'a rate': {
    command: { op: 'connect_rate', per_s: 5 },
    change: { connect_per_s: 5 },
    text: 'connect rate 5 per second',
  },
  'a rate beyond what is allowed': {
    command: { op: 'connect_rate', per_s: 50 },
    facts: { max_connect_per_s: 9 },
    change: { connect_per_s: 9 },
    text: 'connect rate 9 per second (asked 50: --max-connect-rate 9)',
  },
  pause: { command: { op: 'pause' }, change: { phase: 'pause' }, text: 'paused' },
  resume: { command: { op: 'resume' }, before: { phase: 'pause' }, change: { phase: 'run' }, text: 'running' },
  'retry fatal': { command: { op: 'retry_fatal' }, change: { retry_fatal: 1 }, text: 'retrying 3 fatal clients' },
  'a mark': {
    command: { op: 'mark', text: 'now' },
    change: { mark: { text: 'now', at_ms: 77, seq: 1 } },
    text: 'marked now',
  },
  rebalance: { command: { op: 'rebalance' }, change: { rebalance: 1 }, text: 'sharing 0 clients anew among 2 agents' },
  drain: { command: { op: 'drain', agent: 'a1', off: false }, change: { drained: ['a1'] }, text: 'draining a1' },
  'drain off': {
    command: { op: 'drain', agent: 'a1', off: true },
    before: { drained: ['a1', 'a2'] },
    change: { drained: ['a2'] },
    text: 'a1 takes part again',
  },
  'drain of nobody': {
    command: { op: 'drain', agent: 'x', off: false },
    change: null,
    text: 'no agent x, known are a1, a2',
  },
  evict: {
    command: { op: 'evict', agent: 'a2' },
    change: { evicted: ['a2.a2-x'] },
    text: 'evicted a2, its clients go to the others',
  },
  'evict nobody': { command: { op: 'evict', agent: 'x' }, change: null, text: 'no agent x, known are a1, a2' },
  stop: { command: { op: 'stop', now: false }, change: { phase: 'drain' }, text: 'stopping, within 35 s' },
  'stop with a teardown': {
    command: { op: 'stop', now: true },
    facts: { teardown_ms: 60_000 },
    change: { phase: 'stop' },
    text: 'stopping now, then teardown of the module within 60 s',
  },
  'stop now': { command: { op: 'stop', now: true }, change: { phase: 'stop' }, text: 'stopping now' },
  'stop now while it drains': {
    command: { op: 'stop', now: true },
    before: { phase: 'drain' },
    change: { phase: 'stop' },
    text: 'stopping now',
  },
  'anything while it stops': {
    command: { op: 'incr', count: 1, over_ms: 0 },
    before: { phase: 'stop' },
    change: null,
    text: 'the swarm is stopping',
  },
};

describe('a command', () => {
  test.each(Object.entries(CASES))('%s', (_, one) => {
    const { desired, reply } = run(one);
    expect(reply.text).toBe(one.text);
    expect(reply.ok).toBe(one.change !== null);
    if (one.change === null) expect(desired).toBeNull();
    else
      expect(desired).toEqual({
        ...FIRST,
        ...one.before,
        ...one.change,
        seq: 2,
        sessions: { s: { seq: 1, at_ms: 5000 } },
      });
  });

  test('is known by the number of its session, and so are those before it', () => {
    const { desired } = run({ command: { op: 'pause' }, change: {}, text: '' });
    const asking = { session: 's', seq: 1, run_ms: 0, wall_ms: 0 };
    expect(has_applied(desired!, asking)).toBe(true);
    expect(has_applied(desired!, { ...asking, seq: 2 })).toBe(false);
    expect(has_applied(desired!, { ...asking, session: 'other' })).toBe(false);
    expect(has_applied(FIRST, asking)).toBe(false);
  });
});

describe('sessions', () => {
  const ask = (before: Desired, session: string, run_ms: number, wall_ms = 0): Desired =>
    carry_out(before, { op: 'pause' }, { session, seq: 1, run_ms, wall_ms }, FACTS).desired!;

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

test('what is asked for at a moment lies on the ramp', () => {
  expect(planned_of({ target: 9, ramp: null }, 0)).toBe(9);
  expect(planned_of({ target: 9, ramp: { from: 1, to: 9, start_ms: 0, end_ms: 8 } }, 4)).toBe(5);
});

describe('a trace', () => {
  const asking = (seq: number, run_ms: number) => ({ session: 's', seq, run_ms, wall_ms: 77 });
  const trace = (token: string, until_ms: number) => ({ token, client: 7, until_ms });
  const with_traces = (...traces: ReturnType<typeof trace>[]): Desired => ({ ...FIRST, traces });

  test('is kept until its time is over or it is taken back, as a command that counts', () => {
    const { desired } = set_trace(
      with_traces(trace('old', 900), trace('ending', 5000)),
      'new',
      trace('new', 9000),
      asking(3, 6000),
    );
    // of the one that ended just now the last lines are yet to come
    expect(desired).toMatchObject({ seq: FIRST.seq + 1, traces: [trace('ending', 5000), trace('new', 9000)] });
    expect(has_applied(desired!, asking(3, 6000))).toBe(true);
    expect(set_trace(desired!, 'new', null, asking(4, 10_001)).desired?.traces).toEqual([]);
  });

  test('is refused beside four others, and while the swarm stops', () => {
    const four = with_traces(...['a', 'b', 'c', 'd'].map((token) => trace(token, 2000)));
    const asked = (before: Desired) => set_trace(before, 'e', trace('e', 3000), asking(1, 1000));
    expect(asked(four)).toMatchObject({ desired: null, reply: { ok: false, code: 'too_many' } });
    expect(asked({ ...FIRST, phase: 'drain' })).toMatchObject({
      desired: null,
      reply: { ok: false, code: 'stopping' },
    });
  });
});
