import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { circles, floor_of, namesakes, read_house, room_of, same_types, upward } from './house.mjs';

const SRC = join(import.meta.dirname, '../src');
const house = read_house(SRC);
const arrows = [...house.imports].flatMap(([file, targets]) => targets.map((target) => [file, target] as const));

describe('the house', () => {
  it('has the files and their imports', () => {
    expect(house.files.length).toBeGreaterThan(100);
    expect(arrows.length).toBeGreaterThan(500);
    expect(arrows.filter(([, target]) => !house.files.includes(target))).toEqual([
      ['protocols/import-module.ts', 'protocols/${name}'],
    ]);
  });

  it('has a floor for each of its rooms', () => expect(house.files.filter((file) => floor_of(file) < 0)).toEqual([]));

  it('has imports downwards only', () => expect(upward(house)).toEqual([]));

  it('has no circles', () => expect(circles(house)).toEqual([]));

  it('has no two files of one name', () => expect(namesakes(house)).toEqual([]));

  it('has no two types of one name', () => expect(same_types(house)).toEqual([]));

  it('has files of less than 400 lines, but for the message path', () => {
    const long = [...house.lines].filter(([, lines]) => lines >= 400).map(([file]) => file);
    expect(long.filter((file) => !/^swarm\/client\/(connection|inbound)\.ts$/.test(file))).toEqual([]);
  });

  it('has other machines only where a run on many of them is put together', () => {
    const users = arrows.filter(([, target]) => room_of(target).startsWith('machines/')).map(([file]) => room_of(file));
    expect(users.filter((room) => !/^(machines\/|engine$|launch$|commands$)/.test(room))).toEqual([]);
  });

  it('has commands that only a door opens', () => {
    const asked = arrows.filter(([file, target]) => room_of(target) === 'commands' && room_of(file) !== '.');
    expect(asked).toEqual([]);
  });

  it('has surfaces that know a swarm only by what they may touch of it', () => {
    const known = /^(foundation|grammar|metrics|outputs|console)\/|^swarm\/plan\/control\.ts$/;
    expect(arrows.filter(([file, target]) => room_of(file) === 'console' && !known.test(target))).toEqual([]);
  });

  /** everything that these files import, directly or not, without what is loaded when it is asked for */
  const reached_from = (...roots: string[]): Set<string> => {
    const reached = new Set<string>();
    const follow = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const target of house.statics.get(file) ?? []) follow(target);
    };
    for (const root of roots) follow(root);
    return reached;
  };

  it('keeps the engine of many machines out of a swarm of one', () => {
    const reached = reached_from(
      'cli.ts',
      'launch/one-machine.ts',
      'worker-main.ts',
      'commands/demo.ts',
      'commands/try.ts',
    );
    expect(reached).toContain('swarm/worker/population.ts');
    expect([...reached].filter((name) => /nats|^machines|^engine/.test(name))).toEqual([]);
    const users = house.files.filter((file) => house.statics.get(file)!.some((path) => path.startsWith('@nats-io/')));
    expect(users.map(room_of)).toEqual(['machines/store']);
  });

  it('keeps what only the coordinator needs out of workers', () => {
    const reached = [...reached_from('worker-main.ts')];
    expect(reached).toContain('swarm/client/connection.ts');
    const heavy = /^(ajv|js-yaml|commander|esbuild|pino|pino-pretty|cli-table3|@nats-io)/;
    expect(reached.filter((name) => heavy.test(name))).toEqual([]);
  });
});
