import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  barriers_of,
  MAX_LOAD_TEXT,
  MAX_STEPS,
  read_load,
  unknown_groups,
  type LoadStep,
} from '../../src/grammar/load-text.ts';

/** `text` with a `|` in front of each place of a fault: the text, and what is wrong in it. */
function marked(text: string): { readonly text: string; readonly offsets: number[] } {
  const parts = text.split('|');
  const offsets = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('').length);
  return { text: parts.join(''), offsets };
}

const STEP = /is no step of a load/;
const USAGE = /^usage: /;
const MISSING = /^a command is missing here/;
const SAME = /^two commands of one step steer the same thing/;
const ALONE = /is a step of its own/;
const AFTER_STOP = /^nothing is played after `stop`/;
const REPEAT = /^usage: repeat N \(STEPS\); N is a whole number from 1 to 10000/;
const OPEN = /^this `\(` is not closed/;
const CLOSE = /^this `\)` closes nothing/;
const NOTHING = /^there is nothing to repeat/;
const NO_STEP = /^a load has at least one step/;
const IN_PARENTHESES = /^only `repeat N` has its steps in/;
const FORGETS = /^`set N` forgets what was given by name/;
const ENDLESS = /^a wait in a load has an end/;

describe('read_load says all that is wrong, and where', () => {
  it.each<[string, ...RegExp[]]>([
    ['|', NO_STEP],
    ['| ; \n ;', NO_STEP],
    ['  |sett 5', /`sett` is no step of a load: did you mean `set`\?/],
    ['|xyzzy', /steps are incr, decr, .*, hold, repeat$/],
    ['|status; |load; |quit; |trace 5; |help', STEP, STEP, STEP, STEP, STEP],
    ['|rebalance & |drain a', STEP, STEP],
    ['|\u009b31m', /`\\x9b31m` is no step/],
    ['set 5 over 3s; |incr; |set x; |hold; |hold 3 4; |hold 31d', USAGE, USAGE, USAGE, USAGE, USAGE],
    ['|hold 721h', /usage: hold TIME; TIME is at most 30 days/],
    ['|decr 5 over 25h', /usage: decr N .*a ramp takes at most 24h/],
    ['set 5 & |', MISSING],
    ['|& set 5', MISSING],
    ['set 5 &|; incr 3', MISSING],
    ['set 5 & |& incr 3', MISSING],
    ['repeat 2 (set 5 &|)', MISSING],
    ['set 5 & |incr 3', SAME],
    ['|set 5 & incr 3 in a', /^`set N` forgets what was given by name/],
    ['set 5 in a & |decr 3 in a over 2s & set 4 in b', SAME],
    ['rate 5 & |connect-rate 7', SAME],
    ['rate say 5/s & |rate say 7/s over 3s', SAME],
    ['|rate say 5; |rate 5/s over 3s; |rate say 5/s over 25h', USAGE, USAGE, USAGE],
    ['pause & |resume', SAME],
    ['|set 5 & incr 3 in a', FORGETS],
    ['incr 3 on eu & |set 5', FORGETS],
    [`|${Array.from({ length: 101 }, (_, i) => `annotate ${i}`).join(' & ')}`, /^at most 100 commands stand together/],
    [`|repeat 9000 (rate 5 & mark & pause)`, /^a load has at most 20000 commands, this one 27000/],
    ['|wait', ENDLESS],
    ['wait ready within 3s; |wait done 5', ENDLESS],
    ['|wait within 3s & hold 5', ALONE],
    ['hold 5 & |stop', ALONE],
    ['stop; |hold 5; hold 6', AFTER_STOP],
    ['stop; |repeat 2 (hold 5)', AFTER_STOP],
    ['repeat 2 (incr 1; |stop)', /^`stop` ends the run: it cannot be repeated/],
    ['|repeat', REPEAT],
    ['|repeat 0 (pause)', REPEAT],
    ['|repeat 10001 (pause)', REPEAT],
    ['|repeat x (pause; resume); |sett 5', REPEAT, STEP],
    ['|repeat 2 pause; resume', REPEAT],
    ['|repeat (pause)', REPEAT],
    ['repeat 2 |(pause', OPEN],
    ['repeat 2 |(repeat 3 |(pause', OPEN, OPEN],
    ['pause|)', CLOSE],
    ['pause|) resume|); |sett 5', CLOSE, CLOSE, STEP],
    ['repeat 2 |()', NOTHING],
    ['repeat 2 |( ; ;\n)', NOTHING],
    ['repeat 2 (|sett 5)', STEP],
    ['repeat 2 (pause) |resume; |sett 5', /^the steps of a `repeat` are played one after the other/, STEP],
    ['repeat 2 (pause) |& resume', /^the steps of a `repeat` are played one after the other/],
    ['set 5 |(pause)', IN_PARENTHESES],
    ['|(pause)', IN_PARENTHESES],
    ['mark ramp |(is; over) & x; |sett 5', IN_PARENTHESES, STEP],
    ['mark |"ramp', /^this " has no second one/],
    ['mark |\'ramp "is" over', /^this ' has no second one/],
    [`${'repeat 1 ('.repeat(10)}|repeat 1 (pause)${')'.repeat(10)}`, /^at most 10 `repeat` stand in each other/],
    [`|repeat 10000 (pause; resume); |sett 5`, /^this makes 20000 steps of it/, STEP],
    [`repeat 100 (|repeat 101 (repeat 100 (pause)))`, /^this makes 10100 steps of it/],
    [`repeat 10000 (pause); |resume; resume; |sett`, /has more than 10000 steps/, STEP],
  ])('%j', (given, ...messages) => {
    const { text, offsets } = marked(given);
    const { faults } = read_load(text);
    expect(faults.map(({ offset }) => offset)).toEqual(offsets);
    for (const [i, message] of messages.entries()) expect(faults[i]!.message).toMatch(message);
  });

  it('a hundred at most, and a text that is too long as one', () => {
    expect(read_load('sett 5; '.repeat(1000)).faults).toHaveLength(100);
    const longest = `mark ${'x'.repeat(150)}`.padEnd(MAX_LOAD_TEXT);
    expect(read_load(longest).faults).toEqual([]);
    expect(read_load(`${longest} `)).toEqual({
      steps: [],
      faults: [{ offset: 0, message: 'a load has at most 65536 characters, this one 65537: try `repeat`' }],
    });
  });
});

test('groups that the script does not have, each place once', () => {
  const load = read_load('set 5 in a & set 7 in talkes; repeat 3 (incr 1 in x); decr 2 in talkers; wait within 3s');
  expect(load.faults).toEqual([]);
  expect(unknown_groups(load, ['talkers', 'a'])).toEqual([
    { offset: 13, message: 'no group `talkes`: did you mean `talkers`?' },
    { offset: 40, message: 'no group `x`: the script has talkers, a' },
  ]);
});

/** A load as its author means it: how it is written, and what is meant. */
type Meant =
  | { readonly text: string; readonly means: object; readonly thing: string; readonly ms: number }
  | { readonly times: number; readonly body: readonly Meant[][] };

const space = fc.constantFrom(' ', '  ', '\t', ' \r ');
const cased = (word: string): fc.Arbitrary<string> => fc.constantFrom(word, word.toUpperCase());
const time = fc.constantFrom(['0', 0] as const, ['5', 5000] as const, ['1.5s', 1500] as const, ['20ms', 20] as const);
const written = (...words: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(fc.tuple(...words), space).map(([all, between]) => all.join(between));

/** `incr`, `decr` and `set`, with clauses in any order. */
const goal = fc
  .record({
    op: fc.constantFrom('incr', 'decr', 'set'),
    count: fc.integer({ min: 1, max: 10_000_000 }),
    graceful: fc.boolean(),
    group: fc.option(fc.constantFrom('a', 'B_2'), { nil: undefined }),
    label: fc.option(fc.constantFrom('eu', 'x=y.z'), { nil: undefined }),
    over: fc.option(time, { nil: undefined }),
    order: fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
  })
  .chain(({ op, count, graceful, group, label, over, order }) => {
    const is_graceful = op === 'decr' && graceful;
    const clauses = [
      ...(is_graceful ? [[cased('graceful')]] : []),
      ...(group === undefined ? [] : [[cased('in'), fc.constant(group)]]),
      ...(label === undefined ? [] : [[cased('on'), fc.constantFrom(label, `label=${label}`)]]),
      ...(over === undefined ? [] : [[cased('over'), fc.constant(over[0])]]),
    ].sort((a, b) => order[a.length]! - order[b.length]!);
    const ms = over?.[1] ?? 0;
    const means = {
      op,
      count,
      over_ms: ms,
      ...(op === 'decr' && { graceful: is_graceful }),
      ...(group !== undefined && { in: group }),
      ...(label !== undefined && { on: label }),
    };
    const thing = `clients ${group} ${label}`;
    return written(cased(op), fc.constant(`${count}`), ...clauses.flat()).map((text) => ({ text, means, thing, ms }));
  });

const other = fc.oneof(
  fc.tuple(written(cased('hold'), fc.constant('')), time).map(([text, [given, ms]]) => {
    return { text: `${text}${given}`, means: { op: 'hold', ms }, thing: 'hold', ms };
  }),
  fc.tuple(fc.constantFrom('rate', 'connect-rate'), fc.constantFrom(0.5, 1, 1000)).map(([name, per_s]) => {
    return { text: `${name} ${per_s}`, means: { op: 'connect_rate', per_s }, thing: 'rate', ms: 0 };
  }),
  fc
    .record({
      action: fc.constantFrom('say', 'A.say', 'a.b.c-1'),
      rate: fc.constantFrom<[string, number]>(['0/s', 0], ['90/m', 1.5], ['20000/S', 20_000]),
      over: fc.option(time, { nil: undefined }),
      poisson: fc.boolean(),
      first: fc.boolean(),
    })
    .chain(({ action, rate: [given, per_s], over, poisson, first }) => {
      const clauses = [
        ...(over === undefined ? [] : [[cased('over'), fc.constant(over[0])]]),
        ...(poisson ? [[cased('poisson')]] : []),
      ];
      const [over_ms, thing] = [over?.[1] ?? 0, `rate of ${action}`];
      const means = { op: 'rate', action, per_s, over_ms, poisson };
      const ordered = first ? clauses : [...clauses].reverse();
      return written(cased('rate'), fc.constant(action), fc.constant(given), ...ordered.flat()).map((text) => ({
        ...{ text, means, thing, ms: over_ms },
      }));
    }),
  fc
    .record({
      rate: fc.constantFrom<[string, number]>(['0/s', 0], ['90/m', 1.5], ['20000/S', 20_000]),
      over: fc.option(time, { nil: undefined }),
      poisson: fc.boolean(),
      at_most: fc.option(fc.integer({ min: 1, max: 10_000_000 }), { nil: null }),
      group: fc.option(fc.constantFrom('a', 'B_2', 'over', 'in'), { nil: undefined }),
      order: fc.array(fc.nat(9), { minLength: 4, maxLength: 4 }),
    })
    .chain(({ rate: [given, per_s], over, poisson, at_most, group, order }) => {
      const clauses = [
        ...(over === undefined ? [] : [[cased('over'), fc.constant(over[0])]]),
        ...(poisson ? [[cased('poisson')]] : []),
        ...(at_most === null ? [] : [[cased('at_most'), fc.constant(`${at_most}`)]]),
        ...(group === undefined ? [] : [[cased('in'), fc.constant(group)]]),
      ]
        .map((clause, i) => ({ clause, at: order[i]! }))
        .sort((a, b) => a.at - b.at)
        .map(({ clause }) => clause);
      const over_ms = over?.[1] ?? 0;
      const means = { op: 'arrive', per_s, over_ms, poisson, at_most, ...(group !== undefined && { in: group }) };
      return written(cased('arrive'), fc.constant(given), ...clauses.flat()).map((text) => ({
        ...{ text, means, thing: `arrive ${group}`, ms: over_ms },
      }));
    }),
  fc.constantFrom('pause', 'resume').map((op) => ({ text: op, means: { op }, thing: 'pause', ms: 0 })),
  fc.constant({ text: 'retry fatal', means: { op: 'retry_fatal' }, thing: 'retry', ms: 0 }),
  fc
    .tuple(
      fc.constantFrom('mark', 'annotate'),
      fc.constantFrom('a', 'ramp  is over', '"a; b"', "'(x) & y'", `"it's"`, `'"' x`, "don't"),
    )
    .map(([op, text]) => {
      const plain = text.replace(/^(["'])(.*?)\1/, '$2').replace(/ {2,}/g, ' ');
      return { text: `${op} ${text}`, means: { op, text: plain }, thing: `${op} ${op === 'mark' ? '' : text}`, ms: 0 };
    }),
);

const alone = fc
  .record({
    what: fc.constantFrom('open', 'ready', 'done'),
    count: fc.option(fc.integer({ min: 1, max: 99 }), { nil: null }),
    within: time,
  })
  .map(({ what, count, within: [given, within_ms] }) => {
    const words = ['wait', ...(what === 'open' ? [] : [what]), ...(count === null ? [] : [`${count}`])];
    const text = [...words, 'within', given].join(' ');
    return { text, means: { op: 'wait', what, count, within_ms }, thing: 'wait', ms: Infinity };
  });

/** `set N`: what was given by name cannot stand beside it */
const forgets = ({ means, thing }: { readonly means: object; readonly thing: string }): boolean =>
  'op' in means && means.op === 'set' && thing === 'clients undefined undefined';

const together = fc
  .uniqueArray(fc.oneof(goal, other), {
    minLength: 1,
    maxLength: 4,
    selector: ({ thing }) => thing,
  })
  .filter((all) => !all.some(forgets) || !all.some(({ thing }) => /^clients (?!undefined undefined)/.test(thing)));
const { sequence } = fc.letrec<{ sequence: Meant[][]; repeated: Meant[] }>((tie) => ({
  sequence: fc.array(
    fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      together as fc.Arbitrary<Meant[]>,
      alone.map((one): Meant[] => [one]),
      tie('repeated'),
    ),
    { minLength: 1, maxLength: 5 },
  ),
  repeated: fc.record({ times: fc.integer({ min: 1, max: 4 }), body: tie('sequence') }).map((one): Meant[] => [one]),
}));

/** What `read_load` shall make of it. */
interface Expected {
  readonly commands: object[];
  readonly offsets: number[];
  readonly ms: number;
  readonly text: string;
}

/** Writes it down behind `before`. */
function print(
  all: readonly Meant[][],
  before: string,
  between: () => string,
): { readonly text: string; readonly steps: Expected[] } {
  let text = before;
  const steps: Expected[] = [];
  for (const [i, commands] of all.entries()) {
    if (i > 0) text += `${between()}${between().includes('\n') ? '\n' : ';'}${between()}`;
    const [first] = commands;
    if ('times' in first!) {
      const inner = print(first.body, `${text}repeat ${first.times} (${between()}`, between);
      text = `${inner.text})`;
      for (let n = 0; n < first.times; n++) steps.push(...inner.steps);
      continue;
    }
    const start = text.length;
    const step: Expected = { commands: [], offsets: [], ms: 0, text: '' };
    let ms = 0;
    for (const [n, command] of commands.entries()) {
      if ('times' in command) continue;
      if (n > 0) text += `${between().replace('\n', ' ')}&${between().replace('\n', ' ')}`;
      step.commands.push(command.means);
      step.offsets.push(text.length);
      ms = Math.max(ms, command.ms);
      text += command.text;
    }
    steps.push({ ...step, ms, text: text.slice(start) });
  }
  return { text, steps };
}

const played = (all: readonly Meant[][]): number =>
  all.reduce((sum, [one]) => sum + ('times' in one! ? one.times * played(one.body) : 1), 0);

const loads = fc
  .tuple(sequence, fc.boolean(), fc.infiniteStream(fc.constantFrom('', ' ', '\n', '  ')))
  .filter(([all]) => played(all) <= 2000)
  .map(([all, stops, stream]) => {
    const stop: Meant = { text: 'stop', means: { op: 'stop', now: false }, thing: 'stop', ms: Infinity };
    return print(stops ? [...all, [stop]] : all, '', () => stream.next().value as string);
  });

test('what is written is read: commands, places and times, in any layout', () => {
  fc.assert(
    fc.property(loads, ({ text, steps }) => {
      const read = read_load(text);
      expect(read.faults, text).toEqual([]);
      expect(read.steps).toEqual(steps);
      expect(barriers_of(read)).toEqual([
        ...new Set(steps.filter(({ text: one }) => one.startsWith('wait')).map(({ offsets }) => offsets[0]!)),
      ]);
      expect(read_load(text)).toBe(read);
    }),
    { numRuns: 1000 },
  );
});

test('a text that somebody broke is refused or read, never more than it says', () => {
  const piece = fc.constantFrom(
    ...['(', ')', ';', '&', '"', "'", '\n', 'repeat 3 (', 'stop', 'x', '\u2028', '\0', '💥'],
  );
  const blow = fc.record({ at: fc.nat(), cut: fc.nat(6), piece: fc.oneof(piece, fc.string({ maxLength: 3 })) });
  fc.assert(
    fc.property(loads, fc.array(blow, { minLength: 1, maxLength: 4 }), ({ text }, blows) => {
      const broken = blows.reduce((now, { at, cut, piece: put }) => {
        const from = at % (now.length + 1);
        return now.slice(0, from) + put + now.slice(from + cut);
      }, text);
      const { steps, faults } = read_load(broken);
      const offsets = faults.map(({ offset }) => offset);
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      for (const offset of offsets) expect(offset >= 0 && offset <= broken.length).toBe(true);
      expect(steps.length).toBeLessThanOrEqual(MAX_STEPS);
      const stands = ({ offsets: [at], text: said }: LoadStep): boolean => broken.startsWith(said, at);
      expect(steps.filter((step) => !stands(step))).toEqual([]);
      if (faults.length > 0) return;
      // each step says by itself what it means
      const again = read_load(steps.map((step) => step.text).join('; '));
      expect(again.faults).toEqual([]);
      expect(again.steps.map(({ commands, ms }) => ({ commands, ms }))).toEqual(
        steps.map(({ commands, ms }) => ({ commands, ms })),
      );
    }),
    { numRuns: 500 },
  );
});

test('a text is what a terminal can show, as long as it may be', () => {
  const commands = read_load('mark "a\tb\u001b[1m"; annotate "x\ny"').steps.map((step) => step.commands[0]);
  expect(commands).toEqual([
    { op: 'mark', text: 'a\\tb\\x1b[1m' },
    { op: 'annotate', text: 'x\\ny' },
  ]);
  expect(read_load(`mark "${'\t'.repeat(100)}"`).faults).toEqual([]);
  expect(read_load(`mark "${'\t'.repeat(101)}"`).faults).toHaveLength(1);
});

test('as many steps as there may be, written out or repeated', () => {
  expect(read_load('mark\n'.repeat(MAX_STEPS)).steps).toHaveLength(MAX_STEPS);
  expect(read_load('repeat 10 (repeat 10 (repeat 100 (hold 1)))')).toMatchObject({ faults: [] });
  expect(read_load('repeat 5000 (hold 1; hold 2)').steps).toHaveLength(MAX_STEPS);
});

it.each(['(', ')', '"', "'", '"\'', ';', '&', 'x', 'x ', 'repeat 9 (', 'repeat 9999 (pause;', 'a & ', 'mark;', "'x' "])(
  'a text that is full of %j is done with soon',
  (part) => {
    const text = part.repeat(Math.floor(MAX_LOAD_TEXT / part.length));
    const { steps, faults } = read_load(text);
    expect(faults.length).toBeGreaterThan(0);
    expect(steps.length).toBeLessThanOrEqual(MAX_STEPS);
  },
);
