/** Loading for commands that run nothing: all is checked, nothing stays on the disk. */
import type { Io } from '../foundation/io.ts';
import { make_log } from '../foundation/log.ts';
import type { OptionsWith } from '../options/options.ts';
import { hush_module, load, type Loaded } from './load.ts';
import { with_run_folder } from './run-folder.ts';

/** As {@link load}, but nothing stays on the disk: `module_path` leads nowhere. */
export async function load_once(options: OptionsWith<'script'>, io: Io): Promise<Loaded> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  return await new Promise((resolve, reject) => {
    const undo = hush_module(log, reject);
    with_run_folder((folder) => load(options, folder, io.colour.err))
      .finally(undo)
      .then(resolve, reject);
  });
}
