/** `swarm series`: the course of a run of a swarm of many machines, as CSV. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { make_log } from '../foundation/log.ts';
import { stored_summary } from '../launch/stored-summary.ts';
import { adds_up, balance_of, course_of, csv_of } from '../machines/store/course.ts';
import { is_token } from '../machines/store/credentials.ts';
import { open_engine } from '../machines/store/open-engine.ts';
import type { Options } from '../options/options.ts';

const SERIES_AGAIN_MS = 1500;

/**
 * Prints the course of a run as CSV, and on stderr what is missing. Resolves with 1 when it does not add up to the
 * summary, else 0.
 * @throws SwarmError `no_series`, or of open_engine
 */
export async function print_series(run: string, options: Options, io: Io): Promise<number> {
  const log = make_log(options.log_level, io.err, io.colour.err);
  const { store } = await open_engine(options, ['leader', 'viewer'], (text) => log.warn(text));
  try {
    if (!is_token(run)) throw new SwarmError('no_series', { run });
    const summary = await stored_summary(store, run);
    let course = course_of(await store.appended(run), summary);
    // the run may have just ended, and agents may still send its last seconds
    if (summary && !adds_up(course, summary)) {
      await sleep(SERIES_AGAIN_MS);
      course = course_of(await store.appended(run), summary);
    }
    if (course.seconds.size === 0) throw new SwarmError('no_series', { run });
    for (const line of csv_of(course)) io.out.line(line);
    for (const line of balance_of(course, summary)) io.err.line(line);
    return summary === null || adds_up(course, summary) ? 0 : 1;
  } finally {
    await store.close();
  }
}
