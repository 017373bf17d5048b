/**
 * The rooms of src/ and the imports between them. `node test/house.mjs [folder of sources]` prints the arrows between rooms, those that
 * lead upwards, circles, and the sizes of files; layers.test.ts fails on what must not be.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';

/** From the lowest floor to the highest. Rooms on one floor do not know each other. */
export const FLOORS = [
  ['foundation'],
  ['grammar', 'protocols'],
  ['script'],
  ['metrics'],
  ['outputs'],
  ['swarm/plan'],
  ['swarm/load', 'swarm/shares'],
  ['swarm/client', 'swarm/squad'],
  ['swarm/worker'],
  ['swarm/control'],
  ['machines/store'],
  ['runs', 'cluster', 'machines/coordinator', 'machines/agent', 'console', 'options'],
  ['engine'],
  ['launch'],
  ['commands'],
  ['.'],
];

const IMPORT = /(?:from|import)\s*\(?\s*'(\.[^']+)'/g;
const STATIC_IMPORT = /^(?:import|export)[^;]*? from '([^']+)'/gm;

/**
 * A checkout's sources: `imports` maps each file, by its path within `src`, to those it imports; `statics` leaves out what is loaded when it
 * is asked for, and has packages too.
 * @typedef {{ files: string[], texts: Map<string, string>, lines: Map<string, number>, imports: Map<string, string[]>, statics: Map<string, string[]> }} House
 * @param {string} src
 * @returns {House}
 */
export function read_house(src) {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const texts = new Map(files.map((file) => [file, readFileSync(join(src, file), 'utf8')]));
  const targets = (file, pattern) =>
    [...texts.get(file).matchAll(pattern)].map(([, path]) =>
      path.startsWith('.') ? relative(src, resolve(src, dirname(file), path)) : path,
    );
  return {
    files,
    texts,
    lines: new Map(files.map((file) => [file, texts.get(file).split('\n').length - 1])),
    imports: new Map(files.map((file) => [file, targets(file, IMPORT)])),
    statics: new Map(files.map((file) => [file, targets(file, STATIC_IMPORT)])),
  };
}

export const room_of = (file) => dirname(file);
/** -1: a room that no floor has */
export const floor_of = (file) => FLOORS.findIndex((rooms) => rooms.includes(room_of(file)));

/** `file -> target` for each import that does not lead downwards. */
export function upward({ imports }) {
  return arrows(imports)
    .filter(([file, target]) => room_of(file) !== room_of(target) && floor_of(target) >= floor_of(file))
    .map(([file, target]) => `${file} -> ${target}`);
}

/** Each circle of imports, as a path. */
export function circles({ files, imports }) {
  const done = new Set();
  const found = [];
  const walk = (file, path) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    else if (!done.has(file)) {
      for (const target of imports.get(file) ?? []) walk(target, [...path, file]);
      done.add(file);
    }
  };
  for (const file of files) walk(file, []);
  return found;
}

/** Types, interfaces and classes of one name, each as `Name file file`. */
export function same_types({ texts }) {
  const by_name = new Map();
  for (const [file, text] of texts)
    for (const [, name] of text.matchAll(/^(?:export )?(?:abstract )?(?:interface|type|class) (\w+)/gm))
      by_name.set(name, [...(by_name.get(name) ?? []), file]);
  return [...by_name].filter(([, same]) => same.length > 1).map(([name, same]) => [name, ...same].join(' '));
}

/** Files of one name. */
export function namesakes({ files }) {
  const by_name = new Map();
  for (const file of files) by_name.set(basename(file), [...(by_name.get(basename(file)) ?? []), file]);
  return [...by_name.values()].filter((same) => same.length > 1);
}

const arrows = (imports) => [...imports].flatMap(([file, targets]) => targets.map((target) => [file, target]));

if (process.argv[1] === import.meta.filename) {
  const house = read_house(resolve(process.argv[2] ?? join(import.meta.dirname, '../src')));
  const between = new Map();
  for (const [file, target] of arrows(house.imports)) {
    const arrow = `${room_of(file)} -> ${room_of(target)}`;
    if (room_of(file) !== room_of(target)) between.set(arrow, (between.get(arrow) ?? 0) + 1);
  }
  for (const [arrow, count] of [...between].sort()) console.log(`${String(count).padStart(4)}  ${arrow}`);
  const sizes = [...house.lines].sort(([, a], [, b]) => b - a);
  const files = house.files.length;
  const imports = [...between.values()].reduce((all, count) => all + count, 0);
  console.log(`${imports} imports between ${between.size} pairs of rooms, upwards: ${upward(house).length}`);
  for (const line of upward(house)) console.log(`  ${line}`);
  console.log(`circles: ${circles(house).length}, names that several files have: ${namesakes(house).length}`);
  console.log(`${files} files, ${sizes[Math.floor(files / 2)][1]} lines in the median; the largest:`);
  for (const [file, lines] of sizes.slice(0, 8)) console.log(`${String(lines).padStart(6)}  ${file}`);
}
