import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse_script } from '../../src/script/parse.ts';
import { MAX_LOOPS } from '../../src/script/schema.ts';
import { MAX_GROUPS } from '../../src/script/types.ts';
import {
  actions_in,
  loops_in,
  SCRIPTS,
  write_script,
  type DrawnAction,
  type DrawnGroup,
  type DrawnLoop,
  type DrawnScript,
} from './drawn-script.ts';

const parsed = (text: string) => parse_script(text, 'a.yml');
function faults(text: string): string[] {
  const result = parsed(text);
  return 'faults' in result ? result.faults.map(({ line, column, message }) => `${line}:${column} ${message}`) : [];
}

/** What a drawn script means, said once more. */
function meant(script: DrawnScript): unknown {
  const range = (value: unknown, usual: number): unknown => {
    if (value === undefined) return [usual, usual];
    if (typeof value === 'number') return [value, value];
    return Array.isArray(value) ? value : { sigma: 1, ...(value as object) };
  };
  const group = (name: string, { share = 1, protocol = script.protocol, ...one }: DrawnGroup): unknown => {
    let index = 0;
    const listed = one.loops ?? { main: one };
    const loops = Object.entries(listed).map(([loop, of]) => {
      const {
        actions,
        iterations = null,
        sleep_between_iterations,
      } = Array.isArray(of) ? { actions: of } : (of as DrawnGroup);
      return {
        name: loop,
        actions: actions!.map((action) => ({
          index: index++,
          name: action.name ?? action.command,
          command: action.command,
          args: {},
          rounds: range(action.rounds, action.rate === undefined ? 1 : 0),
          sleep_between_rounds: range(action.sleep_between_rounds, action.rate === undefined ? 1 : 0),
          sleep_after_action: range(action.sleep_after_action, action.rate === undefined ? 1 : 0),
          rate: rated(action),
        })),
        iterations,
        sleep_between_iterations: range(sleep_between_iterations, 0),
      };
    });
    return { name, share, protocol, loops, iterations_in_all: one.iterations_in_all ?? null };
  };
  if (script.groups === undefined) return { groups: [group('main', script)] };
  return { groups: Object.entries(script.groups).map(([name, one]) => group(name, one)) };
}

const PER_S: Record<string, number> = {
  '0/s': 0,
  '100/s': 100,
  '0.25/S': 0.25,
  '30/m': 0.5,
  '7/m': 0.116667,
  '1000000/s': 1e6,
};

function rated({ rate, at_once = 1, give_up }: DrawnAction): unknown {
  if (rate === undefined) return null;
  const [number, law] = (rate as string).split(/ +/);
  const give_up_ms = give_up === undefined ? null : (give_up as number) * 1000;
  return { per_s: PER_S[number!], poisson: law === 'poisson', at_once, give_up_ms };
}

it('means what is drawn', () => {
  fc.assert(
    fc.property(SCRIPTS, (script) => {
      const { text } = write_script(script);
      const result = parsed(text);
      expect(faults(text), text).toEqual([]);
      expect('script' in result && result.script).toEqual(meant(script));
    }),
  );
});

interface Place {
  readonly script: DrawnScript;
  readonly group: DrawnGroup;
  readonly at: string;
  /** draws one of so many */
  readonly pick: (count: number) => number;
}

/** Where the fault stands, and how it begins; null: there is no room for it in this script. */
type Expected = { readonly key?: string; readonly value?: string; readonly says: string } | null;

/** One that is played in turn. */
const an_action = (group: DrawnGroup, at: string, pick: Place['pick']): [string, DrawnAction] => {
  const all = actions_in(group, at);
  const [place, action] = all[pick(all.length)]!;
  for (const key of ['rate', 'at_once', 'give_up'] as const) delete action[key];
  return [place, action];
};

/** One that has a rate. */
const a_rated = (group: DrawnGroup, at: string, pick: Place['pick']): [string, DrawnAction] | null => {
  const all = actions_in(group, at).filter(([, { rate }]) => rate !== undefined);
  return all.length === 0 ? null : all[pick(all.length)]!;
};

const WHOLE = (name: string): string =>
  `\`${name}\` must be a whole number from 1 to 1000000000, without end if it is left out, not `;

