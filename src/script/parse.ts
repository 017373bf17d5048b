/** A script's text → all its faults, or the frozen {@link Script}. */
import { check_shape } from './check-shape.ts';
import { read_document, type SayFault } from './document.ts';
import { position_table, type Fault, type Position } from './fault.ts';
import { read_load_list, type ScriptLoad } from './load-list.ts';
import { find, type Place } from './place.ts';
import { groups_in, type RawGroup } from './raw.ts';
import { to_script } from './to-script.ts';
import { MAIN, type Script } from './types.ts';

/** A group as far as it can be checked against its module. */
export interface CheckableGroup {
  readonly protocol: string;
  /** JSON pointers of what names the module, and of the loops */
  readonly protocol_at: string;
  readonly loops_at: string;
  /** how many loops a client plays at once */
  readonly loops: number;
  /** whose command can be read */
  readonly actions: readonly {
    readonly at: string;
    readonly command: string;
    readonly args: unknown;
    readonly at_once: unknown;
  }[];
}

/** The part of a script that can be checked against its modules: groups whose module's name can be read. */
export interface CheckableScript {
  readonly groups: readonly CheckableGroup[];
  /**
   * Where the value (or its key) at a JSON pointer such as `/actions/0/args/uid` stands in the file. For one that is
   * not in the file it is the place of what should hold it. Undefined when a fault of that value was reported already.
   */
  readonly where: (pointer: string, of?: 'value' | 'key') => Position | undefined;
}

export interface ParsedScript {
  /** deeply frozen, args included */
  readonly script: Script;
  /** the text of its `load:`, and where what stands at `at` in it stands in the file; null: it has none */
  readonly load: { readonly text: string; readonly position: (at: number) => Position } | null;
  readonly rest: CheckableScript;
}

const MAX_BYTES = 1024 * 1024;
/** Faults that are shown: a file with more is no script. The rest is only counted. */
const MAX_FAULTS = 100;

/**
 * Never throws. `file` is the name that faults carry; they are in the order of the file. `rest` is there when the name
 * of a module can be read in spite of the faults.
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
  for (const { pointer, of, message } of check_shape(root.value)) {
    const { key, place } = find(root, pointer);
    if (of === 'value') faulty.add(pointer);
    if (of === 'key' || !place.faulty) found.push({ offset: of === 'key' ? key : place.offset, message });
  }
  const load = read_own_load(root, source, (offset, message) => found.push({ offset, message }));
  const is_known = (pointer: string): boolean => faulty.has(pointer) || find(root, pointer).place.faulty;
  const where: CheckableScript['where'] = (pointer, of = 'value') => {
    if (of === 'value' && is_known(pointer)) return undefined;
    const { key, place } = find(root, pointer);
    return position(of === 'key' ? key : place.offset);
  };
  const groups = groups_in(root.value)
    .filter((group) => typeof group.protocol === 'string' && !is_known(group.protocol_at))
    .map((group) => checkable(group));
  const rest = { groups, where };
  if (found.length === 0) {
    const own = load && { text: load.text, position: (at: number) => position(load.offset(at)) };
    return { script: to_script(root.value as Parameters<typeof to_script>[0]), load: own, rest };
  }
  return { faults: faults(), ...(groups.length > 0 && { rest }) };
}

/** Null: it has none. */
function read_own_load(root: Place, source: string, say: SayFault): ScriptLoad | null {
  const load = root.children?.get('load')?.place;
  if (load === undefined) return null;
  const groups = root.children?.get('groups')?.place.children;
  return read_load_list(load, source, groups === undefined ? [MAIN] : [...groups.keys()], say);
}

const NO_ARGS = Object.freeze({});

const checkable = ({ at, protocol, protocol_at, loops }: RawGroup): CheckableGroup => ({
  protocol: protocol as string,
  protocol_at,
  loops_at: `${at}/loops`,
  loops: loops.length,
  actions: loops
    .flatMap(({ actions }) => actions)
    .flatMap(({ at, raw: { command, args, at_once } }) =>
      typeof command === 'string' ? [{ at, command, args: args ?? NO_ARGS, at_once }] : [],
    ),
});

function shorten(faults: Fault[]): Fault[] {
  const last = faults[MAX_FAULTS];
  if (last === undefined) return faults;
  return [
    ...faults.slice(0, MAX_FAULTS),
    { ...last, message: `${faults.length - MAX_FAULTS} more faults from here on` },
  ];
}
