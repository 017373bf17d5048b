import { readFileSync } from 'node:fs';

/** swarm's own version, from package.json: the same two folders up from src/ and from dist/. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
