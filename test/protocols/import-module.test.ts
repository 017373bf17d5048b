import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { load_modules } from '../../src/protocols/import-module.ts';
import { Workshop } from './workshop.ts';

const shop = new Workshop();
beforeAll(() => shop.make_host());
afterAll(() => shop.close());
afterEach(() => void vi.useRealTimers());

describe('load_modules', () => {
  it.each([
    ['CommonJS', 'cjs', 'module.exports = { heartbeat: () => 1, max_reply: 5 };'],
    ['a default-exported object', 'js', 'export default { heartbeat: () => 1, max_reply: 5 };'],
    ['named exports', 'mjs', 'export const heartbeat = () => 1; export const max_reply = 5;'],
    [
      'what a compiler makes of them',
      'js',
      "'use strict'; Object.defineProperty(exports, '__esModule', { value: true }); exports.heartbeat = () => 1; exports.max_reply = 5;",
    ],
  ])('takes %s', async (_, ending, text) => {
    const name = `shape_${_.replace(/\W/g, '_')}`;
    shop.file(`protocols/${name}.${ending}`, text);
    const exports = await shop.load(name);
    expect(Object.keys(exports).sort()).toEqual(['heartbeat', 'max_reply']);
    expect((exports.heartbeat as () => number)()).toBe(1);
  });

  it('keeps a default export that stands beside others, or is no object', async () => {
    shop.file('protocols/beside.js', 'export const heartbeat = () => 1; export default { a: 1 };');
    expect(Object.keys(await shop.load('beside')).sort()).toEqual(['default', 'heartbeat']);
    shop.file('protocols/lone.js', 'export default function heartbeat() {}');
    expect(Object.keys(await shop.load('lone'))).toEqual(['default']);
  });

  it.each([
    [
      'an error',
      'type Unused = 1;\n\nconst nothing = null as unknown as { a: number };\nexport const a = nothing.a;\n',
      ':4:26 Cannot read properties of null',
    ],
    ['no error', "throw 'a word';\n", ': a word'],
  ])("tells the user's place when top-level code throws %s", async (_, text, told) => {
    const name = `top_${_.replace(/\W/g, '_')}`;
    shop.file(`protocols/${name}.ts`, text);
    const error: unknown = await shop.load(name).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'module_load', exit: 2 });
    expect((error as Error).message).toContain(
      told.startsWith(': ') ? told : join(shop.protocols, `${name}.ts`) + told,
    );
  });

  it('refuses a compiled add-on that is loaded behind the back of the bundler', async () => {
    const text =
      "import { createRequire } from 'node:module';\nconst load = createRequire(import.meta.url);\n\nexport const a = load('./add_on.node');\n";
    shop.file('protocols/behind.ts', text);
    const add_on = shop.file('protocols/add_on.node', '');
    const told: unknown = await shop.load('behind').catch((caught: unknown) => caught);
    expect(told).toMatchObject({ code: 'module_native', exit: 2 });
    expect((told as Error).message).toMatch(/\/behind\.ts needs \S+, a compiled add-on, at \S+\/behind\.ts:4:18 /);
    expect((told as Error).message).toContain(` needs ${add_on}, `);
  });

  it('refuses an add-on that is loaded in a call, which a package may do without', async () => {
    const text = `import { createRequire } from 'node:module';
      export const a = () => createRequire(import.meta.url)('./add_on.node');
      export let plain = false;
      try { a(); } catch { plain = true; }`;
    shop.file('protocols/later.ts', text);
    shop.file('protocols/add_on.node', '');
    const { a, plain } = await shop.load('later');
    expect(plain).toBe(true);
    expect(a).toThrow('a compiled add-on');
  });

  it('does not wait for ever', async () => {
    shop.file('protocols/endless.js', 'await new Promise(() => {});');
    const { path } = await shop.bundle('endless');
    vi.useFakeTimers();
    const told = expect(load_modules(path, ['m'])).rejects.toMatchObject({
      code: 'module_load',
      message: expect.stringContaining('within 30 s') as string,
    });
    await vi.advanceTimersByTimeAsync(30_000);
    await told;
  });
});
