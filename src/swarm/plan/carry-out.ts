/** What a command means: the only place that decides it, for one machine and for many. Pure. */
import { MAX_WORKERS } from '../../foundation/open-files.ts';
import type { Aimed, Barrier, Command, Deed, Here, Refusal } from '../../grammar/command.ts';
import type { Bound } from '../../metrics/summary.ts';
import { is_ending, MAX_EVICTED, MAX_LABELS, MAX_TARGET, planned_of, type Intent } from './intent.ts';
import { clients_here, whole_here, type Sharing } from './numbering.ts';
import { rate_of, type Segment } from './segment.ts';

/** How many clients fit, and why not more. */
export interface Room {
  /** clients that all members together can hold */
  readonly capacity: number;
  /** what bounds it: `open files 20000 per process` */
  readonly why: string;
  /** the largest capacity of one member */
  readonly per_member: number;
  readonly members: number;
  /** the bounds of the machine, the tightest first */
  readonly bounds: readonly Bound[];
  /** the option that gives more members; null: more may come by themselves, and what does not fit waits for them */
  readonly more_by: '--workers' | '--max-workers' | null;
}

/** What a command has to know of the swarm. */
export interface Facts {
  /** ms of run time */
  readonly run_ms: number;
  /** ms since the epoch */
  readonly wall_ms: number;
  readonly room: Room;
  readonly segment: Segment;
  /** of the run */
  readonly groups: readonly Sharing[];
  /** --max-connect-rate */
  readonly max_connect_per_s: number | null;
  /** clients that a bug of the module stopped */
  readonly fatal: number;
  /** until a drain is over, whoever answers; null: the module has no teardown to run */
  readonly stop_ms: number;
  readonly teardown_ms: number | null;
  /** the machines of a swarm of many; null: it is one machine */
  readonly agents: AgentFacts | null;
}

/** The machines of a swarm of many. */
export interface AgentFacts {
  /** not enough of them have come to begin */
  readonly are_gathering: boolean;
  readonly here: readonly string[];
  /** how an agent that is known calls its incarnation, in {@link Intent.evicted}; null: there is no such agent */
  readonly incarnation: (agent: string) => string | null;
  /** how many clients those that have the label can hold; null: none has it */
  readonly room_on: (label: string) => number | null;
}

/** `intent` is the same object when nothing changes. */
interface Outcome {
  readonly intent: Intent;
  readonly reply: Carried | Refusal;
}

/** Carried out: who has followed is yet to be seen. */
export type Carried = Deed & { readonly ok: true };

