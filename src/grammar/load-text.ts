/**
 * The text of a load: commands of the console, one after the other. Pure.
 *
 *     set 1000 over 30s; wait within 1m; set 5000 over 2m & connect-rate 200; repeat 3 (incr 10; hold 20s); stop
 *
 * `;` or a line's end: the next step begins when this one is over. `&`: together. `repeat N (…)`: N times. Words with
 * one of `; & ( )` in them stand in quotes, `"…"` or `'…'`.
 */
import { escape_text } from '../foundation/escape.ts';
import { nearest } from '../foundation/suggest.ts';
import { whole, type Row } from './rows.ts';
import { HOLD, STEP_ROWS, type StepCommand } from './step-rows.ts';

/** after `repeat` */
export const MAX_STEPS = 10_000;
/** characters: the text travels with the plan of a swarm of many machines */
export const MAX_LOAD_TEXT = 65_536;
const MAX_DEPTH = 10;
/** commands of one step: one for each group */
const MAX_TOGETHER = 100;
/** of all steps together, after `repeat` */
const MAX_COMMANDS = 20_000;
const MAX_FAULTS = 100;

/** What is wrong in a text, and where: characters from its start. */
export interface TextFault {
  readonly offset: number;
  readonly message: string;
}

export interface LoadStep {
  /** that begin at once; at least one */
  readonly commands: readonly StepCommand[];
  /** where each of them stands */
  readonly offsets: readonly number[];
  /** until the next step begins; Infinity: when somebody says so (`wait`), or never (`stop`) */
  readonly ms: number;
  /** as it was written */
  readonly text: string;
}

export interface LoadSteps {
  /** `repeat` played out */
  readonly steps: readonly LoadStep[];
  /** in the order of the text; if there are any, `steps` may lack some */
  readonly faults: readonly TextFault[];
}

const SAME_THING = 'two commands of one step steer the same thing: one after the other, with `;`';

const ROWS: readonly Row<StepCommand>[] = [...STEP_ROWS, HOLD];
const NAMES = [...ROWS.map(({ name }) => name), 'repeat'];

/** The last ones that were read: everybody in a process asks for the same. */
const known = new Map<string, LoadSteps>();
const MAX_KNOWN = 4;

/** All steps of a load, and all that is wrong with it. */
export function read_load(text: string): LoadSteps {
  const before = known.get(text);
  if (before) return before;
  const read = text.length > MAX_LOAD_TEXT ? too_long(text) : new LoadReader(text).read();
  known.set(text, read);
  if (known.size > MAX_KNOWN) known.delete(known.keys().next().value!);
  return read;
}

/** The groups that the load speaks of and that are not among `names`. */
export const unknown_groups = ({ steps }: LoadSteps, names: readonly string[]): TextFault[] => {
  const found = new Map<number, string>();
  for (const { commands, offsets } of steps)
    for (const [i, command] of commands.entries()) {
      const group = 'in' in command ? command.in : undefined;
      if (group === undefined || names.includes(group)) continue;
      const meant = nearest(group, names);
      const advice = meant === undefined ? `the script has ${names.join(', ')}` : `did you mean \`${meant}\`?`;
      found.set(offsets[i]!, `no group \`${group}\`: ${advice}`);
    }
  return [...found].map(([offset, message]) => ({ offset, message }));
};

/**
 * What is wrong with the rates that the load steers. `find` says what a name means: the key of an action, or why there
 * is none.
 */
export function rate_faults(
  { steps }: LoadSteps,
  find: (action: string) => { key: string } | { why: string },
): TextFault[] {
  const found = new Map<number, string>();
  for (const { commands, offsets } of steps) {
    const seen = new Set<string>();
    for (const [i, command] of commands.entries()) {
      if (command.op !== 'rate') continue;
      const meant = find(command.action);
      if ('why' in meant) found.set(offsets[i]!, meant.why);
      else if (seen.has(meant.key)) found.set(offsets[i]!, SAME_THING);
      else seen.add(meant.key);
    }
  }
  return [...found].map(([offset, message]) => ({ offset, message }));
}

/** The actions whose rates the load steers, as it calls them, in the order in which it does. */
export const rates_steered = ({ steps }: LoadSteps): string[] => [
  ...new Set(steps.flatMap(({ commands }) => commands.flatMap((one) => (one.op === 'rate' ? [one.action] : [])))),
];

/** Where a load waits for clients: it cannot be said beforehand how long. */
export const barriers_of = ({ steps }: LoadSteps): number[] => [
  ...new Set(steps.flatMap(({ commands, offsets }) => (commands[0]!.op === 'wait' ? [offsets[0]!] : []))),
];

/** The labels that the load speaks of, each with where it does first. */
export function labels_in({ steps }: LoadSteps): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const { commands, offsets } of steps)
    for (const [i, command] of commands.entries())
      if ('on' in command && command.on !== undefined && !found.has(command.on)) found.set(command.on, offsets[i]!);
  return found;
}

