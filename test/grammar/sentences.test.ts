import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Command, Followers, Reply } from '../../src/grammar/command.ts';
import { line_of, seconds, sentence } from '../../src/grammar/sentences.ts';
import { parse_line } from '../../src/grammar/table.ts';

const says = (followers: Partial<Followers>): string =>
  sentence({
    ok: true,
    op: 'pause',
    followers: { kind: 'worker', of: 3, acknowledged: 3, missing: [], starting: 0, ...followers },
  });

describe('who has followed', () => {
  const silent = { id: 'w2', absent: null, silent_ms: 3400 };
  it.each<[string, Partial<Followers>, string]>([
    ['nothing when all have', {}, 'paused'],
    ['that nobody is there', { of: 0, acknowledged: 0 }, 'paused, but no worker is up'],
    ['that no agent is there', { kind: 'agent', of: 0, acknowledged: 0 }, 'paused, but no agent is here'],
    [
      'who has not, and why',
      { acknowledged: 1, missing: [silent, { id: 'w3', absent: 'restarting', silent_ms: 9 }] },
      'paused, 1 of 3 workers acknowledged (w2 silent 3 s, w3 restarting)',
    ],
    [
      'who is at it',
      { kind: 'agent', acknowledged: 2, missing: [{ ...silent, silent_ms: 100 }] },
      'paused, 2 of 3 agents acknowledged (w2 is still working on it)',
    ],
    [
      'how many more there are',
      { of: 9, acknowledged: 1, missing: [silent] },
      'paused, 1 of 9 workers acknowledged (w2 silent 3 s, and 7 more)',
    ],
    ['who starts', { starting: 1 }, 'paused, 1 worker is starting'],
    ['how many start', { starting: 4 }, 'paused, 4 workers are starting'],
    ['that nobody leads', { unplanned_by: null }, 'paused, not planned yet: nobody leads'],
    ['that the leader is silent', { unplanned_by: 'h1' }, 'paused, not planned yet: the leader (h1) is silent'],
  ])('says %s', (_, followers, text) => expect(says(followers)).toBe(text));
});

it.each([
  [10_000, '10 s'],
  [500, '0.5 s'],
  [1240, '1.2 s'],
])('%i ms are %s', (ms, text) => expect(seconds(ms)).toBe(text));

const goal = { over_ms: fc.constantFrom(0, 1, 1500, 30_000, 86_400_000) };
const on = fc.option(fc.constantFrom('eu', 'a.b=c'), { nil: undefined });
const group = fc.option(fc.constantFrom('main', 'A_b-9'), { nil: undefined });
const agent = fc.constantFrom('a1', 'A_b-9');
const count = fc.integer({ min: 1, max: 10_000_000 });
const ANY: fc.Arbitrary<Command> = fc
  .tuple(
    fc.oneof(
      fc.record({ op: fc.constantFrom('incr' as const, 'set' as const), count, ...goal }),
      fc.record({ op: fc.constant('decr' as const), count, graceful: fc.boolean(), ...goal }),
    ),
    on,
    group,
  )
  .map(([command, label, name]): Command => ({ ...command, ...(label && { on: label }), ...(name && { in: name }) }));
const OTHERS: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ op: fc.constant('connect_rate' as const), per_s: fc.constantFrom(0.5, 1, 1000, 1_000_000) }),
  fc.record({
    op: fc.constant('rate' as const),
    action: fc.constantFrom('say', 'a.B.c-1'),
    per_s: fc.constantFrom(0, 0.000001, 1.666667, 20_000, 1_000_000),
    ...goal,
    poisson: fc.boolean(),
  }),
  fc
    .record({
      per_s: fc.constantFrom(0, 0.000001, 20_000),
      ...goal,
      poisson: fc.boolean(),
      at_most: fc.constantFrom(null, 1, 10_000_000),
    })
    .chain((how) => group.map((name) => ({ op: 'arrive' as const, ...how, ...(name && { in: name }) }))),
  fc.record({ op: fc.constantFrom('pause' as const, 'resume' as const, 'retry_fatal' as const, 'rebalance' as const) }),
  fc.record({ op: fc.constant('annotate' as const), text: fc.constantFrom('now', 'ramp is over; or not') }),
  fc.constantFrom<Command>(
    { op: 'load_end' },
    { op: 'load', text: 'set 5 over 3s;  hold 1m & mark "a; b"; repeat 2 (incr 1); stop now' },
    { op: 'load', text: "incr 1 & annotate 'x'" },
  ),
  fc.record({ op: fc.constant('mark' as const), text: fc.constantFrom('', 'now', 'ramp is over; or not') }),
  fc.record({ op: fc.constant('stop' as const), now: fc.boolean() }),
  fc.record({ op: fc.constant('drain' as const), agent, off: fc.boolean() }),
  fc.record({ op: fc.constant('evict' as const), agent }),
);

