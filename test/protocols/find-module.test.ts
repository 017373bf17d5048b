import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { find_module } from '../../src/protocols/find-module.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'swarm-find-')));
const dir = join(root, 'protocols');

beforeAll(() => {
  for (const folder of ['protocols', 'protocols-of-others', 'empty']) mkdirSync(join(root, folder));
  for (const name of ['durian.ts', 'durian.js', 'chat.mts', 'old.cjs', 'types.d.ts', 'notes.txt'])
    writeFileSync(join(dir, name), '');
  writeFileSync(join(root, 'secret.js'), '');
  writeFileSync(join(root, 'protocols-of-others/theirs.js'), '');
  symlinkSync(join(root, 'secret.js'), join(dir, 'leak.js'));
  symlinkSync('../protocols-of-others/theirs.js', join(dir, 'theirs.js'));
  symlinkSync('durian.ts', join(dir, 'again.ts'));
  symlinkSync('nowhere.ts', join(dir, 'dangling.ts'));
  symlinkSync(dir, join(root, 'linked'));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const code = (protocol: string, where = dir): unknown => {
  try {
    return find_module(protocol, where);
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('find_module', () => {
  it('takes the first ending, .ts before .js', () => expect(find_module('durian', dir)).toBe(join(dir, 'durian.ts')));

  it.each([
    ['chat', 'chat.mts'],
    ['old', 'old.cjs'],
    ['again', 'durian.ts'],
  ])('%s is %s', (protocol, file) => expect(find_module(protocol, dir)).toBe(join(dir, file)));

  it('takes a protocol folder that is a link itself', () =>
    expect(find_module('chat', join(root, 'linked'))).toBe(join(dir, 'chat.mts')));

  it.each(['', '..', '../secret', 'a/b', '/etc/passwd', 'durian.ts', '.hidden', '-x', 'x\0', 'ü', 'x'.repeat(65)])(
    '%j is no name',
    (name) => {
      expect(code(name)).toBe('module_name');
    },
  );

  it.each(['leak', 'theirs'])('%s is a link out of the folder', (name) => {
    expect(code(name)).toBe('module_outside');
    expect(() => find_module(name, dir)).toThrow(new RegExp(`${name}\\.js leads out of the protocol folder`));
  });

  it.each(['types', 'notes', 'secret', 'dangling'])('%s is not there', (name) =>
    expect(code(name)).toBe('module_not_found'),
  );

  it('lists what is there and the nearest name', () => {
    expect(() => find_module('durain', dir)).toThrow(
      /no protocol module durain in .*did you mean durian\? the folder holds again, chat, dangling, durian, leak, old, theirs/,
    );
  });

  it('says when the folder is empty or missing', () => {
    expect(() => find_module('durian', join(root, 'empty'))).toThrow(/the folder holds no module \(\.ts, \.mts/);
    expect(() => find_module('durian', join(root, 'missing'))).toThrow(/ENOENT/);
    expect(code('durian', join(root, 'missing'))).toBe('module_not_found');
    expect(code('durian', join(root, 'secret.js'))).toBe('module_not_found');
  });
});
