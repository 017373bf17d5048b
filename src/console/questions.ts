/** Answers questions from summary, series and events: at once (`status`, …) or when the awaited number is reached (`wait`). */
import { escape_text } from '../foundation/escape.ts';
import type { Command, Reply, WaitFor } from '../grammar/command.ts';
import type { Request, SessionRequest } from '../grammar/rows.ts';
import { sentence } from '../grammar/sentences.ts';
import { counted_for, reached_of } from '../metrics/reached.ts';
import type { Series } from '../metrics/series.ts';
import type { Summary } from '../metrics/summary.ts';
import { event_lines } from '../outputs/events-table.ts';
import { load_lines } from '../outputs/load-lines.ts';
import { series_lines } from '../outputs/series-table.ts';
import { slot_lines, slot_status } from '../outputs/slot-lines.ts';
import * as answers from '../outputs/tables.ts';
import type { Control } from '../swarm/plan/control.ts';

const OF_THE_SESSION = ['auth', 'help', 'quit', 'trace'] as const;
const QUESTIONS = [
  'status',
  'load_state',
  'actions',
  'errors',
  'workers',
  'agents',
  'limits',
  'series',
  'events',
] as const;
type Question = Extract<SessionRequest, { op: (typeof QUESTIONS)[number] }>;
/** what a summary answers */
type SummaryQuestion = Exclude<Question, { op: 'series' | 'events' }>;
const WAIT_MS = 60_000;

/** Whether it changes the swarm. */
export function is_command(request: Request): request is Command {
  return !([...OF_THE_SESSION, ...QUESTIONS, 'wait'] as string[]).includes(request.op);
}

const MAX_REPLY_TEXT = 1000;

export function reply_line(reply: Reply): string {
  return escape_text(`${reply.ok ? 'OK' : `ERR ${reply.code}`} ${sentence(reply)}`, MAX_REPLY_TEXT).trimEnd();
}

/** `OK <n>`, then exactly n lines. */
export function list(lines: readonly string[]): string[] {
  return [`OK ${lines.length}`, ...lines];
}

/** Answers made from a summary, by question: sessions that share a summary share its answers. */
const said = new WeakMap<Summary, Map<string, readonly string[]>>();

export function answer(question: Question, control: Control): readonly string[] {
  const { series, events } = control;
  if (question.op === 'series') return course(series, question.seconds);
  if (question.op === 'events') return list(event_lines(events.last(question.count), events.dropped));
  const json = question.op === 'status' && question.json;
  const summary = control.summary(json);
  const known = said.get(summary) ?? new Map<string, readonly string[]>();
  said.set(summary, known);
  const key = json ? 'status json' : question.op;
  const lines = known.get(key) ?? made(question, summary);
  known.set(key, lines);
  return lines;
}

/** The last answers to `series`, by newest row and seconds: sessions that ask for the same share them. */
const courses = new WeakMap<Series, Map<string, readonly string[]>>();
/** of a series */
const MAX_COURSES = 8;

function course(series: Series, seconds: number): readonly string[] {
  const known = courses.get(series) ?? new Map<string, readonly string[]>();
  courses.set(series, known);
  const key = `${series.newest} ${seconds}`;
  const lines = known.get(key) ?? list(series_lines(series.last(seconds), seconds));
  // to the end: what nobody asked for longest goes first
  known.delete(key);
  known.set(key, lines);
  if (known.size > MAX_COURSES) known.delete(known.keys().next().value!);
  return lines;
}

function made(question: SummaryQuestion, summary: Summary): string[] {
  switch (question.op) {
    case 'status':
      return question.json
        ? [`OK ${answers.status_json(summary)}`]
        : list([...answers.status_lines(summary), ...slot_status(summary), ...answers.why_lines(summary)]);
    case 'load_state':
      return list(load_lines(summary));
    case 'actions':
      return list([...answers.action_lines(summary), ...slot_lines(summary)]);
    case 'errors':
      return list(answers.error_lines(summary));
    case 'workers':
      return list(answers.worker_lines(summary));
    case 'agents':
      return list(answers.agent_lines(summary));
    case 'limits':
      return list(answers.limit_lines(summary));
  }
}

/**
 * Resolves when so many clients are what is waited for (null: the target of that moment), at the deadline, when the run
 * ends, or at `signal`.
 */
export function wait_for({ what, count, within_ms }: WaitFor, control: Control, signal: AbortSignal): Promise<Reply> {
  const wanted = (summary: Summary): number => count ?? summary.target;
  const check = (summary: Summary): Reply | null => {
    const { phase } = summary;
    if (phase === 'drain' || phase === 'stop') return { ok: false, code: 'stopping', has_ended: false };
    const clients = counted_for(reached_of(summary), what);
    return clients >= wanted(summary) ? { ok: true, op: 'wait', what, clients, followers: null } : null;
  };
  const too_late = (summary: Summary): Reply => ({
    ok: false,
    code: 'not_yet',
    clients: counted_for(reached_of(summary), what),
    wanted: wanted(summary),
  });
  return new Promise((resolve) => {
    const settle = (reply: Reply): void => {
      clearTimeout(timer);
      unwatch();
      signal.removeEventListener('abort', interrupted);
      resolve(reply);
    };
    const look = (summary: Summary): void => {
      const reply = check(summary);
      if (reply) settle(reply);
    };
    const interrupted = (): void => settle({ ok: false, code: 'interrupted' });
    const timer = setTimeout(() => {
      const summary = control.summary();
      settle(check(summary) ?? too_late(summary));
    }, within_ms ?? WAIT_MS);
    // not at once: `watch` may call back before it has returned, and then `unwatch` is not set yet
    const unwatch = control.watch((summary) => queueMicrotask(() => look(summary)));
    signal.addEventListener('abort', interrupted);
    if (signal.aborted) interrupted();
    else look(control.summary());
  });
}
