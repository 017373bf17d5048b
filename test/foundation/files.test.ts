import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { check_writable, read_secret, read_text, write_whole } from '../../src/foundation/files.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'swarm-files-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('read_text', () => {
  it('reads up to its bound and no further', () => {
    writeFileSync(at('a'), 'äöü');
    expect(read_text(at('a'), 6)).toBe('äöü');
    expect(() => read_text(at('a'), 5)).toThrow('larger than 5 bytes');
    writeFileSync(at('l'), Buffer.from('one\nRen\xe9\n', 'latin1'));
    expect(() => read_text(at('l'), 100)).toThrow(`${at('l')}:2:4 the byte e9 is no UTF-8: save the file in UTF-8`);
  });

  it('reads regular files only', () => {
    expect(() => read_text(folder, 10)).toThrow('not a regular file');
    expect(() => read_text('/dev/zero', 10)).toThrow('not a regular file');
    expect(() => read_text(at('none'), 10)).toThrow('ENOENT');
  });
});

describe('read_secret', () => {
  const secret = (text: string, mode = 0o600): string => {
    writeFileSync(at('s'), text);
    chmodSync(at('s'), mode);
    return read_secret(at('s'));
  };

  it('reads one line', () => {
    expect(secret('open-sesame')).toBe('open-sesame');
    expect(secret('open-sesame\n')).toBe('open-sesame');
    expect(secret('x'.repeat(1024), 0o400)).toHaveLength(1024);
  });

  it.each([0o644, 0o640, 0o602, 0o700])('refuses mode %o, which lets others in or makes no sense', (mode) => {
    expect(() => secret('open-sesame', mode)).toThrow('wanted 0600');
  });

  it.each(['', '\n', 'two words', 'two\nlines', 'x'.repeat(1025), 'tab\t'])('refuses %j', (text) => {
    expect(() => secret(text)).toThrow();
  });
});

describe('write_whole', () => {
  it('makes the file or replaces it, and leaves nothing else', () => {
    write_whole(at('a.json'), 'one');
    write_whole(at('a.json'), 'two');
    expect(readFileSync(at('a.json'), 'utf8')).toBe('two');
    expect(readdirSync(folder)).toEqual(['a.json']);
  });

  it('leaves the old file and nothing else when it fails', () => {
    mkdirSync(at('a.json'));
    expect(() => write_whole(at('a.json'), 'text')).toThrow();
    expect(readdirSync(folder)).toEqual(['a.json']);
  });
});

describe('check_writable', () => {
  it('agrees with write_whole, and makes nothing', () => {
    check_writable(at('a.json'));
    expect(existsSync(at('a.json'))).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
    expect(() => check_writable(at('none/a.json'))).toThrow('ENOENT');
    expect(() => check_writable(folder)).toThrow('not a regular file');
    expect(() => check_writable('/dev/null')).toThrow('not a regular file');
  });
});
