import { describe, expect, test } from 'vitest';
import { NO_FAULTS, ROUGH } from './faults.ts';
import type { Process } from './process.ts';
import { SimRandom } from './random.ts';
import { World } from './world.ts';

/** Runs an endless loop of its own each so many ms, and says when. */
async function beat(process: Process, ms: number, said: string[]): Promise<void> {
  for (;;) {
    await process.clock.sleep(ms);
    said.push(`${process.name} ${process.clock.now()}`);
  }
}

/** Counts a key up, whatever becomes of a write. */
async function count(process: Process): Promise<void> {
  for (;;) {
    await process.clock.sleep(process.random.int(1, 1000));
    try {
      const entry = await process.store.get('count');
      await process.store.put('count', `${Number(entry?.text ?? 0) + 1}`, entry?.revision ?? 0);
    } catch {
      process.store.nudge(null);
    }
  }
}

/** Everything that can be seen of a run in which all goes wrong. */
async function rough_run(seed: number): Promise<unknown> {
  const world = new World(seed, ROUGH);
  const hints: string[] = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => {
    const process = world.process(name, { skew_ms: world.random.int(-1000, 1000) });
    process.store.watch('', ({ text }) => hints.push(`${process.name} ${world.now} ${text}`));
    void count(process);
    return process;
  }) as [Process, Process, Process];
  world.at(5000, () => a.pause(7000));
  world.at(8000, () => b.cut('replies', 4000));
  world.at(15_000, () => world.stop_engine(3000));
  world.at(20_000, () => c.crash());
  world.at(22_000, () => world.wipe_engine());
  world.at(25_000, () => world.heal());
  await world.run_until(30_000);
  expect(world.engine.history.broken_chains()).toEqual([]);
  return { hints, notes: world.notes, writes: world.engine.history.writes, events: world.events };
}

describe('a world', () => {
  test('runs the same way for the same seed', async () => {
    for (let seed = 1; seed <= 20; seed++) expect(await rough_run(seed)).toEqual(await rough_run(seed));
    expect(await rough_run(1)).not.toEqual(await rough_run(2));
  });

  test('runs events by time, those of one instant as they came', async () => {
    const world = new World(1);
    const random = new SimRandom(7);
    const due = Array.from({ length: 2000 }, (_, i) => ({ at: random.int(0, 300), i }));
    const ran: { at: number; i: number }[] = [];
    for (const { at, i } of due) world.at(at, () => ran.push({ at: world.now, i }));
    await world.run_until(300);
    expect(ran).toEqual(due.toSorted((a, b) => a.at - b.at || a.i - b.i));
    expect(world.events).toBe(2000);
  });

  test('stops at the instant asked for, what is due then included', async () => {
    const world = new World(1);
    const ran: number[] = [];
    for (const at of [1, 2, 3]) world.at(at, () => ran.push(at));
    await world.run_until(2);
    expect([world.now, ...ran]).toEqual([2, 1, 2]);
    await world.run_until(50);
    expect([world.now, ...ran]).toEqual([50, 1, 2, 3]);
  });

  test('lets every promise settle before the next event, however deep', async () => {
    const world = new World(1);
    const order: string[] = [];
    const deep = async (depth: number): Promise<void> => {
      await Promise.resolve();
      if (depth > 0) await deep(depth - 1);
    };
    void deep(1000).then(() => order.push('before the first'));
    world.at(1, () => void deep(5000).then(() => order.push('of the first')));
    world.at(1, () => void order.push('second'));
    world.at(1, () => void deep(5000).then(() => order.push('of the last')));
    await world.run_until(1);
    expect(order).toEqual(['before the first', 'of the first', 'second', 'of the last']);
  });

  test('rejects with what an event throws, and goes on after it', async () => {
    const world = new World(1);
    world.at(1, () => {
      throw new Error('an invariant');
    });
    let ran = false;
    world.at(2, () => (ran = true));
    await expect(world.run_until(5)).rejects.toThrow('an invariant');
    expect(world.now).toBe(1);
    await world.run_until(5);
    expect(ran).toBe(true);
  });

  test('leaves native timers their turn', async () => {
    const world = new World(1);
    let fired = false;
    setTimeout(() => (fired = true), 1);
    void beat(world.process('a'), 1, []);
    for (let i = 0; i < 1000 && !fired; i++) await world.run_until(world.now + 10_000);
    expect(fired).toBe(true);
  });
});

