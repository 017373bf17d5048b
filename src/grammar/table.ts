/**
 * The console's grammar: one table for parsing, help, completion and docs/console.md (a test compares the two, both
 * ways). Pure.
 */
import { parse_duration, UNITS_TEXT } from '../foundation/duration.ts';
import { escape_text } from '../foundation/escape.ts';
import { parse_rate } from '../foundation/rate.ts';
import { nearest } from '../foundation/suggest.ts';
import { MAX_TRACE_S, type Command } from './command.ts';

/** What a session answers itself, from the summary or its own connection. */
export type SessionRequest =
  | { op: 'status'; json: boolean }
  /** `count` null: as many as the target says */
  | { op: 'wait'; count: number | null; within_ms: number }
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

export type Request = Command | SessionRequest;

export type Parsed = { ok: true; request: Request } | { ok: false; code: 'bad_command'; reason: string };

interface Row {
  readonly name: string;
  readonly usage: string;
  readonly help: string;
  /** the values that `usage` allows, as far as it does not show them */
  readonly bounds?: string;
  /** takes the words after the name; undefined when they do not fit the usage */
  readonly parse: (words: readonly string[]) => Request | undefined;
  /** the words that may follow these, for completion */
  readonly next?: (words: readonly string[]) => readonly string[];
}

const MAX_COUNT = 10_000_000;
const MAX_RAMP_MS = 24 * 3_600_000;
const WAIT_MS = 60_000;
const MAX_WAIT_MS = 3_600_000;
const TRACE_S = 10;
const SERIES_S = 10;
const MAX_SERIES_S = 3600;
const EVENTS = 20;
const MAX_EVENTS = 1000;
const MAX_MARK = 200;
const AGENT = /^[A-Za-z0-9_-]{1,64}$/;
const LABEL = /^[A-Za-z0-9._=-]{1,64}$/;
/** no object of names takes these */
const is_label = (word: string): boolean => LABEL.test(word) && !(word in {});

const COUNT = `a whole number from 1 to ${MAX_COUNT}`;
const RAMP = `a ramp takes at most 24h; ${UNITS_TEXT}`;

const is = (word: string | undefined, keyword: string): boolean => word?.toLowerCase() === keyword;

function whole(word: string | undefined, max: number): number | undefined {
  return /^[1-9][0-9]{0,7}$/.test(word ?? '') && Number(word) <= max ? Number(word) : undefined;
}

/** Reads exactly `keyword TIME`; in ms. `absent` when there are no words. */
function time(words: readonly string[], keyword: string, max_ms: number, absent: number): number | undefined {
  if (words.length === 0) return absent;
  const ms = words.length === 2 && is(words[0], keyword) ? parse_duration(words[1]!) : undefined;
  return ms !== undefined && ms <= max_ms ? ms : undefined;
}

/** `[on LABEL] [over TIME]`; `on label=eu` says the same as `on eu`. */
function where_and_when(words: readonly string[]): { on?: string; over_ms: number } | undefined {
  const has_label = is(words[0], 'on');
  const label = words[1]?.replace(/^label=/i, '');
  if (has_label && (label === undefined || !is_label(label))) return undefined;
  const over_ms = time(has_label ? words.slice(2) : words, 'over', MAX_RAMP_MS, 0);
  return over_ms === undefined ? undefined : { ...(has_label && { on: label! }), over_ms };
}

/** Completion behind `N`. */
const next_of_goal = (words: readonly string[]): readonly string[] =>
  words.length === 1 ? ['on', 'over'] : words.length === 3 && is(words[1], 'on') ? ['over'] : [];

