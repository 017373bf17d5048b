/** The commands that a load can be made of: rows of the console's table, and the steps that only a load has. Pure. */
import { parse_duration, UNITS_TEXT } from '../foundation/duration.ts';
import { escape_text } from '../foundation/escape.ts';
import { parse_rate, parse_slot_rate, SLOT_RATE_TEXT } from '../foundation/rate.ts';
import type { Command, WaitFor } from './command.ts';
import {
  action,
  arrival,
  change,
  clauses,
  clients,
  COUNT,
  fixed,
  is,
  next_clause,
  optional,
  RAMP,
  time,
  type Hold,
  type Row,
} from './rows.ts';

/** One command of a step. */
export type StepCommand =
  | Extract<
      Command,
      {
        readonly op:
          | 'incr'
          | 'decr'
          | 'set'
          | 'connect_rate'
          | 'rate'
          | 'arrive'
          | 'pause'
          | 'resume'
          | 'mark'
          | 'annotate'
          | 'retry_fatal'
          | 'stop';
      }
    >
  | WaitFor
  | Hold;

const MAX_WAIT_MS = 24 * 3_600_000;
/** of `mark` and `annotate`, characters */
const MAX_TEXT = 200;

const PER_S = 'a number above 0 up to 1000000, such as 1000 or 0.5';

function connects([n = '', ...rest]: readonly string[]): Extract<Command, { readonly op: 'connect_rate' }> | undefined {
  const per_s = rest.length === 0 ? parse_rate(n) : undefined;
  return per_s === undefined ? undefined : { op: 'connect_rate', per_s };
}

/** `least`: characters */
const texts = (op: 'mark' | 'annotate', least: 0 | 1, help: string): Row<Exclude<StepCommand, Hold>> => ({
  name: op,
  usage: least === 0 ? `${op} [TEXT]` : `${op} TEXT`,
  help,
  bounds: `TEXT is at most ${MAX_TEXT} characters`,
  parse(words) {
    // as everybody reads it who reads what is stored: a text that changes on the way would be news for ever
    const text = escape_text(words.join(' '), Infinity);
    return text.length >= least && text.length <= MAX_TEXT ? { op, text } : undefined;
  },
});

