/** What replies say: the words behind `OK` or `ERR <code>`, and in every other place where people read them. Pure. */
import { slot_rate_text } from '../foundation/rate.ts';
import type {
  Aimed,
  Arriving,
  Barrier,
  Command,
  Deed,
  Done,
  Followers,
  Here,
  Missing,
  NextStep,
  NoArrivals,
  NoRate,
  Refusal,
  Reply,
  Retimed,
} from './command.ts';

/** since when one that was heard so lately is called silent, ms */
const SILENT_MS = 2000;
const MAX_KNOWN = 8;

/** What `reply` says, without its `OK` or `ERR`. */
export function sentence(reply: Reply): string {
  if (!reply.ok) return refusal(reply);
  return `${deed(reply)}${reply.followers === null ? '' : followed(reply.followers)}${coming(reply.next)}`;
}

/** `; the load goes on with \`hold 5m\` in 3 s` */
function coming(next: NextStep | undefined): string {
  if (next === undefined) return '';
  const { step, when } = next;
  const said = { waited: 'when its wait is over', resumed: 'after `resume`' };
  return `; the load goes on with \`${step}\` ${typeof when === 'number' ? `in ${seconds(when)}` : said[when]}`;
}

/** A command as somebody may have typed it. */
export function line_of(command: Command): string {
  const goal = ({ in: group, on, over_ms }: { readonly in?: string; readonly on?: string; readonly over_ms: number }) =>
    `${group === undefined ? '' : ` in ${group}`}${on === undefined ? '' : ` on ${on}`}${over(over_ms)}`;
  const lines: { readonly [Op in Command['op']]: (one: Extract<Command, { readonly op: Op }>) => string } = {
    incr: (one) => `incr ${one.count}${goal(one)}`,
    decr: (one) => `decr ${one.count}${one.graceful ? ' graceful' : ''}${goal(one)}`,
    set: (one) => `set ${one.count}${goal(one)}`,
    connect_rate: ({ per_s }) => `connect-rate ${per_s}`,
    rate: ({ action, per_s, over_ms, poisson }) =>
      `rate ${action} ${slot_rate_text(per_s)}${over(over_ms)}${poisson ? ' poisson' : ''}`,
    arrive: ({ per_s, over_ms, poisson, at_most, in: group }) =>
      `arrive ${slot_rate_text(per_s)}${over(over_ms)}${poisson ? ' poisson' : ''}` +
      `${at_most === null ? '' : ` at_most ${at_most}`}${group === undefined ? '' : ` in ${group}`}`,
    pause: () => 'pause',
    resume: () => 'resume',
    mark: ({ text }) => `mark ${text}`.trimEnd(),
    annotate: ({ text }) => `annotate ${text}`,
    retry_fatal: () => 'retry fatal',
    load: ({ text }) => `load ${text}`,
    load_end: () => 'load end',
    stop: ({ now }) => (now ? 'stop now' : 'stop'),
    rebalance: () => 'rebalance',
    drain: ({ agent, off }) => `drain ${agent}${off ? ' off' : ''}`,
    evict: ({ agent }) => `evict ${agent}`,
  };
  return (lines[command.op] as (one: Command) => string)(command);
}

const over = (ms: number): string => (ms === 0 ? '' : ` over ${ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`}`);

/** `10 s`, `0.5 s` */
export const seconds = (ms: number): string => `${Number((ms / 1000).toFixed(1))} s`;

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

type Says = { readonly [Op in Deed['op']]: (done: Extract<Deed, { readonly op: Op }>) => string };

const SAYS: Says = {
  incr: aimed,
  decr: aimed,
  set: aimed,
  connect_rate: ({ asked, per_s, here }) =>
    `connect rate ${per_s} per second${asked > per_s ? ` (asked ${asked}: --max-connect-rate ${per_s})` : ''}${part(here)}`,
  rate: (done) => `rate of ${done.action} ${retimed(done)}${still(done)}`,
  arrive: (done) => {
    const { group, at_most } = done;
    return `clients of ${group} arrive at ${retimed(done)}${at_most === null ? '' : `; at most ${at_most} at a time`}${still(done)}`;
  },
  pause: () => 'paused',
  resume: () => 'running',
  mark: ({ text }) => (text ? `marked ${text}` : 'marked'),
  annotate: ({ text }) => `noted ${text}`,
  load: ({ steps, first, most }) =>
    `playing ${count(steps, 'step')}, at most ${count(most, 'client')}; now \`${first}\``,
  load_end: ({ step }) => `the load ends in \`${step}\`; what is planned stays`,
  retry_fatal: ({ clients }) => `retrying ${clients} fatal clients`,
  stop: ({ now, within_ms, teardown_ms }) =>
    `${now ? 'stopping now' : `stopping, within ${seconds(within_ms)}`}` +
    (teardown_ms === null ? '' : `, then teardown of the module within ${seconds(teardown_ms)}`),
  rebalance: ({ clients, agents }) => `sharing ${clients} clients anew among ${count(agents, 'agent')}`,
  drain: ({ agent, off }) => (off ? `${agent} takes part again` : `draining ${agent}`),
  evict: ({ agent }) => `evicted ${agent}, its clients go to the others`,
  trace: ({ client, member }) => `trace of client ${client} in ${member ?? 'no agent'}`,
  wait: ({ what, clients }) => `${clients} ${what}`,
};

