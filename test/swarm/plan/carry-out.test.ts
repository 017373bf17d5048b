import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { MAX_TARGET, type Command } from '../../../src/grammar/command.ts';
import { sentence } from '../../../src/grammar/sentences.ts';
import {
  bound_you_gave,
  carry_out,
  type AgentFacts,
  type Facts,
  type Room,
} from '../../../src/swarm/plan/carry-out.ts';
import { first_intent, planned_of, type Intent } from '../../../src/swarm/plan/intent.ts';
import { parse_segment, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { wanted_of } from '../../../src/swarm/plan/wanted.ts';
import { GROUPS } from '../specs.ts';

const FIRST = first_intent(100);
const ROOM: Room = {
  capacity: 1000,
  why: 'open files 600 per process',
  per_member: 500,
  members: 2,
  more_by: '--workers',
  bounds: [],
};
/** one machine with two workers */
const ONE: Facts = {
  run_ms: 5000,
  wall_ms: 77,
  room: ROOM,
  segment: WHOLE,
  groups: GROUPS,
  max_connect_per_s: null,
  fatal: 3,
  stop_ms: 35_000,
  teardown_ms: null,
  agents: null,
};
const AGENTS: AgentFacts = {
  are_gathering: false,
  here: ['a1', 'a2'],
  incarnation: (agent) => (agent.startsWith('a') ? `${agent}.x` : null),
  room_on: (label) => (label === 'eu' ? 600 : null),
};
/** two agents, with as much room */
const MANY: Facts = { ...ONE, room: { ...ROOM, more_by: null }, agents: AGENTS };

interface Case {
  readonly command: Command;
  readonly before?: Partial<Intent>;
  /** instead of both of {@link ONE} and {@link MANY} */
  readonly facts?: Facts;
  /** null: it is refused, nothing changes */
  readonly change: Partial<Intent> | null;
  readonly says: string;
}

const incr = (count: number, over_ms = 0, on?: string): Command => ({ op: 'incr', count, over_ms, ...(on && { on }) });
const decr = (count: number, over_ms = 0, on?: string): Command => ({
  op: 'decr',
  count,
  graceful: false,
  over_ms,
  ...(on && { on }),
});
const set = (count: number): Command => ({ op: 'set', count, over_ms: 0 });
const with_bound = (facts: Facts, most: number): Facts => ({
  ...facts,
  room: { ...facts.room, bounds: [bound_you_gave(most)] },
});
const capacity = (facts: Facts, clients: number): Facts => ({ ...facts, room: { ...facts.room, capacity: clients } });
const memory = { code: 'limit_memory', what: 'memory', connections: 100, hard: false, why: 'w', lift: 'more' };

const CASES: Record<string, Case> = {
  'incr adds': { command: incr(5), before: { target: 10 }, change: { target: 15 }, says: 'target 15' },
  'incr along a ramp': {
    command: incr(5, 100),
    before: { target: 10 },
    change: { target: 15, ramp: { from: 10, to: 15, start_ms: 5000, end_ms: 5100 } },
    says: 'target 15',
  },
  'incr in a ramp goes on from where it is': {
    command: incr(5, 100),
    before: { target: 10, ramp: { from: 0, to: 10, start_ms: 0, end_ms: 10_000 } },
    change: { target: 15, ramp: { from: 5, to: 15, start_ms: 5000, end_ms: 5100 } },
    says: 'target 15',
  },
  'incr leaves those who leave to leave as they were told': {
    command: incr(1),
    before: { target: 3, graceful: true },
    change: { target: 4 },
    says: 'target 4',
  },
  'incr beyond what fits is bounded, where nobody comes by himself': {
    command: incr(2000),
    facts: ONE,
    change: { target: 1000 },
    says: 'target 1000 (asked 2000: open files 600 per process; try --workers 4)',
  },
  'incr beyond what fits waits, where more may come': {
    command: incr(2000),
    facts: MANY,
    change: { target: 2000 },
    says: 'target 2000 (1000 fit now, on 2 agents; the rest waits for more)',
  },
  'full from a start: what there was, too': {
    command: incr(800),
    before: { target: 500 },
    facts: ONE,
    change: { target: 1000 },
    says: 'target 1000 (asked 800, had 500: open files 600 per process; try --workers 3)',
  },
  'nothing fits: the target stays': {
    command: incr(1),
    before: { target: 1000 },
    facts: ONE,
    change: null,
    says: 'limit_files nothing fits: target 1000 (asked 1: open files 600 per process; try --workers 3)',
  },
  'a swarm above what now fits does not shrink by growing': {
    command: incr(1),
    before: { target: 1200 },
    facts: ONE,
    change: null,
    says: 'limit_files nothing fits: target 1200 (asked 1: open files 600 per process; try --workers 3)',
  },
  'a load that asks for more at once than fits is not begun with less': {
    command: { op: 'load', text: 'set 900; hold 5s; incr 1100 over 10s; set 0; stop' },
    facts: ONE,
    change: null,
    says: 'limit_files the load asks for 2000 clients at once, 1000 fit: open files 600 per process; try --workers 4',
  },
  'more workers than there can be are not advised': {
    command: incr(900_000),
    facts: ONE,
    change: { target: 1000 },
    says: 'target 1000 (asked 900000: open files 600 per process)',
  },
  'incr as far as is allowed, on one machine': {
    command: incr(50),
    facts: with_bound(ONE, 20),
    change: { target: 20 },
    says: 'target 20 (asked 50: --max-connections: the limit you gave; try a larger --max-connections)',
  },
  'incr as far as is allowed, on many': {
    command: incr(50),
    facts: with_bound(MANY, 20),
    change: { target: 20 },
    says: 'target 20 (asked 50: --max-connections: the limit you gave; try a larger --max-connections)',
  },
  'incr beyond what is allowed': {
    command: incr(1),
    before: { target: 20 },
    facts: with_bound(MANY, 20),
    change: null,
    says: 'limit_connections nothing fits: target 20 (asked 1: --max-connections: the limit you gave; try a larger --max-connections)',
  },
  'the most there can be': {
    command: incr(MAX_TARGET),
    before: { target: 5 },
    facts: capacity(ONE, 2 * MAX_TARGET),
    change: { target: MAX_TARGET },
    says: `target ${MAX_TARGET} (asked ${MAX_TARGET}, had 5: at most ${MAX_TARGET} clients)`,
  },
  'beyond it nothing fits': {
    command: incr(1),
    before: { target: MAX_TARGET },
    facts: MANY,
    change: null,
    says: `limit_clients nothing fits: target ${MAX_TARGET} (asked 1: at most ${MAX_TARGET} clients)`,
  },
  'beyond an estimate it goes on, and says so': {
    command: incr(150),
    facts: { ...ONE, room: { ...ROOM, bounds: [memory] } },
    change: { target: 150 },
    says: 'target 150 (memory may not suffice: about 100 fit; try more)',
  },
  'decr takes': {
    command: { op: 'decr', count: 5, graceful: true, over_ms: 0 },
    before: { target: 7 },
    change: { target: 2, graceful: true },
    says: 'target 2',
  },
  'decr below nothing': {
    command: decr(5),
    before: { target: 3, graceful: true },
    change: { target: 0, graceful: false },
    says: 'target 0 (asked 5, had 3)',
  },
  'decr of nothing': { command: decr(5), change: {}, says: 'target 0 (asked 5, had 0)' },
  set: { command: set(5), before: { target: 300 }, change: { target: 5 }, says: 'target 5' },
  'on a label, where there are no machines': {
    command: incr(5, 0, 'eu'),
    facts: ONE,
    change: null,
    says: 'no_agents on LABEL is for a swarm of many machines (swarm run --join)',
  },
  'on a label': {
    command: incr(5, 0, 'eu'),
    before: { target: 3, labelled: { eu: 1 } },
    facts: MANY,
    change: { target: 8, labelled: { eu: 6 } },
    says: 'target 8 (6 on eu)',
  },
  'on a label that nobody has': {
    command: incr(5, 0, 'x'),
    facts: MANY,
    change: { target: 5, labelled: { x: 5 } },
    says: 'target 5 (5 on x; no agent has the label x, they wait for one)',
  },
  'decr on a label takes its own only': {
    command: decr(5, 0, 'eu'),
    before: { target: 10, labelled: { eu: 2 } },
    facts: MANY,
    change: { target: 8, labelled: {} },
    says: 'target 8 (0 on eu; asked 5, had 2)',
  },
  'on one label too many': {
    command: incr(5, 0, 'x'),
    before: { labelled: Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`l${i}`, 1])), target: 32 },
    facts: MANY,
    change: null,
    says: 'too_many at most 32 labels have clients of their own',
  },
  'decr takes those first that wait for a label: nobody hangs up for them': {
    command: decr(10),
    before: { target: 20, labelled: { nosuch: 10 } },
    facts: MANY,
    change: { target: 10, labelled: {} },
    says: 'target 10',
  },
  'also along a ramp: they are gone at once': {
    command: decr(15, 1000),
    before: { target: 20, labelled: { nosuch: 10 } },
    facts: MANY,
    change: { target: 5, labelled: {}, ramp: { from: 10, to: 5, start_ms: 5000, end_ms: 6000 } },
    says: 'target 5',
  },
  'in the middle of a ramp nobody is planned away who runs': {
    command: decr(100, 60_000),
    before: {
      target: 150,
      labelled: { nosuch: 100 },
      ramp: { from: 50, to: 150, start_ms: 0, end_ms: 100_000 },
    },
    facts: MANY,
    change: { target: 50, labelled: {}, ramp: { from: 50, to: 50, start_ms: 5000, end_ms: 65_000 } },
    says: 'target 50',
  },
  'a label that nobody can have by accident': {
    command: incr(5, 0, 'constructor'),
    facts: MANY,
    change: { target: 5, labelled: { constructor: 5 } },
    says: 'target 5 (5 on constructor; no agent has the label constructor, they wait for one)',
  },
  'set takes them first, too': {
    command: set(15),
    before: { target: 20, labelled: { eu: 5, nosuch: 10 } },
    facts: MANY,
    change: { target: 15, labelled: { eu: 5, nosuch: 5 } },
    says: 'target 15',
  },
  'what is less than all labels together is left for the first': {
    command: set(4),
    before: { target: 20, labelled: { eu: 3, us: 3 } },
    facts: { ...MANY, agents: { ...AGENTS, room_on: () => 100 } },
    change: { target: 4, labelled: { eu: 3, us: 1 } },
    says: 'target 4',
  },
  'a rate': {
    command: { op: 'connect_rate', per_s: 5 },
    change: { connect_per_s: 5 },
    says: 'connect rate 5 per second',
  },
  'a rate beyond what is allowed': {
    command: { op: 'connect_rate', per_s: 50 },
    facts: { ...MANY, max_connect_per_s: 9 },
    change: { connect_per_s: 9 },
    says: 'connect rate 9 per second (asked 50: --max-connect-rate 9)',
  },
  pause: { command: { op: 'pause' }, change: { phase: 'pause' }, says: 'paused' },
  resume: { command: { op: 'resume' }, before: { phase: 'pause' }, change: { phase: 'run' }, says: 'running' },
  'retry fatal': { command: { op: 'retry_fatal' }, change: { retry_fatal: 1 }, says: 'retrying 3 fatal clients' },
  'a mark': {
    command: { op: 'mark', text: 'now' },
    change: { mark: { text: 'now', at_ms: 77, seq: 1 } },
    says: 'marked now',
  },
  'a mark without a text': {
    command: { op: 'mark', text: '' },
    before: { mark: { text: 'now', at_ms: 7, seq: 4 } },
    change: { mark: { text: '', at_ms: 77, seq: 5 } },
    says: 'marked',
  },
  rebalance: {
    command: { op: 'rebalance' },
    facts: MANY,
    change: { rebalance: 1 },
    says: 'sharing 0 clients anew among 2 agents',
  },
  drain: {
    command: { op: 'drain', agent: 'a1', off: false },
    facts: MANY,
    change: { drained: ['a1'] },
    says: 'draining a1',
  },
  'drain off': {
    command: { op: 'drain', agent: 'a1', off: true },
    before: { drained: ['a1', 'a2'] },
    facts: MANY,
    change: { drained: ['a2'] },
    says: 'a1 takes part again',
  },
  'drain of nobody': {
    command: { op: 'drain', agent: 'x', off: false },
    facts: MANY,
    change: null,
    says: 'no_such_agent no agent x, known are a1, a2',
  },
  evict: {
    command: { op: 'evict', agent: 'a2' },
    facts: MANY,
    change: { evicted: ['a2.x'] },
    says: 'evicted a2, its clients go to the others',
  },
  'evict nobody': {
    command: { op: 'evict', agent: 'x' },
    facts: MANY,
    change: null,
    says: 'no_such_agent no agent x, known are a1, a2',
  },
  ...Object.fromEntries(
    (
      [{ op: 'rebalance' }, { op: 'drain', agent: 'a1', off: false }, { op: 'evict', agent: 'a1' }] satisfies Command[]
    ).map((command) => [
      `${command.op}, where there are no machines`,
      {
        command,
        facts: ONE,
        change: null,
        says: `no_agents ${command.op} is for a swarm of many machines (swarm run --join)`,
      },
    ]),
  ),
  stop: { command: { op: 'stop', now: false }, change: { phase: 'drain' }, says: 'stopping, within 35 s' },
  'stop with a teardown': {
    command: { op: 'stop', now: true },
    facts: { ...MANY, teardown_ms: 60_000 },
    change: { phase: 'stop' },
    says: 'stopping now, then teardown of the module within 60 s',
  },
  'stop now': { command: { op: 'stop', now: true }, change: { phase: 'stop' }, says: 'stopping now' },
  'stop now while it drains': {
    command: { op: 'stop', now: true },
    before: { phase: 'drain' },
    change: { phase: 'stop' },
    says: 'stopping now',
  },
  'anything while it stops': {
    command: incr(1),
    before: { phase: 'stop' },
    change: null,
    says: 'stopping the swarm is stopping',
  },
  'anything while it gathers': {
    command: incr(1),
    facts: { ...MANY, agents: { ...AGENTS, are_gathering: true } },
    change: null,
    says: 'not_ready the swarm is not ready: it waits for its agents',
  },
  'stop while it gathers': {
    command: { op: 'stop', now: false },
    facts: { ...MANY, agents: { ...AGENTS, are_gathering: true } },
    change: { phase: 'drain' },
    says: 'stopping, within 35 s',
  },
};

