/** What the users want of a swarm of many machines: commands change it, any coordinator may carry them out. Pure. */
import type { Command, Reply } from '../../grammar/command.ts';
import { planned_at } from '../../swarm/load/pacer.ts';
import { err, MAX_TARGET, ok, stopping } from '../../swarm/plan/answers.ts';
import { full_name, MAX_TRACES, type Desired, type TraceOrder } from '../store/documents.ts';

/** A coordinator that sent no command for so long is forgotten, ms. */
const SESSION_MS = 600_000;
const MAX_SESSIONS = 32;
const MAX_EVICTED = 100;
const MAX_LABELS = 32;

/** Who asks, and when. */
export interface Asking {
  /** of the coordinator process */
  readonly session: string;
  /** counts its commands */
  readonly seq: number;
  readonly run_ms: number;
  readonly wall_ms: number;
}

/** What a command has to know of the swarm. */
export interface Facts {
  /** clients that the agents of now can hold, of how many agents */
  readonly capacity: number;
  readonly agents: readonly string[];
  /** the incarnation of an agent that is known; null: there is no such agent */
  readonly incarnation: (agent: string) => string | null;
  /** some agent that is here has it */
  readonly has_label: (label: string) => boolean;
  readonly fatal: number;
  /** until a drain is over, whoever answers; null: the module has no teardown */
  readonly stop_ms: number;
  readonly teardown_ms: number | null;
  readonly max_connections: number | null;
  readonly max_connect_per_s: number | null;
}

/** Before the first command. */
export function first_desired(run: string, connect_per_s: number, is_paused: boolean): Desired {
  return {
    run,
    seq: 1,
    target: 0,
    labelled: {},
    ramp: null,
    phase: is_paused ? 'pause' : 'run',
    graceful: false,
    connect_per_s,
    retry_fatal: 0,
    mark: null,
    rebalance: 0,
    drained: [],
    evicted: [],
    traces: [],
    sessions: {},
  };
}

/** The clients asked for at this moment. */
export const planned_of = ({ target, ramp }: Pick<Desired, 'target' | 'ramp'>, run_ms: number): number =>
  ramp === null ? target : planned_at(ramp, run_ms);

/** The clients shall leave. */
export const is_ending = ({ phase }: Pick<Desired, 'phase'>): boolean => phase === 'drain' || phase === 'stop';

/** This command of this session was carried out, whatever became of the answer to the write. */
export const has_applied = ({ sessions }: Desired, { session, seq }: Asking): boolean =>
  (sessions[session]?.seq ?? 0) >= seq;

/** What `command` makes of it, with the answer; null: nothing changes. */
export function carry_out(
  before: Desired,
  command: Command,
  asking: Asking,
  facts: Facts,
): { readonly desired: Desired | null; readonly reply: Reply } {
  const is_second_try = command.op === 'stop' && command.now && before.phase === 'drain';
  if (is_ending(before) && !is_second_try) return { desired: null, reply: err('stopping', 'the swarm is stopping') };
  return applied(before, changed(before, command, asking, facts), asking);
}

/** from the end of a trace until an agent must have told its last lines */
export const TRACE_LINES_WITHIN_MS = 5000;

/** Those that run, or of which the last lines are yet to come. */
export const traces_at = ({ traces }: Desired, run_ms: number): readonly TraceOrder[] =>
  traces.filter(({ until_ms }) => until_ms + TRACE_LINES_WITHIN_MS > run_ms);

/** With one more trace, or without that of `token` if there is no `trace`. */
export function set_trace(
  before: Desired,
  token: string,
  trace: TraceOrder | null,
  asking: Asking,
): { readonly desired: Desired | null; readonly reply: Reply } {
  if (is_ending(before)) return { desired: null, reply: err('stopping', 'the swarm is stopping') };
  const others = traces_at(before, asking.run_ms).filter((one) => one.token !== token);
  if (trace && others.length >= MAX_TRACES)
    return { desired: null, reply: err('too_many', 'too many traces run already: wait until one ends') };
  const traces = trace ? [...others, trace] : others;
  return applied(before, { change: { traces }, reply: ok('') }, asking);
}

function applied(
  before: Desired,
  { change, reply }: Changed,
  asking: Asking,
): { readonly desired: Desired | null; readonly reply: Reply } {
  if (!reply.ok) return { desired: null, reply };
  // by run time, as the wall clocks of two machines may be hours apart
  const at_ms = Math.max(asking.run_ms, ...Object.values(before.sessions).map((session) => session.at_ms));
  const sessions = Object.entries({ ...before.sessions, [asking.session]: { seq: asking.seq, at_ms } })
    .filter(([, session]) => at_ms - session.at_ms < SESSION_MS)
    .sort(([, a], [, b]) => b.at_ms - a.at_ms)
    .slice(0, MAX_SESSIONS);
  return {
    desired: { ...before, ...change, seq: before.seq + 1, sessions: Object.fromEntries(sessions) },
    reply,
  };
}

interface Changed {
  readonly change: Partial<Desired>;
  readonly reply: Reply;
}

const refused = (reply: Reply): Changed => ({ change: {}, reply });