/** Each makes one mistake. */
const MISTAKES: Record<string, (place: Place) => Expected> = {
  'a share that is none': ({ script, group, at, pick }) => {
    if (script.groups === undefined) return null;
    group.share = [-1, 10_001, 0.5, '3'][pick(4)];
    return { value: `${at}/share`, says: '`share` must ' };
  },
  'no shares': ({ script }) => {
    if (script.groups === undefined) return null;
    for (const each of Object.values(script.groups)) each.share = 0;
    return { key: '/groups', says: 'every group has `share: 0`' };
  },
  'iterations that are none': ({ group, at, pick }) => {
    const bad = [0, -3, 1_000_000_001, 1.5, 'many'][pick(5)];
    const key = group.iterations_in_all === undefined ? 'iterations' : 'iterations_in_all';
    if (group.loops !== undefined) {
      const all = Object.entries(group.loops);
      const [name, loop] = all[pick(all.length)]!;
      if (Array.isArray(loop) || loop.iterations === undefined) return null;
      loop.iterations = bad;
      return { value: `${at}/loops/${name}/iterations`, says: WHOLE('iterations') };
    }
    group[key] = bad;
    return { value: `${at}/${key}`, says: WHOLE(key) };
  },
  'actions beside loops': ({ group, at }) => {
    if (group.loops === undefined) return null;
    group.actions = [{ command: 'more' }];
    return { key: `${at}/actions`, says: '`actions` beside `loops`: make the list one of the loops' };
  },
  'iterations beside loops': ({ group, at, pick }) => {
    if (group.loops === undefined) return null;
    const key = (['iterations', 'sleep_between_iterations'] as const)[pick(2)]!;
    group[key] = 7;
    return { key: `${at}/${key}`, says: `\`${key}\` beside \`loops\`: each loop has its own, such as \`` };
  },
  'a loop without end': ({ group, at, pick }) => {
    const all = Object.entries(group.loops ?? {});
    const ending = all.filter(([, loop]) => !Array.isArray(loop) && loop.iterations !== undefined);
    if (ending.length < 2) return null;
    const [name, loop] = ending[pick(ending.length)]!;
    delete (loop as DrawnGroup).iterations;
    return { key: `${at}/loops/${name}`, says: `\`${name}\` never ends, so its clients would never be done` };
  },
  'nothing to play': ({ group, at }) => {
    delete group.actions;
    delete group.loops;
    delete group.iterations_in_all;
    group.share ??= 1; // an empty mapping has no place of its own
    if (at === '') delete group.share;
    return {
      value: at,
      says: `${at === '' ? 'the script' : `the group \`${at.split('/')[2]}\``} lacks the key \`actions\`, or \`loops\``,
    };
  },
  'no protocol': ({ script, group, at }) => {
    delete script.protocol;
    for (const each of Object.values(script.groups ?? {})) each.protocol = 'chat';
    delete group.protocol;
    return {
      value: at,
      says: `${at === '' ? 'the script' : `the group \`${at.split('/')[2]}\``} lacks the key \`protocol\``,
    };
  },
  'iterations of all beside those of each': ({ group, at }) => {
    if (group.actions === undefined) return null;
    group.iterations = 5;
    group.iterations_in_all = 7;
    return { key: `${at}/iterations_in_all`, says: '`iterations_in_all` beside `iterations`' };
  },
  'iterations of all with loops': ({ group, at }) => {
    if (loops_in(group).length < 2) return null;
    group.iterations_in_all = 7;
    return { key: `${at}/iterations_in_all`, says: '`iterations_in_all` is for a group with one loop, this one has ' };
  },
  'something beside groups': ({ script, pick }) => {
    if (script.groups === undefined) return null;
    const [key, value] = Object.entries({
      actions: [{ command: 'c' }],
      iterations: 1,
      loops: { some_loop: [{ command: 'c' }] },
    })[pick(3)]!;
    Object.assign(script, { [key]: value });
    return { key: `/${key}`, says: `\`${key}\` beside \`groups\`: it belongs to one of the groups` };
  },
  'a name twice': ({ script, group, at, pick }) => {
    const [place, one] = an_action(group, at, pick);
    // what stands before it in the file
    const names = [...Object.keys(script.groups ?? {}).slice(0, 1), ...Object.keys(group.loops ?? {}).slice(0, 1)];
    if (names.length === 0) return null;
    one.name = names[pick(names.length)];
    return { value: `${place}/name`, says: `\`${one.name as string}\` is the name of a ` };
  },
  'a name that is a command': ({ script, group, at, pick }) => {
    const all = Object.values(script.groups ?? { main: script }).flatMap((one) =>
      actions_in(one).map(([, action]) => action),
    );
    const called = all.filter(({ name }) => name === undefined);
    const [place, one] = an_action(group, at, pick);
    const other = called[pick(Math.max(1, called.length))];
    if (other === undefined || other === one || other.command === one.command) return null;
    if (['errors', 'set'].includes(other.command)) return null;
    one.name = other.command;
    return { value: `${place}/name`, says: `\`${other.command}\` is the command of another action` };
  },
  'a name that is a word': ({ group, at, pick }) => {
    const words = ['status', 'over', 'hold', 'p99', 'Main', 'connected', 'AND', 'incr', 'at_most'];
    const [place, one] = an_action(group, at, pick);
    one.name = words[pick(words.length)];
    return {
      value: `${place}/name`,
      says: `\`${one.name as string}\` has a meaning at the console or among the metrics`,
    };
  },
  'a name that is none': ({ group, at, pick }) => {
    const [place, one] = an_action(group, at, pick);
    one.name = ['', '1st', 'a.b', 'ä', 'a'.repeat(65), '-x', 'a b'][pick(7)];
    return { value: `${place}/name`, says: ' is no name of an action: letters, digits' };
  },
  'a sleep that is none': ({ group, at, pick }) => {
    const [place, one] = an_action(group, at, pick);
    const key = (['sleep_between_rounds', 'sleep_after_action'] as const)[pick(2)]!;
    const bad: [unknown, string, 'key' | 'value', string][] = [
      [
        { mean: 0, distribution: 'exponential' },
        '/mean',
        'value',
        '`mean` must be more than 0 s and at most 2592000 s, not 0',
      ],
      [
        { mean: 1, distribution: 'exponental' },
        '/distribution',
        'value',
        '`distribution` must be `exponential`, `lognormal`, not the text `exponental`, did you mean `exponential`?',
      ],
      [
        { mean: 1, distribution: 'exponential', sigma: 1 },
        '/sigma',
        'key',
        'an exponential distribution has no `sigma`',
      ],
      [
        { mean: 1, distribution: 'lognormal', sigma: 11 },
        '/sigma',
        'value',
        '`sigma` must be more than 0 and at most 10, not 11',
      ],
      [{ mean: 1, distribution: 'lognormal', sgima: 1 }, '/sgima', 'key', 'unknown key `sgima`, did you mean `sigma`?'],
    ];
    const [value, inside, of, says] = bad[pick(bad.length)]!;
    one[key] = value;
    return { [of]: `${place}/${key}${inside}`, says };
  },
};

