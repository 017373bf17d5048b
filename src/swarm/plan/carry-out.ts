/** What a command means: the only place that decides it, for one machine and for many. Pure. */
import { MAX_WORKERS } from '../../foundation/open-files.ts';
import {
  MAX_TARGET,
  type Aimed,
  type Barrier,
  type Command,
  type Deed,
  type Here,
  type NextStep,
  type Refusal,
} from '../../grammar/command.ts';
import {
  barriers_of,
  labels_in,
  rate_faults,
  read_load,
  unknown_groups,
  type TextFault,
} from '../../grammar/load-text.ts';
import { sentence } from '../../grammar/sentences.ts';
import type { Bound } from '../../metrics/summary.ts';
import { aim, type TargetCommand } from './aims.ts';
import { arriving, find_arriving, find_rate, type ArriveCommand } from './arrivals.ts';
import { is_ending, MAX_EVICTED, MAX_LABELS, target_of, targets_of, type Intent, type NamedSharing } from './intent.ts';
import { advance, begin, end_load, freeze, most_asked, next_of, step_of, steps_of, thaw } from './load-play.ts';
import { whole_here } from './numbering.ts';
import { find_rated, rate_now, retimed, with_rates, type RateCommand } from './rated-actions.ts';
import { part_of, rate_of, type Segment } from './segment.ts';

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
  readonly groups: readonly NamedSharing[];
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
export type Carried = Deed & { readonly ok: true; readonly next?: NextStep };

/** What `command` makes of the intent, and the answer to it but for who has followed. */
export function carry_out(stored: Intent, command: Command, facts: Facts): Outcome {
  const before = advance(stored, facts.groups, facts.run_ms);
  const is_stop = command.op === 'stop';
  const is_second_try = is_stop && command.now && before.phase === 'drain';
  if (is_ending(before) && !is_second_try) return refused(stored, { ok: false, code: 'stopping', has_ended: false });
  if (facts.agents?.are_gathering && !is_stop) return refused(stored, { ok: false, code: 'not_ready' });
  const { intent: changed_to, reply } = changed(before, command, facts);
  if (!reply.ok) return refused(stored, reply);
  const intent = with_rates(changed_to, facts.groups, facts.run_ms);
  const next = command.op === 'load' ? null : next_of(intent, facts.run_ms);
  return { intent, reply: next === null ? reply : { ...reply, next } };
}

const refused = (intent: Intent, reply: Refusal): Outcome => ({ intent, reply });

