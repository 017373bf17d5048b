import { describe, expect, it, test } from 'vitest';
import { sentence } from '../../../src/grammar/sentences.ts';
import { carry_out, load_faults, type Facts } from '../../../src/swarm/plan/carry-out.ts';
import { first_intent, type Intent } from '../../../src/swarm/plan/intent.ts';
import { poisson_key, rate_at, slots_by } from '../../../src/swarm/plan/rate-piece.ts';
import { find_rated, groups_in_run, named_groups, rate_now, rated_in } from '../../../src/swarm/plan/rated-actions.ts';
import { parse_segment, WHOLE } from '../../../src/swarm/plan/segment.ts';
import { parse_script } from '../../../src/script/parse.ts';
import { action_of, group_of } from '../specs.ts';
import { command_of } from './by-hand.ts';

const parsed = parse_script(
  `
protocol: chat
groups:
  talkers:
    actions:
      - { command: enter }
      - { command: say, rate: 100/s }
      - { command: say, name: shout, rate: 6/m poisson }
      - { command: go, rate: 1/s }
      - { command: go, rate: 2/s }
  others:
    loops:
      main: [{ command: say, rate: 0.25/s }, { command: enter, rate: 0/s }]
      beat: [{ command: ping, rate: 1/s }, { command: say }]
`,
  'a.yml',
);
if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
const GROUPS = named_groups(parsed.script.groups, 'seed');

