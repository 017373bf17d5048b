/** What a row of the console's table is made of: its shape, and the words that many rows share. Pure. */
import { parse_duration, UNITS_TEXT } from '../foundation/duration.ts';
import { MAX_TARGET, type Command, type WaitFor } from './command.ts';

/** What a session answers itself, from the summary or its own connection. */
export type SessionRequest =
  | { op: 'status'; json: boolean }
  | WaitFor
  | { op: 'load_state' }
  | { op: 'actions' }
  | { op: 'errors' }
  | { op: 'workers' }
  | { op: 'agents' }
  | { op: 'limits' }
  /** the last so many seconds; the newest so many events */
  | { op: 'series'; seconds: number }
  | { op: 'events'; count: number }
  | { op: 'trace'; id: number; seconds: number }
  | { op: 'help'; name: string | null }
  | { op: 'auth'; token: string }
  | { op: 'quit' };

/** A step of a load that lets time pass. */
export interface Hold {
  readonly op: 'hold';
  readonly ms: number;
}

export type Request = Command | SessionRequest;

export interface Row<Asked = Request> {
  readonly name: string;
  readonly usage: string;
  readonly help: string;
  /** the values that `usage` allows, as far as it does not show them */
  readonly bounds?: string;
  /** takes the words after the name, and their text as it was typed; undefined when they do not fit the usage */
  readonly parse: (words: readonly string[], typed: string) => Asked | undefined;
  /** the words that may follow these, for completion */
  readonly next?: (words: readonly string[]) => readonly string[];
}

const MAX_RAMP_MS = 24 * 3_600_000;
const LABEL = /^[A-Za-z0-9._=-]{1,64}$/;
/** of a group, a loop or an action */
const NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
/** no object of names takes these */
const is_own = (word: string): boolean => !(word in {});
const is_group = (word: string): boolean => NAME.test(word) && is_own(word);

export const COUNT = `a whole number from 1 to ${MAX_TARGET}`;
export const RAMP = `a ramp takes at most 24h; ${UNITS_TEXT}`;

export const is = (word: string | undefined, keyword: string): boolean => word?.toLowerCase() === keyword;

export function whole(word: string | undefined, max: number): number | undefined {
  return /^[1-9][0-9]{0,7}$/.test(word ?? '') && Number(word) <= max ? Number(word) : undefined;
}

/** A count of clients; `least` 0 allows none. */
export const clients = (word: string | undefined, least: 0 | 1): number | undefined =>
  word === '0' && least === 0 ? 0 : whole(word, MAX_TARGET);

/** Reads exactly `keyword TIME`; in ms. `absent` when there are no words. */
export function time<Absent>(
  words: readonly string[],
  keyword: string,
  max_ms: number,
  absent: Absent,
): number | Absent | undefined {
  if (words.length === 0) return absent;
  const ms = words.length === 2 && is(words[0], keyword) ? parse_duration(words[1]!) : undefined;
  return ms !== undefined && ms <= max_ms ? ms : undefined;
}

const ACTION = new RegExp(`^${NAME.source.slice(1, -1)}(\\.${NAME.source.slice(1, -1)}){0,2}$`);

/** `[group.][loop.]action` */
export const action = (word: string | undefined): string | undefined =>
  word !== undefined && ACTION.test(word) ? word : undefined;

/** How a rate gets to its new value. */
interface Change {
  over_ms: number;
  poisson: boolean;
}

/** `[over TIME] [poisson]` in any order, each once. */
export function change(words: readonly string[]): Change | undefined {
  const found: Change = { over_ms: 0, poisson: false };
  const seen = new Set<string>();
  for (let i = 0; i < words.length; i++) {
    const keyword = words[i]!.toLowerCase();
    if (seen.has(keyword)) return undefined;
    seen.add(keyword);
    if (keyword === 'poisson') {
      found.poisson = true;
      continue;
    }
    const ms = keyword === 'over' ? parse_duration(words[++i] ?? '') : undefined;
    if (ms === undefined || ms > MAX_RAMP_MS) return undefined;
    found.over_ms = ms;
  }
  return found;
}

