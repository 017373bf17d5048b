/** `swarm merge`: adds up the summaries of segments that ran apart. Takes every file as possibly hostile. */
import { resolve } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { escape_text } from '../foundation/escape.ts';
import { read_text } from '../foundation/files.ts';
import type { Io } from '../foundation/io.ts';
import { Refused } from '../foundation/shape.ts';
import { check_summary_path, write_summary } from '../launch/preflight.ts';
import { check_books } from '../metrics/books.ts';
import { read_summary } from '../metrics/read-summary.ts';
import type { Options } from '../options/options.ts';
import { final_table } from '../outputs/render.ts';
import { merge_summaries, type SegmentSummary } from '../runs/merge-summaries.ts';

const MAX_BYTES = 64 * 1024 * 1024;
const MAX_REASON = 200;

/**
 * Prints the table of all together, and on stderr what is missing. Exit code 0, or 1 when the books of the whole or of
 * a part do not balance.
 * @throws SwarmError `bad_summary`, `summaries_differ`; `bad_option`, `bad_summary_path` or `summary_lost` for
 * --summary
 */
export async function run_merge(files: readonly string[], options: Options, io: Io): Promise<number> {
  const { summary: target } = options;
  if (target !== null) {
    if (files.some((file) => resolve(file) === resolve(target)))
      throw new SwarmError('bad_option', { option: '--summary', reason: `${target} is one of the files to merge` });
    check_summary_path(target);
  }
  const parts = files.map((file): SegmentSummary => {
    const refuse = (reason: string): never => {
      throw new SwarmError('bad_summary', { file, reason: escape_text(reason, MAX_REASON) });
    };
    const found = read_summary(text_of(file, refuse));
    return found instanceof Refused ? refuse(found.why) : { file, summary: found };
  });
  const { summary, notes } = merge_summaries(parts);
  io.out.line(final_table(summary, io.colour.out));
  for (const note of notes) io.err.line(`swarm: ${note}`);
  if (target !== null) write_summary(target, summary);
  if (summary.balanced) return 0;
  for (const { file, summary: part } of parts)
    if (!part.balanced) io.err.line(`swarm: the books of ${file} do not balance`);
  for (const fault of check_books(summary, true)) io.err.line(`swarm: the books do not balance: ${fault}`);
  return 1;
}

function text_of(file: string, refuse: (reason: string) => never): string {
  try {
    return read_text(file, MAX_BYTES);
  } catch (error) {
    return refuse(reason_of(error));
  }
}
