/** A script's text → all its faults, or the frozen {@link Script}. */
import { Ajv } from 'ajv';
import { RESERVED_EXPORTS } from '../protocols/module.ts';
import { deep_freeze } from '../foundation/freeze.ts';
import { read_document, type SayFault } from './document.ts';
import { position_table, type Fault, type Position } from './fault.ts';
import { read_load_list, type ScriptLoad } from './load-list.ts';
import { find, type Place } from './place.ts';
import { is_range, to_range } from './range.ts';
import { MAX_ACTIONS, RANGE_KEYS, RANGES, SCRIPT_SCHEMA, type RangeKey } from './schema.ts';
import { MAIN, type Action, type Range, type Loop, type Script, type ThinkTime } from './types.ts';
import { findings, label, shown, type Finding } from './wording.ts';

export interface ParsedScript {
  /** deeply frozen, args included */
  readonly script: Script;
  /** the text of its `load:`, and where what stands at `at` in it stands in the file; null: it has none */
  readonly load: { readonly text: string; readonly position: (at: number) => Position } | null;
  /**
   * Where the value (or its key) at a JSON pointer such as `/actions/0/args/uid` stands in the file. For one that is
   * not in the file it is the place of what should hold it.
   */
  readonly where: (pointer: string, of?: 'value' | 'key') => Position;
}

/**
 * The part of a script that can be checked against its module: if it has faults, the actions whose command can be read.
 */
export interface CheckableScript {
  readonly script: {
    readonly protocol: string;
    readonly actions: readonly (Pick<Action, 'index' | 'command'> & { readonly args: unknown })[];
  };
  /** As in {@link ParsedScript}; undefined when a fault of that value was reported already. */
  readonly where: (pointer: string, of?: 'value' | 'key') => Position | undefined;
}

const MAX_BYTES = 1024 * 1024;
/** Faults that are shown: a file with more is no script. The rest is only counted. */
const MAX_FAULTS = 100;

const validate = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true }).compile(SCRIPT_SCHEMA);

/**
 * Never throws. `file` is the name that faults carry; they are in the order of the file. `rest` is there when the name
 * of the module can be read in spite of the faults.
 */
export function parse_script(text: string, file: string): ParsedScript | { faults: Fault[]; rest?: CheckableScript } {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES)
    return {
      faults: [{ file, line: 1, column: 1, message: `the file has ${bytes} bytes, a script at most ${MAX_BYTES}` }],
    };
  const source = text.replace(/^\ufeff/, '');
  const position = position_table(source);
  const found: { offset: number; message: string }[] = [];
  const faults = (): Fault[] =>
    shorten(
      found.sort((a, b) => a.offset - b.offset).map(({ offset, message }) => ({ file, ...position(offset), message })),
    );
  const root = read_document(source, (offset, message) => found.push({ offset, message }));
  if (root === undefined) return { faults: faults() };

  const faulty = new Set<string>();
  for (const { pointer, of, message } of check_shape(root)) {
    const { key, place } = find(root, pointer);
    if (of === 'value') faulty.add(pointer);
    if (of === 'key' || !place.faulty) found.push({ offset: of === 'key' ? key : place.offset, message });
  }
  const load = read_own_load(root, source, (offset, message) => found.push({ offset, message }));
  const where: ParsedScript['where'] = (pointer, of = 'value') => {
    const { key, place } = find(root, pointer);
    return position(of === 'key' ? key : place.offset);
  };
  if (found.length === 0) {
    const own = load && { text: load.text, position: (at: number) => position(load.offset(at)) };
    return { script: to_script(root.value as RawScript), load: own, where };
  }

  const is_known = (pointer: string): boolean => faulty.has(pointer) || find(root, pointer).place.faulty;
  const script = is_known('/protocol') ? undefined : readable(root.value);
  if (script === undefined) return { faults: faults() };
  return {
    faults: faults(),
    rest: { script, where: (pointer, of) => (of !== 'key' && is_known(pointer) ? undefined : where(pointer, of)) },
  };
}

/** Null: it has none. */
function read_own_load(root: Place, source: string, say: SayFault): ScriptLoad | null {
  const load = root.children?.get('load')?.place;
  if (load === undefined) return null;
  const groups = root.children?.get('groups')?.place.children;
  return read_load_list(load, source, groups === undefined ? [MAIN] : [...groups.keys()], say);
}

/** The parts of a faulty script that have the right types. */
function readable(value: unknown): CheckableScript['script'] | undefined {
  const { protocol, actions } = value as Partial<Record<string, unknown>>;
  if (typeof protocol !== 'string') return undefined;
  const listed: readonly unknown[] = Array.isArray(actions) ? actions.slice(0, MAX_ACTIONS) : [];
  return {
    protocol,
    actions: listed.flatMap((action, index) => {
      const { command, args } = (action ?? {}) as Partial<Record<string, unknown>>;
      return typeof command === 'string' ? [{ index, command, args: args ?? NO_ARGS }] : [];
    }),
  };
}

function shorten(faults: Fault[]): Fault[] {
  const last = faults[MAX_FAULTS];
  if (last === undefined) return faults;
  return [
    ...faults.slice(0, MAX_FAULTS),
    { ...last, message: `${faults.length - MAX_FAULTS} more faults from here on` },
  ];
}

