import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse_script, type ParsedScript } from '../../src/script/parse.ts';
import { actions_of, type Action } from '../../src/script/types.ts';

function faults(text: string): string[] {
  const result = parse_script(text, 'a.yml');
  return 'faults' in result ? result.faults.map(({ line, column, message }) => `${line}:${column} ${message}`) : [];
}

function good(text: string): ParsedScript {
  const result = parse_script(text, 'a.yml');
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result;
}

/** A script with one action; `lines` begin on line 4, column 5. */
const action = (...lines: string[]): string =>
  ['protocol: p', 'actions:', '  - command: c', ...lines.map((line) => `    ${line}`)].join('\n');
const actions_in = (text: string): Action[] => actions_of(good(text).script.groups[0]!);
const args = (text: string): unknown => good(action(`args: ${text}`)).script.groups[0]!.loops[0]!.actions[0]!.args;

const NUMBER = 'a whole number from 0 to 1000000000';
const SECONDS = 'a number of seconds from 0 to 2592000';
const OR_RANGE = ', or a range [from, to] of two such';
const OR_MEAN = ', or { mean, distribution }';
const RATE =
  '`rate` must be `100/s` (per second) or `100/m` (per minute): 0, or above 0 up to 1000000/s, with at most six decimals, with ` poisson` behind it for drawn gaps';
const SPINS =
  'an iteration can pass without a round or a sleep: every `rounds` can be 0 and every sleep is 0, so that clients would spin for ever';

describe('a good script', () => {
  it("is the original's example", () => {
    const { script } = good(`
protocol: durian
actions:
  - command: heartbeat
    args:
      uid: 123 
    rounds: [2, 10] 
    sleep_between_rounds: [1, 5]
    sleep_after_action: [1, 5]

  - command: create_chatroom
    args:
      uid: 123 
      rid: 7
    rounds: 1
    sleep_between_rounds: 0
    sleep_after_action: [1, 5]
`);
    const actions = [
      {
        index: 0,
        name: 'heartbeat',
        command: 'heartbeat',
        args: { uid: 123 },
        rounds: [2, 10],
        sleep_between_rounds: [1, 5],
        sleep_after_action: [1, 5],
        rate: null,
      },
      {
        index: 1,
        name: 'create_chatroom',
        command: 'create_chatroom',
        args: { uid: 123, rid: 7 },
        rounds: [1, 1],
        sleep_between_rounds: [0, 0],
        sleep_after_action: [1, 5],
        rate: null,
      },
    ];
    const loop = { name: 'main', actions, iterations: null, sleep_between_iterations: [0, 0] };
    const group = { name: 'main', share: 1, protocol: 'durian', loops: [loop], iterations_in_all: null };
    expect(script).toEqual({ groups: [group] });
  });

  it.each([action(), action('args:'), action('args: {}'), action('args: null'), action('args: ~')])(
    'has defaults: %j',
    (text) => {
      const range = [1, 1];
      const expected = {
        index: 0,
        name: 'c',
        command: 'c',
        args: {},
        rounds: range,
        sleep_between_rounds: range,
        sleep_after_action: range,
        rate: null,
      };
      expect(actions_in(text)).toEqual([expected]);
    },
  );

  it('is frozen to the last of its args', () => {
    const { script } = good(action('args: { a: [{ b: 1 }] }', 'rounds: [0, 1]'));
    const seen: unknown[] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      seen.push(value);
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(walk);
    };
    walk(script);
    expect(seen).toHaveLength(14);
  });

  it.each<[string, unknown]>([
    ['{ a: 1, b: text, c: true, d: null, e: [x, 2.5] }', { a: 1, b: 'text', c: true, d: null, e: ['x', 2.5] }],
    [`{ "q": "yes", 'r': '010', s: !!str 010, t: !!int 5 }`, { q: 'yes', r: '010', s: '010', t: 5 }],
    ['{ 1: one, y: 2, "on": 3, null: 4 }', { '1': 'one', y: 2, on: 3, null: 4 }],
    [
      '{ a: 1.5e+3, b: 0x1f, c: .5, d: -3, e: "2001-01-01", f: y, g: 10.0.0.1:80 }',
      { a: 1500, b: 31, c: 0.5, d: -3, e: '2001-01-01', f: 'y', g: '10.0.0.1:80' },
    ],
    [
      '{ a: &x { k: 1 }, b: *x, c: { <<: *x, m: 2 }, d: { k: 3, <<: [*x, { k: 4, n: 5 }] } }',
      { a: { k: 1 }, b: { k: 1 }, c: { k: 1, m: 2 }, d: { k: 3, n: 5 } },
    ],
    ['{ &k key: *k }', { key: 'key' }],
  ])('args %s', (text, expected) => {
    expect(args(text)).toEqual(expected);
  });

  it('may have actions that are merged from others, CRLF and a BOM', () => {
    const text =
      '\ufeffprotocol: p\r\nactions:\r\n  - &a\r\n    command: c\r\n    rounds: 5\r\n  - <<: *a\r\n    command: d\r\n';
    expect(actions_in(text).map(({ command, rounds }) => [command, rounds])).toEqual([
      ['c', [5, 5]],
      ['d', [5, 5]],
    ]);
  });

  it('may take its limits to the end', () => {
    const text = action('rounds: [0, 1000000000]', 'sleep_between_rounds: 2592000', 'sleep_after_action: 0');
    expect(actions_in(text)[0]).toMatchObject({ rounds: [0, 1e9], sleep_between_rounds: [2_592_000, 2_592_000] });
  });

  it.each([
    action('rounds: 0', 'sleep_after_action: 1'),
    action('rounds: [0, 1]', 'sleep_between_rounds: 1', 'sleep_after_action: 0'),
    action('rounds: 1', 'sleep_between_rounds: 0', 'sleep_after_action: 0'),
    action('rate: 0/s'),
    action('rate: 5/s') + '\n  - { command: d, rounds: 0 }',
    action('rounds: 0', 'sleep_after_action: 0') +
      '\n  - command: d\n    rounds: 1\n    sleep_between_rounds: 0\n    sleep_after_action: 0',
  ])('does something in every iteration, or in the long run: %j', (text) => {
    expect(faults(text)).toEqual([]);
  });

  it('tells where its parts are', () => {
    const { where } = good(action('args: &a { uid: 123, "a/b": [1, x] }') + '\n  - { command: d, args: *a }').rest;
    expect(where('/protocol')).toEqual({ line: 1, column: 11 });
    expect(where('/actions/0/args/uid')).toEqual({ line: 4, column: 21 });
    expect(where('/actions/0/args/uid', 'key')).toEqual({ line: 4, column: 16 });
    expect(where('/actions/0/args/a~1b/1')).toEqual({ line: 4, column: 37 });
    expect(where('/actions/1/args/uid')).toEqual({ line: 5, column: 25 });
    expect(where('/actions/0/rounds')).toEqual({ line: 3, column: 5 });
    expect(where('')).toEqual({ line: 1, column: 1 });
  });
});

