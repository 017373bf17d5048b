/** Makes one file of the protocol modules of a script: TypeScript stripped, npm dependencies and relative imports inside, `swarm` outside. */
import { createHash } from 'node:crypto';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, stop, type BuildFailure, type Message, type StdinOptions } from 'esbuild';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { write_module } from '../foundation/files.ts';
import { exact, integer, list, object, reader, Refused } from '../foundation/shape.ts';
import {
  DATA,
  ENDINGS,
  HOST,
  host_swarm,
  keep_mode,
  NATIVE,
  own_place,
  PLACES,
  refuse_native,
  refuse_other_encodings,
} from './bundle-plugins.ts';
import { find_module } from './find-module.ts';
import { keep_order, type SourceMap } from './keep-order.ts';

/** At most this many errors of one build are shown. */
const SHOWN = 10;

/** as the bundler calls an `import(name)` that it cannot follow */
const COMPUTED = 'unsupported-dynamic-import';

/** Builds under way: esbuild has one child for all of them, stopped after the last. */
let builds = 0;

export interface BundleOptions {
  /** each `protocol:` of the script; the file is the first of .ts, .mts, .js, .mjs, .cjs in `dir`; at least one */
  protocols: readonly string[];
  /** the protocol folder */
  dir: string;
  /** file URL or path of swarm's own index.js, which the specifier `swarm` means */
  host_entry: string;
  /** where the bundle goes; its name is its SHA-256 */
  out_dir: string;
}

export interface Bundled {
  readonly path: string;
  readonly sha256: string;
  /** `file:line:column` of each `import(name)` of the user's own that nobody can follow: nothing of what it asks for is in the bundle */
  readonly computed: readonly string[];
}

/**
 * Bundles the modules into `<out_dir>/<sha256>.mjs`, whose stack traces name the user's own files and lines where
 * `process.setSourceMapsEnabled(true)` was called before it is imported. Of several modules it exports a namespace each.
 *
 * @throws SwarmError as {@link find_module}, and `module_native` (needs a compiled add-on), `module_build` (does not compile,
 * does not resolve), `bad_tmpdir` (cannot be written)
 */
export async function bundle_modules(options: BundleOptions): Promise<Bundled> {
  const { protocols, dir, host_entry, out_dir } = options;
  const entries = protocols.map((protocol): ModuleFile => ({ protocol, path: find_module(protocol, dir) }));
  const { code, computed } = await compiled(
    entries,
    host_entry.startsWith('file:') ? host_entry : pathToFileURL(host_entry).href,
  );
  const sha256 = createHash('sha256').update(code).digest('hex');
  const path = resolve(out_dir, `${sha256}.mjs`);
  write_module(path, code);
  return { path, sha256, computed };
}

interface ModuleFile {
  readonly protocol: string;
  readonly path: string;
}

async function compiled(entries: readonly ModuleFile[], host: string): Promise<{ code: string; computed: string[] }> {
  const names = Object.keys((await import(host)) as object);
  const entry = entries[0]!.path;
  const folder = dirname(entry);
  builds++;
  try {
    const { outputFiles, warnings } = await build({
      ...(entries.length === 1 ? { entryPoints: [entry] } : { stdin: joined(entries, folder) }),
      absWorkingDir: folder,
      outfile: join(folder, 'bundle.mjs'), // never written: the sources of the map are relative to it
      write: false,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'external',
      sourcesContent: false,
      logLevel: 'silent',
      logLimit: SHOWN,
      logOverride: { [COMPUTED]: 'warning' },
      resolveExtensions: ENDINGS,
      loader: DATA,
      define: PLACES,
      // What a bundled CommonJS package calls; named from the module's own place, so that a computed name is found beside it.
      banner: {
        js: `import { createRequire as __swarm_create_require } from 'node:module'; const require = __swarm_create_require(${JSON.stringify(pathToFileURL(entry).href)});`,
      },
      plugins: [host_swarm(host, names), refuse_native(), refuse_other_encodings(), keep_mode(), own_place()],
    });
    const text = (suffix: string): string => outputFiles.find(({ path }) => path.endsWith(suffix))?.text ?? '';
    const own = warnings.filter(({ id, location }) => id === COMPUTED && !location?.file.includes('node_modules/'));
    const map = map_of(text('.map'));
    const code = keep_order(text('.mjs'), map, folder) + inline_map(map, folder);
    return { code, computed: own.map((one) => place_of(one, entry)) };
  } catch (error) {
    throw fault_of(error, entry);
  } finally {
    if (--builds === 0) await stop();
  }
}

/** A file that exports each module as a namespace. */
const joined = (entries: readonly ModuleFile[], resolveDir: string): StdinOptions => ({
  contents: entries
    .map(({ protocol, path }) => `export * as ${JSON.stringify(protocol)} from ${JSON.stringify(path)};\n`)
    .join(''),
  resolveDir,
  sourcefile: 'modules',
});

const texts = list(exact(65_536), 1_000_000);
const read_map = reader(
  object<SourceMap>({ version: integer(3, 3), sources: texts, names: texts, mappings: exact(2 ** 29) }),
  2 ** 29,
);

function map_of(text: string): SourceMap {
  const map = read_map(text);
  if (map instanceof Refused) throw new Error(`the bundler's source map cannot be read: ${map.why}`);
  return map;
}

/** The source map as a comment, its sources as file URLs: right wherever the bundle lies. */
function inline_map(map: SourceMap, folder: string): string {
  const sources = map.sources.map((source) => pathToFileURL(resolve(folder, source)).href);
  const moved = JSON.stringify({ ...map, sources });
  return `//# sourceMappingURL=data:application/json;base64,${Buffer.from(moved).toString('base64')}\n`;
}

function fault_of(error: unknown, entry: string): unknown {
  const errors = (error as Partial<BuildFailure>)?.errors;
  if (!Array.isArray(errors))
    return new SwarmError('module_build', { file: shown(entry), reason: reason_of(error) }, error);
  const native = errors.find(({ pluginName }) => pluginName === NATIVE);
  if (native)
    return new SwarmError('module_native', { file: shown(entry), name: native.text, place: place_of(native, entry) });
  const lines = errors.slice(0, SHOWN).map((message) => `\n  ${place_of(message, entry)} ${text_of(message)}`);
  return new SwarmError('module_build', { file: shown(entry), reason: lines.join('') });
}

/** `file:line:column`, both counted from 1. */
function place_of({ location }: Message, entry: string): string {
  if (!location) return shown(entry);
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString(); // esbuild counts bytes
  return `${shown(resolve(dirname(entry), location.file))}:${location.line}:${before.length + 1}`;
}

function text_of({ text }: Message): string {
  const [, missing] = /^Could not resolve "([^./][^"]*)"/.exec(text) ?? [];
  if (missing !== undefined)
    return `Could not resolve "${missing}": is it installed beside the module? (npm install ${missing})`;
  const [, name] = new RegExp(`^No matching export in "${HOST}:swarm" for import "(.+)"`).exec(text) ?? [];
  if (name !== undefined) return `'swarm' exports no ${name}; a type is imported as \`type ${name}\``;
  return text;
}

/** As the operator would type it: relative to where swarm was started, when it lies below that. */
function shown(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith('..') ? path : below;
}
