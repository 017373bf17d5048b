/** From the options to what a run needs: script and module, read, checked and bundled. Opens no socket. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { read_text } from '../foundation/files.ts';
import type { Log } from '../foundation/log.ts';
import { CONNECTED } from '../metrics/groups.ts';
import type { OptionsWith } from '../options/options.ts';
import { bundle_modules } from '../protocols/bundle.ts';
import { to_modules } from '../protocols/exports.ts';
import { load_modules, type Exports } from '../protocols/import-module.ts';
import type { ProtocolModule } from '../protocols/module.ts';
import { check_actions } from '../script/against-module.ts';
import { in_file_order, render_faults, type Fault } from '../script/fault.ts';
import { parse_script, type CheckableScript, type ParsedScript } from '../script/parse.ts';
import { actions_of, commands_of, MAIN, protocols_of, type Script } from '../script/types.ts';
import { named_groups } from '../swarm/plan/rated-actions.ts';
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
  /** those of its groups, by name, in the order in which they come up first */
  readonly modules: ReadonlyMap<string, ProtocolModule>;
  /** the bundle of all of them */
  readonly module_path: string;
  readonly module_sha256: string;
  /** see {@link bundle_modules} */
  readonly computed: readonly string[];
  /** what it begins with; null: what operators say */
  readonly load: ChosenLoad | null;
}

interface LoadedModules {
  readonly exports: ReadonlyMap<string, Exports>;
  readonly path: string;
  readonly sha256: string;
  readonly computed: readonly string[];
}

/**
 * Reads and checks the script, bundles its modules into `out_dir` and imports them.
 *
 * @throws SwarmError `no_script`; `bad_script` with all faults, and why a module cannot be loaded if one cannot;
 * `bad_load`; or a code of {@link bundle_modules}, {@link load_modules}, {@link to_modules}
 */
export async function load(options: OptionsWith<'script'>, out_dir: string, colour: boolean): Promise<Loaded> {
  const file = options.script;
  const text = read_script(file);
  const refuse = (faults: readonly Fault[], more = ''): never => {
    throw new SwarmError('bad_script', { file, faults: `\n\n${render_faults(faults, text, colour)}\n\n${more}` });
  };
  const parsed = parse_script(text, file);
  const dir = options.protocol_dir ?? protocol_dir_of(file);
  const { rest } = parsed;
  if ('faults' in parsed) {
    const { faults } = parsed;
    if (rest === undefined) return refuse(faults);
    const loaded = await load_exports(protocols_of(rest.groups), dir, out_dir).catch((error: unknown) => {
      if (!(error instanceof SwarmError)) throw error;
      return refuse(faults, `${error.message}\n\n`);
    });
    return refuse(in_file_order([...faults, ...check_modules(rest, file, loaded)]));
  }
  const { script } = parsed;
  const loaded = await load_exports(protocols_of(script.groups), dir, out_dir);
  const faults = [...check_modules(parsed.rest, file, loaded), ...check_shared_out(options, parsed, file)];
  if (faults.length > 0) return refuse(in_file_order(faults));
  return {
    script,
    script_sha256: createHash('sha256').update(text).digest('hex'),
    modules: to_modules(loaded.exports, (protocol) => commands_of(script.groups, protocol)),
    module_path: loaded.path,
    module_sha256: loaded.sha256,
    computed: loaded.computed,
    load: chosen_load(options, parsed.load, named_groups(script.groups, null), options.segment ?? WHOLE, text, colour),
  };
}

/** Iterations of all clients together are divided by how many clients the load plans. */
function check_shared_out(
  { load }: OptionsWith<'script'>,
  { script, load: own, rest }: ParsedScript,
  file: string,
): Fault[] {
  if (load !== null || own !== null) return [];
  const message =
    '`iterations_in_all` is shared out among the clients that a load plans, and there is none: ' +
    'write `load:`, give --load, or say `iterations` for each client';
  return script.groups
    .filter(({ iterations_in_all }) => iterations_in_all !== null)
    .flatMap(({ name }) => rest.where(`${name === MAIN ? '' : `/groups/${name}`}/iterations_in_all`, 'key') ?? [])
    .map((place) => ({ file, ...place, message }));
}

/** What is played. */
export const groups_of = ({ script, modules, load }: Pick<Loaded, 'script' | 'modules' | 'load'>): GroupSpec[] => {
  const most = load === null ? [] : most_planned(load.text, script.groups);
  return script.groups.map(({ name, share, protocol, loops, iterations_in_all }, g) => {
    const commands = actions_of({ loops }).map(({ command }) => command);
    return {
      name,
      share,
      commands: modules.get(protocol)!.connected ? [...commands, CONNECTED] : commands,
      script: { protocol, loops, iterations_in_all },
      among: iterations_in_all === null ? null : (most[g] ?? null),
    };
  });
};

async function load_exports(protocols: readonly string[], dir: string, out_dir: string): Promise<LoadedModules> {
  const { path, sha256, computed } = await bundle_modules({ protocols, dir, host_entry: HOST_ENTRY, out_dir });
  const exports = await load_modules(path, protocols, computed);
  // the modules' own faults first: args that are no schemas would spoil the check of the actions
  to_modules(exports, () => []);
  return { exports, path, sha256, computed };
}

function check_modules(script: CheckableScript, file: string, { exports }: LoadedModules): Fault[] {
  const checked = [...exports].map(([protocol, one]) => {
    return [protocol, { exports: one, args: one['args'] as Record<string, object> }] as const;
  });
  return check_actions(script, file, new Map(checked));
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
