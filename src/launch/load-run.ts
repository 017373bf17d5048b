/** A load that a run begins with: where it comes from, how it begins, and what its end means for the exit code. */
import { SwarmError } from '../foundation/errors.ts';
import { EXIT_LOAD } from '../foundation/exit.ts';
import type { Log } from '../foundation/log.ts';
import { MAX_TARGET, type Command, type Reply } from '../grammar/command.ts';
import { sentence } from '../grammar/sentences.ts';
import { full_name } from '../metrics/groups.ts';
import type { LoadSummary, Summary } from '../metrics/summary.ts';
import type { OptionsWith } from '../options/options.ts';
import { position_table, render_faults, type Fault } from '../script/fault.ts';
import { load_faults } from '../swarm/plan/carry-out.ts';
import type { Control } from '../swarm/plan/control.ts';
import { first_intent, type NamedSharing } from '../swarm/plan/intent.ts';
import { begin, peaks_of } from '../swarm/plan/load-play.ts';
import type { Segment } from '../swarm/plan/segment.ts';

/** As it is played, and who says so. */
export interface ChosenLoad {
  readonly text: string;
  readonly by: string;
}

/** What a script says of a load. */
export interface LoadInScript {
  readonly text: string;
  readonly position: (at: number) => Pick<Fault, 'line' | 'column'>;
}

/**
 * That of `--load`, else that of the script; null: neither has one, and the operator gives commands.
 * @throws SwarmError `bad_load` with all faults
 */
export function chosen_load(
  { load, script, join, credentials }: Pick<OptionsWith<'script'>, 'load' | 'script' | 'join' | 'credentials'>,
  in_script: LoadInScript | null,
  groups: readonly NamedSharing[],
  segment: Segment,
  source: string,
  colour: boolean,
): ChosenLoad | null {
  const chosen =
    load !== null
      ? { text: load, position: position_table(load), file: '--load', source: load, by: '--load' }
      : in_script && { ...in_script, file: script, source, by: 'the script' };
  if (chosen === null) return null;
  const { text, position, file, by } = chosen;
  const found = load_faults(text, { groups, segment, has_agents: (join ?? credentials) !== null });
  if (found.length === 0) return { text, by };
  const faults = found.map(({ offset, message }): Fault => ({ file, ...position(offset), message }));
  throw new SwarmError('bad_load', {
    whose: file,
    faults: `\n\n${render_faults(faults, chosen.source, colour)}\n\n`,
  });
}

/** The most clients of each group that the load plans, whatever it waits for in between. */
export function most_planned(text: string, groups: readonly NamedSharing[]): readonly number[] {
  const load = { text, epoch_ms: 0, most: MAX_TARGET, most_per_s: 1e6 };
  return peaks_of(begin(first_intent(1), load, groups, 0), groups).groups;
}

/** actions that are named, of those that were not played as planned */
const MAX_NAMED = 5;
/** Nothing was changed as nobody answered, or nobody knows whether it was. */
const AGAIN: readonly string[] = ['engine_away', 'unknown'];
/** for so long an engine that is away is asked again, and how often */
const AGAIN_MS = 300_000;
const PAUSE_MS = 1000;

/** Begins the load. False: it cannot be played here, the log says why, and the run ends. */
export async function start_load(
  swarm: Control & { load(): LoadSummary | null },
  { text, by }: ChosenLoad,
  log: Log,
): Promise<boolean> {
  const ask = async (command: Command, who: string): Promise<Reply> => {
    const deadline = performance.now() + AGAIN_MS;
    for (;;) {
      const reply = await swarm.apply(command, who);
      const is_there = command.op === 'load' && swarm.load() !== null;
      if (reply.ok || is_there || !AGAIN.includes(reply.code) || performance.now() >= deadline) return reply;
      log.warn(`${command.op}: ${sentence(reply)}; trying again`);
      await new Promise((done) => setTimeout(done, PAUSE_MS));
    }
  };
  const reply = await ask({ op: 'load', text }, by);
  // somebody has begun to stop the run, or the load plays in spite of the answer
  if (reply.ok || reply.code === 'stopping' || swarm.load() !== null) return true;
  log.error(`the load cannot be played: ${sentence(reply)}`);
  void ask({ op: 'stop', now: true }, 'the load').then((end) => {
    if (!end.ok && end.code !== 'stopping') log.error(`the run goes on, end it with a signal: ${sentence(end)}`);
  });
  return false;
}

/**
 * Of a run whose books balance and that nothing failed in; `is_played`: see {@link start_load}; `strict`: the load must
 * have been played as it was planned.
 */
export function exit_code(summary: Summary, is_played: boolean, strict: boolean, log: Log): number {
  if (!is_played) return EXIT_LOAD;
  if (summary.load?.state === 'failed') {
    log.error(`the load could not be played to its end: ${summary.load.why ?? ''}`);
    return EXIT_LOAD;
  }
  const otherwise = strict ? not_as_planned(summary) : null;
  if (otherwise !== null) {
    log.error(`--strict: the load was not played as planned: ${otherwise}`);
    return EXIT_LOAD;
  }
  const why = nothing_worked(summary);
  if (why === null) return 0;
  log.error(`nothing worked: ${why}`);
  return 1;
}

/** Why the load was not the one that was planned; null: it was. What an end or a pause dropped was to be. */
export function not_as_planned({ saturated_seconds = 0, actions }: Summary): string | null {
  const missing = actions.flatMap((action) => {
    if (!action.slots) return [];
    const { planned, dropped, lost } = action.slots;
    const count = dropped.no_free_client + dropped.backlog + lost;
    return count > 0 ? [`${count} of ${planned} slots of ${full_name(action)} were dropped or lost`] : [];
  });
  const saturated = saturated_seconds > 0 ? [`swarm was saturated for ${saturated_seconds} s`] : [];
  const all = [...saturated, ...missing.slice(0, MAX_NAMED)];
  return all.length === 0 ? null : all.join('; ');
}

/** Why the run shows nothing of the server; null: something worked, or nothing was tried. Aborted rounds do not count. */
export function nothing_worked({ connections, actions }: Summary): string | null {
  if (connections.attempted > 0 && connections.established === 0)
    return `${connections.attempted} connections were tried, and none was established`;
  const failed_in = (some: Summary['actions']): number =>
    some.reduce((all, action) => all + Object.values(action.failed).reduce((a, b) => a + b, 0), 0);
  const ok_in = (some: Summary['actions']): number => some.reduce((all, action) => all + action.ok, 0);
  // `connected` alone makes no run, but for one that does nothing else
  const own = actions.filter(({ index }) => index >= 0);
  const judged = failed_in(own) + ok_in(own) > 0 ? own : actions;
  const [failed, ok] = [failed_in(judged), ok_in(judged)];
  return failed > 0 && ok === 0 ? `${failed} rounds ended, and none of them well` : null;
}
