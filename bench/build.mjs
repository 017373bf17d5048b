/** Builds the reference programs in bench/reference/ into bench/.build/, when missing or older than their source. Linux, with cc. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const HERE = import.meta.dirname;

/**
 * @param {string} name  a source in bench/reference/, without .c
 * @returns {string} path of the executable
 * @throws {Error} without cc, or when cc refuses
 */
export function reference(name) {
  const source = join(HERE, 'reference', `${name}.c`);
  const program = join(HERE, '.build', name);
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program;
  mkdirSync(join(HERE, '.build'), { recursive: true });
  try {
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  } catch (error) {
    if (error.code === 'ENOENT')
      throw new Error(
        'the benches compare with small C programs: install a C compiler (Debian: apt-get install gcc libc6-dev)',
      );
    throw new Error(`cc could not build ${source}`);
  }
  return program;
}
