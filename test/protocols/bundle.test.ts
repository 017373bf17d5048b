import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle_modules } from '../../src/protocols/bundle.ts';
import { Workshop } from './workshop.ts';

const shop = new Workshop();
beforeAll(() => shop.make_host());
afterAll(() => shop.close());

const failure = async (protocol: string): Promise<{ code: string; message: string; exit: number }> =>
  shop.bundle(protocol).then(
    () => expect.unreachable('it built'),
    (error: unknown) => error as { code: string; message: string; exit: number },
  );

/** What a module's `read` gives, as JSON, or the name of the error with which it does not load. Node runs the text of this function too. */
async function outcome(load: () => Promise<Record<string, unknown>>): Promise<string> {
  try {
    return JSON.stringify(await ((await load()).read as () => unknown)());
  } catch (error) {
    return ((error as Error).cause as Error | undefined)?.name ?? (error as Error).name;
  }
}

/** Files that import each other, main.mjs first, and what comes of them. */
const CIRCLES: [what: string, files: Record<string, string>, outcome: string][] = [
  [
    'nothing is used too early',
    {
      'main.mjs': "import { two } from './b.mjs'; export const one = 1; export const read = () => two();",
      'b.mjs': "import { one } from './main.mjs'; export const two = () => one + one;",
    },
    '2',
  ],
  [
    'a const is used too early',
    {
      'main.mjs': "import { b } from './b.mjs';\nexport const a = 1;\nexport const read = () => b;",
      'b.mjs': "import { a } from './main.mjs';\nexport const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'the second of a let on the first line, behind a comment that is not ASCII',
    {
      'main.mjs':
        "/* é😀 */ let z = 0, a = 1; import { b } from './b.mjs'; export { a }; export const read = () => [b, z];",
      'b.mjs': "import { a } from './main.mjs'; export const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'behind its own place and line ends of other systems',
    {
      'main.mjs':
        "const at = import.meta.url; import { b } from './b.mjs';\r\n/* \u2028 */\rexport const a = 1;\r\nexport const read = () => [b, at];",
      'b.mjs': "import { a } from './main.mjs'; export const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'what a file takes apart is used too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export const { a } = { a: 1 }; export const read = () => b;",
      'b.mjs': "import { a } from './main.mjs'; export const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'a class is used too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export class A {} export const read = () => b;",
      'b.mjs': "import { A } from './main.mjs'; export const b = typeof A;",
    },
    'ReferenceError',
  ],
  [
    'a default is used too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export default 1; export const read = () => b;",
      'b.mjs': "import a from './main.mjs'; export const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'a default class is used too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export default class {} export const read = () => b;",
      'b.mjs': "import a from './main.mjs'; export const b = typeof a;",
    },
    'ReferenceError',
  ],
  [
    'a namespace is asked too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export const a = 1; export const read = () => b;",
      'b.mjs': "import * as all from './main.mjs'; export const b = Object.values(all);",
    },
    'ReferenceError',
  ],
  [
    'a var and functions are there from the first',
    {
      'main.mjs':
        "import { b } from './b.mjs'; export var a = 1; export function f() { return a; } export default function () { return 7; } export const read = () => [b, a];",
      'b.mjs': "import g, { a, f } from './main.mjs'; export const b = [a === undefined, f() === undefined, g()];",
    },
    '[[true,true,7],1]',
  ],
  [
    'functions of a file that has not begun',
    {
      'main.mjs':
        "import { b } from './b.mjs'; import { c } from './c.mjs'; export function f() { return c(); } export const read = () => b;",
      'b.mjs': "import { f } from './main.mjs'; export const b = f();",
      'c.mjs': 'export function c() { return 3; }',
    },
    '3',
  ],
  [
    'side effects in order, with files outside of the circle',
    {
      'main.mjs':
        "import './first.mjs'; import './b.mjs'; import './last.mjs'; import { seen } from './seen.mjs'; seen.push('main'); export const read = () => seen;",
      'b.mjs': "import './inner.mjs'; import './c.mjs'; import { seen } from './seen.mjs'; seen.push('b');",
      'c.mjs': "import './b.mjs'; import './main.mjs'; import { seen } from './seen.mjs'; seen.push('c');",
      'first.mjs': "import { seen } from './seen.mjs'; seen.push('first');",
      'inner.mjs': "import { seen } from './seen.mjs'; seen.push('inner');",
      'last.mjs': "import { seen } from './seen.mjs'; seen.push('last');",
      'seen.mjs': 'export const seen = [];',
    },
    '["first","inner","c","b","last","main"]',
  ],
  [
    'a circle beside main',
    {
      'main.mjs':
        "import { a } from './a.mjs'; import { seen } from './c.mjs'; seen.push('main'); export const read = () => [a(), seen];",
      'a.mjs': "import { b } from './b.mjs'; import { seen } from './c.mjs'; seen.push('a'); export const a = () => b;",
      'b.mjs':
        "import { a } from './a.mjs'; import { seen } from './c.mjs'; seen.push('b'); export let b = () => a; b = 2;",
      'c.mjs': 'export const seen = [];',
    },
    '[2,["b","a","main"]]',
  ],
  [
    'export * of three',
    {
      'main.mjs':
        "import * as c from './c.mjs'; export * from './b.mjs'; export const x = 1; export const read = () => ({ ...c.all() });",
      'b.mjs': "export * from './c.mjs'; export const y = 2;",
      'c.mjs':
        "import * as main from './main.mjs'; export * from './main.mjs'; import { y } from './c.mjs'; export const z = 3; export const all = () => ({ x: main.x, y, z: main.z, names: Object.keys(main).sort() });",
    },
    '{"x":1,"y":2,"z":3,"names":["all","read","x","y","z"]}',
  ],
  [
    're-exports under other names, and default',
    {
      'main.mjs':
        "import d, { two as deux } from './b.mjs'; export { two, default as three } from './b.mjs'; export const one = 1; export const read = () => [d(), deux()];",
      'b.mjs':
        "import { one, two as mine, three } from './main.mjs'; export const two = () => one + 1; export default () => [mine(), three === undefined];",
    },
    '[[2,false],2]',
  ],
  [
    'a namespace is kept before it is filled',
    {
      'main.mjs':
        "import { all } from './b.mjs'; export const a = 1; export default 2; export const read = () => all.main.a + all.main['default'];",
      'b.mjs': "import * as main from './main.mjs'; export const all = { main };",
    },
    '3',
  ],
  [
    'a namespace without names is kept, and one exported',
    {
      'main.mjs':
        "import { kept, other } from './b.mjs'; export * as mine from './b.mjs'; export const read = () => [typeof kept, Object.keys(kept), typeof other.mine.kept];",
      'b.mjs':
        "import * as kept from './c.mjs'; import * as other from './main.mjs'; const all = [kept, other]; export { kept, other, all };",
      'c.mjs': "import './b.mjs'; export {};",
    },
    '["object",[],"object"]',
  ],
  [
    'live bindings',
    {
      'main.mjs':
        "import { count, more } from './b.mjs'; export let step = 1; export const read = () => { more(); step = 5; more(); return count; };",
      'b.mjs': "import { step } from './main.mjs'; export let count = 0; export const more = () => { count += step; };",
    },
    '6',
  ],
  [
    'a binding of another is written',
    {
      'main.mjs': "import { f } from './b.mjs'; export let a = 1; export const read = () => f();",
      'b.mjs':
        "import * as main from './main.mjs'; export const f = () => { try { Reflect.defineProperty(main, 'a', { value: 2 }); } catch {} return main.a; };",
    },
    '1',
  ],
  [
    'imports itself',
    {
      'main.mjs':
        "import * as self from './main.mjs'; import { one as same } from './main.mjs'; export const one = 1; export const read = () => [self.one, same, typeof self.read];",
    },
    '[1,1,"function"]',
  ],
  [
    'imports itself and uses it too early',
    {
      'main.mjs':
        "import { one as same } from './main.mjs'; export const two = same + 1; export const one = 1; export const read = () => two;",
    },
    'ReferenceError',
  ],
  [
    'no circle at all, used too early',
    { 'main.mjs': 'const first = next(); let n = 1; function next() { return n++; } export const read = () => first;' },
    'ReferenceError',
  ],
  [
    'an await at the top',
    {
      'main.mjs':
        "import { b } from './b.mjs'; export const a = await Promise.resolve(1); export const read = () => b();",
      'b.mjs': "import { a } from './main.mjs'; import { c } from './c.mjs'; export const b = () => a + c;",
      'c.mjs': 'export const c = await Promise.resolve(2);',
    },
    '3',
  ],
  [
    'an await at the top, used too early',
    {
      'main.mjs': "import { b } from './b.mjs'; export const a = 1; export const read = () => b;",
      'b.mjs': "import { a } from './main.mjs'; await null; export const b = a + 1;",
    },
    'ReferenceError',
  ],
  [
    'the same names in all files, in texts too',
    {
      'main.mjs':
        "import { b } from './b.mjs'; const a = 1; export const text = `\nvar a = 1;\nlet a;\n`; export const read = () => [a, b()];",
      'b.mjs': "import { text } from './main.mjs'; const a = 2; export const b = () => [a, text];",
    },
    '[1,[2,"\\nvar a = 1;\\nlet a;\\n"]]',
  ],
  [
    'a namespace of nothing but another module',
    {
      'main.mjs': "import { kept } from './b.mjs'; export const read = () => kept.all.basename('/x/y');",
      'b.mjs': "import * as all from './c.mjs'; export const kept = { all };",
      'c.mjs': "import './b.mjs'; export * from 'node:path';",
    },
    '"y"',
  ],
  [
    'a file is loaded once more, later',
    {
      'main.mjs':
        "const one = 1; import { b } from './b.mjs'; export { one }; export const read = async () => [b(), (await import('./b.mjs')).b()];",
      'b.mjs': "const two = 2; import * as main from './main.mjs'; export const b = () => [main.one, two];",
    },
    '[[1,2],[1,2]]',
  ],
  [
    'nothing but a namespace of nothing but another module',
    {
      'main.mjs':
        "import * as kept from './b.mjs'; export function read() { return Object.keys(kept).includes('basename'); }",
      'b.mjs': "import './main.mjs'; export * from 'node:path';",
    },
    'true',
  ],
  [
    'a namespace is kept of a file that begins with a const, and whose names are those of the bundler',
    {
      'main.mjs':
        "const __export = () => 1; import { all } from './b.mjs'; export const a = __export(); export const read = () => all.main.a;",
      'b.mjs': "const __export = 5; import * as main from './main.mjs'; export const all = { main, __export };",
    },
    '1',
  ],
  [
    'CommonJS in a circle',
    {
      'main.mjs': "import a from './a.cjs'; export const read = () => [a.early, a.late()];",
      'a.cjs':
        "'use strict'; exports.one = 1; const b = require('./b.cjs'); exports.early = b.early; exports.two = 2; exports.late = b.late;",
      'b.cjs':
        "'use strict'; const a = require('./a.cjs'); exports.early = [a.one, a.two === undefined]; exports.late = () => a.two;",
    },
    '[[1,true],2]',
  ],
  [
    'CommonJS that a circle imports, and that imports it later',
    {
      'main.mjs':
        "import { b } from './b.mjs'; import { later } from './a.cjs'; export const one = 1; export const read = async () => [b(), (await later()).one];",
      'b.mjs': "import { one } from './main.mjs'; import a from './a.cjs'; export const b = () => one + a.two;",
      'a.cjs': "'use strict'; exports.two = 2; exports.later = () => import('./main.mjs');",
    },
    '[3,1]',
  ],
];

