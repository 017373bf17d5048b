/** A load that a run begins with: where it comes from, how it begins, and what its end means for the exit code. */
import { SwarmError } from '../foundation/errors.ts';
import type { Log } from '../foundation/log.ts';
import type { Command, Reply } from '../grammar/command.ts';
import { sentence } from '../grammar/sentences.ts';
import { EXIT_LOAD } from '../foundation/exit.ts';
import type { LoadSummary, Summary } from '../metrics/summary.ts';
import type { Options } from '../options/options.ts';
import { position_table, render_faults, type Fault } from '../script/fault.ts';
import { load_faults } from '../swarm/plan/carry-out.ts';
import type { Control } from '../swarm/plan/control.ts';
import { first_intent, type NamedSharing } from '../swarm/plan/intent.ts';
import { begin, peaks_of } from '../swarm/plan/load-play.ts';
import { MAX_TARGET } from '../grammar/command.ts';
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
  { load, script: file, join, credentials }: Pick<Options, 'load' | 'script' | 'join' | 'credentials'>,
  in_script: LoadInScript | null,
  groups: readonly NamedSharing[],
  segment: Segment,
  source: string,
  colour: boolean,
): ChosenLoad | null {
  const refuse = (whose: string, faults: readonly Fault[], text: string): never => {
    throw new SwarmError('bad_load', { whose, faults: `\n\n${render_faults(faults, text, colour)}\n\n` });
  };
  const has_agents = (join ?? credentials) !== null;
  if (load !== null) {
    const position = position_table(load);
    const faults = load_faults(load, { groups, segment, has_agents });
    if (faults.length > 0)
      refuse(
        '--load',
        faults.map(({ offset, message }) => ({ file: '--load', ...position(offset), message })),
        load,
      );
    return { text: load, by: '--load' };
  }
  if (in_script === null) return null;
  const { text, position } = in_script;
  const faults = load_faults(text, { groups, segment, has_agents });
  const name = file ?? 'the script';
  if (faults.length > 0)
    refuse(
      name,
      faults.map(({ offset, message }) => ({ file: name, ...position(offset), message })),
      source,
    );
  return { text, by: 'the script' };
}

/** The most clients of each group that the load plans, whatever it waits for in between. */
export function most_planned(text: string, groups: readonly NamedSharing[]): readonly number[] {
  const load = { text, epoch_ms: 0, most: MAX_TARGET, most_per_s: 1e6 };
  return peaks_of(begin(first_intent(1), load, groups, 0), groups, true).groups;
}

/** Begins the load. False: it cannot be played here, the log says why, and the run ends. */
export async function start_load(
  swarm: Control & { load(): LoadSummary | null },
  { text, by }: ChosenLoad,
  log: Log,
): Promise<boolean> {
  const ask = async (command: Command, who: string): Promise<Reply> => {
    let reply = await swarm.apply(command, who);
    // an engine that is away: each try takes seconds, and the operator can end the process
    for (; !reply.ok && AGAIN.includes(reply.code); reply = await swarm.apply(command, who)) {
      if (command.op === 'load' && swarm.load() !== null) break;
      log.warn(`${command.op}: ${sentence(reply)}; trying again`);
    }
    return reply;
  };
  const reply = await ask({ op: 'load', text }, by);
  // somebody has begun to stop the run, or the load plays in spite of the answer
  if (reply.ok || reply.code === 'stopping' || swarm.load() !== null) return true;
  log.error(`the load cannot be played: ${sentence(reply)}`);
  void ask({ op: 'stop', now: true }, 'the load');
  return false;
}

/** Nothing was changed as nobody answered, or nobody knows. */
const AGAIN: readonly string[] = ['engine_away', 'unknown'];

/** Of a run whose books balance and that nothing failed in; `is_played`: see {@link start_load}. */
export function exit_code(summary: Summary, is_played: boolean, log: Log): number {
  if (!is_played) return EXIT_LOAD;
  if (summary.load?.state === 'failed') {
    log.error(`the load could not be played to its end: ${summary.load.why ?? ''}`);
    return EXIT_LOAD;
  }
  const why = nothing_worked(summary);
  if (why === null) return 0;
  log.error(`nothing worked: ${why}`);
  return 1;
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
