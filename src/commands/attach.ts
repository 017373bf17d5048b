/** `swarm attach`: one more console of the current run, and a leader in reserve. */
import { SwarmError } from '../foundation/errors.ts';
import type { Io } from '../foundation/io.ts';
import { Refused } from '../foundation/shape.ts';
import { VERSION } from '../foundation/version.ts';
import { with_joined } from '../launch/many-machines.ts';
import { fetch_bundle } from '../machines/store/bundles.ts';
import type { Options } from '../options/options.ts';

const ATTACH_WITHIN_MS = 20_000;

/**
 * Joins the current run: shows it, takes commands, and leads it if the leader is gone. With a viewer's credentials it
 * only shows the run. Resolves with the exit code.
 */
export async function run_attach(options: Options, io: Io): Promise<number> {
  return await with_joined(options, io, 'leave', async ({ joined, store, log }) => {
    const { run } = await joined.attach(ATTACH_WITHIN_MS);
    if (run.swarm !== VERSION) throw new SwarmError('version_skew', { run: run.id, theirs: run.swarm, ours: VERSION });
    // the bundle is not executed here: only agents need to know who signed it
    const bundle = await fetch_bundle(store, run, null);
    if (bundle instanceof Refused)
      throw new SwarmError('bad_document', { what: `the bundle of run ${run.id}: ${bundle.why}` });
    joined.play(run, bundle);
    log.info(`attached to run ${run.id}`);
    return null;
  });
}