/** A row without values: `request` when nothing, or exactly `keyword`, follows the name. */
function fixed(name: string, help: string, request: Request, keyword?: string): Row {
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

function optional(name: string, keyword: string, help: string, request: (given: boolean) => Request): Row {
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
function counted(
  name: string,
  value: string,
  most: number,
  usual: number,
  help: string,
  request: (n: number) => Request,
): Row {
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

export const COMMANDS: readonly Row[] = [
  {
    name: 'incr',
    usage: 'incr N [on LABEL] [over 30s]',
    help: 'start N more clients, at the connect rate or evenly over that time; on agents with that label only',
    bounds: `N is ${COUNT}, ${RAMP}`,
    parse([n, ...rest]) {
      const count = whole(n, MAX_COUNT);
      const goal = where_and_when(rest);
      return count === undefined || goal === undefined ? undefined : { op: 'incr', count, ...goal };
    },
    next: next_of_goal,
  },
  {
    name: 'decr',
    usage: 'decr N [graceful] [on LABEL] [over 30s]',
    help: 'end N clients: fatal ones first, then waiting ones, then random ones; graceful: each ends its iteration first',
    bounds: `N is ${COUNT}, ${RAMP}`,
    parse([n, ...rest]) {
      const count = whole(n, MAX_COUNT);
      const graceful = is(rest[0], 'graceful');
      const goal = where_and_when(graceful ? rest.slice(1) : rest);
      return count === undefined || goal === undefined ? undefined : { op: 'decr', count, graceful, ...goal };
    },
    next: (words) =>
      words.length === 1 ? ['graceful', 'on', 'over'] : next_of_goal(is(words[1], 'graceful') ? words.slice(1) : words),
  },
  {
    name: 'set',
    usage: 'set N [on LABEL] [over 30s]',
    help: 'make it N clients in all, or N that are on agents with that label; 0 included',
    bounds: `N is a whole number from 0 to ${MAX_COUNT}, ${RAMP}`,
    parse([n, ...rest]) {
      const count = n === '0' ? 0 : whole(n, MAX_COUNT);
      const goal = where_and_when(rest);
      return count === undefined || goal === undefined ? undefined : { op: 'set', count, ...goal };
    },
    next: next_of_goal,
  },
  {
    name: 'rate',
    usage: 'rate N',
    help: 'let at most N clients connect per second, over the whole swarm; --max-connect-rate bounds it',
    bounds: 'N is a number above 0 up to 1000000, such as 1000 or 0.5',
    parse([n = '', ...rest]) {
      const per_s = rest.length === 0 ? parse_rate(n) : undefined;
      return per_s === undefined ? undefined : { op: 'connect_rate', per_s };
    },
  },
  fixed('pause', 'clients keep or make their connections but start no action', { op: 'pause' }),
  fixed('resume', 'end of the pause', { op: 'resume' }),
  optional('status', 'json', 'what the swarm is doing, for people or as one line of JSON', (json) => ({
    op: 'status',
    json,
  })),
  {
    name: 'wait',
    usage: 'wait [N] [within 30s]',
    help: 'answer when N connections are open (as many as the target if left out); at most 1h, 60s if left out',
    bounds: `N is ${COUNT}, a wait takes at most 1h; ${UNITS_TEXT}`,
    parse(words) {
      const count = is(words[0], 'within') || words.length === 0 ? null : whole(words[0], MAX_COUNT);
      const within_ms = time(count === null ? words : words.slice(1), 'within', MAX_WAIT_MS, WAIT_MS);
      return count === undefined || within_ms === undefined ? undefined : { op: 'wait', count, within_ms };
    },
    next: (words) => (words.length === 0 || (words.length === 1 && !is(words[0], 'within')) ? ['within'] : []),
  },
  fixed('actions', 'per action: rounds, errors and percentiles in ms, since the start or the last mark', {
    op: 'actions',
  }),
  {
    name: 'mark',
    usage: 'mark [TEXT]',
    help: `from now on \`actions\` counts anew; TEXT (at most ${MAX_MARK} characters) says why`,
    bounds: `TEXT is at most ${MAX_MARK} characters`,
    parse(words) {
      const text = words.join(' ');
      return text.length <= MAX_MARK ? { op: 'mark', text } : undefined;
    },
  },
  fixed('errors', 'errors by code, with the last text and its time; of a swarm of many machines also on which agents', {
    op: 'errors',
  }),
  fixed('retry', 'let the clients start again that a bug of the module stopped', { op: 'retry_fatal' }, 'fatal'),
  fixed('workers', 'the processes that hold the clients', { op: 'workers' }),
  fixed('agents', 'the machines of a swarm of many: room, clients and health of each', { op: 'agents' }),
  fixed('rebalance', 'share the clients among all agents anew: those that have too many close some, others open them', {
    op: 'rebalance',
  }),
  {
    name: 'drain',
    usage: 'drain AGENT [off]',
    help: 'give the clients of an agent to the others, and no new ones to it; off ends that',
    parse([agent, ...rest]) {
      const off = rest.length === 1 && is(rest[0], 'off');
      return agent === undefined || (rest.length > 0 && !off) || !AGENT.test(agent)
        ? undefined
        : { op: 'drain', agent, off };
    },
    next: (words) => (words.length === 1 ? ['off'] : []),
  },
  {
    name: 'evict',
    usage: 'evict AGENT',
    help: 'give the clients of an agent that is silent to the others now, without waiting until it must have cut itself off',
    parse: ([agent, ...rest]) =>
      agent === undefined || rest.length > 0 || !AGENT.test(agent) ? undefined : { op: 'evict', agent },
  },
  fixed('limits', 'how many clients fit, and what bounds it', { op: 'limits' }),
  counted('series', 'SECONDS', MAX_SERIES_S, SERIES_S, 'what the swarm did in each of the last seconds', (seconds) => ({
    op: 'series',
    seconds,
  })),
  counted(
    'events',
    'N',
    MAX_EVENTS,
    EVENTS,
    'the last N things that happened: commands and who gave them, members that came and went, errors of a new kind',
    (count) => ({ op: 'events', count }),
  ),
  {
    name: 'trace',
    usage: 'trace ID [30s]',
    help: `show what one client sends and receives, as lines that begin with TRACE; at most ${MAX_TRACE_S}s, ${TRACE_S}s if left out`,
    bounds: `ID is ${COUNT}, a trace takes more than 0s and at most ${MAX_TRACE_S}s; ${UNITS_TEXT}`,
    parse([client, given = `${TRACE_S}s`, ...rest]) {
      const id = whole(client, MAX_COUNT);
      const seconds = (parse_duration(given) ?? 0) / 1000;
      const fits = seconds > 0 && seconds <= MAX_TRACE_S;
      return id === undefined || !fits || rest.length > 0 ? undefined : { op: 'trace', id, seconds };
    },
  },
  optional('stop', 'now', 'end the run: each client finishes its round first; now: at once', (now) => ({
    op: 'stop',
    now,
  })),
  fixed('quit', 'close this session; the swarm goes on', { op: 'quit' }),
  {
    name: 'help',
    usage: 'help [COMMAND]',
    help: 'all commands, or one',
    parse(words) {
      return words.length > 1 ? undefined : { op: 'help', name: words[0]?.toLowerCase() ?? null };
    },
    next: (words) => (words.length === 0 ? COMMANDS.map((row) => row.name) : []),
  },
  {
    name: 'auth',
    usage: 'auth TOKEN',
    help: 'the first command where the console has a token',
    parse: ([token, ...rest]) => (token === undefined || rest.length > 0 ? undefined : { op: 'auth', token }),
  },
];

function row_of(name: string): Row | undefined {
  return COMMANDS.find((row) => row.name === name);
}

const words_of = (line: string): string[] => line.split(/[ \t]+/).filter((word) => word !== '');

function bad(reason: string): Parsed {
  return { ok: false, code: 'bad_command', reason };
}

function unknown(typed: string): Parsed {
  const names = COMMANDS.map((row) => row.name);
  const meant = nearest(typed, names);
  const advice = meant ? `did you mean "${meant}"?` : 'help lists what there is';
  return bad(`unknown command "${escape_text(typed, 40)}", ${advice}`);
}

/**
 * Parses a line that is not blank. A bad one is answered with its row's usage and bounds, never with what was typed
 * after the name: that may be a token. Only `help` repeats the name it does not know.
 */
export function parse_line(line: string): Parsed {
  const [typed = '', ...words] = words_of(line);
  const row = row_of(typed.toLowerCase());
  if (!row) return unknown(typed);
  const request = row.parse(words);
  if (!request) return bad(`usage: ${row.usage}${row.bounds === undefined ? '' : `; ${row.bounds}`}`);
  if (request.op === 'help' && request.name !== null && !row_of(request.name)) return unknown(request.name);
  return { ok: true, request };
}

/** For readline: what the last word of `line` can become, and that word. */
export function complete(line: string): [string[], string] {
  const words = words_of(line);
  const last = /[ \t]$/.test(line) ? '' : (words.pop() ?? '');
  const [name, ...rest] = words;
  const candidates =
    name === undefined ? COMMANDS.map((row) => row.name) : (row_of(name.toLowerCase())?.next?.(rest) ?? []);
  return [candidates.filter((word) => word.startsWith(last.toLowerCase())).map((word) => `${word} `), last];
}

/** The lines of `help`: all rows, or the one with this name. */
export function help_lines(name: string | null): string[] {
  const rows = COMMANDS.filter((row) => name === null || row.name === name);
  const width = Math.max(...rows.map((row) => row.usage.length));
  return rows.map((row) => `${row.usage.padEnd(width)}  -- ${row.help}`);
}
