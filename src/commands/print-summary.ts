/** `swarm summary`: the result of a run of many machines. */
import { SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { make_log } from '../foundation/log.ts';
import { check_summary_path, write_summary } from '../launch/preflight.ts';
import { stored_summary } from '../launch/stored-summary.ts';
import { open_engine } from '../machines/store/open-engine.ts';
import type { Options } from '../options/options.ts';
import { final_table } from '../outputs/render.ts';

/**
 * Prints the final summary of an ended run.
 * @throws SwarmError `no_summary`, or of open_engine
 */
export async function print_summary(run: string, options: Options, io: Io): Promise<number> {
  if (options.summary !== null) check_summary_path(options.summary);
  const log = make_log(options.log_level, io.err, io.colour.err);
  const { store } = await open_engine(options, ['leader', 'viewer'], (text) => log.warn(text));
  try {
    const summary = await stored_summary(store, run);
    if (summary === null) throw new SwarmError('no_summary', { run });
    if (options.summary !== null) write_summary(options.summary, summary);
    io.out.line(final_table(summary, io.colour.out));
    return 0;
  } finally {
    await store.close();
  }
}