/** An action of the file, as the schema leaves it. */
interface RawAction extends Readonly<Partial<Record<RangeKey, number | Range>>> {
  readonly command: string;
  readonly args?: Readonly<Record<string, unknown>> | null;
}
interface RawScript {
  readonly protocol: string;
  readonly actions: readonly RawAction[];
}

const NO_ARGS = Object.freeze({});

function to_script({ protocol, actions }: RawScript): Script {
  const range = (action: RawAction, key: RangeKey): Range => to_range(action[key] ?? RANGES[key].default);
  const filled = actions.map((action, index): Action =>
    Object.freeze({
      index,
      name: action.command,
      command: action.command,
      args: action.args ?? NO_ARGS,
      rounds: range(action, 'rounds'),
      sleep_between_rounds: range(action, 'sleep_between_rounds'),
      sleep_after_action: range(action, 'sleep_after_action'),
    }),
  );
  const loop = { name: MAIN, actions: filled, iterations: null, sleep_between_iterations: to_range(0) };
  return deep_freeze({ groups: [{ name: MAIN, share: 1, protocol, loops: [loop], iterations_in_all: null }] });
}

type Wrong = Pick<Finding, 'pointer' | 'of' | 'message'>;

function check_shape(root: Place): Wrong[] {
  validate(root.value);
  const wrong: Wrong[] = [];
  for (const each of findings(validate.errors ?? [], 'the script')) {
    const { pointer, of } = each;
    // the schema cannot say enough about ranges and reserved names: check_action does
    if (/^\/actions\/\d+\/(rounds|sleep_\w+)(\/|$)/.test(pointer) && of === 'value') continue;
    if (/^\/load(\/|$)/.test(pointer)) continue;
    if (each.keyword === 'not') continue;
    wrong.push({ pointer, of, message: SAID[`${pointer} ${each.keyword}`] ?? each.message });
  }
  const { actions } = (root.value ?? {}) as { actions?: unknown };
  if (Array.isArray(actions)) {
    actions
      .slice(0, MAX_ACTIONS)
      .forEach((action: unknown, index) => wrong.push(...check_action(action, `/actions/${index}`)));
  }
  if (wrong.length === 0 && can_spin(to_script(root.value as RawScript).groups[0]!.loops[0]!))
    wrong.push({ pointer: '/actions', of: 'key', message: SPINS });
  return wrong;
}

/** Better words than the general ones, by pointer and keyword. */
const SAID: Readonly<Record<string, string>> = {
  '/protocol pattern':
    '`protocol` must be the plain name of a module: letters, digits, `_` and `-`, no path and no ending',
  '/actions minItems': '`actions` is empty: a script has at least one action',
  '/actions maxItems': `\`actions\` has more than ${MAX_ACTIONS} actions`,
};
const SPINS =
  'an iteration can pass without a round or a sleep: every `rounds` can be 0 and every sleep is 0, so that clients would spin for ever';

function check_action(action: unknown, pointer: string): Wrong[] {
  if (typeof action !== 'object' || action === null || Array.isArray(action)) return [];
  const raw = action as Readonly<Record<string, unknown>>;
  const wrong = RANGE_KEYS.flatMap((key) =>
    Object.hasOwn(raw, key) ? check_range(key, raw[key], `${pointer}/${key}`) : [],
  );
  const command = raw['command'];
  if ((RESERVED_EXPORTS as readonly unknown[]).includes(command)) {
    const message = `\`${String(command)}\` is an export with a meaning of its own, not a command`;
    wrong.push({ pointer: `${pointer}/command`, of: 'value', message });
  }
  return wrong;
}

function check_range(key: RangeKey, value: unknown, pointer: string): Wrong[] {
  const { integer, max } = RANGES[key];
  const number = `${integer ? 'a whole number' : 'a number of seconds'} from 0 to ${max}`;
  const fits = (each: unknown): each is number =>
    typeof each === 'number' && each >= 0 && each <= max && (!integer || Number.isInteger(each));
  const at = (where: string, message: string): Wrong => ({ pointer: where, of: 'value', message });
  if (!Array.isArray(value)) {
    return fits(value)
      ? []
      : [at(pointer, `\`${key}\` must be ${number}, or a range [from, to] of two such, not ${shown(value)}`)];
  }
  const ends = value as unknown[];
  if (ends.length !== 2)
    return [at(pointer, `\`${key}\`: a range is exactly two numbers [from, to], this one has ${ends.length}`)];
  const wrong = ends.flatMap((each, i) => {
    const place = `${pointer}/${i}`;
    return fits(each) ? [] : [at(place, `\`${label(place)}\` must be ${number}, not ${shown(each)}`)];
  });
  const [from, to] = ends as [number, number];
  if (wrong.length === 0 && from > to)
    wrong.push(at(pointer, `\`${key}\`: the range is reversed, did you mean [${to}, ${from}]?`));
  return wrong;
}

/** Whether an iteration can ever pass in no time. A sleep counts only if it can be reached. */
function can_spin({ actions, sleep_between_iterations }: Loop): boolean {
  return (
    !can_pass(sleep_between_iterations) &&
    actions.every(
      ({ rounds, sleep_between_rounds, sleep_after_action }) =>
        rounds[0] === 0 && !can_pass(sleep_after_action) && (rounds[1] === 0 || !can_pass(sleep_between_rounds)),
    )
  );
}

/** Whether it ever takes time. */
const can_pass = (sleep: ThinkTime): boolean => !is_range(sleep) || sleep[1] > 0;
