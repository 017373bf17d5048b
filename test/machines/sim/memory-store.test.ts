import { describe, expect, test } from 'vitest';
import type { Store, Written } from '../../../src/machines/store/store.ts';
import { store_contract } from '../store/store-contract.ts';
import { NO_FAULTS, ROUGH, type Faults } from './faults.ts';
import { MemoryEngine } from './memory-store.ts';
import type { Process } from './process.ts';
import { World } from './world.ts';

describe('in memory', () => {
  store_contract(async () => {
    const engine = new MemoryEngine();
    return { open: async () => engine.store(), end: async () => {} };
  });

  test('answers within microtasks', async () => {
    const store = new MemoryEngine().store();
    const order: string[] = [];
    setImmediate(() => order.push('immediate'));
    await store.put('plan', 'one', 0);
    order.push((await store.get('plan'))?.text ?? 'null');
    expect(order).toEqual(['one']);
  });
});

describe('in a world', () => {
  store_contract(async () => {
    const world = new World(1);
    let playing = true;
    const play = async (): Promise<void> => {
      while (playing) {
        await world.run_until(world.now + 10);
        await new Promise(setImmediate);
      }
    };
    const played = play();
    return {
      open: async () => world.process('test').store,
      end: () => {
        playing = false;
        return played;
      },
    };
  });
});

/** A world with one fault, and a process in it. */
function with_faults(faults: Partial<Faults>, seed = 1): { world: World; process: Process; store: Store } {
  const world = new World(seed, { ...NO_FAULTS, ...faults });
  const process = world.process('a');
  return { world, process, store: process.store };
}

/** What a promise came to, and when. */
function outcome<T>(world: World, promise: Promise<T>): { at: number | null; value?: T; error?: string } {
  const seen: { at: number | null; value?: T; error?: string } = { at: null };
  promise.then(
    (value) => Object.assign(seen, { at: world.now, value }),
    (error: Error) => Object.assign(seen, { at: world.now, error: error.message }),
  );
  return seen;
}

const UNKNOWN: Written = { outcome: 'unknown', reason: 'no answer' };

