/**
 * Files of the run: read up to a size, written whole or not at all. Every function throws an Error that says what is
 * wrong.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { reason_of, SwarmError } from './errors.ts';
import { bad_byte, bad_byte_text } from './utf8.ts';

/** bytes of a secret file */
const MAX_SECRET = 1024;

/** The text of a regular file of at most `max` bytes. They must be UTF-8: the error says where they are not. */
export function read_text(path: string, max: number): string {
  const bytes = with_file(path, (file) => read_open(file, max));
  const bad = bad_byte(bytes);
  if (bad !== null) throw new Error(`${path}:${bad.line}:${bad.column} ${bad_byte_text(bad)}`);
  return bytes.toString('utf8');
}

/**
 * The secret in a file that nobody but its owner may read or write (mode 0600 or less): at most 1 KiB on one line,
 * returned without the line end. The mode checked is that of the open file, so the file checked is the file read.
 */
export function read_secret(path: string): string {
  const secret = read_private(path, MAX_SECRET).replace(/\r?\n$/, '');
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new Error('it must hold one line of printable ASCII without blanks');
  return secret;
}

/** The text, at most `max` bytes, of a file that nobody but its owner may read or write (mode 0600 or less). */
export function read_private(path: string, max: number): string {
  return with_file(path, (file) => {
    const mode = fstatSync(file).mode & 0o777;
    if ((mode & 0o177) !== 0) throw new Error(`its mode is 0${mode.toString(8)}, wanted 0600 (chmod 600)`);
    return read_open(file, max).toString('utf8');
  });
}

/** Throws when {@link write_whole} could not write there now. */
export function check_writable(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  // renaming over a device or a pipe would replace it
  if (found && !found.isFile()) throw new Error('it exists and is not a regular file');
  const temporary = temporary_of(path);
  closeSync(openSync(temporary, 'wx'));
  rmSync(temporary);
}

/** Writes to a temporary name beside `path` and renames it: a reader sees the old file or the whole new one. */
export function write_whole(path: string, text: string): void {
  const temporary = temporary_of(path);
  const file = openSync(temporary, 'wx');
  try {
    try {
      write_all(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** On a nearly full disk one write takes only a part. */
export function write_all(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

/** As {@link write_whole}, but the error names the file, for callers that write many. */
export function write_named(path: string, text: string): void {
  try {
    write_whole(path, text);
  } catch (error) {
    throw new Error(`${basename(path)} cannot be written: ${reason_of(error)}`, { cause: error });
  }
}

/**
 * Writes the bundled module where workers import it: they never read half of it.
 * @throws SwarmError `bad_tmpdir`
 */
export function write_module(path: string, code: string): void {
  try {
    write_whole(path, code);
  } catch (error) {
    throw new SwarmError('bad_tmpdir', { file: path, reason: reason_of(error) }, error);
  }
}

const temporary_of = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);

function with_file<T>(path: string, use: (file: number) => T): T {
  // without O_NONBLOCK, opening a named pipe would wait for its writer
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) throw new Error('it is not a regular file');
    return use(file);
  } finally {
    closeSync(file);
  }
}

function read_open(file: number, max: number): Buffer {
  const bytes = Buffer.alloc(max + 1);
  let length = 0;
  for (let read = 1; read > 0 && length <= max; length += read)
    read = readSync(file, bytes, length, max + 1 - length, null);
  if (length > max) throw new Error(`it is larger than ${max} bytes`);
  return bytes.subarray(0, length);
}
