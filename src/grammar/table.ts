/**
 * The console's grammar: one table for parsing, help, completion and docs/console.md (a test compares the two, both
 * ways). Pure.
 */
import { parse_duration, UNITS_TEXT } from '../foundation/duration.ts';
import { escape_text } from '../foundation/escape.ts';
import { nearest } from '../foundation/suggest.ts';
import { MAX_TARGET, MAX_TRACE_S } from './command.ts';
import { read_load } from './load-text.ts';
import { counted, COUNT, fixed, is, optional, whole, type Request, type Row } from './rows.ts';
import { HOLD, STEP_ROWS } from './step-rows.ts';

export type Parsed = { ok: true; request: Request } | { ok: false; code: 'bad_command' | 'bad_load'; reason: string };

const TRACE_S = 10;
const SERIES_S = 10;
const MAX_SERIES_S = 3600;
const EVENTS = 20;
const MAX_EVENTS = 1000;
const AGENT = /^[A-Za-z0-9_-]{1,64}$/;

/** The rows of {@link STEP_ROWS} stand where people look for them: `wait` and `mark` among the questions. */
const steps = (...names: readonly string[]): readonly Row[] =>
  names.map((name) => STEP_ROWS.find((row) => row.name === name)!);

/** Typed at the console, a step that only a load has is a load of its own. */
const own_load = (name: string, usage: string, help: string, bounds?: string): Row => ({
  name,
  usage,
  help,
  ...(bounds !== undefined && { bounds }),
  parse: (_, typed) => ({ op: 'load', text: `${name} ${typed}` }),
});

export const COMMANDS: readonly Row[] = [
  ...steps('incr', 'decr', 'set', 'connect-rate', 'rate', 'arrive', 'pause', 'resume'),
  {
    name: 'load',
    usage: 'load [STEPS | end]',
    help: 'play STEPS: commands with `;` between them, `&` for together, `hold`, `repeat`; end: play no more of it; where it is',
    parse(words, typed) {
      if (words.length === 0) return { op: 'load_state' };
      return is(words[0], 'end') && words.length === 1 ? { op: 'load_end' } : { op: 'load', text: typed };
    },
    next: (words) => (words.length === 0 ? ['end'] : []),
  },
  own_load(HOLD.name, HOLD.usage, HOLD.help, HOLD.bounds),
  own_load('repeat', 'repeat N (STEPS)', 'a step of a load: play STEPS N times; typed here it is a load of its own'),
  optional('status', 'json', 'what the swarm is doing, for people or as one line of JSON', (json) => ({
    op: 'status',
    json,
  })),
  ...steps('wait'),
  fixed('actions', 'per action: rounds, errors and percentiles in ms, since the start or the last mark', {
    op: 'actions',
  }),
  ...steps('mark', 'annotate'),
  fixed('errors', 'errors by code, with the last text and its time; of a swarm of many machines also on which agents', {
    op: 'errors',
  }),
  ...steps('retry'),
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
      const id = whole(client, MAX_TARGET);
      const seconds = (parse_duration(given) ?? 0) / 1000;
      const fits = seconds > 0 && seconds <= MAX_TRACE_S;
      return id === undefined || !fits || rest.length > 0 ? undefined : { op: 'trace', id, seconds };
    },
  },
  ...steps('stop'),
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

/** What is wrong with a load, where it is typed on one line. */
function bad_load(text: string, name: string): Parsed | null {
  const [first] = read_load(text).faults;
  if (first === undefined) return null;
  const place = text.startsWith(`${name} `) ? first.offset + 1 : first.offset + name.length + 2;
  return { ok: false, code: 'bad_load', reason: `column ${place}: ${first.message}` };
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
  const request = row.parse(words, line.trim().slice(typed.length).trim());
  if (!request) return bad(`usage: ${row.usage}${row.bounds === undefined ? '' : `; ${row.bounds}`}`);
  if (request.op === 'load') return bad_load(request.text, row.name) ?? { ok: true, request };
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