Object.assign(MISTAKES, {
  'a rate that is none': ({ group, at, pick }) => {
    const found = a_rated(group, at, pick);
    if (found === null) return null;
    const [place, action] = found;
    const bad = [
      'fast',
      '100',
      '-1/s',
      '+1/s',
      '1e9/s',
      '1000001/s',
      '0.0000001/s',
      '1/h',
      '5/s twice',
      '5/s poisson x',
    ];
    const value = [...bad, '0.00001/m', '70000000/m', 100, -3, 1e9, true, [5]][pick(bad.length + 7)];
    action.rate = value;
    const meant = value === 100 ? ', did you mean `100/s`?' : '';
    const said = typeof value === 'string' ? `the text \`${value}\`` : Array.isArray(value) ? 'a list' : String(value);
    const says =
      '`rate` must be `100/s` (per second) or `100/m` (per minute): 0, or above 0 up to 1000000/s, with at most six ' +
      `decimals, with \` poisson\` behind it for drawn gaps, not ${said}${meant}`;
    return { value: `${place}/rate`, says };
  },
  'what is for playing in turn beside a rate': ({ group, at, pick }) => {
    const found = a_rated(group, at, pick);
    if (found === null) return null;
    const [place, action] = found;
    const key = (['rounds', 'sleep_between_rounds', 'sleep_after_action'] as const)[pick(3)]!;
    action[key] = 5;
    return { key: `${place}/${key}`, says: `\`${key}\` beside \`rate\`: the rate says when the action is played` };
  },
  'what is for a rate without one': ({ group, at, pick }) => {
    const [place, action] = an_action(group, at, pick);
    const key = (['at_once', 'give_up'] as const)[pick(2)]!;
    action[key] = 2;
    return { key: `${place}/${key}`, says: `\`${key}\` without \`rate\`: write \`rate: 100/s\` beside it` };
  },
  'a number of a rated action that is none': ({ group, at, pick }) => {
    const found = a_rated(group, at, pick);
    if (found === null) return null;
    const [place, action] = found;
    const key = (['at_once', 'give_up'] as const)[pick(2)]!;
    action[key] = (key === 'at_once' ? [0, 1001, 1.5, 'two'] : [0, 86_401, 'soon', '1s'])[pick(4)];
    return { value: `${place}/${key}`, says: `\`${key}\` must be ` };
  },
  'a sleep where nothing is played in turn': ({ group, at, pick }) => {
    const all = Object.entries<DrawnLoop | DrawnAction[]>(group.loops ?? { '': group });
    const [name, loop] = all[pick(all.length)]!;
    if (Array.isArray(loop) || !loop.actions!.every(({ rate }) => rate !== undefined)) return null;
    loop.sleep_between_iterations = 3;
    const place = name === '' ? at : `${at}/loops/${name}`;
    return {
      key: `${place}/sleep_between_iterations`,
      says: '`sleep_between_iterations` where every action has a rate: nobody sleeps there',
    };
  },
} satisfies typeof MISTAKES);

