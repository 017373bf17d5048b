/** `swarm check` and `swarm schema`: what a script may say, and whether this one can run. Opens nothing. */
import { make_log } from './foundation/log.ts';
import { hush_module, load, type Loaded } from './load.ts';
import type { OptionsWith } from './options.ts';
import type { Io } from './program.ts';
import { with_run_folder } from './run-folder.ts';
import { SCRIPT_SCHEMA } from './script/schema.ts';

export async function run_check(options: OptionsWith<'script'>, io: Io): Promise<number> {
  const { script, computed } = await load_once(options, io);
  for (const place of computed)
    io.err.line(
      `${place} import(…) of a computed name: nothing of what it asks for is in the bundle, only what is part of Node is found`,
    );
  const count = script.actions.length;
  io.out.line(`OK script ${options.script}: ${count} action${count === 1 ? '' : 's'}, protocol ${script.protocol}`);
  return 0;
}

/** What {@link load} makes, of which nothing stays on the disk: `module_path` leads nowhere. */
export async function load_once(options: OptionsWith<'script'>, io: Io): Promise<Loaded> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  return await new Promise((resolve, reject) => {
    const undo = hush_module(log, reject);
    with_run_folder((folder) => load(options, folder, io.colour.err))
      .finally(undo)
      .then(resolve, reject);
  });
}

export async function print_schema(io: Io): Promise<number> {
  io.out.line(JSON.stringify(SCRIPT_SCHEMA, null, 2));
  return 0;
}
