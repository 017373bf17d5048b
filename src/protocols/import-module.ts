/** Imports bundled protocol modules. Workers load this file, so it must not import esbuild. */
import { dirname, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { within } from '../foundation/within.ts';

/** Milliseconds that the module's top-level code may take: an `await` there may never settle. */
const LOAD_WITHIN_MS = 30_000;

/** What a module exports, by name. */
export type Exports = Readonly<Record<string, unknown>>;

/**
 * What each of these modules in the bundle at `path` exports, in this order. A module whose only export is a
 * default-exported object (CommonJS: `module.exports = { … }`) exports what that object holds.
 *
 * Switches source maps on in this process: only modules imported later show their own lines in stacks. Switches
 * compiled add-ons off for good: `createRequire` finds those that the bundler never sees.
 *
 * @param computed see {@link Bundled}, for the message
 * @throws SwarmError `module_native` when its top-level code loads a compiled add-on; `module_load`, with the user's
 * file:line:column, when it throws or takes more than 30 s
 */
export async function load_modules(
  path: string,
  protocols: readonly string[],
  computed: readonly string[] = [],
): Promise<Map<string, Exports>> {
  process.setSourceMapsEnabled(true);
  process.dlopen = refuse_add_on;
  try {
    const imported = import(pathToFileURL(path).href) as Promise<Exports>;
    const namespace = await within(imported, LOAD_WITHIN_MS, () => {
      throw new Error(`its top-level code did not end within ${LOAD_WITHIN_MS / 1000} s`);
    });
    const parts = protocols.length === 1 ? [namespace] : protocols.map((protocol) => namespace[protocol] as Exports);
    return new Map(parts.map((part, i) => [protocols[i]!, exports_of(part)]));
  } catch (error) {
    if (error instanceof SwarmError) throw error;
    throw new SwarmError('module_load', { reason: place_of(error, path) + told_of(error, path, computed) }, error);
  }
}

/**
 * Node looks beside the bundle for an `import(name)` that the bundler could not follow: that path would tell a user
 * nothing.
 */
function told_of(error: unknown, bundle: string, computed: readonly string[]): string {
  const reason = reason_of(error);
  const [, missing, from] = /^Cannot find module '(.*)' imported from (.*)$/.exec(reason) ?? [];
  if (missing === undefined || from !== bundle) return reason;
  const name = relative(dirname(bundle), missing);
  const places = computed.length > 0 ? ` (${computed.join(', ')})` : '';
  return `${name} is not in the bundle: of an import(…)${places} whose name is computed nothing travels, write import('./${name}')`;
}

/** Replaces what `require` calls for a .node file. Nothing of Node's own or of swarm's goes through it. */
function refuse_add_on(_: object, name: string): never {
  const here = new Error();
  Error.captureStackTrace(here, refuse_add_on);
  const place = place_of(here, '').trimEnd();
  throw new SwarmError('module_native', {
    file: place.replace(/(:\d+){2}$/, '') || 'the module',
    name,
    place: place || 'run time',
  });
}

function exports_of(namespace: Exports): Exports {
  const names = Object.keys(namespace);
  const only = names.length === 1 && names[0] === 'default' ? namespace.default : undefined;
  return { ...(typeof only === 'object' && only !== null ? only : namespace) };
}

/** `file:line:column ` of the first frame outside Node and the bundle itself, or nothing. */
function place_of(error: unknown, bundle: string): string {
  const stack = error instanceof Error ? String(error.stack) : '';
  for (const [, place, file] of stack.matchAll(/^ +at (?:.*\()?(?:file:\/\/)?(([^()\n]*?):\d+:\d+)\)?$/gm))
    if (file !== bundle && file?.startsWith('/')) return `${place} `;
  return '';
}