describe('a command', () => {
  const both = Object.entries(CASES).flatMap(([name, one]): [string, Case, Facts][] =>
    one.facts
      ? [[name, one, one.facts]]
      : [
          [`${name}, on one machine`, one, ONE],
          [`${name}, on many`, one, MANY],
        ],
  );
  test.each(both)('%s', (_, { command, before, change, says }, facts) => {
    const intent = { ...FIRST, ...before };
    const outcome = carry_out(intent, command, facts);
    const { reply } = outcome;
    expect(reply.ok ? sentence({ ...reply, followers: null }) : `${reply.code} ${sentence(reply)}`).toBe(says);
    expect(reply.ok).toBe(change !== null);
    if (change === null) expect(outcome.intent).toBe(intent);
    else expect(outcome.intent).toEqual({ ...intent, ramp: null, ...change });
  });

  const command_of = fc.oneof(
    fc.record({ op: fc.constantFrom('incr' as const, 'set' as const), count: fc.nat(3000), over_ms: fc.nat(5000) }),
    fc.record({
      op: fc.constant('decr' as const),
      count: fc.nat(3000),
      graceful: fc.boolean(),
      over_ms: fc.nat(5000),
    }),
  );
  const label_of = fc.option(fc.constantFrom('eu', 'us', 'x'), { nil: undefined });

  it('keeps what labels have within the target, and closes nobody while others wait for a label', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(command_of, label_of), { maxLength: 20 }), (commands) => {
        const room_on = (label: string): number | null => (label === 'x' ? null : 400);
        const facts = { ...MANY, agents: { ...AGENTS, room_on } };
        let intent = FIRST;
        for (const [command, label] of commands) {
          const before = intent;
          intent = carry_out(before, { ...command, ...(label && { on: label }) }, facts).intent;
          const of_labels = Object.values(intent.labelled).reduce((all, clients) => all + clients, 0);
          expect(of_labels).toBeLessThanOrEqual(intent.target);
          const waiting = ({ labelled }: Intent): number =>
            Object.entries(labelled).reduce((all, [one, n]) => all + Math.max(0, n - (room_on(one) ?? 0)), 0);
          const less = before.target - intent.target;
          // oracle: of what became less, as many were waiting as there were
          if (label === undefined && less > 0)
            expect(waiting(before) - waiting(intent)).toBeGreaterThanOrEqual(Math.min(less, waiting(before)));
        }
      }),
    );
  });
});

test('a segment is told its part of all that is wanted, and of the answer', () => {
  const segment = parse_segment('2/5')!;
  const { intent, reply } = carry_out(FIRST, incr(1000, 10_000), { ...ONE, segment });
  expect(reply.ok && sentence({ ...reply, followers: null })).toBe('target 1000 (segment 2/5: 200 here)');
  expect(wanted_of(intent, GROUPS, segment, 10_000)).toMatchObject({
    groups: [{ target: 200, planned: 100 }],
    connect_per_s: 20,
  });
  const rate = carry_out(FIRST, { op: 'connect_rate', per_s: 50 }, { ...ONE, segment }).reply;
  expect(rate.ok && sentence({ ...rate, followers: null })).toBe('connect rate 50 per second (segment 2/5: 10 here)');
});

test('what is asked for at a moment lies on the ramp', () => {
  expect(planned_of({ target: 9, ramp: null, own: {} }, GROUPS, 0)).toEqual([9]);
  const ramp = { from: 1, to: 9, start_ms: 0, end_ms: 8 };
  expect(planned_of({ target: 9, ramp, own: {} }, GROUPS, 4)).toEqual([5]);
});