function changed(before: Desired, command: Command, asking: Asking, facts: Facts): Changed {
  switch (command.op) {
    case 'incr':
      return aim(before, command, had(before, command) + command.count, false, asking, facts);
    case 'decr':
      return aim(before, command, had(before, command) - command.count, command.graceful, asking, facts);
    case 'set':
      return aim(before, command, command.count, false, asking, facts);
    case 'connect_rate': {
      const most = facts.max_connect_per_s ?? Infinity;
      const connect_per_s = Math.min(command.per_s, most);
      const why = command.per_s > most ? ` (asked ${command.per_s}: --max-connect-rate ${most})` : '';
      return { change: { connect_per_s }, reply: ok(`connect rate ${connect_per_s} per second${why}`) };
    }
    case 'pause':
      return { change: { phase: 'pause' }, reply: ok('paused') };
    case 'resume':
      return { change: { phase: 'run' }, reply: ok('running') };
    case 'retry_fatal':
      return {
        change: { retry_fatal: before.retry_fatal + 1 },
        reply: ok(`retrying ${facts.fatal} fatal clients`),
      };
    case 'mark': {
      const { text } = command;
      const mark = { text, at_ms: asking.wall_ms, seq: (before.mark?.seq ?? 0) + 1 };
      return { change: { mark }, reply: ok(text ? `marked ${text}` : 'marked') };
    }
    case 'stop':
      return {
        change: { phase: command.now ? 'stop' : 'drain' },
        reply: ok(stopping(command.now, facts.stop_ms, facts.teardown_ms)),
      };
    case 'rebalance':
      return {
        change: { rebalance: before.rebalance + 1 },
        reply: ok(`sharing ${before.target} clients anew among ${count(facts.agents.length, 'agent')}`),
      };
    case 'drain': {
      if (!facts.agents.includes(command.agent)) return refused(no_agent(command.agent, facts));
      const others = before.drained.filter((agent) => agent !== command.agent);
      const drained = command.off ? others : [...others, command.agent];
      return {
        change: { drained },
        reply: ok(command.off ? `${command.agent} takes part again` : `draining ${command.agent}`),
      };
    }
    case 'evict': {
      const incarnation = facts.incarnation(command.agent);
      if (incarnation === null) return refused(no_agent(command.agent, facts));
      const name = full_name(command.agent, incarnation);
      const evicted = [...before.evicted.filter((one) => one !== name), name].slice(-MAX_EVICTED);
      return { change: { evicted }, reply: ok(`evicted ${command.agent}, its clients go to the others`) };
    }
  }
}

interface TargetCommand {
  readonly count: number;
  readonly over_ms: number;
  readonly on?: string;
}

/** The target so far, or that of a label. */
const had = ({ target, labelled }: Desired, { on }: { readonly on?: string }): number =>
  on === undefined ? target : (labelled[on] ?? 0);

/** Unlike on one machine the target may exceed what fits now: agents may come later. */
function aim(
  before: Desired,
  command: TargetCommand,
  wanted: number,
  graceful: boolean,
  { run_ms }: Asking,
  facts: Facts,
): Changed {
  const { count: asked, over_ms, on } = command;
  const { capacity, agents, max_connections } = facts;
  const now = had(before, command);
  const others = before.target - now;
  const most = Math.min(MAX_TARGET, max_connections ?? MAX_TARGET) - others;
  const aimed = Math.max(0, Math.min(wanted, most));
  if (wanted > now && aimed <= now) {
    const why = max_connections === null ? `at most ${MAX_TARGET} clients` : `--max-connections ${max_connections}`;
    return refused(err('limit_clients', `nothing fits: target ${before.target} (asked ${asked}: ${why})`));
  }
  const target = others + aimed;
  const labelled = on === undefined ? within(before.labelled, target) : { ...before.labelled, [on]: aimed };
  if (Object.keys(labelled).length > MAX_LABELS)
    return refused(err('too_many', `at most ${MAX_LABELS} labels have clients of their own`));
  const from = planned_of(before, run_ms);
  const ramp = over_ms > 0 ? { from, to: target, start_ms: run_ms, end_ms: run_ms + over_ms } : null;
  const notes = [
    ...(on === undefined ? [] : [`${aimed} on ${on}`]),
    ...(aimed === wanted ? [] : [wanted < 0 ? `asked ${asked}, had ${now}` : `asked ${asked}: at most ${most}`]),
    ...(on === undefined || facts.has_label(on) ? [] : [`no agent has the label ${on}, they wait for one`]),
    ...(target > capacity ? [`${capacity} fit now, on ${count(agents.length, 'agent')}; the rest waits for more`] : []),
  ];
  const text = `target ${target}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`;
  return { change: { target, labelled, ramp, graceful }, reply: ok(text) };
}

/** What is left for labels when there are so many clients altogether: the last label gives way first. */
function within(labelled: Desired['labelled'], target: number): Desired['labelled'] {
  let left = target;
  const kept = Object.entries(labelled).map(([label, clients]): [string, number] => {
    const part = Math.min(clients, left);
    left -= part;
    return [label, part];
  });
  return Object.fromEntries(kept.filter(([, clients]) => clients > 0));
}

function no_agent(agent: string, { agents }: Facts): Reply {
  const known = agents.length === 0 ? 'none is here' : `known are ${agents.slice(0, 8).join(', ')}`;
  return err('no_such_agent', `no agent ${agent}, ${known}`);
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
