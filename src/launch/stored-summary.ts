/** The final summary of a run as the engine stores it. */
import { SwarmError } from '../foundation/errors.ts';
import { Refused } from '../foundation/shape.ts';
import { read_parts } from '../machines/store/bundles.ts';
import type { Store } from '../machines/store/store.ts';
import { read_summary } from '../metrics/read-summary.ts';
import type { Summary } from '../metrics/summary.ts';

/** Null: there is none. @throws SwarmError `bad_document` when it cannot be read */
export async function stored_summary(store: Store, run: string): Promise<Summary | null> {
  const text = await read_parts(store, `summary.${run}`);
  const found = text === null ? null : read_summary(text);
  if (found instanceof Refused)
    throw new SwarmError('bad_document', { what: `the summary of run ${run}: ${found.why}` });
  return found;
}
