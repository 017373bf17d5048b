import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

// Imports only downwards (DESIGN 2). A folder's number is its floor; files of swarm/ that are pure stand on the lower one.
const SRC = resolve(import.meta.dirname, '../src');
const PURE = [
  'swarm/command.ts',
  'swarm/plan.ts',
  'swarm/state.ts',
  'swarm/pacer.ts',
  'swarm/allocate.ts',
  'swarm/bounds.ts',
  'swarm/ports.ts',
  'swarm/segment.ts',
];
const FLOORS: [string, number][] = [
  ['foundation/', 0],
  ...PURE.map((file): [string, number] => [file, 1]),
  ['script/', 1],
  ['protocols/', 1],
  ['metrics/', 1],
  ['swarm/', 2],
  ['cluster/', 3],
  ['console/', 4],
  ['outputs/', 4],
  ['', 5], // cli, daemon, worker-main and what else stands at the top
];

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const floor = (file: string): number => FLOORS.find(([prefix]) => file.startsWith(prefix))![1];
const imports = new Map(
  files.map((file) => [
    file,
    [...readFileSync(join(SRC, file), 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path]) =>
      relative(SRC, resolve(SRC, dirname(file), path!)),
    ),
  ]),
);

describe('layers', () => {
  it('finds the files and their imports', () => {
    expect(files.length).toBeGreaterThan(10);
    expect([...imports.values()].flat().length).toBeGreaterThan(10);
  });

  it('has no import upwards', () => {
    const upwards = [...imports].flatMap(([file, targets]) =>
      targets.filter((target) => floor(target) > floor(file)).map((target) => `${file} -> ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  it('keeps the cluster and the surfaces apart', () => {
    const crossing = [...imports].flatMap(([file, targets]) =>
      targets
        .filter(
          (target) => /^(console|outputs)\//.test(file) && /^(cluster|swarm)\//.test(target) && !PURE.includes(target),
        )
        .map((target) => `${file} -> ${target}`),
    );
    expect(crossing).toEqual([]);
  });

  it('keeps the engine of many machines out of a swarm of one', () => {
    /** everything that these files import, directly or not, without what is loaded when it is asked for */
    const statics = (file: string): string[] =>
      [...readFileSync(join(SRC, file), 'utf8').matchAll(/^(?:import|export)[^;]*? from '([^']+)'/gm)].map(
        ([, path]) => (path!.startsWith('.') ? relative(SRC, resolve(SRC, dirname(file), path!)) : path!),
      );
    const reached = new Set<string>();
    const follow = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      if (files.includes(file)) for (const target of statics(file)) follow(target);
    };
    for (const root of ['cli.ts', 'daemon.ts', 'worker-main.ts', 'demo.ts', 'try.ts']) follow(root);
    expect(reached).toContain('swarm/population.ts');
    expect([...reached].filter((name) => /nats|cluster\/(joined|agent|view|leader)/.test(name))).toEqual([]);
    const users = files.filter((file) => statics(file).some((path) => path.startsWith('@nats-io/')));
    expect(users.every((file) => file.startsWith('cluster/') || file === 'engine.ts')).toBe(true);
  });

  it('has no circles', () => {
    const done = new Set<string>();
    const circles: string[] = [];
    const walk = (file: string, path: string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      else if (!done.has(file)) {
        for (const target of imports.get(file) ?? []) walk(target, [...path, file]);
        done.add(file);
      }
    };
    for (const file of files) walk(file, []);
    expect(circles).toEqual([]);
  });
});
