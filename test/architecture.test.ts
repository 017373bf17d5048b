import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FLOORS } from './house.mjs';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
const DOCS = read('docs/architecture.md');

/** Files and folders that a page names in backticks, those in commands too. `<name>` stands for any: there it is the folder that counts. */
function named(text: string): string[] {
  const words = [...text.matchAll(/```[^]*?```|`([^`\n]+)`/g)].flatMap(([all, one]) => (one ?? all).split(/\s+/));
  const paths = words.filter((word) => /^(\.ci|bench|bin|deploy|docs|examples|src|test)(\/|$)/.test(word));
  const at_root = words.filter((word) => /^[\w-]+\.(json|md|ts)$/.test(word));
  return [...paths, ...at_root].map((path) => path.replace(/\/?<.*/, ''));
}

/** Where its links within the repository lead. */
const linked = (file: string, text: string): string[] =>
  [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path]) => join(dirname(file), path!));

describe.each(['docs/architecture.md', 'CONTRIBUTING.md'])('%s', (file) => {
  it('names files and folders that there are', () => {
    const paths = [...named(read(file)), ...linked(file, read(file))];
    expect(paths.length).toBeGreaterThan(30);
    expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  it('has a row for each room of the house, from the lowest floor to the highest', () => {
    const rows = [...DOCS.matchAll(/^\| `(src[^`]*)` \|/gm)].map(([, room]) => room);
    expect(rows).toEqual(FLOORS.flat().map((room) => join('src', room)));
  });

  it('has the floors of the house', () => {
    const [, floors = ''] = /^## The layers$[^]*?```\n([^]*?)```/m.exec(DOCS) ?? [];
    const said = floors.split('<').map((floor) => floor.split(',').map((room) => room.trim()));
    expect(said).toEqual(FLOORS);
  });

  it('has five walks of less than twenty lines', () => {
    const [, walks = ''] = /^## Five walks\n([^]*?)^## /m.exec(DOCS) ?? [];
    const lines = walks
      .split(/^### /m)
      .slice(1)
      .map((walk) => walk.trimEnd().split('\n').slice(1).length);
    expect(lines).toHaveLength(5);
    for (const length of lines) expect(length).toBeLessThan(20);
  });
});
