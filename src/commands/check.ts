/** `swarm check`: whether a script and its module can run. Opens nothing. */
import type { Io } from '../foundation/io.ts';
import { load_once } from '../launch/load-once.ts';
import type { OptionsWith } from '../options/options.ts';
import { actions_of, protocols_of } from '../script/types.ts';

export async function run_check(options: OptionsWith<'script'>, io: Io): Promise<number> {
  const { script, computed } = await load_once(options, io);
  for (const place of computed)
    io.err.line(
      `${place} import(…) of a computed name: what it asks for is not in the bundle, so only modules of Node itself can be loaded there`,
    );
  const count = script.groups.flatMap(actions_of).length;
  const groups = script.groups.length > 1 ? ` in ${script.groups.length} groups` : '';
  io.out.line(
    `OK script ${options.script}: ${count} action${count === 1 ? '' : 's'}${groups}, protocol ${protocols_of(script.groups).join(', ')}`,
  );
  return 0;
}
