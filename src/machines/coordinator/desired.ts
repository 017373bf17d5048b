/** What the operators want of a swarm of many machines, as it is stored: any coordinator may change it. Pure. */
import { MAX_TRACES, type Command, type Refusal } from '../../grammar/command.ts';
import { line_of } from '../../grammar/sentences.ts';
import { carry_out, type Carried, type Facts } from '../../swarm/plan/carry-out.ts';
import { first_intent, is_ending, type NamedSharing } from '../../swarm/plan/intent.ts';
import { advance, give_up, pass } from '../../swarm/plan/load-play.ts';
import { MAX_SAID, type Desired, type TraceOrder } from '../store/documents.ts';

/** A coordinator that sent no command for so long is forgotten, ms. */
const SESSION_MS = 600_000;
const MAX_SESSIONS = 32;
/** from the end of a trace until an agent must have told its last lines */
export const TRACE_LINES_WITHIN_MS = 5000;

/** Who asks, and when. */
export interface Asking {
  /** of the coordinator process */
  readonly session: string;
  /** counts its commands */
  readonly seq: number;
  readonly run_ms: number;
  readonly wall_ms: number;
}

/** What becomes of it; `desired` null: nothing changes. */
export interface NextDesired {
  readonly desired: Desired | null;
  readonly reply: Carried | Refusal;
}

/** Before the first command. */
export const first_desired = (run: string, connect_per_s: number, is_paused: boolean): Desired => ({
  ...first_intent(connect_per_s, is_paused),
  run,
  seq: 1,
  traces: [],
  sessions: {},
  said: [],
});

/** This command of this session was carried out, whatever became of the answer to the write. */
export const has_applied = ({ sessions }: Desired, { session, seq }: Asking): boolean =>
  (sessions[session]?.seq ?? 0) >= seq;

/** What `command` makes of it, which `by` gave. */
export function next_desired(before: Desired, command: Command, by: string, asking: Asking, facts: Facts): NextDesired {
  const { intent, reply } = carry_out(before, command, facts);
  if (!reply.ok) return { desired: null, reply };
  const said = { seq: before.seq + 1, at_ms: asking.wall_ms, by, text: line_of(command) };
  return { desired: counted(before, { ...intent, said: [...before.said, said].slice(-MAX_SAID) }, asking), reply };
}

/** Those that run, or of which the last lines are yet to come. */
export const traces_at = ({ traces }: Desired, run_ms: number): readonly TraceOrder[] =>
  traces.filter(({ until_ms }) => until_ms + TRACE_LINES_WITHIN_MS > run_ms);

/** With one more trace, or without that of `token` if there is no `trace`. `member`: who has the client. */
export function set_trace(
  before: Desired,
  { token, client, trace }: { readonly token: string; readonly client: number; readonly trace: TraceOrder | null },
  member: string | null,
  asking: Asking,
): NextDesired {
  if (is_ending(before)) return { desired: null, reply: { ok: false, code: 'stopping', has_ended: false } };
  const others = traces_at(before, asking.run_ms).filter((one) => one.token !== token);
  if (trace && others.length >= MAX_TRACES)
    return { desired: null, reply: { ok: false, code: 'too_many', of: 'traces', most: MAX_TRACES } };
  const traces = trace ? [...others, trace] : others;
  return { desired: counted(before, { traces }, asking), reply: { ok: true, op: 'trace', client, member } };
}

function counted(before: Desired, change: Partial<Desired>, asking: Asking): Desired {
  // by run time, as the wall clocks of two machines may be hours apart
  const at_ms = Math.max(asking.run_ms, ...Object.values(before.sessions).map((session) => session.at_ms));
  const sessions = Object.entries({ ...before.sessions, [asking.session]: { seq: asking.seq, at_ms } })
    .filter(([, session]) => at_ms - session.at_ms < SESSION_MS)
    .sort(([, a], [, b]) => b.at_ms - a.at_ms)
    .slice(0, MAX_SESSIONS);
  return { ...before, ...change, seq: before.seq + 1, sessions: Object.fromEntries(sessions) };
}

/** A wait of the load is decided: `why` it cannot be met, or '' when it is. */
export function decided(stored: Desired, why: string, groups: readonly NamedSharing[], run_ms: number): Desired {
  const before = advance(stored, groups, run_ms);
  const next = why === '' ? pass(before, groups, run_ms) : give_up(before, why, groups, run_ms);
  return { ...next, seq: before.seq + 1 };
}
