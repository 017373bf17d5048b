/** `swarm check`: whether a script and its module can run. Opens nothing. */
import type { Io } from '../foundation/io.ts';
import { load_once } from '../launch/load-once.ts';
import type { OptionsWith } from '../options/options.ts';
import { CHART_POINTS, load_chart, load_table } from '../outputs/load-table.ts';
import { actions_of, protocols_of } from '../script/types.ts';
import { slot_rate_text } from '../foundation/rate.ts';
import { outline_of } from '../swarm/plan/load-outline.ts';
import { named_groups, rated_in } from '../swarm/plan/rated-actions.ts';
import { list } from '../script/wording.ts';

export async function run_check(options: OptionsWith<'script'>, io: Io): Promise<number> {
  const { script, computed, load } = await load_once(options, io);
  for (const place of computed)
    io.err.line(
      `${place} import(…) of a computed name: what it asks for is not in the bundle, so only modules of Node itself can be loaded there`,
    );
  const count = script.groups.flatMap(actions_of).length;
  const groups = script.groups.length > 1 ? ` in ${script.groups.length} groups` : '';
  io.out.line(
    `OK script ${options.script}: ${count} action${count === 1 ? '' : 's'}${groups}, protocol ${protocols_of(script.groups).join(', ')}`,
  );
  const named = named_groups(script.groups, null);
  const rates = rated_in(named).map(
    ({ called, to_rate, is_poisson }) => `${called} ${slot_rate_text(to_rate / 1e6)}${is_poisson ? ' poisson' : ''}`,
  );
  if (rates.length > 0) io.out.line(`at a rate: ${list(rates)}`);
  if (load === null) return 0;
  const outline = outline_of(load.text, named, CHART_POINTS);
  const chart = load_chart(outline);
  for (const line of [...load_table(outline), ...(chart.length > 0 ? ['', ...chart] : [])]) io.out.line(line);
  return 0;
}
