/** Scripts with groups and loops, drawn: what they mean, their text, and where in it each value stands. */
import fc from 'fast-check';

export interface DrawnAction {
  command: string;
  name?: unknown;
  rounds?: unknown;
  sleep_between_rounds?: unknown;
  sleep_after_action?: unknown;
  rate?: unknown;
  at_once?: unknown;
  give_up?: unknown;
}
export interface DrawnLoop {
  actions?: DrawnAction[];
  iterations?: unknown;
  sleep_between_iterations?: unknown;
}
export interface DrawnGroup extends DrawnLoop {
  share?: unknown;
  protocol?: unknown;
  loops?: Record<string, DrawnLoop | DrawnAction[]>;
  iterations_in_all?: unknown;
}
export interface DrawnScript extends DrawnGroup {
  groups?: Record<string, DrawnGroup>;
}

/** No word of swarm's, of YAML's or of JavaScript's ends like this. */
const NAMES = fc.uniqueArray(fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{5,20}_$/), { minLength: 60, maxLength: 60 });
const seconds = fc.integer({ min: 0, max: 90 });
const range = (number: fc.Arbitrary<number>): fc.Arbitrary<[number, number]> =>
  fc.tuple(number, number).map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
const distribution = fc.oneof(
  fc.record({ mean: fc.integer({ min: 1, max: 100 }), distribution: fc.constant('exponential') }),
  fc.record(
    { mean: fc.constantFrom(0.5, 3), distribution: fc.constant('lognormal'), sigma: fc.constantFrom(0.25, 10) },
    { requiredKeys: ['mean', 'distribution'] },
  ),
);
const sleep = fc.oneof(seconds, range(seconds), distribution);
const called = { command: fc.constantFrom('say', 'enter', 'ping', 'errors', 'set'), name: fc.constant('named') };
const in_turn = fc.record(
  {
    ...called,
    rounds: fc.oneof(fc.integer({ min: 1, max: 9 }), range(fc.integer({ min: 1, max: 9 }))),
    sleep_between_rounds: sleep,
    sleep_after_action: sleep,
  },
  { requiredKeys: ['command'] },
);
const rated = fc.record(
  {
    ...called,
    rate: fc.constantFrom('0/s', '100/s', '0.25/S', '30/m', '7/m poisson', '1000000/s  poisson'),
    at_once: fc.integer({ min: 1, max: 1000 }),
    give_up: fc.constantFrom(0.001, 1, 2.5, 86_400),
  },
  { requiredKeys: ['command', 'rate'] },
);
const action: fc.Arbitrary<DrawnAction> = fc.oneof({ arbitrary: in_turn, weight: 3 }, { arbitrary: rated, weight: 1 });
const actions = fc.array(action, { minLength: 1, maxLength: 3 });
const iterations = fc.integer({ min: 1, max: 1e9 });
const of_loop = { actions, sleep_between_iterations: sleep };
const plain = fc.oneof(
  fc.record({ ...of_loop, iterations }, { requiredKeys: ['actions'] }),
  fc.record({ ...of_loop, iterations_in_all: iterations }, { requiredKeys: ['actions'] }),
);
const loops = fc.oneof(
  fc.array(fc.oneof(actions, fc.record(of_loop, { requiredKeys: ['actions'] })), { minLength: 1, maxLength: 3 }),
  fc.array(fc.record({ ...of_loop, iterations }), { minLength: 1, maxLength: 3 }),
);
const group = fc.tuple(
  fc.oneof(plain, loops),
  fc.record(
    { share: fc.integer({ min: 1, max: 10_000 }), protocol: fc.constantFrom('chat', 'redis') },
    { requiredKeys: [] },
  ),
);

export const SCRIPTS = fc
  .tuple(NAMES, fc.array(group, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([names, groups, alone]): DrawnScript => {
    let next = 0;
    const name = (): string => names[next++]!;
    const drawn = groups.map(([played, own]): DrawnGroup => {
      const named = Array.isArray(played)
        ? { loops: Object.fromEntries(played.map((loop) => [name(), structuredClone(loop)])) }
        : structuredClone(played);
      // nobody sleeps where nothing is played in turn
      for (const loop of lists_in(named))
        if (loop.actions!.every(({ rate }) => rate !== undefined)) delete loop.sleep_between_iterations;
      for (const [, one] of actions_in(named)) if (one.name !== undefined) one.name = name();
      return { ...own, ...named };
    });
    const { share: _, ...first } = drawn[0]!;
    if (alone) return { protocol: 'chat', ...first };
    return { protocol: 'chat', groups: Object.fromEntries(drawn.map((one) => [name(), one])) };
  });

/** those that are mappings */
const lists_in = (group: DrawnGroup): DrawnLoop[] =>
  group.loops === undefined ? [group] : loops_in(group).flatMap((loop) => (Array.isArray(loop) ? [] : [loop]));

export const loops_in = ({ loops }: DrawnGroup): (DrawnLoop | DrawnAction[])[] => Object.values(loops ?? {});
/** with their pointers; `at`: that of the group */
export function actions_in(group: DrawnGroup, at = ''): [string, DrawnAction][] {
  const listed = (list: readonly DrawnAction[] | undefined, place: string): [string, DrawnAction][] =>
    (list ?? []).map((one, i) => [`${place}/${i}`, one]);
  return [
    ...listed(group.actions, `${at}/actions`),
    ...Object.entries(group.loops ?? {}).flatMap(([name, loop]) =>
      Array.isArray(loop) ? listed(loop, `${at}/loops/${name}`) : listed(loop.actions, `${at}/loops/${name}/actions`),
    ),
  ];
}

/** A text, and for each JSON pointer `line:column` of the key and of the value there. */
export interface Written {
  readonly text: string;
  readonly keys: ReadonlyMap<string, string>;
  readonly values: ReadonlyMap<string, string>;
}

export function write_script(script: DrawnScript): Written {
  const lines: string[] = [];
  const keys = new Map<string, string>();
  const values = new Map([['', '1:1']]);
  const here = (column: number): string => `${lines.length + 1}:${column}`;
  /** Mappings of mappings and lists of mappings have lines of their own, the rest is one piece. `lead` begins the next line. */
  const write = (value: unknown, at: string, indent: string, lead: string): void => {
    values.set(at, here(lead.length + 1));
    if (Array.isArray(value) && value.some((each) => typeof each === 'object')) {
      value.forEach((each, i) => {
        const begin = i === 0 ? lead : indent;
        write(each, `${at}/${i}`, `${indent}  `, `${begin}- `);
      });
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value) && !('mean' in value)) {
      Object.entries(value).forEach(([key, each], i) => {
        const begin = `${i === 0 ? lead : indent}${key}: `;
        keys.set(`${at}/${key}`, here(begin.length - key.length - 1));
        if (is_one_piece(each)) return write(each, `${at}/${key}`, indent, begin);
        lines.push(begin.trimEnd());
        write(each, `${at}/${key}`, `${indent}  `, `${indent}  `);
      });
    } else {
      const piece = JSON.stringify(value);
      for (const key of Object.keys(value ?? {})) {
        const begin = lead.length + piece.indexOf(`"${key}"`) + 1;
        keys.set(`${at}/${key}`, here(begin));
        values.set(`${at}/${key}`, here(begin + `"${key}":`.length));
      }
      lines.push(lead + piece);
    }
  };
  write(script, '', '', '');
  return { text: `${lines.join('\n')}\n`, keys, values };
}

const is_one_piece = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  'mean' in value ||
  (Array.isArray(value) && !value.some((each) => typeof each === 'object'));