describe('clients that arrive', () => {
  const deed: Extract<Reply, { readonly op: 'arrive' }> = {
    ok: true,
    op: 'arrive',
    group: 'visitors',
    had: 0,
    per_s: 10,
    over_ms: 0,
    poisson: false,
    at_most: null,
    is_paused: false,
    here: null,
    followers: null,
  };
  it.each<[string, Reply]>([
    ['clients of visitors arrive at 10/s, was 0/s', deed],
    [
      'clients of visitors arrive at 0.5/s, drawn as a Poisson process, in 2 s, was 3/s; at most 7 at a time',
      { ...deed, per_s: 0.5, had: 3, over_ms: 2000, poisson: true, at_most: 7 },
    ],
    [
      'clients of visitors arrive at 10/s, was 0/s; it stands still until `resume` (segment 2/5: 4 here)',
      { ...deed, is_paused: true, here: { segment: '2/5', part: 4 } },
    ],
    ['`arrive` needs a swarm of one machine for now', { ok: false, code: 'one_machine' }],
    ['no group x, the script has a, b', { ok: false, code: 'no_such_group', group: 'x', names: ['a', 'b'] }],
    [
      'a has no iterations, so clients that arrive would never leave: write `iterations: 1` in the script',
      { ok: false, code: 'no_iterations', group: 'a', in_all: false },
    ],
    [
      'no group has iterations, so clients that arrive would never leave: write `iterations: 1` in the script',
      { ok: false, code: 'no_iterations', group: null, in_all: false },
    ],
    [
      '`iterations_in_all` of a is divided among the clients of a target: write `iterations: 1` instead, or as many as each client that arrives shall play',
      { ok: false, code: 'no_iterations', group: 'a', in_all: true },
    ],
    [
      'several groups have iterations: say which one, `in a` or another of a, b',
      { ok: false, code: 'which_group', names: ['a', 'b'] },
    ],
  ])('%s', (text, reply) => expect(sentence(reply)).toBe(text));
});

describe('a rate', () => {
  const deed: Extract<Reply, { readonly op: 'rate' }> = {
    ok: true,
    op: 'rate',
    action: 'a.say',
    had: 0,
    per_s: 20_000,
    over_ms: 0,
    poisson: false,
    is_paused: false,
    here: null,
    followers: null,
  };
  it.each<[string, Reply]>([
    ['rate of a.say 20000/s, was 0/s', deed],
    ['rate of a.say 0/s, in 120 s, was 1.5/s', { ...deed, per_s: 0, had: 1.5, over_ms: 120_000 }],
    ['rate of a.say 20000/s, drawn as a Poisson process, in 0.5 s, was 0/s', { ...deed, poisson: true, over_ms: 500 }],
    ['rate of a.say 20000/s, was 0/s; it stands still until `resume`', { ...deed, is_paused: true }],
    ['rate of a.say 20000/s, was 0/s (segment 2/5: 8000 here)', { ...deed, here: { segment: '2/5', part: 8000 } }],
    [
      '`say` has no rate: give it one in the script, `rate: 0/s` waits for commands',
      { ok: false, code: 'no_rate', action: 'say' },
    ],
    [
      'no action `sya`: did you mean `say`?',
      { ok: false, code: 'no_such_action', action: 'sya', near: 'say', rated: ['say', 'x'] },
    ],
    ['no action `x`: none has a rate', { ok: false, code: 'no_such_action', action: 'x', near: null, rated: [] }],
    [
      'no action `x`: those with a rate are a1, a2, a3, a4, a5, a6, a7, a8, …',
      {
        ok: false,
        code: 'no_such_action',
        action: 'x',
        near: null,
        rated: Array.from({ length: 9 }, (_, i) => `a${i + 1}`),
      },
    ],
    [
      'several actions with a rate are called `say`: say which of a.say, b.say',
      { ok: false, code: 'ambiguous_action', action: 'say', names: ['a.say', 'b.say'] },
    ],
    [
      'several actions with a rate are called `say`: give each a `name` of its own in the script',
      { ok: false, code: 'ambiguous_action', action: 'say', names: ['say', 'say'] },
    ],
  ])('%s', (text, reply) => expect(sentence(reply)).toBe(text));
});

test('a command is written as it would be typed', () => {
  fc.assert(
    fc.property(fc.oneof(ANY, OTHERS), (command) => {
      expect(parse_line(line_of(command))).toEqual({ ok: true, request: command });
    }),
  );
});

test('what a command means is decided in one place', () => {
  const changing =
    /\bop === '|\bcase '(incr|decr|set|load|load_end|connect_rate|rate|arrive|pause|resume|mark|annotate|retry_fatal|stop|rebalance|drain|evict)'/;
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  // what only shows is the session's
  const shows = /\bop === '(auth|help|wait|hold|load|status|quit|trace|series|events)'/g;
  const found = files.filter((name) => changing.test(readFileSync(`src/${name}`, 'utf8').replace(shows, '')));
  const plan = ['aims', 'carry-out', 'load-play'].map((name) => `swarm/plan/${name}.ts`);
  // which of them can stand together in a step, and what they make of what is planned
  expect(found).toEqual(['grammar/load-text.ts', ...plan]);
});