/** Steps that the console knows as commands. */
export const STEP_ROWS: readonly Row<Exclude<StepCommand, Hold>>[] = [
  {
    name: 'incr',
    usage: 'incr N [in GROUP] [on LABEL] [over 30s]',
    help: 'start N more clients, at the connect rate or evenly over that time; of that group, on agents with that label only',
    bounds: `N is ${COUNT}, ${RAMP}`,
    parse([n, ...rest]) {
      const [count, where] = [clients(n, 1), clauses(rest)];
      if (count === undefined || where === undefined || where.graceful) return undefined;
      const { graceful: _, ...goal } = where;
      return { op: 'incr', count, ...goal };
    },
    next: (words) => next_clause(words, ['in', 'on', 'over']),
  },
  {
    name: 'decr',
    usage: 'decr N [graceful] [in GROUP] [on LABEL] [over 30s]',
    help: 'end N clients: fatal ones first, then waiting ones, then random ones; graceful: each ends its iteration first',
    bounds: `N is ${COUNT}, ${RAMP}`,
    parse([n, ...rest]) {
      const [count, where] = [clients(n, 1), clauses(rest)];
      return count === undefined || where === undefined ? undefined : { op: 'decr', count, ...where };
    },
    next: (words) => next_clause(words, ['graceful', 'in', 'on', 'over']),
  },
  {
    name: 'set',
    usage: 'set N [in GROUP] [on LABEL] [over 30s]',
    help: 'make it N clients in all, or N of that group, or N that are on agents with that label; 0 included',
    bounds: `N is ${COUNT.replace('from 1', 'from 0')}, ${RAMP}`,
    parse([n, ...rest]) {
      const [count, where] = [clients(n, 0), clauses(rest)];
      if (count === undefined || where === undefined || where.graceful) return undefined;
      const { graceful: _, ...goal } = where;
      return { op: 'set', count, ...goal };
    },
    next: (words) => next_clause(words, ['in', 'on', 'over']),
  },
  {
    name: 'connect-rate',
    usage: 'connect-rate N',
    help: 'let at most N clients connect per second, over the whole swarm; --max-connect-rate bounds it',
    bounds: `N is ${PER_S}`,
    parse: connects,
  },
  {
    name: 'rate',
    usage: 'rate ACTION N/s|N/m [over 30s] [poisson]',
    help:
      'play ACTION, which has a rate in the script, N times per second (minute) over all clients, at once or getting ' +
      'there evenly in that time; poisson: with drawn gaps. `rate N` alone is connect-rate',
    bounds: `a rate is ${SLOT_RATE_TEXT}; ${RAMP}`,
    parse(words) {
      const [name, given, ...rest] = words;
      if (given === undefined) return connects(words);
      const [played, per_s, how] = [action(name), parse_slot_rate(given), change(rest)];
      if (played === undefined || per_s === undefined || how === undefined) return undefined;
      return { op: 'rate', action: played, per_s, ...how };
    },
    next: (words) => next_clause(words, ['over', 'poisson'], 2),
  },
  {
    name: 'arrive',
    usage: 'arrive N/s|N/m [over 30s] [poisson] [at_most N] [in GROUP]',
    help:
      'let N new clients come per second (minute), beside the target, at once or getting there evenly in that time; each ' +
      'plays the iterations of its group and leaves; at_most: so many of them are there at a time, the others do not ' +
      'come; poisson: with drawn gaps; 0/s ends it',
    bounds: `a rate is ${SLOT_RATE_TEXT}; N of at_most is ${COUNT}; ${RAMP}`,
    parse([given = '', ...rest]) {
      const [per_s, how] = [parse_slot_rate(given), arrival(rest)];
      return per_s === undefined || how === undefined ? undefined : { op: 'arrive', per_s, ...how };
    },
    next: (words) => next_clause(words, ['over', 'poisson', 'at_most', 'in']),
  },
  fixed('pause', 'clients keep or make their connections but start no action', { op: 'pause' }),
  fixed('resume', 'end of the pause', { op: 'resume' }),
  {
    name: 'wait',
    usage: 'wait [ready | done] [N] [within 30s]',
    help:
      'answer when N clients (as many as the target if left out) are connected; ready: their `connected` has returned ' +
      'too; done: they have played all their iterations; at most 24h, 60s if left out',
    bounds: `N is ${COUNT}, a wait takes at most 24h; ${UNITS_TEXT}`,
    parse(words) {
      const what = is(words[0], 'ready') ? 'ready' : is(words[0], 'done') ? 'done' : 'open';
      const rest = what === 'open' ? words : words.slice(1);
      const count = is(rest[0], 'within') || rest.length === 0 ? null : clients(rest[0], 1);
      const within_ms = time(count === null ? rest : rest.slice(1), 'within', MAX_WAIT_MS, null);
      return count === undefined || within_ms === undefined ? undefined : { op: 'wait', what, count, within_ms };
    },
    next: (words) =>
      words.some((word) => is(word, 'within')) ? [] : words.length === 0 ? ['ready', 'done', 'within'] : ['within'],
  },
  texts('mark', 0, `from now on \`actions\` counts anew; TEXT (at most ${MAX_TEXT} characters) says why`),
  texts('annotate', 1, `put TEXT (at most ${MAX_TEXT} characters) among the events`),
  fixed('retry', 'let the clients start again that a bug of the module stopped', { op: 'retry_fatal' }, 'fatal'),
  optional('stop', 'now', 'end the run: each client finishes its round first; now: at once', (now) => ({
    op: 'stop',
    now,
  })),
];

export const HOLD: Row<Hold> = {
  name: 'hold',
  usage: 'hold TIME',
  help: 'a step of a load: let TIME pass; typed here it is a load of its own',
  bounds: `TIME is at most 30 days; ${UNITS_TEXT}`,
  parse([given, ...rest]) {
    const ms = given === undefined || rest.length > 0 ? undefined : parse_duration(given);
    return ms === undefined ? undefined : { op: 'hold', ms };
  },
};