/** What `command` makes of the intent, and the answer to it but for who has followed. */
export function carry_out(before: Intent, command: Command, facts: Facts): Outcome {
  const is_stop = command.op === 'stop';
  const is_second_try = is_stop && command.now && before.phase === 'drain';
  const refuse = (reply: Refusal): Outcome => ({ intent: before, reply });
  if (is_ending(before) && !is_second_try) return refuse({ ok: false, code: 'stopping', has_ended: false });
  if (facts.agents?.are_gathering && !is_stop) return refuse({ ok: false, code: 'not_ready' });
  const change = (intent: Partial<Intent>, deed: Deed): Outcome => ({
    intent: { ...before, ...intent },
    reply: { ok: true, ...deed },
  });
  const { agents } = facts;
  switch (command.op) {
    case 'incr':
    case 'decr':
    case 'set':
      return aim(before, command, facts);
    case 'connect_rate': {
      const per_s = Math.min(command.per_s, facts.max_connect_per_s ?? Infinity);
      const here = here_of(facts.segment, (segment) => rate_of(segment, per_s));
      return change({ connect_per_s: per_s }, { op: 'connect_rate', asked: command.per_s, per_s, here });
    }
    case 'pause':
      return change({ phase: 'pause' }, { op: 'pause' });
    case 'resume':
      return change({ phase: 'run' }, { op: 'resume' });
    case 'retry_fatal':
      return change({ retry_fatal: before.retry_fatal + 1 }, { op: 'retry_fatal', clients: facts.fatal });
    case 'mark': {
      const { text } = command;
      const mark = { text, at_ms: facts.wall_ms, seq: (before.mark?.seq ?? 0) + 1 };
      return change({ mark }, { op: 'mark', text });
    }
    case 'stop': {
      const { now } = command;
      const { stop_ms: within_ms, teardown_ms } = facts;
      return change({ phase: now ? 'stop' : 'drain' }, { op: 'stop', now, within_ms, teardown_ms });
    }
    case 'rebalance':
      if (!agents) return refuse({ ok: false, code: 'no_agents', what: 'rebalance' });
      return change(
        { rebalance: before.rebalance + 1 },
        { op: 'rebalance', clients: before.target, agents: agents.here.length },
      );
    case 'drain': {
      const { agent, off } = command;
      if (!agents) return refuse({ ok: false, code: 'no_agents', what: 'drain' });
      if (!agents.here.includes(agent)) return refuse(no_such_agent(agent, agents));
      const others = before.drained.filter((one) => one !== agent);
      return change({ drained: off ? others : [...others, agent] }, { op: 'drain', agent, off });
    }
    case 'evict': {
      const { agent } = command;
      if (!agents) return refuse({ ok: false, code: 'no_agents', what: 'evict' });
      const name = agents.incarnation(agent);
      if (name === null) return refuse(no_such_agent(agent, agents));
      const evicted = [...before.evicted.filter((one) => one !== name), name].slice(-MAX_EVICTED);
      return change({ evicted }, { op: 'evict', agent });
    }
  }
}

type TargetCommand = Extract<Command, { readonly op: Aimed['op'] }>;

function aim(before: Intent, command: TargetCommand, facts: Facts): Outcome {
  const { op, count: asked, over_ms, on } = command;
  const { segment, groups, run_ms, agents } = facts;
  if (on !== undefined && !agents) return refused(before, { ok: false, code: 'no_agents', what: 'on LABEL' });
  const had = on === undefined ? before.target : Object.hasOwn(before.labelled, on) ? before.labelled[on]! : 0;
  const wanted = op === 'incr' ? had + asked : op === 'decr' ? had - asked : asked;
  const room = over_whole(facts.room, (clients) => whole_here(groups, segment, clients));
  const others = before.target - had;
  const barrier = barrier_of(others + wanted, before.target, room);
  const aimed = Math.max(0, Math.min(wanted, barrier.most - others));
  if (wanted > had && aimed <= had)
    return refused(before, { ok: false, code: barrier.code, asked, target: before.target, bound: barrier });
  const target = others + aimed;
  const cut = on === undefined ? cut_waiting(before, target, facts) : { labelled: before.labelled, gone: 0 };
  const labelled = on === undefined ? cut.labelled : with_label(before.labelled, on, aimed);
  if (Object.keys(labelled).length > MAX_LABELS)
    return refused(before, { ok: false, code: 'too_many', of: 'labels', most: MAX_LABELS });
  const planned = planned_of(before, run_ms);
  // those that waited for a label may not have been planned yet
  const from = Math.max(planned - cut.gone, Math.min(planned, target));
  const ramp = over_ms > 0 ? { from, to: target, start_ms: run_ms, end_ms: run_ms + over_ms } : null;
  const graceful = op === 'incr' ? before.graceful : op === 'decr' && command.graceful;
  const room_on = on === undefined ? null : (agents?.room_on(on) ?? null);
  const waits = room.more_by === null && target > room.capacity;
  return {
    intent: { ...before, target, labelled, ramp, graceful },
    reply: {
      ok: true,
      op,
      asked,
      had,
      target,
      all_of_them: wanted < 0,
      bound: wanted > aimed ? { code: barrier.code, why: barrier.why, lift: barrier.lift } : null,
      doubt: wanted > aimed ? null : doubt_of(target, before.target, room.bounds),
      waiting: waits ? { fits: room.capacity, agents: room.members } : null,
      on: on === undefined ? null : { label: on, clients: aimed, is_known: room_on !== null },
      here: here_of(segment, (one) => clients_here(groups, one, target)),
    },
  };
}