const retimed = ({ had, per_s, over_ms, poisson }: Retimed | Arriving): string =>
  `${slot_rate_text(per_s)}${poisson ? ', drawn as a Poisson process' : ''}` +
  `${over_ms === 0 ? '' : `, in ${seconds(over_ms)}`}, was ${slot_rate_text(had)}`;

const still = ({ is_paused, here }: Retimed | Arriving): string =>
  `${is_paused ? '; it stands still until `resume`' : ''}${part(here)}`;

function deed(done: Done): string {
  const say = SAYS[done.op] as (one: Deed) => string;
  return say(done);
}

function aimed({
  asked,
  had,
  target,
  all_of_them,
  bound,
  doubt,
  waiting,
  in: group,
  by_name,
  on,
  here,
}: Aimed): string {
  const before = had > 0 || all_of_them ? `, had ${had}` : '';
  const notes = [
    ...(group === null ? [] : [`${group.clients} in ${group.group}`]),
    ...(on === null ? [] : [`${on.clients} on ${on.label}`]),
    ...(all_of_them ? [`asked ${asked}${before}`] : []),
    ...(all_of_them && by_name > 0 ? [`${by_name} were given to groups by name: \`decr N in GROUP\``] : []),
    ...(bound === null ? [] : [`asked ${asked}${before}: ${barrier(bound)}`]),
    ...(doubt === null ? [] : [`${doubt.what} may not suffice: about ${doubt.connections} fit; try ${doubt.lift}`]),
    ...(on === null || on.is_known ? [] : [`no agent has the label ${on.label}, they wait for one`]),
    ...(waiting === null
      ? []
      : [`${waiting.fits} fit now, on ${count(waiting.agents, 'agent')}; the rest waits for more`]),
  ];
  return `target ${target}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}${part(here)}`;
}

const barrier = ({ why, lift }: Barrier): string => `${why}${lift === null ? '' : `; try ${lift}`}`;

const part = (here: Here | null): string => (here === null ? '' : ` (segment ${here.segment}: ${here.part} here)`);

/** `, 4 workers are starting`, `, 1 of 2 workers acknowledged (w2 silent 3 s)` */
function followed({ kind, of, acknowledged, missing, starting, unplanned_by }: Followers): string {
  const coming = starting === 0 ? '' : `, ${starting === 1 ? '1 worker is' : `${starting} workers are`} starting`;
  if (unplanned_by !== undefined)
    return `${coming}, not planned yet: ${unplanned_by === null ? 'nobody leads' : `the leader (${unplanned_by}) is silent`}`;
  if (of === 0) return `${coming}, but no ${kind} is ${kind === 'worker' ? 'up' : 'here'}`;
  if (acknowledged === of) return coming;
  const more = of - acknowledged - missing.length;
  const named = [...missing.map(why_missing), ...(more > 0 ? [`and ${more} more`] : [])];
  return `${coming}, ${acknowledged} of ${of} ${kind}s acknowledged (${named.join(', ')})`;
}

function why_missing({ id, absent, silent_ms }: Missing): string {
  if (absent !== null) return `${id} ${absent}`;
  return silent_ms < SILENT_MS ? `${id} is still working on it` : `${id} silent ${Math.round(silent_ms / 1000)} s`;
}

