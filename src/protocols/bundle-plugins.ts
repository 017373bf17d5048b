/** What esbuild has to be told about swarm's modules: whose `swarm` it is, what cannot be shipped, where each file really lies. */
import { readFile } from 'node:fs/promises';
import { dirname, extname, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileFunction } from 'node:vm';
import type { Loader, Plugin } from 'esbuild';
import { bad_byte, bad_byte_text } from '../foundation/utf8.ts';

/** The namespace of {@link host_swarm}, as it stands in esbuild's errors. */
export const HOST = 'host';

/**
 * The specifier `swarm` means the swarm that runs the module, imported from outside the bundle: with a copy inside, a `wrong_reply` would be no
 * `WrongReply` of ours. A name it does not export fails the build at the line that asks for it.
 *
 * @param url of swarm's own index.js
 * @param names what that exports
 */
export function host_swarm(url: string, names: readonly string[]): Plugin {
  return {
    name: 'host-swarm',
    setup(build) {
      build.onResolve({ filter: /^swarm$/ }, () => ({ path: 'swarm', namespace: HOST }));
      build.onLoad({ filter: /.*/, namespace: HOST }, () => ({
        contents: `export { ${names.join(', ')} } from ${JSON.stringify(url)};`,
      }));
      build.onResolve({ filter: /.*/, namespace: HOST }, () => ({ path: url, external: true }));
    },
  };
}

/** Packages whose only use is to find a `.node` file at run time. */
const NATIVE_LOADERS =
  /^(bindings|node-gyp-build(-optional-packages)?|@mapbox\/node-pre-gyp|node-pre-gyp|pkg-prebuilds)$/;

/** How {@link refuse_native} marks its errors, so that they get a text of their own. */
export const NATIVE = 'refuse-native';

/** What esbuild takes for a file whose ending is left away: as it would by itself, then add-ons, so that they are found and refused. */
export const ENDINGS = ['.tsx', '.ts', '.jsx', '.js', '.css', '.json', '.node'];

/** Files of data that a module imports are in the bundle, and so reach every machine: texts as a string, bytes as a Uint8Array. */
export const DATA: Record<string, Loader> = {
  '.txt': 'text',
  '.csv': 'text',
  '.tsv': 'text',
  '.jsonl': 'text',
  '.ndjson': 'text',
  '.bin': 'binary',
};

/** Compiled add-ons cannot be bundled: no file for every platform, no copy per process. */
export function refuse_native(): Plugin {
  const refuse = ({ path }: { path: string }): { errors: { text: string }[] } => ({ errors: [{ text: path }] });
  return {
    name: NATIVE,
    setup(build) {
      build.onResolve({ filter: /\.node$/ }, refuse);
      build.onResolve({ filter: NATIVE_LOADERS }, refuse);
      // found without its ending, or by a pattern: require(`./${name}.node`)
      build.onLoad({ filter: /\.node$/ }, refuse);
    },
  };
}

export const PACKAGES = `${sep}node_modules${sep}`;

/** Code and data of the user's own in another encoding: esbuild would read U+FFFD. Packages may have it in their comments. */
export function refuse_other_encodings(): Plugin {
  return {
    name: 'refuse-other-encodings',
    setup(build) {
      build.onLoad(
        { filter: /\.([cm]?[jt]sx?|json|txt|csv|tsv|jsonl|ndjson)$/, namespace: 'file' },
        async ({ path }) => {
          if (path.includes(PACKAGES)) return undefined;
          const bytes = await readFile(path);
          const bad = bad_byte(bytes);
          if (bad === null) return undefined;
          const { line } = bad;
          const lineText = bytes.toString('utf8').split('\n', line)[line - 1]!;
          const column = Buffer.byteLength([...lineText].slice(0, bad.column - 1).join(''));
          return { errors: [{ text: bad_byte_text(bad), location: { file: path, line, column, lineText } }] };
        },
      );
    },
  };
}

/** `import.meta.url` and the like → what {@link own_place} puts in their place. */
export const PLACES = {
  'import.meta.url': '__swarm_url',
  'import.meta.filename': '__swarm_filename',
  'import.meta.dirname': '__swarm_dirname',
  __filename: '__swarm_filename',
  __dirname: '__swarm_dirname',
};

const LOADERS: Record<string, Loader> = { '.ts': 'ts', '.mts': 'ts', '.cts': 'ts', '.tsx': 'tsx', '.jsx': 'jsx' };

/**
 * Lets a file that asks where it is (to read a list of users beside it) learn its own place, not the bundle's. The answer is put before the
 * file's first line, so that line numbers stay.
 */
export function own_place(): Plugin {
  return {
    name: 'own-place',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: 'file' }, async ({ path }) => {
        const text = await readFile(path, 'utf8');
        const contents = as_bundled(text, path);
        return contents === text ? undefined : { contents, loader: LOADERS[extname(path)] ?? 'js' };
      });
    },
  };
}

/** The file's text as the bundler gets it, which its source map is about. */
export function as_bundled(text: string, path: string): string {
  if (!/\b(import\.meta|__filename|__dirname)\b/.test(text)) return text;
  const places = { __swarm_url: pathToFileURL(path).href, __swarm_filename: path, __swarm_dirname: dirname(path) };
  const told = Object.entries(places).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  return `var ${told.join(', ')}; ${text.replace(/^#!/, '//')}`;
}

/** Its first statement is the directive. */
const IS_STRICT = /^(\s|\/\*([^*]|\*(?!\/))*\*\/|\/\/.*\n)*(['"])use strict\3/;
const REQUIRES = /\brequire\s*\(\s*(["'])([^"'\\\n]+)\1\s*\)/g;

/**
 * CommonJS packages that do not ask for strict mode run without it, as in Node: old ones assign to what they did not declare. The bundle is a module and
 * strict as a whole, so their text is in it as a text, which Node compiles when it is first required.
 */
export function keep_mode(): Plugin {
  return {
    name: 'keep-mode',
    setup(build) {
      build.onLoad({ filter: /\.c?js$/, namespace: 'file' }, async ({ path }) => {
        if (!path.includes(PACKAGES)) return undefined;
        const text = (await readFile(path, 'utf8')).replace(/^#!/, '//');
        if (IS_STRICT.test(text) || !is_commonjs(text)) return undefined;
        const ids = [...new Set([...text.matchAll(REQUIRES)].map(([, , id]) => id!))];
        if (ids.some((id) => NATIVE_LOADERS.test(id) || id.endsWith('.node'))) return undefined; // refused at its place
        // `try`: one that is missing fails only if it is asked for; many packages ask for what they can do without
        const cases = ids
          .map((id) => JSON.stringify(id))
          .map((id) => `case ${id}: try { return require(${id}); } catch (error) { throw error; }`);
        const [file, folder] = [path, dirname(path)].map((name) => JSON.stringify(name));
        return {
          contents: `const { compileFunction, constants } = require('node:vm');
const required = Object.assign((id) => { switch (id) { ${cases.join(' ')} default: return require(id); } }, require);
const options = { filename: ${file}, importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER };
const body = compileFunction(${JSON.stringify(text)}, ['exports', 'require', 'module', '__filename', '__dirname'], options);
body.call(exports, exports, required, module, ${file}, ${folder});
`,
          loader: 'js',
        };
      });
    },
  };
}

/** It can be the body of a function: nothing is imported or exported. Whatever else is wrong with it the bundler says. */
function is_commonjs(text: string): boolean {
  try {
    compileFunction(text, ['exports', 'require', 'module', '__filename', '__dirname']);
    return true;
  } catch {
    return false;
  }
}
