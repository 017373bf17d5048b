import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle_module } from '../../src/protocols/bundle.ts';
import { Workshop } from './workshop.ts';

const shop = new Workshop();
beforeAll(() => shop.make_host());
afterAll(() => shop.close());

const failure = async (protocol: string): Promise<{ code: string; message: string; exit: number }> =>
  shop.bundle(protocol).then(
    () => expect.unreachable('it built'),
    (error: unknown) => error as { code: string; message: string; exit: number },
  );

describe('bundle_module', () => {
  it('brings npm dependencies and relative imports along', async () => {
    shop.file('node_modules/esm-dep/package.json', '{ "name": "esm-dep", "type": "module", "exports": "./main.js" }');
    shop.file('node_modules/esm-dep/main.js', 'export const esm = () => "esm";');
    shop.file(
      'node_modules/cjs-dep/index.js',
      "'use strict'; const { basename } = require('path'); exports.cjs = () => basename('a/cjs');",
    );
    shop.file('lib/help.ts', 'export function help(what: string): string { return `help ${what}`; }');
    shop.file('protocols/users.json', '["ada"]');
    shop.file(
      'protocols/deps.ts',
      `import { esm } from 'esm-dep';
      import { cjs } from 'cjs-dep';
      import { help } from '../lib/help.ts';
      import users from './users.json' with { type: 'json' };
      enum Kind { a, b }
      export function all(): unknown[] { return [esm(), cjs(), help('me'), users, Kind.b]; }`,
    );
    const { all } = await shop.load('deps');
    expect((all as () => unknown)()).toEqual(['esm', 'cjs', 'help me', ['ada'], 1]);
  });

  it('keeps the mode of CommonJS: what does not ask for strict mode runs without it', async () => {
    shop.file(
      'node_modules/sloppy/index.js',
      `#!/usr/bin/env node
      // 'use strict' is not its first statement
      var part = require('./part'), path = require('path');
      try { optional = require('not-there'); } catch (e) { optional = e.code }
      undeclared = 1;
      function octal() { return 010 + (function () { return this === globalThis })() + arguments.callee.length; }
      with ({ inner: 2 }) { var found = inner; }
      exports.all = [part.name, path.sep, optional, undeclared, octal(), found, this === exports, path.basename(__filename), path.basename(__dirname)];
      exports.fails = function () {
        throw new Error('oh');
      };`,
    );
    shop.file(
      'node_modules/sloppy/part.cjs',
      "name = 'part'; module.exports = { name: name }; delete globalThis.name;",
    );
    shop.file('node_modules/sloppy/part.js', "module.exports = require('./part.cjs');");
    const comments = '/* a comment */ // another one\n'.repeat(10_000);
    shop.file('node_modules/sloppy/long.js', `${comments}exports.long = true;`);
    shop.file(
      'node_modules/strict/index.cjs',
      comments + "/* it is */ 'use strict'; exports.mode = (function () { return this === undefined })();",
    );
    shop.file(
      'protocols/modes.ts',
      `import { all, fails } from 'sloppy';
      import 'sloppy/long.js';
      import { mode } from 'strict/index.cjs';
      export const read = () => [...all, mode];
      export { fails };`,
    );
    const { read, fails } = (await shop.load('modes')) as { read: () => unknown; fails: () => void };
    expect(read()).toEqual(['part', '/', 'MODULE_NOT_FOUND', 1, 9, 2, true, 'index.js', 'sloppy', true]);
    expect(fails).toThrow(
      expect.objectContaining({ stack: expect.stringMatching(/sloppy\/index\.js:10:15/) as string }),
    );
    for (const name of ['optional', 'undeclared']) Reflect.deleteProperty(globalThis, name);
  });

  describe('files that import each other', () => {
    it('work when nothing is used before it is there, as in Node', async () => {
      shop.file('protocols/users.csv', 'ada');
      shop.file(
        'protocols/ring.ts',
        `import { line } from 'swarm';
        import { twice, where } from '../lib/ring_a.ts';
        import users from './users.csv';
        export const one: number = 1;
        export const read = () => [twice(), where, users, typeof line];
        export default null;`,
      );
      shop.file(
        'lib/ring_a.ts',
        "import { two } from './ring_b.ts'; export const where = import.meta.dirname; export function twice(): number { return two(); }",
      );
      shop.file(
        'lib/ring_b.ts',
        "import { one } from '../protocols/ring.ts'; import { twice } from './ring_a.ts'; export const two = () => one + one + twice.length;",
      );
      const found = await shop.load('ring');
      const { read } = (found['default'] ?? found) as { read: () => unknown };
      expect(read()).toEqual([2, join(shop.root, 'lib'), 'ada', 'function']);
    });

    it('fail as in Node when something is used before it is there', async () => {
      shop.file(
        'protocols/knot.ts',
        "import { b } from '../lib/knot_b.ts';\nexport const a = 1;\nexport const read = () => b;",
      );
      shop.file('lib/knot_b.ts', "import { a } from '../protocols/knot.ts';\nexport const b = a + 1;");
      await expect(shop.load('knot')).rejects.toThrow("Cannot access 'a' before initialization");
    });
  });

  it('brings the files of data along that a module imports', async () => {
    const data = [shop.file('protocols/users.csv', 'ada,1\nbob,2\n'), shop.file('protocols/login.bin', 'A\0ÿ')];
    shop.file(
      'protocols/data.ts',
      `import users from './users.csv';
      import login from './login.bin';
      export const read = () => [users.trim().split('\\n'), login instanceof Uint8Array, [...login]];`,
    );
    const { path } = await shop.bundle('data');
    for (const file of data) rmSync(file);
    const { read } = (await import(pathToFileURL(path).href)) as { read: () => unknown };
    expect(read()).toEqual([['ada,1', 'bob,2'], true, [65, 0, 195, 191]]);
  });

  it.each([
    ['the module', 'protocols/latin.ts', '// line\nexport const name = "Ren\xe9";\n', '2:25'],
    ['what it imports', 'lib/latin.js', 'export const x = "\xe9";', '1:19'],
    ['data', 'protocols/latin.csv', 'ada\nb\xe9b\n', '2:2'],
    ['JSON', 'protocols/latin.json', '["\xe9"]', '1:3'],
  ])('refuses Latin-1 in %s, at its place', async (_, path, text, place) => {
    const file = shop.file(path, Buffer.from(text, 'latin1'));
    const entry = path.endsWith('latin.ts') ? 'latin' : 'uses_latin';
    const from = path.startsWith('lib') ? `../${path}` : `./${path.slice('protocols/'.length)}`;
    shop.file('protocols/uses_latin.ts', `import * as x from '${from}';\nexport const y = x;`);
    const { code, message } = await failure(entry);
    expect(code).toBe('module_build');
    expect(message).toContain(`${file}:${place} the byte e9 is no UTF-8: save the file in UTF-8`);
    rmSync(file);
  });

  it('takes packages with comments in Latin-1 as they are', async () => {
    shop.file('node_modules/old/index.js', Buffer.from('// Ren\xe9\nexports.x = 1;', 'latin1'));
    shop.file('protocols/old.ts', `import { x } from 'old';\nexport const y = x;`);
    expect(await shop.load('old')).toEqual({ y: 1 });
  });

  it("leaves 'swarm' outside, for import and require alike, so that instanceof holds", async () => {
    const host = (await import(pathToFileURL(shop.host).href)) as Record<string, unknown>;
    shop.file('node_modules/plugin/index.js', "exports.theirs = require('swarm').wrong_reply;");
    shop.file(
      'protocols/host.ts',
      `import { wrong_reply, line, type FakeClient } from 'swarm';
      import { theirs } from 'plugin';
      export const messages = line();
      export { wrong_reply as ours, theirs };
      export function heartbeat(client: FakeClient): unknown { return client.id; }`,
    );
    const loaded = await shop.load('host');
    expect(loaded.ours).toBe(host.wrong_reply);
    expect(loaded.theirs).toBe(host.wrong_reply);
  });

  it('tells a file its own place, not that of the bundle', async () => {
    shop.file('lib/place.js', 'export const lib = import.meta.url; export const __dirname = "mine";');
    shop.file(
      'node_modules/reader/index.js',
      "module.exports = require('fs').readFileSync(__dirname + '/data.txt', 'utf8');",
    );
    shop.file('node_modules/reader/data.txt', 'data');
    shop.file(
      'protocols/place.ts',
      `import { lib, __dirname as mine } from '../lib/place.js';
      import data from 'reader';
      import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      export const all = [lib, mine, data, import.meta.url, import.meta.dirname, import.meta.filename, require('./users.json')];`,
    );
    shop.file('protocols/users.json', '["ada"]');
    const own = join(shop.protocols, 'place.ts');
    expect((await shop.load('place')).all).toEqual([
      pathToFileURL(join(shop.root, 'lib/place.js')).href,
      'mine',
      'data',
      pathToFileURL(own).href,
      shop.protocols,
      own,
      ['ada'],
    ]);
  });

  it('names the bundle by its content and leaves nothing else behind', async () => {
    shop.file('protocols/same.js', 'export const a = 1;');
    const [first, second] = await Promise.all([shop.bundle('same'), shop.bundle('same')]);
    expect(second).toEqual(first);
    expect(first.path).toBe(join(shop.out, `${first.sha256}.mjs`));
    expect(createHash('sha256').update(readFileSync(first.path)).digest('hex')).toBe(first.sha256);
    const elsewhere = await bundle_module({
      protocol: 'same',
      dir: shop.protocols,
      host_entry: pathToFileURL(shop.host).href,
      out_dir: dirname(shop.file('out2/empty', '')),
    });
    expect(elsewhere.sha256).toBe(first.sha256);
    writeFileSync(join(shop.protocols, 'same.js'), 'export const a = 2;');
    expect((await shop.bundle('same')).sha256).not.toBe(first.sha256);
    expect(readdirSync(shop.out).filter((name) => !/^[0-9a-f]{64}\.mjs$/.test(name))).toEqual([]);
  });

  it("shows the user's own file and line in stacks", async () => {
    shop.file(
      'lib/thrower.ts',
      'interface Unused {\n  a: number;\n}\n\nexport function thrower(what: Unused): never {\n  throw new Error(`thrown ${what.a}`);\n}\n',
    );
    shop.file(
      'protocols/stack.ts',
      "import { thrower } from '../lib/thrower.ts';\n\n// here\nexport function heartbeat() {\n  thrower({ a: 1 });\n}\n",
    );
    const { heartbeat } = await shop.load('stack');
    let stack = '';
    try {
      (heartbeat as () => void)();
    } catch (error) {
      stack = String((error as Error).stack);
    }
    expect(stack).toContain(`${join(shop.root, 'lib/thrower.ts')}:6:9`);
    expect(stack).toContain(`${join(shop.protocols, 'stack.ts')}:5:`);
  });

  it('shows every error of syntax or resolution as file:line:column', async () => {
    const syntax = shop.file('protocols/syntax.ts', 'export const ok = 1;\nexport const ünd = 1, y = = 2;\n');
    const error = await failure('syntax');
    expect(error).toMatchObject({ code: 'module_build', exit: 2 });
    expect(error.message).toContain(`\n  ${syntax}:2:27 Unexpected "="`);

    const missing = shop.file(
      'protocols/missing.ts',
      "import a from 'left-pad';\nimport b from './nowhere.ts';\nexport { a, b };\n",
    );
    const { message } = await failure('missing');
    expect(message).toContain(
      `${missing}:1:15 Could not resolve "left-pad": is it installed beside the module? (npm install left-pad)`,
    );
    expect(message).toContain(`${missing}:2:15 Could not resolve "./nowhere.ts"`);
  });

  it("names what 'swarm' does not export", async () => {
    const path = shop.file(
      'protocols/wish.js',
      "import { line, wish } from 'swarm';\nexport const all = [line, wish];\n",
    );
    expect((await failure('wish')).message).toContain(`${path}:1:16 'swarm' exports no wish`);
  });

  it.each([
    ['a .node file', "import add_on from './add_on.node';\nexport { add_on };", './add_on.node', ':1:20'],
    [
      'a package that looks for one',
      "import native from 'native';\nexport { native };",
      'bindings',
      'native/index.js:1:26',
    ],
    [
      'a .node file by another extension',
      "import { createRequire } from 'node:module';\nexport const a = require('./add_on');",
      'add_on.node',
      ':2:26',
    ],
    [
      'a .node file of a computed name',
      "export const a = (name) => require('./' + name + '.node');",
      'add_on.node',
      ':1:36',
    ],
    ['a package that is one', "import alone from 'alone';\nexport { alone };", 'build/it.node', ':1:19'],
  ])('refuses %s', async (_, text, name, place) => {
    shop.file('protocols/add_on.node', '');
    shop.file('node_modules/alone/package.json', '{ "name": "alone", "main": "./build/it" }');
    shop.file('node_modules/alone/build/it.node', '');
    shop.file('node_modules/native/index.js', "module.exports = require('bindings')('native');");
    shop.file('protocols/compiled.js', text);
    const { code, message } = await failure('compiled');
    expect(code).toBe('module_native');
    expect(message).toMatch(/compiled\.js needs \S+, a compiled add-on, at /);
    expect(message).toContain(`${name}, a compiled add-on, at `);
    expect(message).toContain(place);
  });

  it('says when the bundle cannot be written', async () => {
    shop.file('protocols/fine.js', 'export const a = 1;');
    const out_dir = shop.file('a-file', '');
    const told = bundle_module({ protocol: 'fine', dir: shop.protocols, host_entry: shop.host, out_dir });
    await expect(told).rejects.toMatchObject({
      code: 'bad_tmpdir',
      message: expect.stringMatching(/^the bundled module cannot be written to \S+a-file\/\w+\.mjs: ENOTDIR/) as string,
    });
  });
});