describe('faults', () => {
  test('none: an operation takes a millisecond', async () => {
    const { world, store } = with_faults({});
    const put = outcome(world, store.put('plan', 'one', 0));
    await world.run_until(10);
    expect(put).toEqual({ at: 1, value: { outcome: 'done', revision: 1 } });
    expect(world.notes).toEqual([]);
  });

  test('latency: within its bounds, seldom slow, never beyond the deadline', async () => {
    const { world, process, store } = with_faults({ latency_ms: [5, 50], slow: 0.1 });
    const took: number[] = [];
    const play = async (): Promise<void> => {
      for (let i = 0; i < 2000; i++) {
        const sent = process.clock.now();
        await store.get('plan');
        took.push(process.clock.now() - sent);
      }
    };
    void play();
    await world.run_until(1e6);
    expect(took).toHaveLength(2000);
    expect(Math.min(...took)).toBeGreaterThanOrEqual(4.999);
    expect(Math.max(...took)).toBeLessThanOrEqual(1900.001);
    const slow = took.filter((ms) => ms > 50.001).length;
    expect(slow).toBeGreaterThan(100);
    expect(slow).toBeLessThan(300);
  });

  test('a lost request: unknown at the deadline, not applied', async () => {
    const { world, store } = with_faults({ request_lost: 1 });
    const put = outcome(world, store.put('plan', 'one', 0));
    const removed = outcome(world, store.remove('plan'));
    await world.run_until(20_000);
    expect(put).toEqual({ at: 2000, value: UNKNOWN });
    expect(removed.at).toBe(2000);
    expect(world.engine.history.writes).toEqual([]);
    expect(world.notes).toEqual(['0 a put plan@0: request lost', '0 a remove plan: request lost']);
  });

  test('a lost reply: unknown at the deadline, but applied', async () => {
    const { world, store } = with_faults({ reply_lost: 1 });
    const put = outcome(world, store.put('plan', 'one', 0));
    const refused = outcome(world, store.put('plan', 'two', 7));
    await world.run_until(20_000);
    expect(put).toEqual({ at: 2000, value: UNKNOWN });
    expect(refused).toEqual({ at: 2000, value: UNKNOWN });
    expect(world.engine.get('plan')?.text).toBe('one');
  });

  test('a request that arrives twice is applied once', async () => {
    const { world, store } = with_faults({ duplicate: 1 });
    const put = outcome(world, store.put('plan', 'one', 0));
    await world.run_until(20_000);
    expect(put.value).toEqual({ outcome: 'done', revision: 1 });
    expect(world.engine.history.writes).toHaveLength(1);
    expect(world.events).toBe(3);
  });

  test('applied late: after unknown was said, within 8 s, if its revision still stands', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { world, store } = with_faults({ applied_late: 1 }, seed);
      const put = outcome(world, store.put('plan', 'late', 0));
      await world.run_until(20_000);
      expect(put).toEqual({ at: 2000, value: UNKNOWN });
      const [write] = world.engine.history.writes;
      expect(write).toMatchObject({ by: 'a', text: 'late', revision: 1, replaces: 0 });
      expect(write!.at).toBeGreaterThanOrEqual(2000);
      expect(write!.at).toBeLessThanOrEqual(10_000);
    }
    const { world, store } = with_faults({ applied_late: 1 });
    void store.put('plan', 'late', 0);
    world.at(1000, () => world.engine.put('plan', 'sooner', 0, 'b'));
    await world.run_until(20_000);
    expect(world.engine.history.of('plan').map((write) => write.text)).toEqual(['sooner']);
  });

  test('lost reads reject: get after 2 s, list after 5 s', async () => {
    const { world, store } = with_faults({ read_lost: 1 });
    const get = outcome(world, store.get('plan'));
    const list = outcome(world, store.list(''));
    await world.run_until(20_000);
    expect(get).toEqual({ at: 2000, error: 'no answer' });
    expect(list).toEqual({ at: 5000, error: 'no answer' });
  });

  test('hints are lost, late, and out of order', async () => {
    const seen = async (faults: Partial<Faults>): Promise<{ at: number; text: string }[]> => {
      const { world, store } = with_faults(faults);
      const hints: { at: number; text: string }[] = [];
      store.watch('plan', ({ text }) => hints.push({ at: world.now, text }));
      let nudges = 0;
      store.on_nudge('a', () => nudges++);
      for (let i = 0; i < 100; i++) world.engine.put('plan', `${i}`, i, 'b');
      for (let i = 0; i < 100; i++) world.engine.nudge('a');
      await world.run_until(20_000);
      expect(nudges === 100).toBe(hints.length === 100);
      return hints;
    };
    const all = Array.from({ length: 100 }, (_, i) => `${i}`);
    expect(await seen({})).toEqual(all.map((text) => ({ at: 1, text })));
    const some = await seen({ hint_lost: 0.3 });
    expect(some.length).toBeGreaterThan(50);
    expect(some.length).toBeLessThan(90);
    const late = await seen({ hint_late: 0.3 });
    expect(late.map(({ text }) => text)).not.toEqual(all);
    expect(late.map(({ text }) => Number(text)).toSorted((a, b) => a - b)).toEqual(all.map(Number));
    expect(late.at(-1)!.at).toBeGreaterThan(5000);
  });

  test('the engine is down: everything is unknown or rejects, and it remembers', async () => {
    const { world, store } = with_faults({});
    world.engine.put('plan', 'one', 0, 'b');
    world.stop_engine(10_000);
    let hints = 0;
    store.on_nudge('a', () => hints++);
    store.nudge('a');
    const put = outcome(world, store.put('plan', 'two', 1));
    const get = outcome(world, store.get('plan'));
    await world.run_until(9000);
    expect(put).toEqual({ at: 2000, value: UNKNOWN });
    expect(get).toEqual({ at: 2000, error: 'no answer' });
    await world.run_until(10_000);
    const again = outcome(world, store.get('plan'));
    await world.run_until(10_100);
    expect(again.value).toEqual({ key: 'plan', text: 'one', revision: 1 });
    expect(hints).toBe(0);
  });

  test('the engine is wiped: keys are gone, revisions begin anew', async () => {
    const { world, store } = with_faults({});
    for (let i = 0; i < 5; i++) world.engine.put('plan', `${i}`, i, 'b');
    await world.run_until(100);
    world.wipe_engine();
    expect(world.engine.list('')).toEqual([]);
    const stale = outcome(world, store.put('plan', 'stale', 5));
    const created = outcome(world, store.put('plan', 'new', 0));
    await world.run_until(200);
    expect(stale.value).toEqual({ outcome: 'refused' });
    expect(created.value).toEqual({ outcome: 'done', revision: 1 });
    expect(world.engine.history.broken_chains()).toEqual([]);
  });

  describe('a process cut off from the engine', () => {
    test('both ways: nothing is applied, nothing is told, others go on', async () => {
      const { world, process, store } = with_faults({});
      const other = world.process('b').store;
      const seen: string[] = [];
      store.watch('', ({ text }) => seen.push(text));
      process.cut('both', 5000);
      const put = outcome(world, store.put('plan', 'one', 0));
      const others = outcome(world, other.put('plan', 'two', 0));
      await world.run_until(5000);
      expect(put).toEqual({ at: 2000, value: UNKNOWN });
      expect(others.value).toEqual({ outcome: 'done', revision: 1 });
      const after = outcome(world, store.put('plan', 'three', 1));
      await world.run_until(6000);
      expect(after.value).toEqual({ outcome: 'done', revision: 2 });
      expect(seen).toEqual(['three']);
    });

    test('replies only: what it writes is applied', async () => {
      const { world, process, store } = with_faults({});
      process.cut('replies');
      const put = outcome(world, store.put('plan', 'one', 0));
      const get = outcome(world, store.get('plan'));
      await world.run_until(3000);
      expect(put).toEqual({ at: 2000, value: UNKNOWN });
      expect(get).toEqual({ at: 2000, error: 'no answer' });
      expect(world.engine.get('plan')?.text).toBe('one');
    });

    test('requests only: it hears but is not heard', async () => {
      const { world, process, store } = with_faults({});
      const seen: string[] = [];
      store.watch('', ({ text }) => seen.push(text));
      process.cut('requests');
      void store.put('plan', 'one', 0);
      await world.run_until(3000);
      world.engine.put('plan', 'two', 0, 'b');
      await world.run_until(4000);
      expect(seen).toEqual(['two']);
    });
  });

  test('heal ends them all', async () => {
    const world = new World(1, { ...ROUGH, request_lost: 1, read_lost: 1, hint_lost: 1 });
    const process = world.process('a');
    process.cut('both');
    process.pause(1e9);
    world.stop_engine();
    await world.run_until(1000);
    world.heal();
    const seen: string[] = [];
    process.store.watch('', ({ text }) => seen.push(text));
    const put = outcome(world, process.store.put('plan', 'one', 0));
    await world.run_until(1100);
    expect(put).toEqual({ at: 1001, value: { outcome: 'done', revision: 1 } });
    expect(seen).toEqual(['one']);
  });
});

