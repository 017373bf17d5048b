/** What a bundle loses of the order in which Node runs files that import each other, put back into the bundler's code. */
import { readFileSync } from 'node:fs';
import { SourceMap as Places, type SourceMapPayload } from 'node:module';
import { resolve } from 'node:path';
import { as_bundled, PACKAGES } from './bundle-plugins.ts';

/** As the bundler writes it. */
export type SourceMap = Pick<SourceMapPayload, 'version' | 'sources' | 'names' | 'mappings'>;

/** As the bundler makes the object of `import * as name`, at the head of its file. */
const NAMESPACE = /^var (\S+) = \{\};\n(?:__export\d*\(\1, \{\n(?: .*\n)*\}\);\n|(?=__reExport\d*\(\1, ))/gm;
/** Between the bundler's own functions and the first file. */
const BEFORE_FILES = /^$/m;

/** What cannot be used before its line has run: there the bundler has `var`. */
const DECLARES = /^(let|const(?!\s+enum)|(abstract\s+)?class|export\s+default)\b/;
/** The bundler's own, of a file that it runs when it is first asked for. */
const WRAPPED = /^var \S+ = __(esm|commonJS)\d*\(/;
const LINE_ENDS = /\r\n|[\n\r\u2028\u2029]/;

/**
 * Lines and columns stay as they are.
 *
 * @param map of `code`, its sources relative to `folder`
 */
export function keep_order(code: string, map: SourceMap, folder: string): string {
  return with_let(with_namespaces_first(code), new Places(map as SourceMapPayload), folder);
}

/** Used too early is an error, as in Node: of a `var` it would be undefined, and NaN is sent. Packages stay as they are. */
function with_let(code: string, map: Places, folder: string): string {
  const files = new Map<string, string[]>();
  const lines_of = (file: string): string[] => {
    const lines = files.get(file) ?? read(file).split(LINE_ENDS);
    files.set(file, lines);
    return lines;
  };
  const declares = (at: number): boolean => {
    const found = map.findEntry(at, 0);
    if (!('originalSource' in found) || found.generatedLine !== at || found.generatedColumn !== 0) return false;
    const line = lines_of(resolve(folder, found.originalSource))[found.originalLine] ?? '';
    return DECLARES.test(line.slice(found.originalColumn));
  };
  const lines = code.split('\n');
  return lines
    .map((line, at) => (line.startsWith('var ') && !WRAPPED.test(line) && declares(at) ? `let${line.slice(3)}` : line))
    .join('\n');
}

function read(file: string): string {
  if (file.includes(PACKAGES)) return '';
  try {
    return as_bundled(readFileSync(file, 'utf8'), file);
  } catch {
    return ''; // of a file that is compiled, its source map may name what is not here
  }
}

/** A file may hold the namespace of one that has not begun. */
function with_namespaces_first(code: string): string {
  const made: string[] = [];
  const rest = code.replace(NAMESPACE, (text) => {
    made.push(text.replaceAll('\n', ' '));
    return text.replace(/[^\n]+/g, '');
  });
  return rest.replace(BEFORE_FILES, () => made.join(''));
}
