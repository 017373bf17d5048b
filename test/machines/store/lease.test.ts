import { describe, expect, test } from 'vitest';
import type { Lease } from '../../../src/machines/store/documents.ts';
import { LEASE, LeaseKeeper } from '../../../src/machines/store/lease.ts';
import type { Store } from '../../../src/machines/store/store.ts';
import { MemoryEngine } from '../sim/memory-store.ts';
import { LEASE as LEASE_DOCUMENT } from './good-documents.ts';

const TTL_MS = 5000;

class Clock {
  ms = 1000;
  now = (): number => this.ms;
  wall = (): number => this.ms;
  every = (): (() => void) => () => {};
}

function keeper(
  engine: MemoryEngine,
  clock: Clock,
  id: string,
  change: Partial<Store> = {},
  knows_newest?: () => boolean | null,
): LeaseKeeper {
  const store = Object.assign(engine.store(id), change);
  const about = () => ({ console: id, host: id, run: null, run_ms: null, plan: null });
  const knows = knows_newest && { knows_newest };
  return new LeaseKeeper({ store, timers: clock, id, ttl_ms: TTL_MS, margin_ms: 500, about, ...knows });
}

const stored = (engine: MemoryEngine): Lease => JSON.parse(engine.get(LEASE)!.text) as Lease;

