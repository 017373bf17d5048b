/** From the options to everything a run needs: the script and its module, read, checked and bundled. Opens no socket. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SwarmError, reason_of } from './foundation/errors.ts';
import { read_text } from './foundation/files.ts';
import type { OptionsWith } from './options.ts';
import { bundle_module } from './protocols/bundle.ts';
import { to_module } from './protocols/exports.ts';
import { load_module } from './protocols/load.ts';
import type { ProtocolModule } from './protocols/module.ts';
import { check_actions } from './script/check.ts';
import { render_faults, type Fault } from './script/fault.ts';
import { parse_script } from './script/parse.ts';
import type { Script } from './script/types.ts';
import { guard_module } from './swarm/module-guard.ts';
import type { Log } from './foundation/log.ts';

/** The specifier `swarm` of a module means this file of the running swarm, so that classes are the same. */
const HOST_ENTRY = new URL('./index.js', import.meta.url).href;
/** Bytes; the parser says more about a script that is too long than this bound, which is there for /dev/zero. */
const MAX_SCRIPT = 16 * 1024 * 1024;

export interface Loaded {
  readonly script: Script;
  readonly script_sha256: string;
  readonly module: ProtocolModule;
  readonly module_path: string;
  readonly module_sha256: string;
}

/**
 * Reads and checks the script, bundles its module into `out_dir` and imports it.
 *
 * @throws SwarmError `no_script`, `bad_script` with all faults, or a code of {@link bundle_module}, {@link load_module}, {@link to_module}
 */
export async function load(options: OptionsWith<'script'>, out_dir: string, colour: boolean): Promise<Loaded> {
  const file = options.script;
  const text = read_script(file);
  const refuse = (faults: readonly Fault[]): never => {
    throw new SwarmError('bad_script', { file, faults: `\n\n${render_faults(faults, text, colour)}\n\n` });
  };
  const parsed = parse_script(text, file);
  if ('faults' in parsed) return refuse(parsed.faults);
  const { script } = parsed;
  const dir = options.protocol_dir ?? protocol_dir_of(file);
  const bundle = await bundle_module({ protocol: script.protocol, dir, host_entry: HOST_ENTRY, out_dir });
  const exports = await load_module(bundle.path);
  // its own faults first: args that are no schemas would spoil the check of the actions
  to_module(exports, []);
  const faults = check_actions(parsed, file, { exports, args: exports.args as Record<string, object> });
  if (faults.length > 0) return refuse(faults);
  return {
    script,
    script_sha256: createHash('sha256').update(text).digest('hex'),
    module: to_module(exports, script.actions.map((action) => action.command)), // prettier-ignore
    module_path: bundle.path,
    module_sha256: bundle.sha256,
  };
}

function read_script(file: string): string {
  try {
    return read_text(file, MAX_SCRIPT);
  } catch (error) {
    throw new SwarmError('no_script', { file, reason: reason_of(error) }, error);
  }
}

/** The folder `protocols` beside the script's folder, as in examples/; else the script's own. */
function protocol_dir_of(script: string): string {
  const own = dirname(script);
  const beside = join(own, '..', 'protocols');
  return statSync(beside, { throwIfNoEntry: false })?.isDirectory() === true ? beside : own;
}

/**
 * Sends to the log what the module prints in this process and throws outside any call: loading it runs its top-level code. Errors of
 * swarm itself go to `fail`. Returns the undo.
 */
export function hush_module(log: Log, fail: (error: unknown) => void): () => void {
  const guard = guard_module({
    note: ({ level, text }) => log[level](text),
    stray: (error) => log.warn({ err: error }, 'code of the module failed outside any call'),
    internal: fail,
  });
  return () => guard.undo();
}