describe('the clock of a process', () => {
  test('shows its own time', async () => {
    const world = new World(1);
    const [a, b] = [world.process('a'), world.process('b', { skew_ms: -500, origin_ms: 7000 })];
    await world.run_until(100);
    expect([a.clock.now(), b.clock.now()]).toEqual([100, 7100]);
    expect(a.clock.wall() - b.clock.wall()).toBe(500);
    b.skew_ms = 3000;
    expect(b.clock.wall() - a.clock.wall()).toBe(3000);
  });

  test('calls again and again until told to end, even from within', async () => {
    const world = new World(1);
    const { clock } = world.process('a');
    const at: number[] = [];
    const end = clock.every(10, () => {
      at.push(clock.now());
      if (at.length === 3) end();
    });
    const other = clock.every(100, () => at.push(-1));
    other();
    await world.run_until(1000);
    expect(at).toEqual([10, 20, 30]);
  });
});

describe('a process', () => {
  test('that crashed does nothing more, and another may take its name', async () => {
    const world = new World(1);
    const said: string[] = [];
    const first = world.process('a');
    void beat(first, 100, said);
    first.clock.every(100, () => said.push('every'));
    world.at(250, () => {
      first.crash();
      void beat(world.process('a'), 1000, said);
      void first.clock.sleep(1).then(() => said.push('zombie'));
    });
    await world.run_until(2000);
    expect(said).toEqual(['a 100', 'every', 'a 200', 'every', 'a 1250']);
  });

  test('that is paused catches up when it wakes: each timer once, in order, with the time of then', async () => {
    const world = new World(1);
    const said: string[] = [];
    const process = world.process('a');
    const say = (what: string) => (): void => void said.push(`${what} ${process.clock.now()}`);
    process.clock.every(100, say('every'));
    for (const ms of [450, 1000, 300]) void process.clock.sleep(ms).then(say(`sleep ${ms}`));
    void beat(world.process('b'), 500, said);
    world.at(250, () => process.pause(750));
    await world.run_until(1150);
    expect(said).toEqual([
      ...['every 100', 'every 200', 'b 500'],
      // the sleep of 1000 was due at the instant of waking, before the pause ended in the queue
      ...['sleep 300 1000', 'every 1000', 'sleep 450 1000', 'sleep 1000 1000', 'b 1000'],
      'every 1100',
    ]);
  });

  test('that is paused twice wakes at the later end; resume wakes it now', async () => {
    const world = new World(1);
    const said: string[] = [];
    const process = world.process('a');
    void process.clock.sleep(10).then(() => said.push(`first ${world.now}`));
    void process.clock.sleep(5000).then(() => said.push(`second ${world.now}`));
    world.at(1, () => process.pause(1000));
    world.at(2, () => process.pause(100));
    world.at(4999, () => process.pause(1000));
    world.at(5100, () => process.resume());
    world.at(5200, () => process.pause(1000));
    void process.clock.sleep(5300).then(() => said.push(`third ${world.now}`));
    await world.run_until(10_000);
    expect(said).toEqual(['first 1001', 'second 5100', 'third 6200']);
  });

  test('that pauses again while it wakes keeps the rest, in order', async () => {
    const world = new World(1);
    const said: string[] = [];
    const process = world.process('a');
    for (const ms of [10, 20, 30]) {
      void process.clock.sleep(ms).then(() => {
        said.push(`${ms} ${world.now}`);
        if (ms === 10) process.pause(100);
      });
    }
    process.pause(50);
    await world.run_until(1000);
    expect(said).toEqual(['10 50', '20 150', '30 150']);
  });

  test('that crashes while it is paused never wakes', async () => {
    const world = new World(1);
    const said: string[] = [];
    const process = world.process('a');
    void beat(process, 10, said);
    process.pause(100);
    world.at(50, () => process.crash());
    await world.run_until(1000);
    expect(said).toEqual([]);
  });

  test('draws numbers that do not depend on what others draw', () => {
    const draws = (other: number): number[] => {
      const world = new World(3, NO_FAULTS);
      const [a, b] = [world.process('a'), world.process('b')];
      for (let i = 0; i < other; i++) b.random.next();
      return [a.random.int(1, 6), a.random.real(0, 1), a.random.pick([1, 2, 3])];
    };
    expect(draws(0)).toEqual(draws(5));
  });
});