/** How clients arrive: which of them, and as {@link change} their rate. */
interface Arrival extends Change {
  at_most: number | null;
  in?: string;
}

/** `[over TIME] [poisson] [at_most N] [in GROUP]` in any order, each once. */
export function arrival(words: readonly string[]): Arrival | undefined {
  const found: Omit<Arrival, keyof Change> = { at_most: null };
  const others: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [word, value = ''] = [words[i]!, words[i + 1]];
    if (is(word, 'at_most') && found.at_most === null) {
      const most = clients(value, 1);
      if (most === undefined) return undefined;
      found.at_most = most;
    } else if (is(word, 'in') && found.in === undefined) {
      if (!is_group(value)) return undefined;
      found.in = value;
    } else {
      others.push(word);
      if (!is(word, 'over')) continue;
      others.push(value);
    }
    i++;
  }
  const how = change(others);
  return how && { ...how, ...found };
}

/** What stands behind the number of `incr`, `decr` and `set`. */
interface Clauses {
  in?: string;
  on?: string;
  over_ms: number;
  graceful: boolean;
}

/** `[graceful] [in GROUP] [on LABEL] [over TIME]` in any order, each once; `on label=eu` says the same as `on eu`. */
export function clauses(words: readonly string[]): Clauses | undefined {
  const found: Clauses = { over_ms: 0, graceful: false };
  const seen = new Set<string>();
  for (let i = 0; i < words.length; i++) {
    const keyword = words[i]!.toLowerCase();
    if (seen.has(keyword)) return undefined;
    seen.add(keyword);
    if (keyword === 'graceful') {
      found.graceful = true;
      continue;
    }
    const value = words[++i];
    if (value === undefined) return undefined;
    if (keyword === 'in' && is_group(value)) found.in = value;
    else if (keyword === 'on') {
      const label = value.replace(/^label=/i, '');
      if (!LABEL.test(label) || !is_own(label)) return undefined;
      found.on = label;
    } else if (keyword === 'over') {
      const ms = parse_duration(value);
      if (ms === undefined || ms > MAX_RAMP_MS) return undefined;
      found.over_ms = ms;
    } else return undefined;
  }
  return found;
}

/** Completion behind the first `least` words: the clauses that are not there yet. */
export function next_clause(words: readonly string[], all: readonly string[], least = 1): readonly string[] {
  const last = words.at(-1)?.toLowerCase() ?? '';
  const wants_value = words.length > least && ['in', 'on', 'over', 'at_most'].includes(last);
  if (words.length < least || wants_value) return [];
  return all.filter((keyword) => !words.some((word) => is(word, keyword)));
}

/** A row without values: `request` when nothing, or exactly `keyword`, follows the name. */
export function fixed<Asked extends { readonly op: string }>(
  name: string,
  help: string,
  request: Asked,
  keyword?: string,
): Row<Asked> {
  const words = keyword === undefined ? [] : [keyword];
  return {
    name,
    usage: [name, ...words].join(' '),
    help,
    parse: (given) =>
      given.length === words.length && words.every((word, i) => is(given[i], word)) ? request : undefined,
    next: (given) => (given.length === 0 ? words : []),
  };
}

export function optional<Asked>(
  name: string,
  keyword: string,
  help: string,
  request: (given: boolean) => Asked,
): Row<Asked> {
  return {
    name,
    usage: `${name} [${keyword}]`,
    help,
    parse: (words) =>
      words.length === 0 ? request(false) : words.length === 1 && is(words[0], keyword) ? request(true) : undefined,
    next: (words) => (words.length === 0 ? [keyword] : []),
  };
}

/** A row with one number, `most` at most and `usual` if left out. */
export function counted<Asked>(
  name: string,
  value: string,
  most: number,
  usual: number,
  help: string,
  request: (n: number) => Asked,
): Row<Asked> {
  return {
    name,
    usage: `${name} [${value}]`,
    help: `${help}; at most ${most}, ${usual} if left out`,
    bounds: `${value} is a whole number from 1 to ${most}`,
    parse(words) {
      const n = words.length === 0 ? usual : whole(words[0], most);
      return n === undefined || words.length > 1 ? undefined : request(n);
    },
  };
}