describe('a lease', () => {
  test('is had by whoever is first, and by nobody who does not want it', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [a, b, c] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b'), keeper(engine, clock, 'c')];
    await c.turn(false);
    await a.turn(true);
    await b.turn(true);
    expect([a.term, b.term, c.term]).toEqual([1, 0, 0]);
    expect(b.current?.id).toBe('a');
  });

  test('is held as long as it is renewed, and taken over with the next term when it was not for its whole time', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [a, b] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b')];
    await a.turn(true);
    for (let i = 0; i < 20; i++) {
      clock.ms += 1000;
      await a.turn(true);
      await b.turn(true);
    }
    expect([a.term, b.term]).toEqual([1, 0]);
    clock.ms += 4499;
    expect(a.holds).toBe(true);
    clock.ms += 1;
    expect(a.holds).toBe(false);
    await b.turn(true);
    expect(b.term).toBe(0);
    clock.ms += 500;
    await b.turn(true);
    expect([a.term, b.term]).toEqual([0, 2]);
    await a.turn(true);
    expect([a.term, a.current?.id]).toEqual([0, 'b']);
  });

  test('that an engine lost is written anew by who held or saw it last, not by who was cut off before', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [leader, stale] = [keeper(engine, clock, 'leader'), keeper(engine, clock, 'stale')];
    await leader.turn(true);
    await stale.turn(true);
    for (let i = 0; i < 8; i++) {
      clock.ms += 1000;
      await leader.turn(true);
    }
    // away for longer than a lease: both have none when the engine comes back without its memory
    clock.ms += TTL_MS;
    engine.wipe();
    for (let i = 0; i < 60 && !leader.holds && !stale.holds; i++) {
      clock.ms += 250;
      await stale.turn(true);
      await leader.turn(true);
    }
    expect([leader.holds, stale.holds]).toEqual([true, false]);
  });

  test.each([true, null])(
    'that an engine lost is not left to who led last, if agents know a later plan than it does (the other one: %s)',
    async (other_knows) => {
      const [engine, clock] = [new MemoryEngine(), new Clock()];
      const led = keeper(engine, clock, 'led', {}, () => false);
      const other = keeper(engine, clock, 'other', {}, () => other_knows);
      await led.turn(true);
      await other.turn(true);
      clock.ms += 2 * TTL_MS;
      engine.wipe();
      for (const end = clock.ms + 1000; clock.ms < end; clock.ms += 100)
        for (const one of [led, other]) await one.turn(true);
      expect([led.holds, other.holds]).toEqual([false, true]);
    },
  );

  test('that an engine lost is had by who knows only an older plan too, if there is nobody else', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const led = keeper(engine, clock, 'led', {}, () => false);
    await led.turn(true);
    clock.ms += 2 * TTL_MS;
    engine.wipe();
    const start = clock.ms;
    for (; clock.ms < start + 10 * TTL_MS && !led.holds; clock.ms += 100) await led.turn(true);
    expect(clock.ms - start).toBeGreaterThan(TTL_MS);
    expect(led.holds).toBe(true);
  });

  test('is let go of', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [a, b] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b')];
    await a.turn(true);
    await a.release();
    await b.turn(true);
    expect([a.term, b.term]).toEqual([0, 2]);
  });

  test('runs from when a renewal was sent, not from its answer', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const plain = engine.store('a');
    const put: Store['put'] = async (...write) => {
      clock.ms += 2000;
      return plain.put(...write);
    };
    const a = keeper(engine, clock, 'a', { put });
    await a.turn(true);
    clock.ms += 2499;
    expect(a.holds).toBe(true);
    clock.ms += 1;
    expect(a.holds).toBe(false);
  });

  test('of which no answer came is looked up', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const plain = engine.store('a');
    let is_applied = true;
    const put: Store['put'] = async (...write) => {
      if (is_applied) await plain.put(...write);
      return { outcome: 'unknown', reason: 'no answer' };
    };
    const a = keeper(engine, clock, 'a', { put });
    await a.turn(true);
    expect(a.term).toBe(1);
    clock.ms += 1000;
    is_applied = false;
    await a.turn(true);
    // it holds yet, for what is left of the first
    expect(a.term).toBe(1);
    clock.ms += 3500;
    await a.turn(true);
    expect(a.term).toBe(0);
  });

  test('that the engine forgot goes on with its holder, in a new term', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [a, b] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b')];
    await a.turn(true);
    await b.turn(true);
    engine.wipe();
    clock.ms += 1000;
    await b.turn(true);
    expect(b.term).toBe(0);
    await a.turn(true);
    expect(a.term).toBe(2);
  });

  test('that the engine forgot is taken by another after its whole time; no term comes twice', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const [a, b] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b')];
    await a.turn(true);
    await b.turn(true);
    engine.wipe();
    await b.turn(true);
    clock.ms += TTL_MS;
    await b.turn(true);
    // higher than any that it may have missed
    expect(b.term).toBe(1001);
  });

  test('that is not there is not for one who only knows that somebody led: that one may lead yet', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const late = keeper(engine, clock, 'late');
    late.knows(7);
    for (const end = clock.ms + TTL_MS; clock.ms < end; clock.ms += 250) await late.turn(true);
    expect(engine.get(LEASE)).toBe(null);
    for (const end = clock.ms + 6 * TTL_MS; clock.ms < end && !late.holds; clock.ms += 250) await late.turn(true);
    expect(stored(engine).term).toBe(1007);
  });

  test('is nothing any more for its holder when somebody leads in a later term', async () => {
    const [engine, clock] = [new MemoryEngine(), new Clock()];
    const a = keeper(engine, clock, 'a');
    await a.turn(true);
    a.knows(3);
    expect([a.holds, a.term]).toEqual([false, 0]);
    for (const end = clock.ms + 2 * TTL_MS; clock.ms < end && !a.holds; clock.ms += 250) await a.turn(true);
    expect(a.term).toBe(4);
  });

  test.each(['', 'null', '{}', '[]', '1e300', JSON.stringify({ ...LEASE_DOCUMENT, ttl_ms: 1e300 })])(
    'that cannot be read is taken over as one that nobody renews, also by who held it: %s',
    async (text) => {
      const [engine, clock] = [new MemoryEngine(), new Clock()];
      const [a, b] = [keeper(engine, clock, 'a'), keeper(engine, clock, 'b')];
      await a.turn(true);
      await b.turn(true);
      engine.put(LEASE, text, engine.get(LEASE)!.revision, 'test');
      for (let ms = 0; ms < TTL_MS + 1000; ms += 500) {
        for (const one of [a, b]) await one.turn(true);
        clock.ms += 500;
      }
      expect([a.term, b.term].filter((term) => term > 0)).toEqual([2]);
      expect([a.refused, b.refused]).toEqual([null, null]);
    },
  );
});