describe('a process that is stopped or killed', () => {
  test('killed: its write arrives, its call never settles, its watches end', async () => {
    const { world, process, store } = with_faults({ latency_ms: [10, 10] });
    let hints = 0;
    store.watch('', () => hints++);
    const put = outcome(world, store.put('plan', 'one', 0));
    process.crash();
    const zombie = outcome(world, store.put('desired', 'one', 0));
    const read = outcome(world, store.get('plan'));
    await world.run_until(20_000);
    expect([put.at, zombie.at, read.at]).toEqual([null, null, null]);
    expect(world.engine.list('').map((entry) => entry.key)).toEqual(['plan']);
    expect(hints).toBe(0);
  });

  test('paused: replies and hints wait until it wakes, in their order', async () => {
    const { world, process, store } = with_faults({});
    const order: string[] = [];
    store.watch('plan', ({ text }) => order.push(`hint ${text} ${world.now}`));
    world.at(100, () => process.pause(5000));
    world.at(100, () => world.engine.put('plan', 'one', 0, 'b'));
    void process.clock.sleep(99.5).then(async () => {
      const written = await store.put('desired', 'mine', 0);
      order.push(`put ${written.outcome} ${world.now}`);
    });
    void process.clock.sleep(200).then(() => order.push(`timer ${world.now}`));
    await world.run_until(10_000);
    expect(order).toEqual(['put done 5100', 'hint one 5100', 'timer 5100']);
  });

  test('paused beyond the deadline: it may see that first', async () => {
    const { world, process, store } = with_faults({ deadline_first: 1 });
    const put = outcome(world, store.put('plan', 'one', 0));
    process.pause(3000);
    await world.run_until(10_000);
    expect(put).toEqual({ at: 3000, value: UNKNOWN });
    expect(world.engine.get('plan')?.text).toBe('one');
  });
});

describe('history', () => {
  test('knows who wrote what, when, in place of what', () => {
    let now = 0;
    const engine = new MemoryEngine(() => now);
    const heard: (string | null)[] = [];
    engine.history.on_write(({ text }) => heard.push(text));
    engine.put('plan', 'one', 0, 'a');
    now = 10;
    engine.put('plan', 'refused', 0, 'b');
    engine.put('plan', 'two', 1, 'b');
    engine.put('desired', 'else', 0, 'c');
    now = 20;
    engine.remove('plan', 'a');
    now = 30;
    engine.put('plan', 'three', 0, 'a');
    now = 40;
    engine.wipe();
    const { history } = engine;
    expect(history.of('plan')).toEqual([
      { at: 0, by: 'a', key: 'plan', text: 'one', revision: 1, replaces: 0, life: 0 },
      { at: 10, by: 'b', key: 'plan', text: 'two', revision: 2, replaces: 1, life: 0 },
      { at: 20, by: 'a', key: 'plan', text: null, revision: 4, replaces: 2, life: 0 },
      { at: 30, by: 'a', key: 'plan', text: 'three', revision: 5, replaces: 0, life: 0 },
    ]);
    expect(history.writers('plan')).toEqual(['a', 'b']);
    expect([0, 9, 10, 20, 35, 40].map((at) => history.text_at('plan', at))).toEqual([
      ...['one', 'one', 'two', null],
      ...['three', null],
    ]);
    expect(heard).toEqual(['one', 'two', 'else', null, 'three']);
    expect(history.broken_chains()).toEqual([]);
    expect(history.wipes).toEqual([40]);
  });

  test('finds a broken chain', () => {
    const { history } = new MemoryEngine();
    const write = { at: 1, by: 'a', key: 'plan', text: '', life: 0 };
    history.record({ ...write, revision: 2, replaces: 0 });
    history.record({ ...write, revision: 2, replaces: 1 });
    expect(history.broken_chains()).toEqual(['plan@2 by a at 1 replaces 1, not 2', 'plan@2 by a at 1 after 2']);
  });
});