const refused = (intent: Intent, reply: Refusal): Outcome => ({ intent, reply });

/**
 * A smaller target takes those first that wait for an agent with their label: nobody hangs up for them. `gone`: how
 * many of them went. What is left for labels then is what the target has room for: the last label gives way first.
 */
function cut_waiting(
  before: Intent,
  target: number,
  { agents }: Facts,
): { labelled: Intent['labelled']; gone: number } {
  let less = before.target - target;
  let gone = 0;
  let left = target;
  const kept = Object.entries(before.labelled).map(([label, clients]): [string, number] => {
    const waiting = Math.max(0, clients - (agents?.room_on(label) ?? 0));
    const cut = Math.max(0, Math.min(waiting, less));
    less -= cut;
    gone += cut;
    const part = Math.min(clients - cut, left);
    left -= part;
    return [label, part];
  });
  return { labelled: Object.fromEntries(kept.filter(([, clients]) => clients > 0)), gone };
}

/** A label that has no clients of its own any more is forgotten. */
function with_label(labelled: Intent['labelled'], on: string, clients: number): Intent['labelled'] {
  const others = Object.entries(labelled).filter(([label]) => label !== on);
  return Object.fromEntries(clients > 0 ? [...others, [on, clients]] : others);
}

/** The highest target that can be reached, and what keeps it from more. */
function barrier_of(wanted: number, had: number, room: Room): Barrier & { readonly most: number } {
  const hard = wanted > had ? room.bounds.find((bound) => bound.hard) : undefined;
  const fits = room.more_by === null ? Infinity : room.capacity;
  const least = Math.min(MAX_TARGET, fits);
  if (hard && hard.connections < least) {
    const { connections, code, what, why, lift } = hard;
    return { most: connections, code, why: `${what}: ${why}`, lift };
  }
  if (fits < MAX_TARGET) return { most: least, code: 'limit_files', why: room.why, lift: more_members(wanted, room) };
  return { most: MAX_TARGET, code: 'limit_clients', why: `at most ${MAX_TARGET} clients`, lift: null };
}

function more_members(wanted: number, { per_member, members, more_by }: Room): string | null {
  const enough = Math.ceil(Math.min(wanted, MAX_TARGET) / per_member);
  return enough > members && enough <= MAX_WORKERS ? `${more_by} ${enough}` : null;
}

function doubt_of(target: number, had: number, bounds: readonly Bound[]): Aimed['doubt'] {
  const estimate = bounds.find((bound) => !bound.hard);
  if (!estimate || target <= had || target <= estimate.connections) return null;
  const { what, connections, lift } = estimate;
  return { what, connections, lift };
}

/** The room of this process' segment as targets of the whole swarm, as which `--max-connections` is given already. */
function over_whole(room: Room, whole: (clients: number) => number): Room {
  const bounds = room.bounds.map((bound) =>
    bound.code === 'limit_connections' ? bound : { ...bound, connections: whole(bound.connections) },
  );
  bounds.sort((a, b) => a.connections - b.connections || Number(b.hard) - Number(a.hard));
  return { ...room, capacity: whole(room.capacity), per_member: whole(room.per_member), bounds };
}

/** --max-connections */
export const bound_you_gave = (connections: number): Bound => ({
  code: 'limit_connections',
  what: '--max-connections',
  connections,
  hard: true,
  why: 'the limit you gave',
  lift: 'a larger --max-connections',
});

const here_of = (segment: Segment, part: (segment: Segment) => number): Here | null =>
  segment.text === null ? null : { segment: segment.text, part: part(segment) };

const no_such_agent = (agent: string, { here }: AgentFacts): Refusal => ({
  ok: false,
  code: 'no_such_agent',
  agent,
  known: here,
});
