/** From the script's `protocol:` to one file: a name, never a path, and never outside the protocol folder. */
import { readdirSync, realpathSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { reason_of, SwarmError } from '../foundation/errors.ts';
import { nearest } from '../foundation/suggest.ts';

/** Tried in this order. */
const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs'];

/** The most names listed when a module is not found. */
const LISTED = 20;

/**
 * The real path of the module's file.
 *
 * @param protocol at most 64 letters, digits, `_` and `-`, the first no `-`
 * @param dir the protocol folder
 * @throws SwarmError `module_name`, `module_not_found` (lists what is there), `module_outside` (a symbolic link out of
 * `dir`)
 */
export function find_module(protocol: string, dir: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/.test(protocol))
    throw new SwarmError('module_name', { protocol: JSON.stringify(protocol) });

  const root = real(dir, (reason) => new SwarmError('module_not_found', { protocol, dir, reason }));
  const files = modules_in(root, (reason) => new SwarmError('module_not_found', { protocol, dir, reason }));
  const file = EXTENSIONS.map((extension) => protocol + extension).find((name) => files.includes(name));
  if (file === undefined)
    throw new SwarmError('module_not_found', { protocol, dir, reason: what_is_there(protocol, files) });

  const path = real(join(root, file), (reason) => new SwarmError('module_not_found', { protocol, dir, reason }));
  if (!path.startsWith(root.endsWith(sep) ? root : root + sep))
    throw new SwarmError('module_outside', { file: join(dir, file), path });
  return path;
}

function real(path: string, fault: (reason: string) => SwarmError): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw fault(reason_of(error));
  }
}

function modules_in(root: string, fault: (reason: string) => SwarmError): string[] {
  try {
    return readdirSync(root).filter((name) => EXTENSIONS.includes(extname(name)) && !/\.d\.m?ts$/.test(name));
  } catch (error) {
    throw fault(reason_of(error));
  }
}

function what_is_there(protocol: string, files: readonly string[]): string {
  if (files.length === 0) return `the folder holds no module (${EXTENSIONS.join(', ')})`;
  const names = [...new Set(files.map((name) => name.slice(0, -extname(name).length)))].sort();
  const near = nearest(protocol, names);
  const listed = names.slice(0, LISTED).join(', ') + (names.length > LISTED ? `, … ${names.length - LISTED} more` : '');
  return `${near === undefined ? '' : `did you mean ${near}? `}the folder holds ${listed}`;
}