function changed(before: Intent, command: Command, facts: Facts): Outcome {
  const { agents, run_ms } = facts;
  const refuse = (reply: Refusal): Outcome => refused(before, reply);
  const change = (intent: Partial<Intent>, deed: Deed): Outcome => ({
    intent: { ...before, ...intent },
    reply: { ok: true, ...deed },
  });
  switch (command.op) {
    case 'incr':
    case 'decr':
    case 'set':
      return aim_at(before, command, facts);
    case 'load':
      return begin_load(before, command.text, facts);
    case 'load_end': {
      const step = step_of(before);
      if (step === null) return refuse({ ok: false, code: 'no_load' });
      return change(end_load(before, facts.groups, run_ms), { op: 'load_end', step: step.text });
    }
    case 'connect_rate': {
      const per_s = Math.min(command.per_s, facts.max_connect_per_s ?? Infinity);
      const here = here_of(facts.segment, (segment) => rate_of(segment, per_s));
      return change({ connect_per_s: per_s }, { op: 'connect_rate', asked: command.per_s, per_s, here });
    }
    case 'rate':
      return retime(before, command, facts);
    case 'arrive':
      return arrive(before, command, facts);
    case 'pause':
      return change({ ...freeze(before, run_ms), phase: 'pause' }, { op: 'pause' });
    case 'resume':
      return change({ ...thaw(before, run_ms), phase: 'run' }, { op: 'resume' });
    case 'retry_fatal':
      return change({ retry_fatal: before.retry_fatal + 1 }, { op: 'retry_fatal', clients: facts.fatal });
    case 'mark': {
      const { text } = command;
      const mark = { text, at_ms: facts.wall_ms, seq: (before.mark?.seq ?? 0) + 1 };
      return change({ mark }, { op: 'mark', text });
    }
    case 'annotate':
      return change({}, { op: 'annotate', text: command.text });
    case 'stop': {
      const { now } = command;
      const { stop_ms: within_ms, teardown_ms } = facts;
      return change({ phase: now ? 'stop' : 'drain' }, { op: 'stop', now, within_ms, teardown_ms });
    }
    case 'rebalance':
      if (!agents) return refuse({ ok: false, code: 'no_agents', what: 'rebalance' });
      return change(
        { rebalance: before.rebalance + 1 },
        { op: 'rebalance', clients: target_of(before, facts.groups), agents: agents.here.length },
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

function retime(before: Intent, command: RateCommand, { groups, segment, run_ms }: Facts): Outcome {
  const { op, per_s, over_ms, poisson } = command;
  const found = find_rated(groups, command.action);
  if (!('key' in found)) return refused(before, found);
  return {
    intent: { ...before, rates: retimed(before.rates, found, command, run_ms) },
    reply: {
      ok: true,
      ...{ op, action: found.called, per_s, over_ms, poisson },
      had: rate_now(before.rates[found.key], run_ms),
      is_paused: before.phase === 'pause',
      here: here_of(segment, (one) => rate_of(one, per_s)),
    },
  };
}

function arrive(before: Intent, command: ArriveCommand, { groups, segment, run_ms, agents }: Facts): Outcome {
  const { op, per_s, over_ms, poisson, at_most } = command;
  const found = find_arriving(groups, command.in, agents !== null);
  if (!('key' in found)) return refused(before, found);
  return {
    intent: { ...before, rates: arriving(before.rates, found, command, run_ms) },
    reply: {
      ok: true,
      ...{ op, group: found.group, per_s, over_ms, poisson, at_most },
      had: rate_now(before.rates[found.key], run_ms),
      is_paused: before.phase === 'pause',
      here: here_of(segment, (one) => rate_of(one, per_s)),
    },
  };
}

function aim_at(before: Intent, command: TargetCommand, facts: Facts): Outcome {
  const { op, count: asked, on, in: group } = command;
  const { segment, groups, run_ms, agents } = facts;
  const refuse = (reply: Refusal): Outcome => refused(before, reply);
  if (on !== undefined && !agents) return refuse({ ok: false, code: 'no_agents', what: 'on LABEL' });
  const names = groups.map(({ name }) => name);
  if (group !== undefined && !names.includes(group)) return refuse({ ok: false, code: 'no_such_group', group, names });
  const all = target_of(before, groups);
  const room = over_whole(facts.room, (clients) => whole_here(groups, segment, clients));
  const room_on = (label: string): number | null => agents?.room_on(label) ?? null;
  const goal = (most: number): ReturnType<typeof aim> => aim(before, command, groups, run_ms, { most, room_on });
  const free = goal(MAX_TARGET);
  const barrier = barrier_of(all + free.wanted - free.had, all, room);
  const { steered, had, wanted, aimed, target, is_over_labels } = goal(barrier.most);
  if (wanted > had && aimed <= had)
    return refuse({ ok: false, code: barrier.code, asked, target: all, bound: barrier });
  if (is_over_labels) return refuse({ ok: false, code: 'too_many', of: 'labels', most: MAX_LABELS });
  const waits = room.more_by === null && target > room.capacity;
  const intent = { ...before, ...steered };
  return {
    intent,
    reply: {
      ok: true,
      op,
      asked,
      had,
      target,
      all_of_them: wanted < 0,
      bound: wanted > aimed ? { code: barrier.code, why: barrier.why, lift: barrier.lift } : null,
      doubt: wanted > aimed ? null : doubt_of(target, all, room.bounds),
      waiting: waits ? { fits: room.capacity, agents: room.members } : null,
      in: group === undefined ? null : { group, clients: targets_of(intent, groups)[names.indexOf(group)]! },
      by_name: group === undefined && on === undefined ? Math.max(0, target - steered.target) : 0,
      on: on === undefined ? null : { label: on, clients: aimed, is_known: room_on(on) !== null },
      here: here_of(segment, (one) => targets_of(intent, groups).reduce((sum, part) => sum + part_of(one, part), 0)),
    },
  };
}

/** What keeps a load from being played here: faults of its text first. */
export function load_faults(
  text: string,
  { groups, segment, has_agents }: Pick<Facts, 'groups' | 'segment'> & { readonly has_agents: boolean },
): readonly TextFault[] {
  const read = read_load(text);
  const unknown = unknown_groups(
    read,
    groups.map(({ name }) => name),
  );
  const alone = segment.text === null ? [] : barriers_of(read);
  const message = 'a load of a segment cannot wait: the other segments would not; `hold` for as long as it takes';
  const labels = [...labels_in(read)];
  const no_label = has_agents
    ? labels.slice(MAX_LABELS).map(([, offset]) => ({ offset, message: `at most ${MAX_LABELS} labels have clients` }))
    : labels.map(([, offset]) => ({
        offset,
        message: '`on LABEL` is for a swarm of many machines: leave it out here',
      }));
  const rates = rate_faults(read, (command) => {
    const found = find_rate(groups, command, has_agents);
    if ('key' in found) return found;
    // an unknown group was said already
    return found.code === 'no_such_group' ? { key: `unknown ${found.group}` } : { why: sentence(found) };
  });
  const faults = [...read.faults, ...unknown, ...rates, ...alone.map((offset) => ({ offset, message })), ...no_label];
  return faults.sort((a, b) => a.offset - b.offset);
}

function begin_load(before: Intent, text: string, facts: Facts): Outcome {
  const { groups, segment, run_ms, wall_ms } = facts;
  const [fault] = load_faults(text, { ...facts, has_agents: facts.agents !== null });
  if (fault) {
    const { offset, message } = fault;
    return refused(before, { ok: false, code: 'bad_load', reason: `column ${offset + 1} of the load: ${message}` });
  }
  const playing = step_of(before);
  if (playing !== null) return refused(before, { ok: false, code: 'load_plays', step: playing.text });
  const room = over_whole(facts.room, (clients) => whole_here(groups, segment, clients));
  const all = target_of(before, groups);
  const most_per_s = facts.max_connect_per_s ?? 1e6;
  const start = (most: number): Intent =>
    begin(before, { text, most, most_per_s, epoch_ms: wall_ms - run_ms }, groups, run_ms);
  const peak = most_asked(start(MAX_TARGET), groups);
  const barrier = barrier_of(peak, all, room);
  // not half of it: whoever planned it would read numbers of another load
  if (peak > barrier.most) {
    const { code, most: fits } = barrier;
    return refused(before, { ok: false, code, asked: peak, target: all, bound: barrier, fits });
  }
  const intent = advance(start(Math.max(all, barrier.most)), groups, run_ms);
  return {
    intent,
    reply: { ok: true, op: 'load', steps: steps_of({ text }).length, first: step_of(intent)?.text ?? text, most: peak },
  };
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
