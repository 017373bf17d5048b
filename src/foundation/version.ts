import { readFileSync } from 'node:fs';
import { exact, object, reader, Refused } from './shape.ts';

const read_package = reader(object<{ version: string }>({ version: exact(100) }), 1e6);

/** swarm's own version, from package.json: two folders up both in src/ and in dist/. */
export const VERSION = version_in(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function version_in(text: string): string {
  const found = read_package(text);
  if (found instanceof Refused) throw new Error(`package.json of swarm cannot be read: ${found.why}`);
  return found.version;
}