describe('bundle_modules', () => {
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
    it('tell their place, and have what is no code', async () => {
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
      const { read } = (await shop.load('ring')) as { read: () => unknown };
      expect(read()).toEqual([2, join(shop.root, 'lib'), 'ada', 'function']);
    });

    const endings: [string, string | undefined][] = [
      ['.mjs', undefined],
      ['.mts', undefined],
      ['.ts', undefined],
      ['.js', undefined],
      ['.js', 'module'],
      ['.ts', 'module'],
      ['.ts', 'commonjs'],
    ];
    const circle_of = (ending: string, type: string | undefined, at: number): string =>
      `circles/${ending.slice(1)}_${type}/${at}`;

    beforeAll(() => {
      for (const [ending, type] of endings)
        for (const [at, [, files]] of CIRCLES.entries()) {
          const folder = circle_of(ending, type, at);
          shop.file(`${folder}/package.json`, JSON.stringify({ type }));
          for (const [name, text] of Object.entries(files))
            shop.file(`${folder}/${name.replace('.mjs', ending)}`, text.replaceAll('.mjs', ending));
        }
    });

    /** What Node makes of each circle, in a process of its own. */
    let by_node: string[];
    beforeAll(() => {
      const urls = CIRCLES.map((_, at) => pathToFileURL(join(shop.root, circle_of('.mjs', undefined, at), 'main.mjs')));
      const script = `const outcome = ${outcome.toString()};
        const all = [];
        for (const url of ${JSON.stringify(urls)}) all.push(await outcome(() => import(url)));
        console.log(JSON.stringify(all));`;
      const told = execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script]);
      by_node = JSON.parse(told.toString()) as string[];
    });

    it.each(endings.flatMap(([ending, type]) => CIRCLES.map((circle, at) => [circle[0], ending, type, at] as const)))(
      'do what they do in Node: %s (%s, type %s)',
      async (_, ending, type, at) => {
        const told = await outcome(() => shop.load('main', join(shop.root, circle_of(ending, type, at))));
        expect(told).toBe(CIRCLES[at]![2]);
        expect(by_node[at]).toBe(told);
      },
    );
    it.each([
      ['an enum is undefined', 'export enum E { e }', 'E', 'undefined'],
      ['a constant enum is in its place', 'export const enum E { e }', 'E.e', 'number'],
      ['an abstract class is refused', 'export abstract class A {}', 'A', 'ReferenceError'],
      [
        'a decorated class is refused',
        'const d = (c: unknown) => {}; @d class D {} export { D };',
        'D',
        'ReferenceError',
      ],
      ['a const of a type is refused', 'export const c: Record<string, number> = {};', 'c', 'ReferenceError'],
      ['a const behind a byte order mark is refused', '\ufeffconst f = 1; export { f };', 'f', 'ReferenceError'],
    ])('in TypeScript, used too early: %s', async (_, text, name, told) => {
      const imported = name.split('.')[0]!;
      shop.file('protocols/early.ts', `${text} import { b } from './early_b.ts'; export const read = () => b;`);
      shop.file('protocols/early_b.ts', `import { ${imported} } from './early.ts'; export const b = typeof ${name};`);
      expect((await outcome(() => shop.load('early'))).replaceAll('"', '')).toBe(told);
    });

    it('refuse what is used too early where they were compiled and their source map names what they were', async () => {
      const compiled = (file: string, text: string): void => {
        const source = shop.file(`lib/${file}.ts`, text);
        const sourcemap = { sourcemap: 'inline', sourcefile: source, loader: 'ts' } as const;
        shop.file(`protocols/${file}.js`, transformSync(text, sourcemap).code);
      };
      compiled(
        'made',
        "import { b } from './made_b.js';\ninterface A {}\nexport const a: A = 1; export const read = () => b;",
      );
      compiled('made_b', "import { a } from './made.js';\nexport const b = String(a);");
      expect(await outcome(() => shop.load('made'))).toBe('ReferenceError');
      rmSync(join(shop.root, 'lib/made.ts'));
      expect(await outcome(() => shop.load('made'))).toBe('"undefined"');
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
    const elsewhere = await bundle_modules({
      protocols: ['same'],
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

  it('makes one file of several modules, each with its own exports and what they share once', async () => {
    shop.file('protocols/common.js', 'export const counted = { times: 0 };\nexport const same = 1;');
    shop.file(
      'protocols/first-one.ts',
      "import { line } from 'swarm';\nimport { counted } from './common.js';\ncounted.times++;\nexport const same = 'a';\nexport const times = (): number => counted.times;\nexport const messages = line();",
    );
    shop.file(
      'protocols/second.mjs',
      "import { counted } from './common.js';\ncounted.times++;\nexport const same = 'b';",
    );
    shop.file('protocols/third.cjs', 'module.exports = { same: "c", place: __filename };');
    const all = await shop.load_all(['first-one', 'second', 'third']);
    expect([...all].map(([name, { same }]) => [name, same])).toEqual([
      ['first-one', 'a'],
      ['second', 'b'],
      ['third', 'c'],
    ]);
    expect(Object.keys(all.get('second')!)).toEqual(['same']);
    expect((all.get('first-one')!['times'] as () => number)()).toBe(2);
    expect(all.get('third')!['place']).toBe(join(shop.protocols, 'third.cjs'));
    // what one of them does not have is told where it is
    shop.file('protocols/broken.js', "import { nothing } from './common.js';\nexport const a = nothing;");
    await expect(shop.load_all(['second', 'broken'])).rejects.toMatchObject({
      code: 'module_build',
      message: expect.stringContaining('broken.js:1:10') as string,
    });
    await expect(shop.load_all(['second', 'secnd'])).rejects.toMatchObject({ code: 'module_not_found' });
  });

  it('says when the bundle cannot be written', async () => {
    shop.file('protocols/fine.js', 'export const a = 1;');
    const out_dir = shop.file('a-file', '');
    const told = bundle_modules({ protocols: ['fine'], dir: shop.protocols, host_entry: shop.host, out_dir });
    await expect(told).rejects.toMatchObject({
      code: 'bad_tmpdir',
      message: expect.stringMatching(/^the bundled module cannot be written to \S+a-file\/\w+\.mjs: ENOTDIR/) as string,
    });
  });
});
