import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { sentence } from '../../../src/grammar/sentences.ts';
import { load_chart, load_table } from '../../../src/outputs/load-table.ts';
import { parse_script } from '../../../src/script/parse.ts';
import { carry_out, load_faults, type Facts } from '../../../src/swarm/plan/carry-out.ts';
import { first_intent, target_of, type Intent, type NamedSharing } from '../../../src/swarm/plan/intent.ts';
import { outline_of } from '../../../src/swarm/plan/load-outline.ts';
import { advance } from '../../../src/swarm/plan/load-play.ts';
import { ARRIVALS } from '../../../src/swarm/plan/orders.ts';
import { poisson_key, slots_by } from '../../../src/swarm/plan/rate-piece.ts';
import { named_groups, rate_now } from '../../../src/swarm/plan/rated-actions.ts';
import { parse_segment, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { wanted_of } from '../../../src/swarm/plan/wanted.ts';
import { command_of } from './by-hand.ts';

function groups_of(yaml: string): NamedSharing[] {
  const parsed = parse_script(`protocol: chat\n${yaml}`, 'a.yml');
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  return named_groups(parsed.script.groups, 'seed');
}

const ONE = groups_of('actions: [{ command: go }]\niterations: 2');
const ENDLESS = groups_of('actions: [{ command: go }]');
const IN_ALL = groups_of('actions: [{ command: go }]\niterations_in_all: 9');
const go = 'actions: [{ command: go }]';
const SEVERAL = groups_of(`groups:
  talkers: { ${go}, iterations: 1 }
  listeners: { ${go} }
  loops: { loops: { a: [{ command: go }], b: [{ command: go, name: move }] } }`);
const TWO = groups_of(`groups:
  talkers: { ${go}, iterations: 1 }
  visitors: { loops: { a: { ${go}, iterations: 1 }, b: { actions: [{ command: go, name: move }], iterations: 3 } } }`);
const NONE = groups_of(`groups:\n  talkers: { ${go} }\n  listeners: { ${go} }`);

const facts = (groups: readonly NamedSharing[], run_ms: number, more: Partial<Facts> = {}): Facts => ({
  run_ms,
  wall_ms: 0,
  room: { capacity: 1000, why: 'w', per_member: 1000, members: 1, more_by: '--workers', bounds: [] },
  segment: WHOLE,
  groups,
  max_connect_per_s: null,
  fatal: 0,
  stop_ms: 1000,
  teardown_ms: null,
  agents: null,
  ...more,
});
const AGENTS: Facts['agents'] = { are_gathering: false, here: ['a'], incarnation: () => null, room_on: () => null };

/** What somebody types at so many ms, one after the other: the last answer, and what is wanted then. */
function typed(
  groups: readonly NamedSharing[],
  lines: readonly (readonly [number, string])[],
  more: Partial<Facts> = {},
): { intent: Intent; says: string } {
  let [intent, says] = [first_intent(100), ''];
  for (const [ms, line] of lines) {
    const outcome = carry_out(intent, command_of(line), facts(groups, ms, more));
    const { reply } = outcome;
    says = reply.ok ? sentence({ ...reply, followers: null }) : `${reply.code} ${sentence(reply)}`;
    ({ intent } = outcome);
  }
  return { intent, says };
}

describe('the answer', () => {
  it.each<[string, readonly NamedSharing[], string, RegExp]>([
    ['of the only group', ONE, 'arrive 5/s', /^clients of main arrive at 5\/s, was 0\/s$/],
    ['by name', TWO, 'arrive 5/s in visitors at_most 3', /^clients of visitors .*; at most 3 at a time$/],
    ['of the one with iterations', SEVERAL, 'arrive 5/s', /^clients of talkers arrive/],
    ['which one', TWO, 'arrive 5/s', /^which_group .* say which one, `in talkers` or another of talkers, visitors$/],
    ['none', NONE, 'arrive 5/s', /^no_iterations no group has iterations, .*: write `iterations: 1` in the script$/],
    ['unknown', TWO, 'arrive 5/s in x', /^no_such_group no group x, the script has talkers, visitors$/],
    ['without iterations', ENDLESS, 'arrive 5/s', /^no_iterations main has no iterations, .*: write `iterations: 1`/],
    ['likewise by name', SEVERAL, 'arrive 5/s in listeners', /^no_iterations listeners has no iterations/],
    ['loops without', SEVERAL, 'arrive 5/s in loops', /^no_iterations loops has no iterations/],
    [
      'divided ones',
      IN_ALL,
      'arrive 5/s',
      /^no_iterations `iterations_in_all` of main .*: write `iterations: 1` instead/,
    ],
  ])('%s', (_, groups, line, says) => {
    const done = typed(groups, [[0, line]]);
    expect(done.says).toMatch(says);
    expect(Object.keys(done.intent.rates)).toHaveLength(says.source.startsWith('^clients') ? 1 : 0);
  });

  it('on many machines is that it is for one', () => {
    const { says, intent } = typed(ONE, [[0, 'arrive 5/s']], { agents: AGENTS });
    expect(says).toBe('one_machine `arrive` needs a swarm of one machine for now');
    expect(intent.rates).toEqual({});
  });

  it('says the part of a segment, what there was, and that it is paused', () => {
    const lines: [number, string][] = [
      [0, 'arrive 6/s'],
      [500, 'pause'],
      [900, 'arrive 3/s over 2s poisson'],
    ];
    expect(typed(ONE, lines, { segment: parse_segment('1/4')! }).says).toBe(
      'clients of main arrive at 3/s, drawn as a Poisson process, in 2 s, was 6/s; it stands still until `resume` (segment 1/4: 0.75 here)',
    );
  });
});

describe('a load', () => {
  const faults = (groups: readonly NamedSharing[], text: string, has_agents = false) =>
    load_faults(text, { groups, segment: WHOLE, has_agents });

  it.each<[string, readonly NamedSharing[], string, number, RegExp]>([
    ['without iterations', ENDLESS, 'set 5; arrive 5/s', 7, /`iterations: 1`/],
    ['of a group without', SEVERAL, 'set 5 & arrive 5/s in listeners', 8, /^listeners has no iterations/],
    ['divided iterations', IN_ALL, 'arrive 5/s', 0, /^`iterations_in_all` of main/],
    ['several groups', TWO, 'hold 1s; arrive 5/s', 9, /^several groups have iterations/],
    ['unknown group', TWO, 'hold 1s; arrive 5/s in talker', 9, /^no group `talker`: did you mean `talkers`\?$/],
    ['one thing twice', SEVERAL, 'arrive 5/s & arrive 5/s in talkers', 13, /^two commands of one step steer the same/],
  ])('has the fault at its place: %s', (_, groups, text, offset, message) => {
    expect(faults(groups, text)).toEqual([{ offset, message: expect.stringMatching(message) as string }]);
  });

  it('of many machines cannot have them', () => {
    expect(faults(ONE, 'set 5; arrive 1/s', true)).toEqual([
      { offset: 7, message: '`arrive` needs a swarm of one machine for now' },
    ]);
  });

  it('has them beside all that steers clients', () => {
    expect(faults(TWO, 'set 5 & arrive 5/s in talkers & arrive 5/s in visitors; set 9 in talkers')).toEqual([]);
  });
});

test('they are in no target, and none of its commands touches them', () => {
  const [begun, later] = [
    typed(ONE, [[0, 'arrive 5/s']]),
    typed(ONE, [
      [0, 'arrive 5/s'],
      [10, 'incr 7'],
      [20, 'decr 3'],
      [30, 'set 4'],
    ]),
  ];
  expect(target_of(later.intent, ONE)).toBe(4);
  expect(later.intent.rates).toEqual(begun.intent.rates);
});

test('rates of the script begin with them; a pause holds them, and the end of the run ends them', () => {
  const groups = groups_of('actions: [{ command: go, rate: 3/s }]\niterations: 1');
  const lines: [number, string][] = [
    [1000, 'arrive 5/s at_most 4'],
    [2000, 'pause'],
    [5000, 'resume'],
    [6000, 'stop'],
  ];
  const at = (n: number): Intent['rates'] => typed(groups, lines.slice(0, n)).intent.rates;
  expect(Object.keys(at(1)).sort()).toEqual(['main.0', 'main.arrive']);
  expect(at(2)['main.arrive']).toMatchObject({ at_most: 4, held: { to_rate: 5e6 } });
  expect(at(3)['main.arrive']).toMatchObject({ at_most: 4, held: null });
  expect(rate_now(at(4)['main.arrive'], 6000)).toBe(0);
  expect(slots_by(at(4)['main.arrive']!.piece, 1e9)).toBe(10);
});

test('as many are due as the area below the rate says, whatever other steps there are', () => {
  const stage = fc.record({
    per_s: fc.integer({ min: 0, max: 900 }),
    over: fc.integer({ min: 0, max: 4000 }),
    hold: fc.integer({ min: 1, max: 4000 }),
  });
  fc.assert(
    fc.property(fc.array(stage, { minLength: 1, maxLength: 6 }), (stages) => {
      const steps = stages.map(
        ({ per_s, over, hold }) => `arrive ${per_s}/s${over > 0 ? ` over ${over}ms` : ''} & set 3; hold ${hold}ms`,
      );
      const { intent } = typed(ONE, [[0, `load ${steps.join('; ')}; stop`]]);
      let [twice, rate, ms] = [0, 0, 0];
      for (const { per_s, over, hold } of stages) {
        twice += (rate + per_s) * over + 2 * per_s * hold;
        rate = per_s;
        ms += over + hold;
      }
      const { rates } = advance(intent, ONE, ms);
      expect(slots_by(rates['main.arrive']!.piece, ms * 1000 + 1e6)).toBe(Math.floor(twice / 2000));
    }),
  );
});

test('what is wanted has their pieces, with how many may be there, two seconds ahead', () => {
  const { intent } = typed(TWO, [
    [0, 'load arrive 5/s at_most 4 in visitors; hold 3s; arrive 9/s in visitors poisson; hold 1m; stop'],
  ]);
  const pieces = (run_ms: number) => wanted_of(intent, TWO, WHOLE, run_ms).rates[1]![ARRIVALS]!;
  expect(pieces(0)).toMatchObject([{ from_us: 0, to_rate: 5e6, at_most: 4 }]);
  const ahead = pieces(1500);
  expect(ahead).toMatchObject([
    { from_us: 0, at_most: 4 },
    { from_us: 3e6, to_rate: 9e6, slots: 15, poisson: poisson_key('seed', 'visitors.arrive') },
  ]);
  expect(ahead[1]!.at_most).toBe(undefined);
  expect(wanted_of(intent, TWO, WHOLE, 1500).groups).toEqual([
    { target: 0, planned: 0 },
    { target: 0, planned: 0 },
  ]);
});

test('`load end` lets them come as often as at that moment', () => {
  const { intent } = typed(ONE, [
    [0, 'load arrive 10/s over 4s at_most 3; hold 1m; stop'],
    [2000, 'load end'],
  ]);
  expect(rate_now(intent.rates['main.arrive'], 9000)).toBe(5);
  expect(intent.rates['main.arrive']!.at_most).toBe(3);
});

test('`swarm check` draws them like a rate, also where there are no other clients', () => {
  const outline = outline_of('arrive 4/s over 2s in visitors; hold 2s; arrive 0/s in visitors; stop', TWO, 4);
  expect(outline.rates).toEqual([{ action: 'visitors.arrivals', arrive: true, course: [2, 4, 4, 4] }]);
  const [about, head] = load_table(outline);
  expect(about).toBe('load: 4 steps, 4 s, at most 0 clients and those that arrive; then it ends the run');
  expect(head).toMatch(/ visitors\.arrivals\/s$/);
  expect(load_chart(outline)).toEqual([
    '0 └────',
    expect.stringMatching(/^ {3}00:00/),
    '   visitors.arrivals, per second:',
    '4 │▄███',
  ]);
  expect(outline_of('arrive 4/s; hold 1s; stop', ONE, 4).rates[0]!.action).toBe('arrivals');
});