describe('a bad script', () => {
  it.each<[string, string[]]>([
    // nothing there, or not YAML
    ['', ['1:1 the file is empty: a script has `protocol` and `actions`']],
    ['# only\n# comments\n', ['1:1 the file is empty: a script has `protocol` and `actions`']],
    ['---\n...\n', ['1:1 the file is empty: a script has `protocol` and `actions`']],
    ['- a', ['1:1 the script must be a mapping, not a list']],
    ['hello', ['1:1 the script must be a mapping, not the text `hello`']],
    ['a: [1,', ['1:7 not YAML: unexpected end of the stream within a flow collection']],
    ['protocol: p\nactions:\n  - command: "c\n', ['4:1 not YAML: deficient indentation']],
    ['protocol: p\r\n  x: 1', ['2:4 not YAML: bad indentation of a mapping entry']],
    ['protocol: p\nactions:\n\t- command: c', ['3:1 not YAML: tab characters must not be used in indentation']],
    [`${action()}\n---\nprotocol: q`, ['4:1 a second document begins here: a script is exactly one']],
    [`---\n${action()}\n---\n`, ['5:1 a second document begins here: a script is exactly one']],
    ['x'.repeat(1024 * 1024 + 1), ['1:1 the file has 1048577 bytes, a script at most 1048576']],
    ['é'.repeat(600_000), ['1:1 the file has 1200000 bytes, a script at most 1048576']],
    // keys
    [
      '{}',
      ['1:1 the script lacks the key `protocol`', '1:1 the script lacks the key `actions`, or `loops`, or `groups`'],
    ],
    [
      'protocl: p\nactions: []',
      [
        '1:1 unknown key `protocl`, did you mean `protocol`?',
        '2:10 `actions` is empty: a script has at least one action',
      ],
    ],
    [action('sleep_betwen_rounds: 1'), ['4:5 unknown key `sleep_betwen_rounds`, did you mean `sleep_between_rounds`?']],
    [action('"what else": 1'), ['4:5 unknown key `what else`']],
    ['protocol: p\nactions:\n  - comand: c', ['3:5 unknown key `comand`, did you mean `command`?']],
    ['protocol: p\nactions:\n  - rounds: 2', ['3:5 `actions[0]` lacks the key `command`']],
    [
      action('rounds: 1', 'rounds: 2', "'rounds': 3"),
      ['5:5 the key `rounds` is here twice', '6:5 the key `rounds` is here twice'],
    ],
    [action('args: { __proto__: { a: 1 } }'), ['4:13 the key `__proto__` is allowed nowhere in a script']],
    [action('args: { a: [{ "constructor": 1 }] }'), ['4:19 the key `constructor` is allowed nowhere in a script']],
    [`prototype: 1\n${action()}`, ['1:1 the key `prototype` is allowed nowhere in a script']],
    [action('args: { ? [a] : 1 }'), ['4:15 a key must be a plain word']],
    [action('args: { <<: 5 }'), ['4:17 `<<` takes a mapping, or a list of mappings']],
    // types
    [
      'protocol: 5\nactions: {}',
      ['1:11 `protocol` must be text, not 5: put it in quotes', '2:10 `actions` must be a list, not a mapping'],
    ],
    [
      'protocol: [a]\nactions:',
      ['1:11 `protocol` must be text, not a list', '2:1 `actions` must be a list, not nothing'],
    ],
    [
      'protocol: p\nactions:\n  - c\n  -\n  - [1]\n  -\n  - # nothing\n',
      [
        '3:5 `actions[0]` must be a mapping, not the text `c`',
        '4:3 `actions[1]` must be a mapping, not nothing',
        '5:5 `actions[2]` must be a mapping, not a list',
        '6:3 `actions[3]` must be a mapping, not nothing',
        '7:3 `actions[4]` must be a mapping, not nothing',
      ],
    ],
    ['protocol: p\nactions: [{ command: true }]', ['2:22 `command` must be text, not true: put it in quotes']],
    [action('args: [1]'), ['4:11 `args` must be a mapping or nothing, not a list']],
    [action('args: 7'), ['4:11 `args` must be a mapping or nothing, not 7']],
    ...['../p', 'a/b', 'p.ts', '-p', '', '.', 'ä'].map((name): [string, string[]] => [
      action().replace(' p', ` '${name}'`),
      ['1:11 `protocol` must be the plain name of a module: letters, digits, `_` and `-`, no path and no ending'],
    ]),
    // commands
    ...['setup', 'teardown', 'connected', 'messages', 'on_message', 'args', 'max_reply'].map(
      (name): [string, string[]] => [
        action().replace('command: c', `command: ${name}`),
        [`3:14 \`${name}\` is an export with a meaning of its own, not a command`],
      ],
    ),
    // ranges
    [action('rounds: two'), [`4:13 \`rounds\` must be ${NUMBER}${OR_RANGE}, not the text \`two\``]],
    [action('rounds:'), [`4:5 \`rounds\` must be ${NUMBER}${OR_RANGE}, not nothing`]],
    [action('rounds: 1.5'), [`4:13 \`rounds\` must be ${NUMBER}${OR_RANGE}, not 1.5`]],
    [action('rounds: -1'), [`4:13 \`rounds\` must be ${NUMBER}${OR_RANGE}, not -1`]],
    [action('rounds: 1000000001'), [`4:13 \`rounds\` must be ${NUMBER}${OR_RANGE}, not 1000000001`]],
    [action('rounds: { a: 1 }'), [`4:13 \`rounds\` must be ${NUMBER}${OR_RANGE}, not a mapping`]],
    [action('rounds: [10, 2]'), ['4:13 `rounds`: the range is reversed, did you mean [2, 10]?']],
    [action('rounds: [1, 2, 3]'), ['4:13 `rounds`: a range is exactly two numbers [from, to], this one has 3']],
    [action('rounds: []'), ['4:13 `rounds`: a range is exactly two numbers [from, to], this one has 0']],
    [
      action('rounds: [-1, "5"]'),
      [`4:14 \`rounds[0]\` must be ${NUMBER}, not -1`, `4:18 \`rounds[1]\` must be ${NUMBER}, not the text \`5\``],
    ],
    [action('sleep_after_action:', '  - 1', '  -'), [`6:7 \`sleep_after_action[1]\` must be ${SECONDS}, not nothing`]],
    [
      action('sleep_after_action: -0.1'),
      [`4:25 \`sleep_after_action\` must be ${SECONDS}${OR_RANGE}${OR_MEAN}, not -0.1`],
    ],
    [
      action('sleep_between_rounds: [5, 1]'),
      ['4:27 `sleep_between_rounds`: the range is reversed, did you mean [1, 5]?'],
    ],
    [
      action('sleep_between_rounds: 2592000.5'),
      [`4:27 \`sleep_between_rounds\` must be ${SECONDS}${OR_RANGE}${OR_MEAN}, not 2592000.5`],
    ],
    [
      action('sleep_between_rounds: .nan', 'sleep_after_action: [0, .inf]'),
      ['4:27 `.nan` is not a finite number', '5:29 `.inf` is not a finite number'],
    ],
    [action('rounds: 0', 'sleep_after_action: 0'), [`2:1 ${SPINS}`]],
    [action('rounds: 0', 'sleep_between_rounds: 5', 'sleep_after_action: 0'), [`2:1 ${SPINS}`]],
    [action('rounds: [0, 5]', 'sleep_between_rounds: 0', 'sleep_after_action: [0, 0]'), [`2:1 ${SPINS}`]],
    [
      action('rate: 100/s', 'rounds: 2') + '\n  - command: d\n    rate: 5\n  - { command: e, at_once: 3 }',
      [
        '5:5 `rounds` beside `rate`: the rate says when the action is played, over all clients; keep one of the two, and for gaps that are drawn write `rate: 100/s poisson`',
        `7:11 ${RATE}, not 5, did you mean \`5/s\`?`,
        '8:19 `at_once` without `rate`: write `rate: 100/s` beside it, or leave it out',
      ],
    ],
    // beside one that has a rate, too, clients play in turn
    [action('rate: 5/s') + '\n  - { command: d, rounds: 0, sleep_after_action: 0 }', [`2:1 ${SPINS}`]],
    // values that are not what they seem
    [
      action('args: { on: 1, b: [52e3, 0o17, 2026-11-29, -.5], c: { 010: x } }'),
      [
        '4:13 the key `on` is true in YAML 1.1 and the text `on` in YAML 1.2: write what you mean, text in quotes',
        '4:24 `52e3` is text in YAML 1.1 and 52000 in YAML 1.2: write what you mean, text in quotes',
        '4:30 `0o17` is text in YAML 1.1 and 15 in YAML 1.2: write what you mean, text in quotes',
        '4:36 `2026-11-29` is a date in YAML 1.1 and the text `2026-11-29` in YAML 1.2: write what you mean, text in quotes',
        '4:48 `-.5` is text in YAML 1.1 and -0.5 in YAML 1.2: write what you mean, text in quotes',
        '4:59 the key `010` is 8 in YAML 1.1 and 10 in YAML 1.2: write what you mean, text in quotes',
      ],
    ],
    [
      action('args: { a: yes, b: [010, 1_000, 1:30] }'),
      [
        '4:16 `yes` is true in YAML 1.1 and the text `yes` in YAML 1.2: write what you mean, text in quotes',
        '4:25 `010` is 8 in YAML 1.1 and 10 in YAML 1.2: write what you mean, text in quotes',
        '4:30 `1_000` is 1000 in YAML 1.1 and the text `1_000` in YAML 1.2: write what you mean, text in quotes',
        '4:37 `1:30` is 90 in YAML 1.1 and the text `1:30` in YAML 1.2: write what you mean, text in quotes',
      ],
    ],
    [
      action('args: { id: 12345678901234567890, n: -.inf }'),
      [
        '4:17 `12345678901234567890` is too large to be exact as a number: put it in quotes',
        '4:42 `-.inf` is not a finite number',
      ],
    ],
    [
      action('args: { a: !!int x, b: !thing y, c: !!set { d } }'),
      [
        '4:16 cannot resolve a node with !<tag:yaml.org,2002:int> explicit tag',
        '4:28 unknown scalar tag !<!thing>',
        '4:41 unknown tag `!!set`',
      ],
    ],
    // aliases
    [action('args: { a: *nope }'), ['4:16 no anchor `&nope` before this']],
    [action('args: &a { b: *a }'), ['4:19 the alias `*a` stands inside its own anchor']],
    [
      action('rounds: &r [2, 1]', 'sleep_after_action: *r'),
      [
        '4:16 `rounds`: the range is reversed, did you mean [1, 2]?',
        '5:25 `sleep_after_action`: the range is reversed, did you mean [1, 2]?',
      ],
    ],
  ])('%j', (text, expected) => {
    expect(faults(text)).toEqual(expected);
  });

  it('tells all its faults at once, in the order of the file', () => {
    const text = `# a script with many faults
protocol: ../durian
actions:
  - command: heartbeat
    args: { uid: 123, constructor: 1 }
    rounds: [10, 2]
    sleep_betwen_rounds: [1, 5]
  - comand: setup
  - command: setup
    sleep_between_rounds: [.nan, "5"]
  -
actoins: []
`;
    expect(faults(text).map((fault) => fault.split(' ').slice(0, 4).join(' '))).toEqual([
      '2:11 `protocol` must be',
      '5:23 the key `constructor`',
      '6:13 `rounds`: the range',
      '7:5 unknown key `sleep_betwen_rounds`,',
      '8:5 unknown key `comand`,',
      '9:14 `setup` is an',
      '10:28 `.nan` is not',
      '10:34 `sleep_between_rounds[1]` must be',
      '11:3 `actions[3]` must be',
      '12:1 unknown key `actoins`,',
    ]);
  });

  it('is cut off after a hundred faults', () => {
    const all = faults(action(...Array.from({ length: 250 }, (_, i) => `x${i}: 1`)));
    expect(all).toHaveLength(101);
    expect(all[100]).toBe('104:5 150 more faults from here on');
  });
});