const facts = (run_ms: number, more: Partial<Facts> = {}): Facts => ({
  run_ms,
  wall_ms: 0,
  room: { capacity: 1000, why: 'w', per_member: 1000, members: 1, more_by: '--workers', bounds: [] },
  segment: WHOLE,
  groups: GROUPS,
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
  lines: readonly (readonly [number, string])[],
  more: Partial<Facts> = {},
): { intent: Intent; says: string } {
  let [intent, says] = [first_intent(100), ''];
  for (const [ms, line] of lines) {
    const outcome = carry_out(intent, command_of(line), facts(ms, more));
    const { reply } = outcome;
    says = reply.ok ? sentence({ ...reply, followers: null }) : `${reply.code} ${sentence(reply)}`;
    ({ intent } = outcome);
  }
  return { intent, says };
}

test('all that have a rate are known by group and index, with the key of their draws', () => {
  const key = (name: string): number => poisson_key('seed', name);
  const own = (name: string, called: string, per_s: number, is_poisson = false) => {
    return { key: name, called, to_rate: per_s * 1e6, is_poisson, draws: key(name) };
  };
  expect(rated_in(GROUPS)).toEqual([
    own('talkers.1', 'talkers.say', 100),
    own('talkers.2', 'talkers.shout', 0.1, true),
    own('talkers.3', 'talkers.go', 1),
    own('talkers.4', 'talkers.go', 2),
    own('others.0', 'others.say', 0.25),
    own('others.1', 'others.enter', 0),
    own('others.2', 'others.beat.ping', 1),
  ]);
  expect(rated_in(named_groups(parsed.script.groups, null)).map(({ draws }) => draws)).toEqual(Array(7).fill(null));
  const rate = { per_s: 3, poisson: false, at_once: 1, give_up_ms: null };
  const run = { groups: [group_of({ actions: [action_of(), { rate, rounds: [0, 0] }] })], seed: 'seed' };
  expect(rated_in(groups_in_run(run))).toEqual([own('main.1', 'go', 3)]);
});

describe('an action is called', () => {
  it.each([
    ['shout', 'talkers.2'],
    ['talkers.shout', 'talkers.2'],
    ['talkers.main.shout', 'talkers.2'],
    ['main.shout', 'talkers.2'],
    ['enter', 'others.1'],
    ['talkers.say', 'talkers.1'],
    ['others.say', 'others.0'],
    ['ping', 'others.2'],
    ['beat.ping', 'others.2'],
    ['others.ping', 'others.2'],
    ['others.beat.ping', 'others.2'],
  ])('%s', (name, key) => expect(find_rated(GROUPS, name)).toMatchObject({ key }));

  it.each([
    ['say', 'ambiguous_action several actions with a rate are called `say`: say which of talkers.say, others.say'],
    ['go', 'ambiguous_action several actions with a rate are called `go`: give each a `name` of its own in the script'],
    ['talkers.enter', 'no_rate `talkers.enter` has no rate: give it one in the script, `rate: 0/s` waits for commands'],
    ['beat.say', 'no_rate `beat.say` has no rate: give it one in the script, `rate: 0/s` waits for commands'],
    ['talkers.sya', 'no_such_action no action `talkers.sya`: did you mean `talkers.say`?'],
    ['shuot', 'no_such_action no action `shuot`: did you mean `shout`?'],
    ['beat.others.ping', /^no_such_action /],
    ['others.talkers.say', /^no_such_action /],
    ['Shout', /^no_such_action /],
    [
      'main',
      /^no_such_action no action `main`: those with a rate are talkers.say, talkers.shout, talkers.go, others.say, .*, others.beat.ping$/,
    ],
    ['constructor', /^no_such_action /],
  ])('not %s', (name, says) => {
    const one = typed([[0, `rate ${name} 5/s`]]);
    expect(one.says).toMatch(says);
    expect(one.intent.rates).toEqual({});
    // the same in a load, at its place
    const [fault] = load_faults(`set 5; rate ${name} 5/s`, { groups: GROUPS, segment: WHOLE, has_agents: false });
    expect(fault!.offset).toBe(7);
    expect(one.says.endsWith(fault!.message)).toBe(true);
  });
});

describe('a rate', () => {
  const slots = ({ rates }: Intent, key: string, ms: number): number => slots_by(rates[key]!.piece, ms * 1000);

  it('begins with the first clients that are wanted, all of the script at once', () => {
    const { intent } = typed([
      [100, 'mark'],
      [1000, 'set 0'],
    ]);
    expect(intent.rates).toEqual({});
    const begun = carry_out(intent, command_of('incr 1'), facts(3000)).intent;
    expect(Object.keys(begun.rates).sort()).toEqual(
      rated_in(GROUPS)
        .map(({ key }) => key)
        .sort(),
    );
    expect(slots(begun, 'talkers.1', 5000)).toBe(200);
    expect(slots(begun, 'others.0', 7000)).toBe(1);
    expect(begun.rates['talkers.2']!.piece.poisson).toBe(poisson_key('seed', 'talkers.2'));
    expect(begun.rates['talkers.1']!.piece.poisson).toBe(null);
    // goes on through the next command
    const later = carry_out(begun, command_of('set 10'), facts(4000)).intent;
    expect(later.rates).toEqual(begun.rates);
  });

  it('begins at once with a command about it, alone', () => {
    const { intent, says } = typed([[1000, 'rate talkers.say 10/s over 2s']]);
    expect(says).toBe('rate of talkers.say 10/s, in 2 s, was 0/s');
    expect(Object.keys(intent.rates)).toEqual(['talkers.1']);
    expect([2000, 3000, 4000].map((ms) => slots(intent, 'talkers.1', ms))).toEqual([2, 10, 20]);
    expect(rate_now(intent.rates['talkers.1'], 2000)).toBe(5);
    const { rates } = carry_out(intent, command_of('set 1'), facts(3000)).intent;
    expect(rates['talkers.1']).toEqual(intent.rates['talkers.1']);
    expect(Object.keys(rates)).toHaveLength(7);
  });

  it.each<[string, (readonly [number, string])[], string]>([
    [
      'from what it is in the script',
      [
        [0, 'set 1'],
        [500, 'rate ping 5/s'],
      ],
      'rate of others.beat.ping 5/s, was 1/s',
    ],
    [
      'drawn',
      [
        [0, 'set 1'],
        [0, 'rate shout 60/m poisson'],
      ],
      'rate of talkers.shout 1/s, drawn as a Poisson process, was 0.1/s',
    ],
    [
      'from the middle of a ramp',
      [
        [0, 'rate ping 4/s over 8s'],
        [2000, 'rate ping 0/s over 1m'],
      ],
      'rate of others.beat.ping 0/s, in 60 s, was 1/s',
    ],
    [
      'in a pause',
      [
        [0, 'rate ping 4/s over 8s'],
        [2000, 'pause'],
        [9000, 'rate ping 2/s'],
      ],
      'rate of others.beat.ping 2/s, was 1/s; it stands still until `resume`',
    ],
    [
      'beside a load',
      [
        [0, 'load set 5; hold 10; rate ping 7/s'],
        [4000, 'rate ping 2/s'],
      ],
      'rate of others.beat.ping 2/s, was 1/s; the load goes on with `rate ping 7/s` in 6 s',
    ],
    [
      'while the run ends',
      [
        [0, 'set 1'],
        [1, 'stop'],
        [2, 'rate ping 3/s'],
      ],
      'stopping the swarm is stopping',
    ],
  ])('is answered for: %s', (_, lines, says) => expect(typed(lines).says).toBe(says));

  it('of a segment: its part', () => {
    const segment = parse_segment('2/5')!;
    expect(typed([[0, 'rate ping 20/s']], { segment }).says).toBe(
      'rate of others.beat.ping 20/s, was 0/s (segment 2/5: 4 here)',
    );
  });

  it('stands still in a pause, and ends with the run', () => {
    const { intent } = typed([
      [0, 'rate talkers.say 100/s over 10s'],
      [4000, 'pause'],
    ]);
    expect(slots(intent, 'talkers.1', 60_000)).toBe(80);
    const on = carry_out(intent, command_of('resume'), facts(60_000)).intent;
    expect([62_000, 66_000, 67_000].map((ms) => slots(on, 'talkers.1', ms))).toEqual([180, 500, 600]);
    for (const line of ['stop', 'stop now']) {
      const over = carry_out(on, command_of(line), facts(66_000)).intent;
      expect(slots(over, 'talkers.1', 1e6)).toBe(500);
      expect(rate_now(over.rates['talkers.1'], 66_000)).toBe(0);
      // once more, now
      const twice = carry_out(over, command_of('stop now'), facts(67_000)).intent;
      expect(twice.rates).toEqual(over.rates);
    }
  });

  it('stays what it is when a load is ended by hand', () => {
    const { intent } = typed([
      [0, 'load rate talkers.say 100/s over 10s & rate shout 10/s over 10s poisson; rate talkers.say 0/s'],
      [5000, 'load end'],
    ]);
    const { piece } = intent.rates['talkers.1']!;
    expect([piece.to_us, rate_at(piece, 9e9)]).toEqual([null, 50e6]);
    expect(slots(intent, 'talkers.1', 7000)).toBe(225);
    const drawn = intent.rates['talkers.2']!.piece;
    expect([rate_at(drawn, 9e9), drawn.poisson]).toEqual([5e6, poisson_key('seed', 'talkers.2')]);
  });

  it('is the same on many machines', () => {
    const alone = typed([[0, 'rate ping 20/s']]);
    const many = typed([[0, 'rate ping 20/s']], { agents: AGENTS });
    expect(many.intent.rates).toEqual(alone.intent.rates);
    expect(load_faults('set 5; rate ping 20/s', { groups: GROUPS, segment: WHOLE, has_agents: true })).toEqual([]);
  });
});

test('a load steers a rate once in a step, whatever it calls it', () => {
  const faults = load_faults('rate ping 1/s & rate beat.ping 2/s & rate shout 1/s; rate others.ping 2/s', {
    ...{ groups: GROUPS, segment: WHOLE, has_agents: false },
  });
  expect(faults).toEqual([
    { offset: 16, message: 'two commands of one step steer the same thing: one after the other, with `;`' },
  ]);
});