const too_long = ({ length }: { readonly length: number }): LoadSteps => ({
  steps: [],
  faults: [
    { offset: 0, message: `a load has at most ${MAX_LOAD_TEXT} characters, this one ${length}: try \`repeat\`` },
  ],
});

interface Lexeme {
  readonly kind: 'word' | ';' | '&' | '(' | ')';
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

const QUOTE = /["']/y;
const WORD = /[^\s;&()]+/y;

class LoadReader {
  readonly #text: string;
  readonly #tokens: readonly Lexeme[];
  readonly #faults: TextFault[] = [];
  #at = 0;
  /** where a step ends the run: nothing follows it */
  #stop: number | null = null;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = this.#split();
  }

  read(): LoadSteps {
    const steps = this.#sequence(0);
    for (let more = this.#tokens[this.#at]; more; more = this.#tokens[this.#at]) {
      this.#fault(more.from, 'this `)` closes nothing');
      this.#at++;
      this.#sequence(0);
    }
    if (steps.length === 0 && this.#faults.length === 0)
      this.#fault(0, 'a load has at least one step, such as `set 1000 over 30s`');
    const commands = steps.reduce((all, step) => all + step.commands.length, 0);
    if (commands > MAX_COMMANDS) this.#fault(0, `a load has at most ${MAX_COMMANDS} commands, this one ${commands}`);
    const faults = this.#faults.sort((a, b) => a.offset - b.offset);
    return { steps, faults };
  }

  #fault(offset: number, message: string): void {
    if (this.#faults.length < MAX_FAULTS) this.#faults.push({ offset, message });
  }

  #split(): Lexeme[] {
    const tokens: Lexeme[] = [];
    const text = this.#text;
    for (let at = 0; at < text.length;) {
      const char = text[at]!;
      if (char === ';' || char === '&' || char === '(' || char === ')')
        tokens.push({ kind: char, text: char, from: at, to: ++at });
      else if (char === '\n') tokens.push({ kind: ';', text: ';', from: at, to: ++at });
      else if (/\s/.test(char)) at++;
      else {
        const token = this.#word(at);
        tokens.push(token);
        at = token.to;
      }
    }
    return tokens;
  }

  #word(from: number): Lexeme {
    const text = this.#text;
    QUOTE.lastIndex = WORD.lastIndex = from;
    const quote = QUOTE.exec(text)?.[0];
    if (quote !== undefined) {
      const end = text.indexOf(quote, from + 1);
      if (end >= 0) return { kind: 'word', text: text.slice(from + 1, end), from, to: end + 1 };
      this.#fault(from, `this ${quote} has no second one`);
    }
    const word = WORD.exec(text)![0];
    return { kind: 'word', text: word, from, to: from + word.length };
  }