const away = (ms: number | null): string =>
  `the engine does not answer${ms === null ? '' : ` for ${Math.round(ms / 1000)} s`}`;

/** Why no rate can be steered by a name, in words. */
export function no_rate(reply: NoRate): string {
  switch (reply.code) {
    case 'no_such_action': {
      const { action, near, rated } = reply;
      const known = rated.length === 0 ? 'none has a rate' : `those with a rate are ${some(rated)}`;
      return `no action \`${action}\`: ${near === null ? known : `did you mean \`${near}\`?`}`;
    }
    case 'no_rate':
      return `\`${reply.action}\` has no rate: give it one in the script, \`rate: 0/s\` waits for commands`;
    case 'ambiguous_action': {
      const names = [...new Set(reply.names)];
      const instead = names.length > 1 ? `say which of ${some(names)}` : 'give each a `name` of its own in the script';
      return `several actions with a rate are called \`${reply.action}\`: ${instead}`;
    }
  }
}

/** Why no clients can arrive, in words. */
function no_arrivals(reply: NoArrivals): string {
  switch (reply.code) {
    case 'one_machine':
      return '`arrive` needs a swarm of one machine for now';
    case 'no_such_group':
      return `no group ${reply.group}, the script has ${reply.names.slice(0, MAX_KNOWN).join(', ')}`;
    case 'no_iterations': {
      const { group, in_all } = reply;
      if (in_all)
        return `\`iterations_in_all\` of ${group} is divided among the clients of a target: write \`iterations: 1\` instead, or as many as each client that arrives shall play`;
      const who = group === null ? 'no group has iterations' : `${group} has no iterations`;
      return `${who}, so clients that arrive would never leave: write \`iterations: 1\` in the script`;
    }
    case 'which_group':
      return `several groups have iterations: say which one, \`in ${reply.names[0] ?? ''}\` or another of ${some(reply.names)}`;
  }
}

const some = (names: readonly string[]): string =>
  `${names.slice(0, MAX_KNOWN).join(', ')}${names.length > MAX_KNOWN ? ', …' : ''}`;

function refusal(reply: Refusal): string {
  if ('bound' in reply) {
    const { asked, target, bound, fits } = reply;
    return fits === undefined
      ? `nothing fits: target ${target} (asked ${asked}: ${barrier(bound)})`
      : `the load asks for ${asked} clients at once, ${fits} fit: ${barrier(bound)}`;
  }
  switch (reply.code) {
    case 'stopping':
      return `the swarm ${reply.has_ended ? 'has ended' : 'is stopping'}`;
    case 'not_ready':
      return 'the swarm is not ready: it waits for its agents';
    case 'interrupted':
      return 'the wait was given up';
    case 'no_agents':
      return `${reply.what} is for a swarm of many machines (swarm run --join)`;
    case 'no_such_action':
    case 'no_rate':
    case 'ambiguous_action':
      return no_rate(reply);
    case 'one_machine':
    case 'no_such_group':
    case 'no_iterations':
    case 'which_group':
      return no_arrivals(reply);
    case 'no_such_agent':
      return `no agent ${reply.agent}, ${reply.known.length === 0 ? 'none is here' : `known are ${reply.known.slice(0, MAX_KNOWN).join(', ')}`}`;
    case 'no_such_client':
      return reply.down === null
        ? `no client has the id ${reply.client}`
        : `the worker of client ${reply.client}, ${reply.down}, is not up`;
    case 'too_many':
      return reply.of === 'traces'
        ? `${reply.most} traces run already: wait until one ends`
        : `at most ${reply.most} labels have clients of their own`;
    case 'read_only':
      return `the credentials of this console are for looking only: \`${reply.what}\` needs those of a leader`;
    case 'unknown':
      return reply.lost
        ? 'the engine lost it with its memory: look at the target, and ask again'
        : `${away(reply.away_ms)}: the command may have been applied or not, look at the target when the engine is back`;
    case 'engine_away':
      return `${away(reply.away_ms)}: nothing was changed, try again when it is back`;
    case 'not_yet':
      return `${reply.clients} of ${reply.wanted}`;
    case 'no_load':
      return 'no load plays';
    case 'load_plays':
      return `a load plays already, at \`${reply.step}\`: \`load end\` first`;
    case 'internal':
    case 'bad_command':
    case 'bad_load':
      return reply.reason;
  }
}
