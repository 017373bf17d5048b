/** From the options to what a run needs: script and module, read, checked and bundled. Opens no socket. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { read_text } from '../foundation/files.ts';
import type { Log } from '../foundation/log.ts';
import type { OptionsWith } from '../options/options.ts';
import { bundle_module } from '../protocols/bundle.ts';
import { to_module } from '../protocols/exports.ts';
import { load_module } from '../protocols/import-module.ts';
import type { ProtocolModule } from '../protocols/module.ts';
import { check_actions } from '../script/against-module.ts';
import { in_file_order, render_faults, type Fault } from '../script/fault.ts';
import { parse_script, type CheckableScript } from '../script/parse.ts';
import { actions_of, type Script } from '../script/types.ts';
import type { GroupSpec } from '../swarm/plan/run-spec.ts';
import { WHOLE } from '../swarm/plan/segment.ts';
import { guard_module } from '../swarm/worker/module-guard.ts';
import { chosen_load, most_planned, type ChosenLoad } from './load-run.ts';

/** A module's import of `swarm` means this file of the running swarm, so that classes are the same. */
export const HOST_ENTRY = new URL('../index.js', import.meta.url).href;
/** Bytes. This bound is for /dev/zero: of a real script that is too long the parser tells more. */
const MAX_SCRIPT = 16 * 1024 * 1024;

export interface Loaded {
  readonly script: Script;
  readonly script_sha256: string;
  readonly module: ProtocolModule;
  readonly module_path: string;
  readonly module_sha256: string;
  /** see {@link bundle_module} */
  readonly computed: readonly string[];
  /** what it begins with; null: what operators say */
  readonly load: ChosenLoad | null;
}

interface LoadedModule {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly sha256: string;
  readonly computed: readonly string[];
}

/**
 * Reads and checks the script, bundles its module into `out_dir` and imports it.
 *
 * @throws SwarmError `no_script`; `bad_script` with all faults, and why the module cannot be loaded if it cannot;
 * `bad_load`; or a code of {@link bundle_module}, {@link load_module}, {@link to_module}
 */
export async function load(options: OptionsWith<'script'>, out_dir: string, colour: boolean): Promise<Loaded> {
  const file = options.script;
  const text = read_script(file);
  const refuse = (faults: readonly Fault[], more = ''): never => {
    throw new SwarmError('bad_script', { file, faults: `\n\n${render_faults(faults, text, colour)}\n\n${more}` });
  };
  const parsed = parse_script(text, file);
  const dir = options.protocol_dir ?? protocol_dir_of(file);
  if ('faults' in parsed) {
    const { faults, rest } = parsed;
    if (rest === undefined) return refuse(faults);
    const module = await load_exports(rest.script.protocol, dir, out_dir).catch((error: unknown) => {
      if (!(error instanceof SwarmError)) throw error;
      return refuse(faults, `${error.message}\n\n`);
    });
    return refuse(in_file_order([...faults, ...check_module(rest, file, module)]));
  }
  const { script } = parsed;
  const module = await load_exports(script.groups[0]!.protocol, dir, out_dir);
  const { where } = parsed;
  const [main] = script.groups;
  const checkable = { script: { protocol: main!.protocol, actions: actions_of(main!) }, where };
  const faults = check_module(checkable, file, module);
  if (faults.length > 0) return refuse(faults);
  return {
    script,
    script_sha256: createHash('sha256').update(text).digest('hex'),
    module: to_module(
      module.exports,
      script.groups.flatMap(actions_of).map((action) => action.command),
    ),
    module_path: module.path,
    module_sha256: module.sha256,
    computed: module.computed,
    load: chosen_load(options, parsed.load, script.groups, options.segment ?? WHOLE, text, colour),
  };
}

/** What is played. */
export const groups_of = ({ script, module, load }: Pick<Loaded, 'script' | 'module' | 'load'>): GroupSpec[] => {
  const most = load === null ? [] : most_planned(load.text, script.groups);
  return script.groups.map(({ name, share, protocol, loops, iterations_in_all }, g) => ({
    name,
    share,
    commands: [...actions_of({ loops }).map(({ command }) => command), ...(module.connected ? ['connected'] : [])],
    script: { protocol, loops, iterations_in_all },
    among: iterations_in_all === null ? null : (most[g] ?? null),
  }));
};

async function load_exports(protocol: string, dir: string, out_dir: string): Promise<LoadedModule> {
  const { path, sha256, computed } = await bundle_module({ protocol, dir, host_entry: HOST_ENTRY, out_dir });
  const exports = await load_module(path, computed);
  // the module's own faults first: args that are no schemas would spoil the check of the actions
  to_module(exports, []);
  return { exports, path, sha256, computed };
}

const check_module = (script: CheckableScript, file: string, { exports }: LoadedModule): Fault[] =>
  check_actions(script, file, { exports, args: exports.args as Record<string, object> });

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
 * Sends to the log what the module prints in this process and throws outside any call, as loading it runs its top-level
 * code. Errors of swarm itself go to `fail`. Returns the undo.
 */
export function hush_module(log: Log, fail: (error: unknown) => void): () => void {
  const guard = guard_module({
    note: ({ level, text }) => log[level](text),
    stray: (error) => log.warn({ err: error }, 'code of the module failed outside any call'),
    internal: fail,
  });
  return () => guard.undo();
}