  /** Steps until `)` or the end. */
  #sequence(depth: number): LoadStep[] {
    const steps: LoadStep[] = [];
    let has_room = true;
    for (let token = this.#tokens[this.#at]; token && token.kind !== ')'; token = this.#tokens[this.#at]) {
      if (token.kind === ';') {
        this.#at++;
        continue;
      }
      if (this.#stop !== null) {
        this.#fault(token.from, 'nothing is played after `stop`: leave this out, or put `stop` at the end');
        this.#stop = null;
      }
      const is_repeat = token.kind === 'word' && token.text.toLowerCase() === 'repeat';
      const more = is_repeat ? this.#repeat(depth) : this.#step(depth);
      const fits = steps.length + more.length <= MAX_STEPS;
      if (fits && has_room) steps.push(...more);
      else if (has_room)
        this.#fault(token.from, `with this the load has more than ${MAX_STEPS} steps: make them fewer and longer`);
      has_room &&= fits;
    }
    return steps;
  }

  #repeat(depth: number): LoadStep[] {
    const head = this.#tokens[this.#at++]!;
    const [count, open] = [this.#tokens[this.#at], this.#tokens[this.#at + 1]];
    const times = whole(count?.text, MAX_STEPS);
    if (times === undefined || open?.kind !== '(') {
      this.#fault(head.from, `usage: repeat N (STEPS); N is a whole number from 1 to ${MAX_STEPS}`);
      this.#skip();
      return [];
    }
    if (depth === MAX_DEPTH) {
      this.#fault(head.from, `at most ${MAX_DEPTH} \`repeat\` stand in each other`);
      this.#skip();
      return [];
    }
    this.#at += 2;
    const before = this.#faults.length;
    const steps = this.#sequence(depth + 1);
    if (this.#tokens[this.#at]?.kind === ')') this.#at++;
    else this.#fault(open.from, 'this `(` is not closed');
    const after = this.#tokens[this.#at];
    if (after && after.kind !== ';' && after.kind !== ')') {
      this.#fault(after.from, 'the steps of a `repeat` are played one after the other: put `;` before this');
      this.#skip();
    }
    if (steps.length === 0 && this.#faults.length === before) this.#fault(open.from, 'there is nothing to repeat');
    if (steps.length * times > MAX_STEPS) {
      const all = steps.length * times;
      this.#fault(head.from, `this makes ${all} steps of it, a load has at most ${MAX_STEPS}: fewer and longer ones`);
      return steps;
    }
    return Array.from({ length: times }, () => steps).flat();
  }

  /** Commands with `&` between them, up to `;`, `)` or the end. */
  #step(depth: number): LoadStep[] {
    const start = this.#tokens[this.#at]!;
    const commands: StepCommand[] = [];
    const offsets: number[] = [];
    let [is_good, end] = [true, start.from];
    for (let more = true; more;) {
      const first = this.#tokens[this.#at];
      const words: Lexeme[] = [];
      for (let token = first; token?.kind === 'word'; token = this.#tokens[this.#at]) {
        words.push(token);
        this.#at++;
      }
      const next = this.#tokens[this.#at];
      if (next?.kind === '(') {
        this.#fault(next.from, 'only `repeat N` has its steps in `( )`; a text with one in it stands in quotes');
        this.#skip();
        return [];
      }
      const command = words.length > 0 ? this.#command(words) : null;
      if (words.length === 0) this.#fault(next?.from ?? this.#text.length, 'a command is missing here');
      if (command === null) is_good = false;
      else {
        commands.push(command);
        offsets.push(words[0]!.from);
      }
      end = words.at(-1)?.to ?? end;
      more = next?.kind === '&';
      if (more) this.#at++;
    }
    if (commands.length > MAX_TOGETHER)
      this.#fault(start.from, `at most ${MAX_TOGETHER} commands stand together, these are ${commands.length}`);
    else if (is_good && !this.#fits(commands, offsets, depth)) is_good = false;
    if (!is_good || commands.length > MAX_TOGETHER) return [];
    return [{ commands, offsets, ms: Math.max(...commands.map(duration)), text: this.#text.slice(start.from, end) }];
  }

  #command(words: readonly Lexeme[]): StepCommand | null {
    const [head, ...rest] = words as [Lexeme, ...Lexeme[]];
    const name = head.text.toLowerCase();
    const row = ROWS.find((one) => one.name === name);
    if (!row) {
      const meant = nearest(name, NAMES);
      const advice = meant === undefined ? `steps are ${NAMES.join(', ')}` : `did you mean \`${meant}\`?`;
      this.#fault(head.from, `\`${escape_text(head.text, 40)}\` is no step of a load: ${advice}`);
      return null;
    }
    const command = row.parse(
      rest.map(({ text }) => text),
      '',
    );
    if (!command) {
      this.#fault(head.from, `usage: ${row.usage}${row.bounds === undefined ? '' : `; ${row.bounds}`}`);
      return null;
    }
    return command;
  }

  /** Whether the commands of a step can stand together, and here. */
  #fits(commands: readonly StepCommand[], offsets: readonly number[], depth: number): boolean {
    const before = this.#faults.length;
    const seen = new Set<string>();
    for (const [i, command] of commands.entries()) {
      const offset = offsets[i]!;
      const thing = thing_of(command);
      if (seen.has(thing)) this.#fault(offset, SAME_THING);
      seen.add(thing);
      const forgets = command.op === 'set' && command.in === undefined && command.on === undefined;
      const named = (one: StepCommand): boolean =>
        'over_ms' in one && one.op !== 'rate' && (one.in ?? one.on) !== undefined;
      if (forgets && commands.some(named))
        this.#fault(offset, '`set N` forgets what was given by name: put it into a step of its own, before the others');
      if (command.op === 'wait' && command.within_ms === null)
        this.#fault(offset, 'a wait in a load has an end, so that the load has one: `wait within 1m`');
      if (commands.length > 1 && (command.op === 'wait' || command.op === 'stop'))
        this.#fault(offset, `\`${command.op}\` is a step of its own: put \`;\` in place of \`&\``);
      if (command.op === 'stop' && depth > 0)
        this.#fault(offset, '`stop` ends the run: it cannot be repeated, put it behind the `repeat`');
      else if (command.op === 'stop') this.#stop = offset;
    }
    return this.#faults.length === before;
  }

  /** Goes on behind a fault: at the next `;` that is not inside of parentheses, or at their end. */
  #skip(): void {
    for (let depth = 0; this.#at < this.#tokens.length; this.#at++) {
      const { kind } = this.#tokens[this.#at]!;
      if (depth === 0 && (kind === ';' || kind === ')')) return;
      if (kind === '(') depth++;
      else if (kind === ')') depth--;
    }
  }
}

function duration(command: StepCommand): number {
  if (command.op === 'hold') return command.ms;
  if (command.op === 'wait' || command.op === 'stop') return Infinity;
  return 'over_ms' in command ? command.over_ms : 0;
}

/** What a command steers: two of them at once would contradict each other. */
function thing_of(command: StepCommand): string {
  if (command.op === 'rate') return `rate ${command.action}`;
  if ('over_ms' in command) return `clients ${command.in ?? ''} ${command.on ?? ''}`;
  return command.op === 'resume' ? 'pause' : command.op === 'annotate' ? `annotate ${command.text}` : command.op;
}
