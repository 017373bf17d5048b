/** Imports a bundled protocol module. Workers load this file: no esbuild here. */
import { pathToFileURL } from 'node:url';
import { SwarmError, reason_of } from '../foundation/errors.ts';

/** Milliseconds the module's top-level code may take (an `await` there may never settle). */
const LOAD_WITHIN_MS = 30_000;

/**
 * The exports of the module at `path`, by name. A module whose only export is a default-exported object (CommonJS: `module.exports = { … }`)
 * exports what that object holds.
 *
 * Switches source maps on for this process: only what is imported after that shows its own lines in stacks.
 *
 * @throws SwarmError `module_load`, with the user's file:line:column, when its top-level code throws or takes more than 30 s
 */
export async function load_module(path: string): Promise<Record<string, unknown>> {
  process.setSourceMapsEnabled(true);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('its top-level code did not end within 30 s')), LOAD_WITHIN_MS);
  });
  try {
    const namespace = (await Promise.race([import(pathToFileURL(path).href), late])) as Record<string, unknown>;
    return exports_of(namespace);
  } catch (error) {
    throw new SwarmError('module_load', { reason: place_of(error, path) + reason_of(error) }, error);
  } finally {
    clearTimeout(timer);
  }
}

function exports_of(namespace: Record<string, unknown>): Record<string, unknown> {
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
