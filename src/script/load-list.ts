/** The `load:` of a script: a list of steps, or one text of them → the text that is played, and where each part stands. */
import { read_load, unknown_groups } from '../grammar/load-text.ts';
import type { SayFault } from './document.ts';
import type { Place } from './place.ts';
import { shown } from './wording.ts';

export interface ScriptLoad {
  /** as `--load` takes it */
  readonly text: string;
  /** where what stands at `at` in the text stands in the file, characters from its start */
  readonly offset: (at: number) => number;
}

const REPEAT = /^repeat +[0-9]+$/i;

/** A part of the text that stands in the file. `exact`: letter by letter. */
interface Part {
  readonly at: number;
  readonly offset: number;
  readonly exact: boolean;
}

/** `source`: the whole file. What is no step is a fault, and left out. */
function join_load(load: Place, source: string, say: SayFault): ScriptLoad {
  const parts: Part[] = [];
  let text = '';
  const add = (more: string, offset: number, exact: boolean): void => {
    parts.push({ at: text.length, offset, exact });
    text += more;
  };
  const add_text = (place: Place, value: string): void => {
    // behind the quote, if there is one
    const begin = source.startsWith(value, place.offset) ? place.offset : place.offset + 1;
    const exact = source.startsWith(value, begin);
    add(value, exact ? begin : place.offset, exact);
  };
  const add_list = (place: Place): void => {
    for (const [n, { place: step }] of [...(place.children?.values() ?? [])].entries()) {
      if (n > 0 && text !== '' && !/[;(] ?$/.test(text)) add('; ', step.offset, false);
      add_step(step);
    }
  };
  const add_step = (step: Place): void => {
    const { value, children } = step;
    if (typeof value === 'string') return add_text(step, value);
    const [entry] = children ?? [];
    const is_list = Array.isArray(value);
    if (is_list || entry === undefined || children!.size > 1 || !REPEAT.test(entry[0])) {
      if (!step.faulty) say(step.offset, no_step(value));
      return;
    }
    const [key, { key: offset, place }] = entry;
    if (!Array.isArray(place.value))
      return say(place.offset, `\`${key}\` takes a list of steps, not ${shown(place.value)}`);
    add(`${key} (`, offset, true);
    add_list(place);
    add(')', place.offset, false);
  };
  if (typeof load.value === 'string') add_text(load, load.value);
  else if (Array.isArray(load.value)) add_list(load);
  else if (!load.faulty)
    say(load.offset, `\`load\` must be a list of steps, or one text of them, not ${shown(load.value)}`);
  return {
    text,
    offset(at) {
      const part = parts.findLast((one) => one.at <= at);
      return part === undefined ? load.offset : part.offset + (part.exact ? at - part.at : 0);
    },
  };
}

const no_step = (value: unknown): string =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? 'a step is a text, or `repeat N:` with a list of steps; a text with `: ` or ` #` in it stands in quotes'
    : `a step is a text such as \`set 1000 over 30s\`, not ${shown(value)}`;

/** All that is wrong in it goes to `say`. `groups`: their names. */
export function read_load_list(load: Place, source: string, groups: readonly string[], say: SayFault): ScriptLoad {
  let is_whole = true;
  const joined = join_load(load, source, (offset, message) => {
    is_whole = false;
    say(offset, message);
  });
  const read = read_load(joined.text);
  // a step that was left out may have been the only one
  const faults = is_whole || joined.text !== '' ? read.faults : [];
  for (const { offset, message } of [...faults, ...unknown_groups(read, groups)]) say(joined.offset(offset), message);
  return joined;
}
