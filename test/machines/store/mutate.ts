/** Documents as somebody could write them who means no good, or another version: a good one with something wrong in it, drawn from a seed. */
import { SimRandom } from '../sim/random.ts';

const LONG = 'x'.repeat(2000);
const HOSTILE: readonly (() => unknown)[] = [
  ...[null, true, false, 0, -1, 0.5, 1e300, -1e300, 2 ** 53, 2 ** 51, 2 ** 43, 4294967295, ''].map(
    (value) => () => value,
  ),
  ...['a', 'constructor', '__proto__', '1', '\u001b[2J\u202e', LONG, 'a b', 'a.b', '2026-99-99T00:00:00Z'].map(
    (value) => () => value,
  ),
  ...[() => ({}), () => [], () => [[]], () => [null], () => ({ x: 1 }), () => Array.from({ length: 300 }, (_, i) => i)],
  () => JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`),
  () => JSON.parse('{"__proto__":{"a":1},"constructor":1,"toString":null,"length":-1}'),
];

type Holder = Record<string, unknown>;

/** Every place in it, as the object or list that has it and its name there. */
function places(value: unknown, all: [Holder, string][] = []): [Holder, string][] {
  if (typeof value !== 'object' || value === null) return all;
  for (const key of Object.keys(value)) {
    all.push([value as Holder, key]);
    places((value as Holder)[key], all);
  }
  return all;
}

export function mutated(good: string, seed: number): string {
  const random = new SimRandom(seed);
  if (random.chance(0.05)) {
    const at = random.int(0, good.length - 1);
    const cut = good.slice(0, at);
    return random.chance(0.5) ? cut : cut + String.fromCharCode(random.int(0, 255)) + good.slice(at + 1);
  }
  if (random.chance(0.02)) return JSON.stringify(random.pick(HOSTILE)());
  const document = JSON.parse(good);
  for (let times = random.int(1, 3); times > 0; times--) {
    const all = places(document);
    if (all.length === 0) break;
    const [holder, key] = random.pick(all);
    const how = random.next();
    if (how < 0.6) holder[key] = random.pick(HOSTILE)();
    else if (how < 0.75 && typeof holder[key] === 'number') holder[key] += random.pick([1, -1, 0.25, 1e6, -1e6]);
    else if (how < 0.9) delete holder[key];
    else if (Array.isArray(holder)) holder.push(random.pick(HOSTILE)());
    else
      Object.defineProperty(holder, random.pick(['__proto__', 'x', '', 'constructor', LONG, '\u001b[31m']), {
        value: holder[key],
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  return JSON.stringify(document);
}