describe('a hostile script', () => {
  const many = (count: number, line: (i: number) => string): string[] =>
    Array.from({ length: count }, (_, i) => line(i));
  const LARGE = 'this holds more than 100000 values, counted with every alias expanded';

  it('is refused for an alias bomb', () => {
    const bomb = action(
      'args:',
      '  a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
      ...many(20, (i) => `  a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`),
    );
    expect(faults(bomb)).toEqual([`9:15 ${LARGE}`]);
  });

  it('is refused for a chain of merges', () => {
    const keys = many(5000, (i) => `k${i}`).join(', ');
    const chain = action(
      'args:',
      `  a0: &a0 { ${keys} }`,
      ...many(2000, (i) => `  a${i + 1}: &a${i + 1} { <<: *a${i} }`),
    );
    expect(faults(chain)).toEqual([`5:7 ${LARGE}`]);
  });

  it('is refused for more than 100 000 values or 1000 actions', () => {
    expect(faults(action('args:', '  a:', ...many(100_001, () => '  - x')))).toEqual([`6:7 ${LARGE}`]);
    const actions = ['protocol: p', 'actions:', ...many(1001, () => '- command: c')].join('\n');
    expect(faults(actions)).toEqual(['3:1 `actions` has more than 1000 actions']);
  });

  it.each(['[', '- ', '{a: ', '? ', '!', '&a ', '*a ', '"', '%a\n', '---\n', 'a:\n', '- {}\n', '-\n', '- -\n'])(
    'is only a fault when made of %j',
    (piece) => {
      const text = piece.repeat(Math.floor(100_000 / piece.length));
      expect(faults(text).length).toBeGreaterThan(0);
      expect(faults(`protocol: p\nactions:\n${text}`).length).toBeGreaterThan(0);
    },
  );

  it('never throws, and has its faults inside the file', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'protocol',
        'actions',
        'command',
        'args',
        'rounds',
        'sleep_after_action',
        'setup',
        '<<',
        '__proto__',
        '- ',
        ': ',
        '\n',
        '  ',
      ),
      fc.constantFrom(
        '[',
        ']',
        '{',
        '}',
        ',',
        '&a ',
        '*a',
        '!!str ',
        '"',
        "'",
        '|',
        '>',
        '#',
        '---\n',
        '\t',
        '0',
        '-1',
        '.nan',
        '\r',
        '~',
        '1_0',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    );
    const broken = fc.tuple(fc.nat(90), fc.array(piece, { maxLength: 4 })).map(([at, pieces]) => {
      const text = action('args: { a: &a [1, 2], b: *a }', 'rounds: [2, 10]', 'sleep_after_action: 3');
      return text.slice(0, at) + pieces.join('') + text.slice(at);
    });
    const anything = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
      broken,
    );
    fc.assert(
      fc.property(anything, (text) => {
        const result = parse_script(text, 'a.yml');
        if (!('faults' in result)) return;
        const lines = text.split(/\r\n|\n|\r/);
        expect(result.faults.length).toBeGreaterThan(0);
        for (const { line, column, message } of result.faults) {
          expect(message).not.toBe('');
          expect(line).toBeLessThanOrEqual(lines.length);
          expect(column).toBeLessThanOrEqual(lines[line - 1]!.length + 2);
        }
        const order = result.faults.map(({ line, column }) => line * 1e6 + column);
        expect(order).toEqual([...order].sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });
});