describe('a script with one mistake', () => {
  it.each(Object.entries(MISTAKES))('%s', (_, mistake) => {
    let made = 0;
    fc.assert(
      fc.property(SCRIPTS, fc.infiniteStream(fc.nat(1000)), (script, numbers) => {
        const pick = (count: number): number => (numbers.next().value as number) % count;
        const all = Object.entries(script.groups ?? {});
        const [name, group] = all.length > 0 ? all[pick(all.length)]! : ['', script as DrawnGroup];
        const at = name === '' ? '' : `/groups/${name}`;
        const expected = mistake({ script, group, at, pick });
        fc.pre(expected !== null);
        made++;
        const { text, keys, values } = write_script(script);
        const [first, ...more] = faults(text);
        expect(more, text).toEqual([]);
        expect(first, text).toContain(expected.says);
        const { key, value } = expected;
        expect(first!.split(' ')[0], text).toBe(key === undefined ? values.get(value!) : keys.get(key));
      }),
      { numRuns: 60 },
    );
    expect(made).toBeGreaterThan(5);
  });
});

describe('names', () => {
  const listening = (loops: string, more = ''): string => `protocol: p\nloops: ${loops}\n${more}`;

  it.each([
    listening('{ ping: [{ command: ping }], listen: [{ command: enter }, { command: enter }] }'),
    listening('{ main: [{ command: ping }], listen: [{ command: p99 }, { command: status }] }'),
    'protocol: p\ngroups: { main: { actions: [{ command: main }] }, say: { actions: [{ command: say, name: say }] } }',
    'protocol: p\ngroups: { a: { actions: [{ command: say }] }, b: { actions: [{ command: say }, { command: say, name: c }] } }',
  ])('may be %j', (text) => expect(faults(text)).toEqual([]));

  it.each<[string, string[]]>([
    [
      listening('{ ping: [{ command: enter }], listen: [{ command: ping }] }'),
      [
        '2:10 `ping` is the command of another action: names of groups, loops and actions are all different, call the loop something else',
      ],
    ],
    [
      'protocol: p\ngroups:\n  a: { loops: { main: [{ command: x }] } }\n  b: { loops: { main: [{ command: x }] } }',
      [
        '4:17 `main` is the name of a loop already: names of groups, loops and actions are all different, call the loop something else',
      ],
    ],
    [
      'protocol: p\nactions: [{ command: x, name: main }]',
      [
        '2:31 `main` has a meaning at the console or among the metrics: call the action something else, such as `main_1`',
      ],
    ],
    [
      'protocol: p\ngroups: { a.b: { actions: [{ command: x }] } }',
      ['2:11 `a.b` is no name of a group: letters, digits, `_` and `-`, at most 64, the first of them a letter or `_`'],
    ],
  ])('may not be %j', (text, expected) => expect(faults(text)).toEqual(expected));
});

describe('limits', () => {
  const many = (count: number, one: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => one(i)).join('\n');
  const list = (count: number): string => `[${'{ command: c }, '.repeat(count)}]`;

  it.each<[string, string[]]>([
    [`protocol: p\ngroups:\n${many(MAX_GROUPS, (i) => `  g${i}: { actions: ${list(10)} }`)}`, []],
    [
      `protocol: p\ngroups:\n${many(MAX_GROUPS + 1, (i) => `  g${i}: { actions: ${list(1)} }`)}`,
      [`3:3 \`groups\` has more than ${MAX_GROUPS} groups`],
    ],
    [`protocol: p\nloops:\n${many(MAX_LOOPS, (i) => `  l${i}: ${list(62)}`)}`, []],
    [
      `protocol: p\nloops:\n${many(MAX_LOOPS + 1, (i) => `  l${i}: ${list(1)}`)}`,
      [`3:3 \`loops\` has more than ${MAX_LOOPS} loops`],
    ],
    [
      `protocol: p\nloops:\n${many(2, (i) => `  l${i}: ${list(501)}`)}`,
      ['2:1 these are 1002 actions in all, a script has at most 1000'],
    ],
    [`protocol: p\nactions: ${list(1001)}`, ['2:10 `actions` has more than 1000 actions']],
    ['protocol: p\ngroups: {}', ['2:9 `groups` is empty: write at least one, or `actions` instead']],
    ['protocol: p\nloops: {}', ['2:8 `loops` is empty: write at least one, or `actions` instead']],
    ['protocol: p\ngroups: { a: 5 }', ['2:14 `a` must be a mapping, not 5']],
    ['protocol: p\nloops: { a: 5 }', ['2:13 `a` must be a list or a mapping, not 5']],
    ['protocol: p\nloops: { a: { iterations: 5 } }', ['2:13 `a` lacks the key `actions`']],
  ])('%#', (text, expected) => expect(faults(text)).toEqual(expected));
});
